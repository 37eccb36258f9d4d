"""What tests of a table's replacement share: the phases of a shape run by hand, and the two tables compared."""

from collections.abc import Iterable
from typing import Any, LiteralString, cast

import psycopg
from psycopg import sql

from dbops.operations.migrate.shapes.across import quoted
from dbops.operations.migrate.shapes.replaced import Replaced
from dbops.operations.migrate.shapes.shape import KEY, ROWS, Do

Connection = psycopg.Connection[Any]
CHANGE = "a-change"


def run(connection: Connection, text: str) -> list[tuple[Any, ...]]:
    """Run SQL; return its rows, if it has any."""
    cursor: psycopg.Cursor[Any] = connection.execute(sql.SQL(cast("LiteralString", text)))
    return cursor.fetchall() if cursor.description else []


def do(connection: Connection, statements: Iterable[Do]) -> None:
    """Do a phase as `migrate` does: what takes its time by itself, the others in one transaction."""
    every = tuple(statements)
    run(connection, "SET search_path = public")
    with connection.transaction():
        run(connection, "SET LOCAL lock_timeout = '500ms'")
        run(connection, "SET LOCAL statement_timeout = '500ms'")
        for one in every:
            run(connection, one.sql)


def ready(connection: Connection, statements: Iterable[Do]) -> None:
    """Make ready for a swap, each in a transaction of its own."""
    for one in statements:
        run(connection, one.sql)


def swap(connection: Connection, shape: Replaced) -> None:
    ready(connection, shape.before_swap(CHANGE))
    do(connection, shape.swap(CHANGE))


def swap_back(connection: Connection, shape: Replaced) -> None:
    ready(connection, shape.before_swap_back(CHANGE))
    do(connection, shape.swap_back(CHANGE))


def fill(connection: Connection, shape: Replaced) -> int:
    """Carry all rows over in one batch; return how many were written."""
    filling = shape.filling()
    assert filling is not None
    with connection.transaction():
        run(connection, f"SET LOCAL dbops.backfill = '{CHANGE}'")
        cursor: psycopg.Cursor[Any] = connection.execute(
            sql.SQL(cast("LiteralString", filling.statement.replace(ROWS, "true")))
        )
        run(connection, "SET LOCAL dbops.backfill = ''")  # the transaction may be part of another
        return cursor.rowcount


def different(connection: Connection, shape: Replaced) -> list[tuple[Any, ...]]:
    """Name the keys of rows that differ, either way."""
    key = ", ".join(f"r.{quoted(column)}" for column in shape.key)
    found: list[tuple[Any, ...]] = []
    for one in shape.comparisons():
        found += run(connection, one.query.replace(KEY, key).replace(ROWS, "true"))
    return found
