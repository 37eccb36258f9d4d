"""Old columns that others have replaced, out of the way with their values until they are dropped for good. Pure.

What stands on them goes at once: a key or a CHECK would refuse rows that leave them empty. The comment of a column
keeps what that was, so that one revision brings all of it back: the values of rows that were written meanwhile follow
from the new columns, in batches, while the application goes on.
"""
# ruff: noqa: S608  # the parts are names and SQL of the revision's author

from collections.abc import Mapping, Sequence

from dbops.engine.plan import literal
from dbops.operations.migrate.shapes.belongings import unless
from dbops.operations.migrate.shapes.filled import let_no_nulls_in, prove_no_nulls
from dbops.operations.migrate.shapes.guarded import block, has_column, oid, quoted
from dbops.operations.migrate.shapes.retired import stored_column
from dbops.operations.migrate.shapes.shape import Do

_PAGES = 256  # of the table, in one transaction of the way back
_PUT_AWAY = """DECLARE
    named regclass := @table@;
    old text[] := @old@;
    stored text[] := @stored@;
    path text := pg_catalog.current_setting('search_path');
    made jsonb := '[]';
    other text;
    one record;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_attribute
                    WHERE attrelid = named AND attname = ANY (old) AND NOT attisdropped) THEN
        RETURN;
    END IF;
    PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
    SELECT string_agg(DISTINCT pg_describe_object(d.classid, d.objid, d.objsubid), ', ') INTO other
      FROM pg_depend d JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
      LEFT JOIN pg_attrdef g ON d.classid = 'pg_attrdef'::regclass AND g.oid = d.objid
     WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = named AND a.attname = ANY (old)
       AND (d.classid IN ('pg_rewrite'::regclass, 'pg_policy'::regclass, 'pg_trigger'::regclass)
            OR g.adnum <> a.attnum);
    IF other IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'dependent_objects_still_exist',
            MESSAGE = format('column %s of %s is still used: %s', array_to_string(old, ', '), named, other);
    END IF;
    FOR one IN
        WITH tables AS (SELECT named::oid AS oid UNION SELECT relid FROM pg_partition_tree(named)),
        gone AS (SELECT a.attrelid, a.attnum FROM pg_attribute a JOIN tables t ON t.oid = a.attrelid
                  WHERE a.attname = ANY (old) AND NOT a.attisdropped)
        SELECT c.oid, c.conname, c.contype, c.conrelid::regclass AS rel, c.condeferrable, c.condeferred,
               regexp_replace(pg_get_constraintdef(c.oid), ' NOT VALID$', '') AS told,
               pg_get_indexdef(nullif(c.conindid, 0)) AS index,
               c.conindid::regclass AS index_name, r.relkind = 'p' AS parted,
               EXISTS (SELECT FROM gone WHERE attrelid = c.conrelid AND attnum = ANY (c.conkey)) AS own,
               EXISTS (SELECT FROM pg_constraint k WHERE k.contype = 'f' AND k.convalidated AND k.conrelid = c.conrelid
                          AND k.confrelid = c.confrelid AND k.conkey = c.conkey AND NOT EXISTS (
                              SELECT FROM gone WHERE attrelid = k.confrelid AND attnum = ANY (k.confkey))) AS twin
          FROM pg_constraint c JOIN pg_class r ON r.oid = c.conrelid
         WHERE c.contype IN ('c', 'f', 'p', 'u', 'x') AND c.conparentid = 0 AND c.coninhcount = 0
           AND EXISTS (SELECT FROM gone WHERE attrelid = c.conrelid AND attnum = ANY (c.conkey)
                           OR c.contype = 'f' AND attrelid = c.confrelid AND attnum = ANY (c.confkey))
         ORDER BY c.contype <> 'f', c.contype = 'p', c.conname
    LOOP
        IF NOT one.own AND NOT one.twin THEN
            RAISE EXCEPTION USING ERRCODE = 'dependent_objects_still_exist',
                MESSAGE = format('foreign key %s of %s refers to an old column of %s', one.conname, one.rel, named);
        END IF;
        IF one.contype IN ('p', 'u') AND NOT one.parted THEN
            made := made || jsonb_build_object('index', one.index_name, 'sql',
                regexp_replace(one.index, '^CREATE UNIQUE INDEX', 'CREATE UNIQUE INDEX CONCURRENTLY'));
            one.told := CASE one.contype WHEN 'p' THEN 'PRIMARY KEY' ELSE 'UNIQUE' END
                || format(' USING INDEX %I', one.conname) || CASE WHEN one.condeferrable THEN ' DEFERRABLE' ELSE '' END
                || CASE WHEN one.condeferred THEN ' INITIALLY DEFERRED' ELSE '' END;
        ELSIF one.contype = 'c' OR one.contype = 'f' AND NOT one.parted THEN
            one.told := one.told || ' NOT VALID';
        END IF;
        made := made || jsonb_build_object('rel', one.rel, 'constraint', one.conname, 'last', one.contype = 'f',
            'sql', format('ALTER TABLE %s ADD CONSTRAINT %I %s', one.rel, one.conname, one.told));
        EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', one.rel, one.conname);
    END LOOP;
    FOR one IN
        WITH tables AS (SELECT named::oid AS oid UNION SELECT relid FROM pg_partition_tree(named))
        SELECT DISTINCT c.oid::regclass AS name, pg_get_indexdef(c.oid) AS told, c.relkind
          FROM pg_depend d JOIN tables t ON t.oid = d.refobjid
          JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
          JOIN pg_class c ON c.oid = d.objid AND c.relkind IN ('i', 'I') AND NOT c.relispartition
         WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND a.attname = ANY (old)
         ORDER BY told
    LOOP
        made := made || jsonb_build_object('index', one.name, 'sql', CASE one.relkind
            WHEN 'i' THEN regexp_replace(one.told, '^CREATE (UNIQUE )?INDEX', 'CREATE \\1INDEX CONCURRENTLY')
            ELSE replace(one.told, ' ON ONLY ', ' ON ') END);
        EXECUTE format('DROP INDEX %s', one.name);
    END LOOP;
    FOR one IN
        SELECT a.attname, stored[array_position(old, a.attname::text)] AS into_, a.attnotnull, a.attidentity,
               pg_get_expr(d.adbin, d.adrelid) AS value, col_description(named, a.attnum) AS said
          FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
         WHERE a.attrelid = named AND a.attname = ANY (old) AND NOT a.attisdropped ORDER BY a.attnum
    LOOP
        IF one.attidentity = '' OR @replaced@ THEN -- what counts by itself goes on, and is all there when it comes back
            IF one.attidentity <> '' THEN
                EXECUTE format('ALTER TABLE %s ALTER COLUMN %I DROP IDENTITY', named, one.attname);
            END IF;
            EXECUTE format('ALTER TABLE %s ALTER COLUMN %I DROP NOT NULL', named, one.attname);
        END IF;
        IF @replaced@ THEN -- nothing is to be stored there that nobody has written
            EXECUTE format('ALTER TABLE %s ALTER COLUMN %I DROP DEFAULT', named, one.attname);
        END IF;
        EXECUTE format('ALTER TABLE %s RENAME COLUMN %I TO %I', named, one.attname, one.into_);
        EXECUTE format('COMMENT ON COLUMN %s.%I IS %L', named, one.into_, json_build_object(
            'dbops_gone', 1, 'change', @change@, 'name', one.attname, 'since', now(), 'not_null', one.attnotnull,
            'default', one.value, 'comment', one.said, 'made', made));
        made := '[]';
    END LOOP;
    PERFORM pg_catalog.set_config('search_path', path, true);
END"""
# `told` of a column that is back: until its comment is its own again, it says what is still to be done.
_MARKED = """(SELECT pg_catalog.col_description(attrelid, attnum)::jsonb FROM pg_catalog.pg_attribute
      WHERE attrelid = @table@ AND attname = @column@ AND NOT attisdropped
        AND pg_catalog.col_description(attrelid, attnum) LIKE '{"dbops_gone"%')"""
