"""The two stages in which old columns and tables go: out of the way with all that is in them, and much later for good.

After the first one whoever still names them fails as if they were gone, and one statement brings them back. A column
keeps its place under another name; a table goes to schema dbops_attic. Comments tell what they were, and since when.
"""
# ruff: noqa: S608  # the parts are names and SQL of the revision's author

import hashlib

from dbops.engine.plan import literal
from dbops.operations.migrate.shapes.guarded import block, filled, has_column, oid, quoted, when
from dbops.operations.migrate.shapes.shape import Do

KEEP = "14 days"
_LONGEST = 63  # bytes of a name in PostgreSQL
_WAITING = "dbops: to be validated"
_PUT_TABLE_AWAY = """DECLARE
    root regclass := @table@;
    path text := pg_catalog.current_setting('search_path');
    stored text;
    other record;
    keys jsonb;
    names jsonb;
    each record;
BEGIN
    CREATE SCHEMA IF NOT EXISTS dbops_attic;
    PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
    FOR each IN
        SELECT c.oid, n.nspname, c.relname, obj_description(c.oid, 'pg_class') AS said,
               (SELECT format('%s.%s', s.nspname, r.relname) FROM pg_class r
                  JOIN pg_namespace s ON s.oid = r.relnamespace WHERE r.oid = root) AS root
          FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE c.oid = root OR c.oid IN (SELECT relid FROM pg_partition_tree(root)) ORDER BY c.oid
    LOOP
        stored := CASE WHEN each.oid = root THEN @stored@
            ELSE 'kept_' || left(md5(format('%s/%s.%s', @change@, each.nspname, each.relname)), 12) END;
        keys := '[]';
        FOR other IN SELECT k.conname, pg_get_constraintdef(k.oid) AS told FROM pg_constraint k
                      WHERE k.contype = 'f' AND k.conparentid = 0 AND k.conrelid = each.oid AND k.confrelid <> root
                        AND k.confrelid NOT IN (SELECT relid FROM pg_partition_tree(root)) ORDER BY k.conname
        LOOP
            keys := keys || jsonb_build_object('name', other.conname, 'told', other.told);
            EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', each.oid::regclass, other.conname);
        END LOOP;
        names := '{}';
        FOR other IN SELECT c.oid::regclass AS named, c.relname, c.relkind,
                            'kept_' || left(md5(format('%s/%s', stored, c.relname)), 12) AS kept
                       FROM pg_class c
                      WHERE c.oid IN (SELECT indexrelid FROM pg_index WHERE indrelid = each.oid)
                         OR c.relkind = 'S' AND c.oid IN (
                            SELECT objid FROM pg_depend WHERE classid = 'pg_class'::regclass AND deptype IN ('a', 'i')
                               AND refclassid = 'pg_class'::regclass AND refobjid = each.oid)
        LOOP
            names := names || jsonb_build_object(other.kept, other.relname);
            EXECUTE format('ALTER %s %s RENAME TO %I', CASE other.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'INDEX' END,
                           other.named, other.kept);
        END LOOP;
        EXECUTE format('COMMENT ON TABLE %s IS %L', each.oid::regclass, json_build_object('dbops_attic', 1,
            'root', each.root, 'schema', each.nspname, 'name', each.relname, 'comment', each.said,
            'change', @change@, 'since', now(), 'keys', keys, 'names', names));
        EXECUTE format('ALTER TABLE %s RENAME TO %I', each.oid::regclass, stored);
        EXECUTE format('ALTER TABLE %s SET SCHEMA dbops_attic', each.oid::regclass);
    END LOOP;
    PERFORM pg_catalog.set_config('search_path', path, true);
END"""
# Keys of partitioned tables cannot wait to be validated.
_BRING_TABLE_BACK = """DECLARE
    root regclass := @stored@;
    each record;
    other record;
    was json;
BEGIN
    FOR each IN
        SELECT c.oid, c.relkind, pg_catalog.obj_description(c.oid, 'pg_class') AS said FROM pg_catalog.pg_class c
         WHERE (c.oid = root OR c.oid IN (SELECT relid FROM pg_catalog.pg_partition_tree(root)))
           AND c.relnamespace = 'dbops_attic'::regnamespace ORDER BY c.oid
    LOOP
        was := each.said::json;
        EXECUTE format('ALTER TABLE %s SET SCHEMA %I', each.oid::regclass, was ->> 'schema');
        EXECUTE format('ALTER TABLE %s RENAME TO %I', each.oid::regclass, was ->> 'name');
        EXECUTE format('COMMENT ON TABLE %s IS %L', each.oid::regclass, was ->> 'comment');
        FOR other IN SELECT t.key AS kept, t.value AS is_, c.relkind
                       FROM json_each_text(was -> 'names') t JOIN pg_catalog.pg_class c
                         ON c.oid = pg_catalog.to_regclass(format('%I.%I', was ->> 'schema', t.key))
        LOOP
            EXECUTE format('ALTER %s %I.%I RENAME TO %I', CASE other.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'INDEX' END,
                           was ->> 'schema', other.kept, other.is_);
        END LOOP;
        FOR other IN SELECT k ->> 'name' AS name, k ->> 'told' AS told, k ->> 'told' LIKE '% NOT VALID' AS loose
                       FROM json_array_elements(was -> 'keys') k
        LOOP
            EXECUTE format('ALTER TABLE %s ADD CONSTRAINT %I %s%s', each.oid::regclass, other.name, other.told,
                           CASE WHEN each.relkind = 'p' OR other.loose THEN '' ELSE ' NOT VALID' END);
            IF each.relkind <> 'p' AND NOT other.loose THEN
                EXECUTE format('COMMENT ON CONSTRAINT %I ON %s IS %L', other.name, each.oid::regclass, @waiting@);
            END IF;
        END LOOP;
    END LOOP;
END"""
_HOLD_AGAIN = """SELECT told
  FROM pg_catalog.pg_constraint k
 CROSS JOIN LATERAL (VALUES
       (1, format('ALTER TABLE %s VALIDATE CONSTRAINT %I', k.conrelid::regclass, k.conname)),
       (2, format('COMMENT ON CONSTRAINT %I ON %s IS NULL', k.conname, k.conrelid::regclass))) AS t (step, told)
 WHERE k.contype = 'f' AND pg_catalog.obj_description(k.oid, 'pg_constraint') = @waiting@
   AND (k.conrelid = @table@ OR k.conrelid IN (SELECT relid FROM pg_catalog.pg_partition_tree(@table@)))
 ORDER BY k.conrelid, k.conname, t.step"""


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
    """Move it to schema dbops_attic, with rows, indexes, constraints and partitions.

    Foreign keys to other tables wait in the comment: nobody sees its rows any more, and they must not keep anybody from
    deleting what they refer to, nor go along with it. Names in the attic are told apart by the change.
    """
    parts = {"table": oid(table), "change": literal(change), "stored": literal(stored_table(change, table))}
    return Do(block(filled(_PUT_TABLE_AWAY, **parts)))


def bring_table_back(change: str, table: str) -> Do:
    """Give it its place and its names again; what it refers to is looked at for new rows only, for now."""
    return Do(block(filled(_BRING_TABLE_BACK, stored=oid(_in_attic(change, table)), waiting=literal(_WAITING))))


def hold_again(table: str) -> Do:
    """Have the keys of a table that is back hold for all its rows."""
    return Do(filled(_HOLD_AGAIN, table=oid(table), waiting=literal(_WAITING)), asks=True)


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
