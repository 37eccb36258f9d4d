"""Look at one database with as few questions as can be: its stamp, its objects by name, its ledger."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, LiteralString

from psycopg.rows import dict_row

from dbops.operations.migrate import record
from dbops.operations.migrate.backfill import pace
from dbops.operations.migrate.facts import Database
from dbops.operations.migrate.life import Life, Place, Told
from dbops.operations.migrate.standing.facts import Walk
from dbops.stores import ledger
from dbops.stores.postgres import Connection

_WITH_JOBS = 3  # the version of the ledger that knows changes
# Names as the catalog writes them, without their definitions: those cost most of its time.
_ABOUT: LiteralString = """
    WITH relations AS (
        SELECT c.oid, c.relkind, c.relnamespace,
               CASE WHEN n.nspname = 'public' THEN '' ELSE n.nspname || '.' END || c.relname AS name
          FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
         WHERE n.nspname !~ '^(pg_|dbops_grace)' AND n.nspname NOT IN ('information_schema', 'dbops', 'dbops_attic')
           AND NOT c.relispartition AND c.relkind IN ('r', 'p', 'v', 'm', 'i', 'I')
           AND NOT EXISTS (SELECT FROM pg_catalog.pg_index i WHERE i.indexrelid = c.oid AND NOT i.indisvalid)),
    objects (name) AS (
        SELECT CASE relkind WHEN 'v' THEN 'view ' WHEN 'm' THEN 'materialized view ' WHEN 'i' THEN 'index '
                            WHEN 'I' THEN 'index ' ELSE 'table ' END || name FROM relations
        UNION ALL
        SELECT 'trigger ' || r.name || '.' || t.tgname
          FROM pg_catalog.pg_trigger t JOIN relations r ON r.oid = t.tgrelid WHERE NOT t.tgisinternal
        UNION ALL
        SELECT 'policy ' || r.name || '.' || p.polname
          FROM pg_catalog.pg_policy p JOIN relations r ON r.oid = p.polrelid
        UNION ALL
        SELECT 'function ' || CASE WHEN n.nspname = 'public' THEN '' ELSE n.nspname || '.' END || p.proname
          FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
         WHERE n.nspname !~ '^(pg_|dbops_grace)' AND n.nspname NOT IN ('information_schema', 'dbops', 'dbops_attic')
           AND p.prokind IN ('f', 'p')
        UNION ALL
        SELECT 'enum ' || CASE WHEN n.nspname = 'public' THEN '' ELSE n.nspname || '.' END || t.typname
          FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
         WHERE t.typtype = 'e' AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'dbops', 'dbops_attic'))
    SELECT array(SELECT name FROM objects) AS objects,
           pg_catalog.to_regclass('public.alembic_version') IS NOT NULL AS stamped,
           pg_catalog.to_regclass('dbops.entries') IS NOT NULL AS ledger"""
_STAMPS = "SELECT version_num FROM public.alembic_version"
# What a baseline counted is long, and tells nothing here.
_ENTRIES = """
    SELECT substr(subject, 8), at, run, actor, kind, CASE WHEN kind = 'baseline' THEN '{}' ELSE detail END,
           system_identifier, database_oid::bigint, timeline
      FROM dbops.entries WHERE target = %s AND subject LIKE 'change:%%' ORDER BY id"""
_WALKS = """
    SELECT DISTINCT ON (change) change, kind, sum(rows_total)::bigint AS rows, sum(rows_seen)::bigint AS seen,
           bool_and(finished IS NOT NULL) AS finished, max(throttled_by) FILTER (WHERE finished IS NULL) AS held,
           array(SELECT 1000.0 * c.rows_seen / greatest(c.ms, 1) FROM dbops.chunks c
                  WHERE c.job = ANY (array_agg(j.id)) ORDER BY c.at DESC LIMIT 30)::float[] AS rates,
           count(*) FILTER (WHERE finished IS NULL) AS walkers
      FROM dbops.jobs j WHERE system_identifier = %s AND database_oid = %s
     GROUP BY change, kind, work ORDER BY change, max(at) DESC"""
_WISHES = """
    SELECT coalesce(c.change, r.change), coalesce(c.paused, false), coalesce(r.percent, 0)
      FROM dbops.controls c FULL JOIN dbops.readers r ON r.change = c.change"""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a database tells."""

    database: Database
    here: Place | None = None  # None: it has no ledger, and so no change
    lives: dict[str, Life] = field(default_factory=dict[str, Life])
    walks: dict[str, Walk] = field(default_factory=dict[str, Walk])
    paused: frozenset[str] = frozenset()
    percents: dict[str, int] = field(default_factory=dict[str, int])


def observe(connection: Connection, *, target: str) -> Seen:
    with connection.cursor(row_factory=dict_row) as cursor:
        about = cursor.execute(_ABOUT).fetchone() or {}
    stamps = connection.execute(_STAMPS).fetchall() if about["stamped"] else []
    database = Database(stamps=tuple(sorted(str(stamp) for (stamp,) in stamps)), objects=frozenset(about["objects"]))
    version = ledger.observe(connection, target=target) if about["ledger"] else None
    if version is None:
        return Seen(database)
    here = record.here(connection)
    told: dict[str, list[Told]] = {}
    for change, at, run, actor, kind, detail, *place in connection.execute(_ENTRIES, (target,)):
        told.setdefault(change, []).append(Told(at, run, actor, kind, detail, Place(*place)))
    lives = record.lives(told, here)
    if version < _WITH_JOBS or not lives:
        return Seen(database, here, lives)
    wishes = connection.execute(_WISHES).fetchall()
    paused = frozenset(change for change, wish, _ in wishes if wish)
    return Seen(database, here, lives, _walks(connection, here), paused, {name: share for name, _, share in wishes})


def _walks(connection: Connection, here: Place) -> dict[str, Walk]:
    found: dict[str, Walk] = {}
    for change, *row in connection.execute(_WALKS, (here.system_identifier, here.database_oid)):
        found[change] = _walk(row)
    return found


def _walk(row: list[Any]) -> Walk:
    kind, rows, seen, finished, held, rates, walkers = row
    left = pace.eta(max(0, rows - seen), [rate * max(1, walkers) for rate in reversed(rates)])
    if finished or left is None:
        return Walk(kind, rows, seen, finished, held)
    none = timedelta(0)
    return Walk(kind, rows, seen, finished, held, max(none, left.p50), max(none, left.p90))
