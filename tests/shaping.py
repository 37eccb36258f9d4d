"""Do the phases of a shape to a database, statement by statement, without a history."""

from collections.abc import Iterable
from typing import Any

import psycopg
from psycopg import sql

from dbops.operations.migrate.shapes.shape import Comparison, Do, Shape
from dbops.stores import ledger

CHANGE = "the-change"


def run(connection: psycopg.Connection[Any], text: str, values: object = None) -> psycopg.Cursor[Any]:
    """Run SQL that a test put together."""
    composed = sql.SQL(text)  # pyright: ignore[reportArgumentType]
    return connection.execute(composed, values)  # pyright: ignore[reportArgumentType]


def rows(connection: psycopg.Connection[Any], text: str) -> list[tuple[Any, ...]]:
    return run(connection, text).fetchall()


def do(connection: psycopg.Connection[Any], statements: Iterable[Do]) -> None:
    for one in statements:
        if one.asks:
            for (text,) in rows(connection, one.sql):
                run(connection, text)
        else:
            run(connection, one.sql)


def expand(connection: psycopg.Connection[Any], shape: Shape, change: str = CHANGE) -> None:
    """In one transaction and under the search path of revisions, as `migrate up` does."""
    with connection.transaction():
        connection.execute("SET LOCAL search_path = public")
        do(connection, shape.expand(change))


def undo(connection: psycopg.Connection[Any], shape: Shape, change: str = CHANGE) -> None:
    with connection.transaction():
        connection.execute("SET LOCAL search_path = public")
        do(connection, shape.undo(change))


def contract(connection: psycopg.Connection[Any], shape: Shape, change: str = CHANGE) -> None:
    connection.execute("SET search_path = public")
    do(connection, shape.contract(change))


def fill(connection: psycopg.Connection[Any], shape: Shape, change: str = CHANGE) -> int:
    """Fill all rows in one batch; return how many were written."""
    filling = shape.filling()
    if filling is None:
        return 0
    with connection.transaction():
        connection.execute("SET LOCAL search_path = public")
        connection.execute("SELECT set_config('dbops.backfill', %s, true)", (change,))
        return run(connection, filling.statement.replace("{rows}", "true")).rowcount


def differing(connection: psycopg.Connection[Any], shape: Shape, key: str = "r.id") -> dict[str, list[Any]]:
    """Name the keys of rows that differ, by the way of each comparison."""
    return {one.way: [row[0] for row in rows(connection, _query(one, key))] for one in shape.comparisons()}


def _query(comparison: Comparison, key: str) -> str:
    return comparison.query.replace("{rows}", "true").replace("{key}", key) + " ORDER BY 1"


def install_ledger(connection: psycopg.Connection[Any]) -> None:
    for statement in ledger.install(None):
        run(connection, statement.shown())


def conflicts(connection: psycopg.Connection[Any]) -> int:
    [(count,)] = rows(connection, "SELECT count(*) FROM dbops.conflicts")
    return int(count)
