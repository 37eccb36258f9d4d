"""What is sent over a connection: statements that are put together, and how long they may queue for a lock."""

import re
from datetime import timedelta
from typing import Any, LiteralString, cast

import psycopg
from psycopg import errors, sql
from psycopg.rows import dict_row

from dbops.engine.plan import Statement, Verbatim

Connection = psycopg.Connection[Any]


def compose(statement: Statement) -> sql.Composed:
    """Fill names and values into a statement; quoting is psycopg's."""
    names, values = iter(statement.names), iter(statement.values)
    parts: list[sql.Composable] = []
    for part in re.split(r"(\{\}|%s|%%)", statement.text):
        match part:
            case "{}":
                parts.append(_name(next(names)))
            case "%s":
                parts.append(sql.Literal(next(values)))
            case "%%":
                parts.append(sql.SQL("%"))
            case _:
                parts.append(sql.SQL(cast("LiteralString", part)))  # the text of a Statement is a constant of ours
    return sql.Composed(parts)


def _name(name: tuple[str, ...] | Verbatim) -> sql.Composable:
    # what the server wrote is quoted already, and braces in it are its own: SQL() without format() keeps them
    return sql.SQL(cast("LiteralString", name.text)) if isinstance(name, Verbatim) else sql.Identifier(*name)


def execute(connection: Connection, statement: Statement) -> None:
    connection.execute(compose(statement))


def record(connection: Connection, query: LiteralString) -> dict[str, Any]:
    """Return the first row by column names; no row is an empty record."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query).fetchone() or {}


# How a statement ends that may queue only briefly: its transaction is undone, and it can be tried again.
NOT_GRANTED = (errors.LockNotAvailable, errors.QueryCanceled, errors.DeadlockDetected)


def milliseconds(span: timedelta) -> str:
    """Write a timeout as a setting; never 0, which would mean none."""
    return f"{max(1, round(span.total_seconds() * 1000))}ms"


_DEADLOCK_MS = "SELECT setting::int FROM pg_catalog.pg_settings WHERE name = 'deadlock_timeout'"


def below_deadlock(connection: Connection) -> timedelta:
    """Tell how long may be taken to lock several things of an application: who waits longer looks for deadlocks.

    Of two who wait for each other, the one that has waited first is cancelled; that would be the application.
    """
    row = connection.execute(_DEADLOCK_MS).fetchone()
    return timedelta(milliseconds=row[0] if row else 1000) * 0.9


def set_local_timeouts(connection: Connection, lock_timeout: timedelta) -> None:
    """Inside a transaction: how long to queue. lock_timeout counts per lock, so the statement gets the same limit."""
    wait = milliseconds(lock_timeout)
    connection.execute(
        "SELECT set_config('lock_timeout', %s, true), set_config('statement_timeout', %s, true)", (wait, wait)
    )
