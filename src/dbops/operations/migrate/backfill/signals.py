"""Ask the server for what a backfill gives way to. Who may not see something says None, which is no zero."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import psycopg
from psycopg.rows import dict_row

from dbops import units
from dbops.engine import clock
from dbops.errors import UsageError
from dbops.operations.migrate.backfill.facts import Signal
from dbops.stores.postgres import Connection

# pg_stat_replication and pg_stat_activity show rows to everybody, and what is in them only to some.
_SERVER = """
    WITH me AS (SELECT pg_has_role('pg_read_all_stats', 'USAGE') AS sees, pg_current_wal_lsn() AS lsn),
         replica AS (SELECT extract(epoch FROM max(replay_lag))::float8 AS lag,
                            max(pg_wal_lsn_diff(lsn, replay_lsn))::float8 AS behind
                       FROM me, pg_stat_replication WHERE state IN ('streaming', 'catchup')),
         vacuum AS (SELECT count(*) FILTER (WHERE a.query LIKE '%%to prevent wraparound%%') AS forced, count(*) AS every
                      FROM pg_stat_progress_vacuum p JOIN pg_stat_activity a USING (pid)
                     WHERE a.backend_type = 'autovacuum worker' AND p.relid = ANY(%(tables)s)
                       AND p.datid = (SELECT oid FROM pg_database WHERE datname = current_database())),
         size AS (SELECT sum(n_dead_tup)::float8 AS dead, sum(n_live_tup)::float8 AS live,
                         bool_and(NOT coalesce('autovacuum_enabled=false' = ANY(c.reloptions), false))
                             AND current_setting('autovacuum')::bool AS vacuumed
                    FROM pg_stat_all_tables s JOIN pg_class c ON c.oid = s.relid WHERE s.relid = ANY(%(tables)s))
    SELECT CASE WHEN sees THEN coalesce(replica.lag, 0) END AS "replica-lag",
           CASE WHEN sees THEN coalesce(replica.behind, 0) END AS "replica-behind",
           (SELECT coalesce(max(pg_wal_lsn_diff(lsn, restart_lsn)), 0)::float8
              FROM pg_replication_slots) AS "slot-wal",
           pg_wal_lsn_diff(lsn, '0/0')::float8 AS written,
           CASE WHEN sees THEN vacuum.forced END AS "wraparound-vacuum",
           CASE WHEN sees THEN vacuum.every - vacuum.forced END AS autovacuum,
           CASE WHEN size.vacuumed AND size.dead >= %(many_dead)s
                THEN size.dead / (size.dead + size.live) ELSE 0 END AS "dead-rows",
           current_setting('archive_mode') <> 'off' AS archives
      FROM me, replica, vacuum, size"""
_ARCHIVE = "SELECT count(*)::float8 FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready'"
_TABLES = "SELECT relid::oid FROM pg_partition_tree(%(oid)s::oid::regclass) UNION SELECT %(oid)s::oid"
_WAITERS = """
    SELECT count(*)::float8, pg_has_role('pg_read_all_stats', 'USAGE') FROM pg_stat_activity a
     WHERE a.wait_event_type = 'Lock' AND pg_blocking_pids(a.pid) && %s::int[]"""
_HOLDERS = """
    SELECT pid, coalesce(usename, backend_type), application_name, coalesce(state, 'not to be seen'),
           clock_timestamp() - xact_start
      FROM pg_stat_activity
     WHERE pid <> ALL(%s::int[])
       AND pid IN (SELECT l.pid FROM pg_locks l WHERE l.relation = %s::oid AND l.granted AND l.database =
                          (SELECT oid FROM pg_database WHERE datname = current_database()))
     ORDER BY xact_start LIMIT 3"""

_MANY_DEAD = 100_000  # fewer are no reason to wait, whatever their share


@dataclass(slots=True)
class Looking:
    """What the looks at one table share."""

    connection: Connection  # of whoever sees most
    own: Connection  # for the operator's own query
    tables: list[int]
    limits: Mapping[str, float | None]
    throttle_sql: str | None
    written: tuple[float, float] | None = None  # bytes of WAL, and when


def looking(
    connection: Connection, own: Connection, oid: int, limits: Mapping[str, float | None], throttle_sql: str | None
) -> Looking:
    tables = [row[0] for row in connection.execute(_TABLES, {"oid": oid})]
    for setting in ("default_transaction_read_only = on", "statement_timeout = '5s'", "search_path = public"):
        own.execute(f"SET {setting}".encode())
    return Looking(connection, own, tables, limits, throttle_sql)


def look(eye: Looking, waiters: float | None) -> tuple[Signal, ...]:
    """Look once at all that can be seen."""
    with eye.connection.cursor(row_factory=dict_row) as cursor:
        row: dict[str, Any] = cursor.execute(_SERVER, {"tables": eye.tables, "many_dead": _MANY_DEAD}).fetchone() or {}
    seen = {name: row[name] for name in eye.limits if name in row}
    seen["wal-rate"] = _rate(eye, row["written"])
    seen["wal-archive"] = _archive(eye.connection) if row["archives"] else 0.0
    seen["waiters"] = waiters
    if eye.throttle_sql is not None:
        seen["throttle-sql"] = asked(eye.own, eye.throttle_sql)
    return tuple(Signal(name, seen[name], limit) for name, limit in eye.limits.items() if name in seen)


def _rate(eye: Looking, written: float) -> float | None:
    before, eye.written = eye.written, (written, clock.monotonic())
    if before is None:
        return 0.0
    return max(0.0, written - before[0]) / max(0.001, eye.written[1] - before[1])


def _archive(connection: Connection) -> float | None:
    try:
        row = connection.execute(_ARCHIVE).fetchone()
    except (psycopg.errors.InsufficientPrivilege, psycopg.errors.UndefinedFunction):
        return None
    return None if row is None else row[0]


def waiters(connection: Connection, backends: Sequence[int]) -> float | None:
    """Count who waits for a lock that one of these backends holds."""
    row = connection.execute(_WAITERS, (list(backends),)).fetchone()
    return row[0] if row is not None and row[1] else None


def holders(connection: Connection, table: int, ours: Sequence[int]) -> list[str]:
    """Name who holds locks on a table, who began first; a plain owner sees little of others."""
    rows = connection.execute(_HOLDERS, ([*ours, connection.info.backend_pid], table)).fetchall()
    return [_holder(*row) for row in rows]


def _holder(pid: int, user: str, application: str | None, state: str, age: timedelta | None) -> str:
    since = f", its transaction is {units.duration(age)} old" if age is not None else ""
    return f"backend {pid} of {user} ({application or 'no application name'}, {state}{since})"


def asked(own: Connection, text: str) -> float:
    """Run the operator's query: true, or a number above zero, holds the backfill."""
    try:
        row = own.execute(text.encode()).fetchone()
        return 0.0 if row is None or row[0] is None else float(row[0])
    except (psycopg.ProgrammingError, psycopg.DataError, psycopg.InternalError, TypeError, ValueError) as error:
        raise UsageError(
            f"--throttle-sql yields no number and no truth: {type(error).__name__}",
            hint="one row of one column, read-only: --throttle-sql 'SELECT count(*) > 100 FROM queue'",
        ) from error
