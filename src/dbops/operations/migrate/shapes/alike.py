"""Whether two tables can be told to hold the same: SQL that refuses where `=` is no judge of it. Pure."""

import re
from collections.abc import Iterable

from dbops.engine.plan import literal
from dbops.operations.migrate.shapes.across import schema_of
from dbops.operations.migrate.shapes.expressions import bare
from dbops.operations.migrate.shapes.fit import LOOSE
from dbops.operations.migrate.shapes.guarded import block, oid
from dbops.operations.migrate.shapes.replay import Way, differs, plain_name

# A numeric of so many digits has one form for each value.
_CHECK = """DECLARE
    path text := pg_catalog.current_setting('search_path');
    yields regtype;
    missing text[] := '{}';
    one record;
BEGIN
    PERFORM pg_catalog.set_config('search_path', @path@, true);
    FOR one IN
        SELECT a.attname, a.atttypid AS type, a.atttypid = s.atttypid AND a.atttypmod = s.atttypmod AS carried,
               w.told, w.listed, @loose@ AND NOT (t.oid = 'pg_catalog.numeric'::regtype AND a.atttypmod <> -1) AS loose,
               t.typnamespace = 'pg_catalog'::regnamespace AND t.typname = ANY (@without@) AS without
          FROM unnest(@columns@, @told@, @carried@, @listed@) AS w (name, told, source, listed)
          JOIN pg_catalog.pg_attribute a ON a.attrelid = @there@ AND a.attname = w.name AND NOT a.attisdropped
          JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
          LEFT JOIN pg_catalog.pg_collation c ON c.oid = a.attcollation
          LEFT JOIN pg_catalog.pg_attribute s ON s.attrelid = @here@ AND s.attname = w.source
    LOOP
        IF one.listed THEN
            EXECUTE format('SELECT pg_catalog.pg_typeof((%s)) FROM (SELECT) AS one LEFT JOIN %s AS r ON false',
                           one.told, @here_named@) INTO yields;
            IF yields <> one.type OR NOT one.carried THEN
                RAISE EXCEPTION 'as_written: column % of % is not of the type that it is told by', one.attname,
                    @there_named@ USING ERRCODE = 'object_not_in_prerequisite_state',
                    HINT = 'bytes of two types are not compared: cast it in up and down, or leave it out of as_written';
            END IF;
        ELSIF one.without OR (one.loose AND one.carried) THEN
            missing := missing || one.attname::text;
        END IF;
    END LOOP;
    IF missing <> '{}' THEN
        RAISE EXCEPTION '= does not see each change of %: %', @there_named@, array_to_string(missing, ', ')
            USING ERRCODE = 'object_not_in_prerequisite_state',
            HINT = format('have them compared as they are written: as_written=(%s,)',
                          (SELECT string_agg(to_json(name)::text, ', ') FROM unnest(missing) AS m (name)));
    END IF;
    EXECUTE @tried@;
    PERFORM pg_catalog.set_config('search_path', path, true);
END"""
_WITHOUT = ("json", "xml", "point", "box", "circle", "path", "polygon", "line", "lseg")


def refuse_the_loose(way: Way) -> str:
    """Refuse a column that is carried over as it is, or has no `=`, unless it is compared as it is written.

    Comparisons are tried without a row: what has no operator must fail here, not in the first write of an application.
    """
    tried = f"SELECT FROM {way.there} AS n, {way.here} AS r WHERE false AND ({differs(way.values, way.as_written)})"
    parts = {
        "@path@": literal(f"pg_catalog, {schema_of(way.here)}, pg_temp"),
        "@loose@": LOOSE,
        "@without@": _texts(_WITHOUT),
        "@columns@": _texts(plain_name(column) for column in way.values),
        "@told@": _texts(way.values.values()),
        "@carried@": _texts(bare(told) for told in way.values.values()),
        "@listed@": f"ARRAY[{', '.join(str(column in way.as_written) for column in way.values)}]::boolean[]",
        "@there@": oid(way.there),
        "@here@": oid(way.here),
        "@there_named@": literal(way.there),
        "@here_named@": literal(way.here),
        "@tried@": literal(tried),
    }
    return block(re.sub(r"@\w+@", lambda found: parts[found[0]], _CHECK))


def _texts(values: Iterable[str | None]) -> str:
    return f"ARRAY[{', '.join('NULL' if one is None else literal(one) for one in values)}]::text[]"