_BRING_BACK = """DECLARE
    named regclass := @table@;
    old text[] := @old@;
    stored text[] := @stored@;
    path text := pg_catalog.current_setting('search_path');
    one record;
BEGIN
    PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
    FOR one IN SELECT a.attname, old[array_position(stored, a.attname::text)] AS into_
                 FROM pg_attribute a WHERE a.attrelid = named AND a.attname = ANY (stored) AND NOT a.attisdropped
    LOOP
        EXECUTE format('ALTER TABLE %s RENAME COLUMN %I TO %I', named, one.attname, one.into_);
    END LOOP;
    FOR one IN SELECT a.attname, col_description(named, a.attnum)::json ->> 'default' AS value
                 FROM pg_attribute a WHERE a.attrelid = named AND a.attname = ANY (old) AND NOT a.attisdropped
                  AND col_description(named, a.attnum) LIKE '{"dbops_gone"%'
    LOOP
        IF one.value IS NOT NULL THEN
            EXECUTE format('ALTER TABLE %s ALTER COLUMN %I SET DEFAULT %s', named, one.attname, one.value);
        END IF;
    END LOOP;
    PERFORM pg_catalog.set_config('search_path', path, true);
END"""
_FILL_BACK = """DECLARE
    each regclass;
    page bigint;
BEGIN
    FOR each IN SELECT c.oid FROM pg_catalog.pg_class c WHERE c.relkind = 'r' AND (c.oid = @table@ OR c.oid IN (
                SELECT relid FROM pg_catalog.pg_partition_tree(@table@))) ORDER BY c.oid
    LOOP
        page := 0;
        WHILE page <= pg_catalog.pg_relation_size(each) / pg_catalog.current_setting('block_size')::bigint LOOP
            EXECUTE format(@update@, each, format('(%s,0)', page), format('(%s,0)', page + @pages@));
            COMMIT;
            page := page + @pages@;
        END LOOP;
    END LOOP;
END"""
_FORGET = """DECLARE
    one record;
BEGIN
    FOR one IN SELECT a.attname, pg_catalog.col_description(a.attrelid, a.attnum)::json ->> 'comment' AS said
                 FROM pg_catalog.pg_attribute a
                WHERE a.attrelid = @table@ AND a.attname = ANY (@old@) AND NOT a.attisdropped
                  AND pg_catalog.col_description(a.attrelid, a.attnum) LIKE '{"dbops_gone"%'
    LOOP
        EXECUTE format('COMMENT ON COLUMN %s.%I IS %L', @table@::regclass, one.attname, one.said);
    END LOOP;
END"""


