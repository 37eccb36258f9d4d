"""Look at the table of a backfill: its key, its statistics, its triggers and publications, and what was done so far."""

import hashlib
import json
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, LiteralString

import psycopg

from dbops.copies import batches
from dbops.copies.bounds import Table
from dbops.engine.plan import Statement
from dbops.errors import DbopsError, Refused, Stopped
from dbops.operations.migrate import carrying
from dbops.operations.migrate.backfill import jobs
from dbops.operations.migrate.backfill.facts import By, Facts, Firing, Part, Trigger, Wanted
from dbops.operations.migrate.open_changes import Change
from dbops.operations.migrate.shapes import belongings, names
from dbops.operations.migrate.shapes.shape import Filling
from dbops.stores import ledger
from dbops.stores.postgres import Connection

_SEARCH_PATH = "public"  # what revisions are run with, and so what their expressions mean
_MANY_CHANGED = 0.2

_FIND = """
    SELECT set_config('search_path', %s, false), set_config('lock_timeout', '2s', false),
           to_regclass(%s)::oid::bigint"""
_STALE = """
    SELECT CASE WHEN c.reltuples < 0 THEN 'it was never analyzed'
                WHEN s.changed > 1000 + %(many)s * s.live THEN s.changed || ' rows changed since it was analyzed' END
      FROM pg_class c,
           LATERAL (SELECT coalesce(sum(n_mod_since_analyze), 0) AS changed, coalesce(sum(n_live_tup), 0) AS live
                      FROM pg_stat_all_tables
                     WHERE relid IN (SELECT relid FROM pg_partition_tree(c.oid) UNION SELECT c.oid)) s
     WHERE c.oid = %(oid)s::oid"""
_TRIGGERS = """
    SELECT t.tgname, t.tgrelid::regclass::text, t.tgfoid::regprocedure::text, t.tgenabled IN ('A', 'R'),
           coalesce((SELECT array_agg(a.attname::text ORDER BY a.attnum) FROM pg_attribute a
                      WHERE a.attrelid = t.tgrelid AND a.attnum = ANY(t.tgattr::int2[])), '{}')
      FROM pg_trigger t
     WHERE t.tgrelid IN (SELECT relid FROM pg_partition_tree(%(oid)s::oid::regclass) UNION SELECT %(oid)s::oid)
       AND NOT t.tgisinternal AND t.tgparentid = 0
       AND t.tgenabled = ANY(%(enabled)s::text[]::"char"[]) AND t.tgtype & %(events)s <> 0
     UNION ALL
    SELECT w.rulename, w.ev_class::regclass::text, 'what its rule says', w.ev_enabled IN ('A', 'R'), '{}'
      FROM pg_rewrite w
     WHERE w.ev_class = %(oid)s::oid AND w.ev_enabled = ANY(%(enabled)s::text[]::"char"[])
       AND (w.ev_type = '2' OR w.ev_type = '3' AND %(events)s & 4 <> 0)
     ORDER BY 2, 1"""
_PUBLICATIONS = """
    SELECT DISTINCT p.pubname::text
      FROM pg_publication_tables t JOIN pg_publication p USING (pubname)
      JOIN pg_class c ON c.relname = t.tablename
      JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = t.schemaname
     WHERE p.pubupdate
       AND c.oid IN (SELECT relid FROM pg_partition_tree(%(oid)s::oid::regclass) UNION SELECT %(oid)s::oid)
     ORDER BY 1"""
_HAS_FOREIGN_KEYS = "SELECT EXISTS (SELECT FROM pg_constraint WHERE conrelid = %(oid)s::oid AND contype = 'f')"
_INSERT, _UPDATE = 4, 16
_NOTHING: tuple[tuple[Part, ...], Mapping[int, int]] = ((), {})

Administrator = Callable[[], AbstractContextManager[Connection]]


def observe(
    connection: Connection,
    change: Change,
    filling: Filling,
    wanted: Wanted,
    *,
    administrator: Administrator,
    target: str,
) -> Facts:
    table = batches.observe(connection, _found(connection, filling.table, target))
    written = _found(connection, filling.writes, target)
    _refuse_hidden_rows(connection, target, {table.shown: table.oid, filling.writes: written})
    version = ledger.observe(connection, target=target)
    carry = belongings.carried(change.shape)
    work = work_of(filling, table)
    parts, aside = jobs.read(connection, change.id, work) if version == ledger.VERSION else _NOTHING
    return Facts(
        target,
        change.id,
        change.life,
        filling,
        table,
        work,
        parts,
        sum(aside.values()),
        _one(connection, _STALE, {"oid": table.oid, "many": _MANY_CHANGED}),
        _triggers(connection, filling, written),
        tuple(name for (name,) in connection.execute(_PUBLICATIONS, {"oid": written})),
        _suppressing(connection, administrator) if wanted.firing is Firing.SUPPRESS else None,
        _one(connection, _HAS_FOREIGN_KEYS, {"oid": written}),
        change.control.actor if change.paused and change.control is not None else None,
        _ledger(connection, version),
        carries=bool(carry),
        missing=carrying.missing(connection, carry),
    )


def work_of(filling: Filling, table: Table) -> str:
    """Identify what is done to what: places of rows count only while the table keeps its files."""
    files = table.files if table.key.is_place else ()
    what = [filling.statement, table.oid, table.key.columns, files]
    return hashlib.sha256(json.dumps(what).encode()).hexdigest()


def _ledger(connection: Connection, version: int | None) -> tuple[Statement, ...]:
    return ledger.install(version, owner=connection.info.user)


def _found(connection: Connection, table: str, target: str) -> int:
    row = connection.execute(_FIND, (_SEARCH_PATH, table)).fetchone()
    if row is None or row[2] is None:
        raise Refused(f"table {table} of the change is not there", hint="was it renamed by hand?", target=target)
    return int(row[2])


def _refuse_hidden_rows(connection: Connection, target: str, tables: Mapping[str, int]) -> None:
    """Refuse where policies hold for the owner, too: rows that they hide would stay as they are, and nobody knew."""
    for shown, oid in tables.items():
        if _one(connection, "SELECT row_security_active(%(oid)s::oid)", {"oid": oid}):
            raise Refused(
                f"policies of {shown} may hide rows from its owner: they would not be filled",
                hint="ALTER ROLE ... BYPASSRLS for the owner, or ALTER TABLE ... NO FORCE ROW LEVEL SECURITY",
                target=target,
            )


def _triggers(connection: Connection, filling: Filling, written: int) -> tuple[Trigger, ...]:
    events = _UPDATE if filling.table == filling.writes else _UPDATE | _INSERT
    told = {"oid": written, "enabled": ["O", "A", "R"], "events": events}
    every = [Trigger(n, t, f, tuple(c), a) for n, t, f, a, c in connection.execute(_TRIGGERS, told)]
    return tuple(one for one in every if not names.is_ours(one.name))


def _suppressing(connection: Connection, administrator: Administrator) -> By | None:
    if _may_suppress(connection):
        return By.OWNER
    try:
        with administrator() as other:
            return By.ADMINISTRATOR if _may_suppress(other) else None
    except Stopped:
        raise
    except DbopsError:
        return None


def _may_suppress(connection: Connection) -> bool:
    """Try it: who may is told by different rules from version to version."""
    try:
        with connection.transaction(force_rollback=True):
            connection.execute("SET LOCAL session_replication_role = replica")
    except psycopg.errors.InsufficientPrivilege:
        return False
    return True


def _one(connection: Connection, query: LiteralString, values: Mapping[str, object]) -> Any:
    row = connection.execute(query, values).fetchone()
    return None if row is None else row[0]
