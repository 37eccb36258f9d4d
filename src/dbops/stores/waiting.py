"""Who holds what a backend waits for, and who waits for what it holds or wants: asked in one way, told in one way."""

from collections.abc import Sequence
from datetime import timedelta

from dbops import units
from dbops.redact import redact
from dbops.stores.postgres import Connection

_HOLDERS = "SELECT pg_blocking_pids(%s)"
_BEHIND = """
    SELECT DISTINCT l.pid FROM pg_locks l WHERE NOT l.granted AND %s = ANY(pg_blocking_pids(l.pid)) ORDER BY 1"""
_WHO = """
    SELECT pid, coalesce(usename, backend_type, 'somebody'), application_name, coalesce(state, 'not to be seen'),
           clock_timestamp() - xact_start, coalesce(left(query, 200), '')
      FROM pg_stat_activity WHERE pid = ANY(%s) ORDER BY xact_start LIMIT 3"""
_SHOWN = 80  # characters of a query


def holders(connection: Connection, backend: int) -> tuple[int, ...]:
    """Return the backends that it waits for, be it that they hold the lock or asked before."""
    row = connection.execute(_HOLDERS, (backend,)).fetchone()
    return tuple(row[0]) if row else ()


def behind(connection: Connection, backend: int) -> tuple[int, ...]:
    """Return the backends that wait for it."""
    return tuple(pid for (pid,) in connection.execute(_BEHIND, (backend,)).fetchall())


def named(connection: Connection, pids: Sequence[int]) -> list[str]:
    """Tell of the eldest of them who they are, and what they do; only an administrator sees that of everybody."""
    return [_told(row) for row in connection.execute(_WHO, (list(pids),)).fetchall()]


def _told(row: tuple[int, str, str | None, str, timedelta | None, str]) -> str:
    pid, user, application, state, age, query = row
    since = f", its transaction is {units.duration(age)} old" if age is not None else ""
    text = " ".join(redact(query).split())
    return f"backend {pid} of {user} ({application or 'no application name'}, {state}{since}: {text[:_SHOWN]})"
