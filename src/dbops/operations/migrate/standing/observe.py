"""Look at one database with as few questions as can be: its stamp, its objects by name, its ledger."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import LiteralString

from psycopg.rows import dict_row

from dbops.copies import batches
from dbops.operations.migrate import record
from dbops.operations.migrate.backfill import pace, progress, remaining
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
# What lies between two batches takes its time, too; longer rests are throttles, which are told apart.
_WALKS = """
    SELECT DISTINCT ON (change) change, kind, work, sum(rows_total)::bigint AS rows, sum(rows_seen)::bigint AS seen,
           bool_and(finished IS NOT NULL) AS finished, max(throttled_by) FILTER (WHERE finished IS NULL) AS held,
           array(SELECT 1000.0 * c.rows_seen / greatest(c.ms, 1, least(c.ms + 100, c.since))
                   FROM (SELECT rows_seen, ms, at,
                                1000 * extract(epoch FROM at - lag(at, 1, at) OVER one) AS since
                           FROM (SELECT * FROM dbops.chunks WHERE job = ANY (array_agg(j.id))
                                  ORDER BY at DESC LIMIT 40) AS last
                         WINDOW one AS (PARTITION BY job ORDER BY at)) AS c
                  ORDER BY c.at DESC LIMIT 30)::float[] AS rates,
           count(*) FILTER (WHERE finished IS NULL) AS walkers, sum(throttled_ms)::bigint AS throttled
      FROM dbops.jobs j WHERE system_identifier = %s AND database_oid = %s
     GROUP BY change, kind, work ORDER BY change, max(at) DESC"""
_WISHES = """
    SELECT coalesce(c.change, r.change), coalesce(c.paused, false), coalesce(r.percent, 0)
      FROM dbops.controls c FULL JOIN dbops.readers r ON r.change = c.change"""


@dataclass(frozen=True, slots=True)
class Going:
    """The newest walk of a change, as the ledger tells it."""

    kind: str
    work: str
    rows: int
    seen: int
    finished: bool
    held: str | None
    rates: list[float]
    walkers: int
    throttled_ms: int


@dataclass(frozen=True, slots=True)
class Seen:
    """What a database tells."""

    database: Database
    here: Place | None = None  # None: it has no ledger, and so no change
    lives: dict[str, Life] = field(default_factory=dict[str, Life])
    walks: dict[str, Going] = field(default_factory=dict[str, Going])
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


def _walks(connection: Connection, here: Place) -> dict[str, Going]:
    found: dict[str, Going] = {}
    for change, *row in connection.execute(_WALKS, (here.system_identifier, here.database_oid)):
        found[change] = Going(*row)
    return found


def walk(connection: Connection, going: Going, change: str, tables: Sequence[str]) -> Walk:
    """Tell how far it is; by the range of its key where it is under way over the one table that it can be."""
    if going.finished:
        return Walk(going.kind, going.rows, going.seen, finished=True, throttled_ms=going.throttled_ms)
    share = _share(connection, going, change, tables[0]) if len(tables) == 1 else None
    still = remaining.left(going.rows, going.seen, share)
    eta = pace.eta(still, [rate * max(1, going.walkers) for rate in reversed(going.rates)])
    ends = (None, None) if eta is None else (eta.p50, eta.p90)
    about = (going.kind, going.rows, going.seen, False, still, going.held, going.throttled_ms)
    return Walk(*about, *ends)


def _share(connection: Connection, going: Going, change: str, table: str) -> float | None:
    row = connection.execute("SELECT pg_catalog.to_regclass(%s)::oid::bigint", (table,)).fetchone()
    if row is None or row[0] is None:
        return None
    return progress.fraction(connection, batches.observe(connection, row[0]), change, going.work)
