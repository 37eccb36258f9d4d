"""NOT NULL without a scan under a strong lock: a CHECK that is validated first proves it. Pure."""

from collections.abc import Sequence

from dbops.operations.migrate.shapes import names
from dbops.operations.migrate.shapes.guarded import has_column, has_constraint, quoted, refuse_rows, when
from dbops.operations.migrate.shapes.shape import Do


def check(change: str, table: str, columns: Sequence[str]) -> str:
    """Write the CHECK that new rows have to pass; those that are there are looked at by the proof."""
    every = " AND ".join(f"{quoted(name)} IS NOT NULL" for name in columns)
    return f"ALTER TABLE {table} ADD CONSTRAINT {proof(change, table)} CHECK ({every}) NOT VALID"


def prove_no_nulls(change: str, table: str, columns: Sequence[str]) -> tuple[Do, ...]:
    """Prove it while the application goes on writing. Rows that stand against it are named before anything is done."""
    if not columns:
        return ()
    name = names.name("filled", change, table)
    nullable = " OR ".join(has_column(table, column, "NOT attnotnull") for column in columns)
    offending = " OR ".join(f"r.{quoted(column)} IS NULL" for column in columns)
    refused = f"{table} has rows without {', '.join(columns)}"
    validate = f"ALTER TABLE {table} VALIDATE CONSTRAINT {proof(change, table)}"
    return (
        Do(refuse_rows(table, offending, refused), alone=True),
        Do(when(f"({nullable}) AND NOT {has_constraint(table, name)}", check(change, table, columns)), alone=True),
        Do(when(has_constraint(table, name), validate), alone=True),
    )


def let_no_nulls_in(change: str, table: str, columns: Sequence[str]) -> tuple[Do, ...]:
    """Set NOT NULL by the proof, and drop that."""
    if not columns:
        return ()
    every = ", ".join(f"ALTER COLUMN {quoted(name)} SET NOT NULL" for name in columns)
    return (Do(f"ALTER TABLE {table} {every}"), drop_check(change, table))


def drop_check(change: str, table: str) -> Do:
    return Do(f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {proof(change, table)}")


def proof(change: str, table: str) -> str:
    return quoted(names.name("filled", change, table))
