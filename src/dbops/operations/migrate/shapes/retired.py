"""The two stages in which old columns and tables go: out of the way with all that is in them, and much later for good.

After the first one whoever still names them fails as if they were gone, and one statement brings them back. A column
keeps its place under another name; a table goes to schema dbops_attic. Comments tell what they were, and since when.
"""
# ruff: noqa: S608  # the parts are names and SQL of the revision's author

import hashlib

from dbops.engine.plan import literal
from dbops.operations.migrate.shapes.guarded import block, has_column, oid, quoted, when
from dbops.operations.migrate.shapes.shape import Do

KEEP = "14 days"
_LONGEST = 63  # bytes of a name in PostgreSQL


def stored_column(change: str, column: str) -> str:
    """Name a column while it is out of the way."""
    whole = f"dbops_gone_{hashlib.sha256(change.encode()).hexdigest()[:6]}_{column}"
    if len(whole.encode()) <= _LONGEST:
        return whole
    told = hashlib.sha256(whole.encode()).hexdigest()[:12]
    return f"{whole.encode()[: _LONGEST - 13].decode(errors='ignore')}_{told}"


def remove_column(change: str, table: str, column: str, keep: str = KEEP) -> tuple[Do, ...]:
    """Drop it for good, when it was out of the way for long enough, or the table holds no row."""
    stored = stored_column(change, column)
    since = (
        "SELECT (pg_catalog.col_description(attrelid, attnum)::json ->> 'since')::timestamptz"
        f" FROM pg_catalog.pg_attribute WHERE attrelid = {oid(table)} AND attname = {literal(stored)}"
    )
    what = f"column {column} of {table}"
    return (
        Do(_kept(since, table, keep, what)),
        Do(when(has_column(table, stored), f"ALTER TABLE {table} DROP COLUMN {quoted(stored)}")),
    )


def stored_table(change: str, table: str) -> str:
    """Name a table while it is in schema dbops_attic."""
    return f"kept_{hashlib.sha256(f'{change}/{table}'.encode()).hexdigest()[:12]}"


def put_table_away(change: str, table: str) -> Do:
    """Move it to schema dbops_attic, with rows, indexes, constraints and partitions."""
    mark = (
        "json_build_object('dbops_attic', 1, 'root', each.root, 'schema', each.nspname, 'name', each.relname,"
        f" 'comment', each.said, 'change', {literal(change)}, 'since', now())"
    )
    return Do(
        block(
            f"DECLARE\n    each record;\n    root regclass := {oid(table)};\n    stored text;\nBEGIN\n"
            "    CREATE SCHEMA IF NOT EXISTS dbops_attic;\n"
            "    FOR each IN\n"
            "        SELECT c.oid, n.nspname, c.relname, pg_catalog.obj_description(c.oid, 'pg_class') AS said,\n"
            "               (SELECT format('%s.%s', s.nspname, r.relname) FROM pg_catalog.pg_class r\n"
            "                  JOIN pg_catalog.pg_namespace s ON s.oid = r.relnamespace WHERE r.oid = root) AS root\n"
            "          FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace\n"
            "         WHERE c.oid = root OR c.oid IN (SELECT relid FROM pg_catalog.pg_partition_tree(root))\n"
            "         ORDER BY c.oid\n"
            "    LOOP\n"
            f"        stored := CASE WHEN each.oid = root THEN {literal(stored_table(change, table))}\n"
            "            ELSE 'kept_' || left(md5(format('%s.%s', each.nspname, each.relname)), 12) END;\n"
            f"        EXECUTE format('COMMENT ON TABLE %s IS %L', each.oid::regclass, {mark});\n"
            "        EXECUTE format('ALTER TABLE %s RENAME TO %I', each.oid::regclass, stored);\n"
            "        EXECUTE format('ALTER TABLE %s SET SCHEMA dbops_attic', each.oid::regclass);\n"
            "    END LOOP;\nEND"
        )
    )


def bring_table_back(change: str, table: str) -> Do:
    return Do(
        block(
            "DECLARE\n    each record;\n    was json;\nBEGIN\n"
            "    FOR each IN\n"
            "        SELECT c.oid, pg_catalog.obj_description(c.oid, 'pg_class') AS said FROM pg_catalog.pg_class c\n"
            f"         WHERE c.oid IN (SELECT {oid(_in_attic(change, table))}::oid UNION SELECT relid\n"
            f"                          FROM pg_catalog.pg_partition_tree({oid(_in_attic(change, table))}))\n"
            "           AND c.relnamespace = 'dbops_attic'::regnamespace ORDER BY c.oid\n"
            "    LOOP\n"
            "        was := each.said::json;\n"
            "        EXECUTE format('ALTER TABLE %s SET SCHEMA %I', each.oid::regclass, was ->> 'schema');\n"
            "        EXECUTE format('ALTER TABLE %s RENAME TO %I', each.oid::regclass, was ->> 'name');\n"
            "        EXECUTE format('COMMENT ON TABLE %s IS %L', each.oid::regclass, was ->> 'comment');\n"
            "    END LOOP;\nEND"
        )
    )


def remove_table(change: str, table: str, keep: str = KEEP) -> tuple[Do, ...]:
    """Drop it for good, when it was out of the way for long enough, or holds no row."""
    stored = _in_attic(change, table)
    since = (
        "SELECT (pg_catalog.obj_description(oid, 'pg_class')::json ->> 'since')::timestamptz"
        f" FROM pg_catalog.pg_class WHERE oid = {oid(stored)}"
    )
    return (Do(_kept(since, stored, keep, f"table {table}")), Do(f"DROP TABLE IF EXISTS {stored}"))


def _in_attic(change: str, table: str) -> str:
    return f"dbops_attic.{stored_table(change, table)}"


def _kept(since: str, table: str, keep: str, what: str) -> str:
    """Refuse what may still be asked for again."""
    return block(
        f"DECLARE\n    since timestamptz := ({since});\n    filled boolean := false;\nBEGIN\n"
        f"    IF since > clock_timestamp() - interval {literal(keep)} THEN\n"
        f"        EXECUTE {literal(f'SELECT EXISTS (SELECT FROM {table})')} INTO filled;\n"
        "    END IF;\n"
        "    IF filled THEN\n"
        "        RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',\n"
        f"            MESSAGE = format('%s was put away at %s, and is kept for %s', {literal(what)},\n"
        f"                             to_char(since, 'YYYY-MM-DD HH24:MI'), {literal(keep)}),\n"
        "            HINT = 'run this revision when the time is over';\n"
        "    END IF;\nEND"
    )
