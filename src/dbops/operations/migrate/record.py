"""Write and read what the ledger keeps of changes: transitions and evidence, append-only, subject change:<id>."""

from collections.abc import Iterable, Mapping
from typing import Any

from dbops.engine.run import Run
from dbops.errors import Refused
from dbops.operations.migrate.life import STATE, Life, Place, State, Told, life, may_follow
from dbops.stores import ledger
from dbops.stores.postgres import Connection

_PREFIX = "change:"
_HERE = """
    SELECT s.system_identifier, d.oid::bigint,
           ('x' || left(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 8))::bit(32)::int
      FROM pg_catalog.pg_control_system() s, pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()"""
_ENTRIES = """
    SELECT substr(subject, 8), at, run, actor, kind, detail, system_identifier, database_oid::bigint, timeline
      FROM dbops.entries WHERE target = %s AND subject LIKE 'change:%%' ORDER BY id"""


def here(connection: Connection) -> Place:
    """Tell which database this is."""
    row = connection.execute(_HERE).fetchone()
    assert row is not None  # noqa: S101
    return Place(*row)


def read(connection: Connection, *, target: str) -> dict[str, Life]:
    """Return the life of every change that the ledger knows; nothing where there is no ledger."""
    if ledger.observe(connection, target=target) is None:
        return {}
    told: dict[str, list[Told]] = {}
    for change, at, run, actor, kind, detail, *place in connection.execute(_ENTRIES, (target,)):
        told.setdefault(change, []).append(Told(at, run, actor, kind, detail, Place(*place)))
    return lives(told, here(connection))


def lives(told: Mapping[str, Iterable[Told]], place: Place) -> dict[str, Life]:
    return {change: life(entries, place) for change, entries in told.items()}


def move(
    connection: Connection, run: Run, *, target: str, change: str, to: State, before: Life, evidence: Mapping[str, Any]
) -> None:
    """Write a transition inside the caller's transaction. A state that it is in already is written as new evidence."""
    if not may_follow(before.state, to) and not before.elsewhere:
        raise Refused(f"change {change} is {before.state}, and cannot become {to}", target=target)
    write(connection, run, target=target, change=change, state=to, evidence=evidence)


def write(
    connection: Connection, run: Run, *, target: str, change: str, state: State, evidence: Mapping[str, Any]
) -> None:
    detail = {"state": str(state), **evidence}
    ledger.write(connection, run, target=target, subject=f"{_PREFIX}{change}", kind=STATE, detail=detail)


def prove(
    connection: Connection, run: Run, *, target: str, change: str, kind: str, evidence: Mapping[str, Any]
) -> None:
    """Write evidence of a kind that is no transition: a baseline, a gate that was looked at, an override."""
    if kind == STATE:
        raise ValueError("a transition is written by move()")
    ledger.write(connection, run, target=target, subject=f"{_PREFIX}{change}", kind=kind, detail=evidence)
