"""The locks that PostgreSQL keeps for us: one run at a time for a target and a subject."""

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, LiteralString

import psycopg

from dbops import units
from dbops.config.model import Cluster, Postgres
from dbops.engine.locks import await_lock
from dbops.engine.run import Run
from dbops.errors import LockBusy
from dbops.stores.postgres import runs
from dbops.stores.postgres.connecting import connect
from dbops.stores.postgres.said import translated
from dbops.stores.postgres.statements import Connection

_HELD = """
    SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND granted AND pid = pg_backend_pid()
                      AND objsubid = 1 AND (classid::bigint << 32 | objid::bigint) = hashtextextended(%s, 0::bigint))"""

_HOLDER = """
    SELECT coalesce(a.application_name, '?'), l.pid, a.backend_start
      FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid
     WHERE l.locktype = 'advisory' AND l.granted
       AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
       AND l.objsubid = 1 AND (l.classid::bigint << 32 | l.objid::bigint) = hashtextextended(%s, 0::bigint)"""


@contextmanager
def only_run(
    place: Cluster | Postgres, run: Run, *, target: str, subject: str, dbname: str | None = None
) -> Generator[Callable[[], None]]:
    """Hold the advisory lock of (target, subject) on a connection of its own; yield the guard that re-checks it.

    An advisory lock lives in one database, so everybody locks a target in the same one: its own.
    """
    with connect(place, run, target=target, dbname=dbname) as connection:
        _take(connection, run, target, subject)

        def guard() -> None:
            with translated(target):
                if _one(connection, _HELD, _name(target, subject)) is not True:
                    raise LockBusy(f"the lock of {target} ({subject}) was lost", hint="run again", target=target)

        with _given_back(connection):
            yield guard


_ALL_HELD = """
    SELECT count(DISTINCT name)
      FROM unnest(%s::text[]) s (name)
      JOIN pg_locks l ON (classid::bigint << 32 | objid::bigint) = hashtextextended(name, 0::bigint)
     WHERE locktype = 'advisory' AND granted AND pid = pg_backend_pid() AND objsubid = 1"""


@contextmanager
def only_runs(
    place: Cluster | Postgres, run: Run, *, target: str, subjects: Sequence[str]
) -> Generator[tuple[dict[str, LockBusy], Callable[[], None]]]:
    """Hold the advisory locks of many subjects on one connection: those that are free; tell who holds the others."""
    busy: dict[str, LockBusy] = {}
    with connect(place, run, target=target) as connection:
        for subject in sorted(subjects):  # always in this order: two runs that wait do not wait for each other
            try:
                _take(connection, run, target, subject)
            except LockBusy as error:
                busy[subject] = error
        held = [_name(target, subject) for subject in subjects if subject not in busy]

        def guard() -> None:
            with translated(target):
                row = connection.execute(_ALL_HELD, (held,)).fetchone()
            if row is None or row[0] != len(held):
                raise LockBusy(f"a lock of {target} was lost", hint="run again", target=target)

        with _given_back(connection):
            yield busy, guard


@contextmanager
def _given_back(connection: Connection) -> Generator[None]:
    """Give the locks back before the connection ends: its backend, and what it holds, outlives it by a moment."""
    try:
        yield
    finally:
        with suppress(psycopg.Error):  # a connection that is lost has none
            connection.execute("SELECT pg_advisory_unlock_all()")


def _name(target: str, subject: str) -> str:
    return f"dbops:{target}:{subject}"


def _take(connection: Connection, run: Run, target: str, subject: str) -> None:
    """Take one lock, or wait for it as long as the run may; who holds it is told."""
    name = _name(target, subject)
    await_lock(
        partial(_try_lock, connection, name),
        holder=partial(_holder, connection, name),
        what=f"{target} ({subject})",
        target=target,
        wait=run.lock_wait,
    )


def _try_lock(connection: Connection, name: str) -> bool:
    return _one(connection, "SELECT pg_try_advisory_lock(hashtextextended(%s, 0::bigint))", name) is True


def _one(connection: Connection, query: LiteralString, value: str) -> Any:
    row = connection.execute(query, (value,)).fetchone()
    return None if row is None else row[0]


def _holder(connection: Connection, name: str) -> str:
    row = connection.execute(_HOLDER, (name,)).fetchone()
    if row is None:
        return "it has just gone"
    application, pid, since = row
    told = runs.NAME.match(application)
    started = f", since {units.instant(since)}" if since is not None else ""
    if told is None:
        return f"{application!r}, backend {pid}{started}"
    return f"run {told['run']} on {told['host']}, pid {told['pid']}, since {runs.since(told['stamp'])}"
