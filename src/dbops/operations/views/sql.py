"""The SQL of refreshes: what the preview shows is what apply runs; pure."""

from dbops.engine.plan import Statement


def refresh(schema: str, name: str, *, concurrently: bool) -> Statement:
    word = "CONCURRENTLY " if concurrently else ""
    return Statement(f"REFRESH MATERIALIZED VIEW {word}{{}}", ((schema, name),))
