"""What pg_stat_statements has counted on one server, or why that counts for nothing."""

from datetime import datetime
from typing import Any, LiteralString

from psycopg import errors, sql

from dbops.config.model import Config
from dbops.engine.run import Run
from dbops.errors import DbopsError, Stopped
from dbops.operations.migrate.compare import reading
from dbops.operations.migrate.contract.facts import Baseline, Before, Counted, Proof, Statement
from dbops.stores import postgres
from dbops.stores.postgres import Connection

_EXTENSION: LiteralString = """
    SELECT n.nspname AS schema FROM pg_catalog.pg_extension e
      JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'pg_stat_statements'"""
# A role or a database may have settings of its own, under which nothing is counted.
_SETTINGS: LiteralString = r"""
    SELECT coalesce(current_setting('pg_stat_statements.track', true), '') AS track,
           coalesce(current_setting('pg_stat_statements.track_utility', true), '') AS utility,
           current_setting('compute_query_id') AS ids,
           EXISTS (SELECT FROM pg_catalog.pg_db_role_setting s, unnest(s.setconfig) setting
                    WHERE setting ~ '^(pg_stat_statements\.track(_utility)?|compute_query_id)=(none|off)$'
                      AND (s.setdatabase = 0 OR s.setdatabase =
                           (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database()))) AS hidden"""
# What clients sent themselves: what functions do within is found by reading the functions.
_STATEMENTS: LiteralString = """
    SELECT userid::bigint, queryid, sum(calls)::bigint, min(query) FROM {view}
     WHERE dbid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()) AND toplevel
     GROUP BY userid, queryid ORDER BY 1, 2"""
_INFO: LiteralString = "SELECT stats_reset, dealloc FROM {view}"
_CREATE = "CREATE EXTENSION pg_stat_statements in this database, as the administrator; then switch again"
_MISSING = f"shared_preload_libraries = 'pg_stat_statements', then {_CREATE}"
_LOADED: LiteralString = "SELECT current_setting('pg_stat_statements.max', true) IS NOT NULL AS loaded"
_SETTLE = "pg_stat_statements.track = top, track_utility = on, compute_query_id = auto; then switch again"


def count(connection: Connection, server: str) -> Counted:
    """Read all that was counted for this database."""
    found = postgres.record(connection, _EXTENSION)
    if not found:
        loaded = postgres.record(connection, _LOADED)["loaded"]
        return Counted(server, "pg_stat_statements is not in this database", _CREATE if loaded else _MISSING)
    try:
        rows = connection.execute(_on(_STATEMENTS, found["schema"], "pg_stat_statements")).fetchall()
        info = connection.execute(_on(_INFO, found["schema"], "pg_stat_statements_info")).fetchone()
    except errors.ObjectNotInPrerequisiteState:
        return Counted(server, "pg_stat_statements is not loaded", _MISSING)
    except (errors.UndefinedColumn, errors.UndefinedTable):
        hint = "ALTER EXTENSION pg_stat_statements UPDATE"
        return Counted(server, "pg_stat_statements is older than its server", hint)
    if (problem := _uncounted(postgres.record(connection, _SETTINGS))) is not None:
        return Counted(server, problem, _SETTLE)
    if info is None or any(query is None for _, query, _, _ in rows):
        return Counted(server, "the statements of others are hidden", "GRANT pg_read_all_stats to the connected role")
    reset, dealloc = info
    return Counted(server, None, None, reset, dealloc, tuple(Statement(*row) for row in rows))


def _uncounted(settings: dict[str, Any]) -> str | None:
    if settings["track"] not in {"top", "all"} or settings["ids"] == "off":
        return "statements are not counted"
    if settings["utility"] != "on":
        return "COPY is not counted: pg_stat_statements.track_utility is off"
    return "a role or this database has settings under which statements are not counted" if settings["hidden"] else None


def _on(query: LiteralString, schema: str, view: str) -> sql.Composed:
    return sql.SQL(query).format(view=sql.Identifier(schema, view))


def observe(config: Config, target: str, run: Run) -> tuple[Counted, ...]:
    """Look at the primary and each replica; one that cannot be read is told."""
    return tuple(_look_at(config, target, run, server) for server in reading.servers(config.postgres[target]))


def _look_at(config: Config, target: str, run: Run, server: str) -> Counted:
    try:
        with reading.administrator(config, target, run, server) as connection:
            return count(connection, server)
    except Stopped:
        raise
    except DbopsError as error:
        return Counted(server, error.message, error.hint)


def before(proof: Proof | None) -> Baseline | None:
    """Read the evidence that the switch left."""
    if proof is None:
        return None
    servers: dict[str, Before] = {}
    problems: dict[str, str] = {}
    told: dict[str, Any] = proof.detail.get("servers", {})
    for server, one in told.items():
        if "problem" in one:
            problems[server] = f"when the baseline was taken: {one['problem']}"
            continue
        reset = datetime.fromisoformat(one["reset"]) if one["reset"] is not None else None
        calls = {(int(user), int(query)): int(calls) for user, query, calls, *_ in one["calls"]}
        servers[server] = Before(server, reset, int(one["dealloc"]), calls)
    return Baseline(proof.at, servers, problems)