def put_away(change: str, table: str, columns: Sequence[str], *, replaced: bool = True) -> Do:
    """Rename columns that nobody fills any more, rid of what stands on them; replaced ones, of their defaults too."""
    text = _with(_PUT_AWAY, change, table, columns)
    return Do(block(text.replace("@replaced@", str(replaced).lower())))


def bring_back(change: str, table: str, columns: Sequence[str]) -> Do:
    """Give them their names and defaults again; values of rows that were written meanwhile are missing."""
    return Do(block(_with(_BRING_BACK, change, table, columns)))


def fill_back(table: str, values: Mapping[str, str], differs: str) -> Do:
    """Let rows (alias r) that differ have the values that follow, page by page, each in its own transaction."""
    assigned = ", ".join(f"{quoted(name)} = ({value})" for name, value in values.items())
    update = (
        f"UPDATE %s AS r SET {_per_cent(assigned)}"
        f" WHERE r.ctid >= %L::tid AND r.ctid < %L::tid AND ({_per_cent(differs)})"
    )
    text = _FILL_BACK.replace("@table@", oid(table)).replace("@pages@", str(_PAGES))
    return Do(block(text.replace("@update@", literal(update))), alone=True)


def stand_again(change: str, table: str, columns: Sequence[str], *, replaced: bool = True) -> tuple[Do, ...]:
    """Make anew what stood on them: indexes in pieces, keys by them, the others first not valid.

    Columns that no others have replaced lack the values of rows that were written meanwhile, and let NULL in.
    """
    every = " UNION ALL ".join(f"SELECT {_marked(table, name)} -> 'made'" for name in columns)
    made = f"FROM ({every}) AS told (made) CROSS JOIN jsonb_array_elements(made) AS one"
    there = (
        "(SELECT convalidated FROM pg_catalog.pg_constraint WHERE conrelid = pg_catalog.to_regclass(one ->> 'rel')"
        " AND conname = one ->> 'constraint')"
    )
    validate = "format('ALTER TABLE %s VALIDATE CONSTRAINT %I', one ->> 'rel', one ->> 'constraint')"
    return (
        *(do for name in columns if replaced for do in _not_null_again(change, table, name)),
        Do(f"SELECT one ->> 'sql' {made} WHERE one ? 'index' AND NOT {_built()}", asks=True),
        Do(
            f"SELECT one ->> 'sql' {made} WHERE one ? 'constraint' AND {there} IS NULL ORDER BY one -> 'last'",
            asks=True,
        ),
        Do(f"SELECT {validate} {made} WHERE one ? 'constraint' AND NOT {there}", asks=True),
    )


def forget(table: str, columns: Sequence[str]) -> Do:
    """Give them the comments that they had."""
    return Do(block(_with(_FORGET, "", table, columns)))


def _built() -> str:
    return (
        "EXISTS (SELECT FROM pg_catalog.pg_index i WHERE i.indisvalid"
        " AND i.indexrelid = pg_catalog.to_regclass(one ->> 'index'))"
    )


def _not_null_again(change: str, table: str, column: str) -> tuple[Do, ...]:
    was = f"coalesce(({_marked(table, column)} ->> 'not_null')::boolean, false)"
    done = f"(NOT {was} OR {has_column(table, column, 'attnotnull')})"
    every = (*prove_no_nulls(change, table, (column,)), *let_no_nulls_in(change, table, (column,)))
    return tuple(unless(done, do) for do in every[:-1]) + every[-1:]


def _marked(table: str, column: str) -> str:
    return _MARKED.replace("@table@", oid(table)).replace("@column@", literal(column))


def _with(text: str, change: str, table: str, columns: Sequence[str]) -> str:
    stored = ", ".join(literal(stored_column(change, name)) for name in columns)
    return (
        text.replace("@table@", oid(table))
        .replace("@old@", f"ARRAY[{', '.join(map(literal, columns))}]::text[]")
        .replace("@stored@", f"ARRAY[{stored}]::text[]")
        .replace("@change@", literal(change))
    )


def _per_cent(text: str) -> str:
    return text.replace("%", "%%")
