"""Read the catalog as the rules need it. Extensions' objects, partitions and what dbops keeps are none of it."""

from collections.abc import Iterator
from typing import Any, LiteralString

from dbops.operations.migrate.lint.facts import Code, Column, ForeignKey, Seen, Table
from dbops.stores.postgres import Connection

_OURS: LiteralString = """
    WITH ours AS (
        SELECT oid FROM pg_namespace
         WHERE nspname !~ '^pg_' AND nspname NOT IN ('information_schema', 'dbops', 'dbops_attic')),
    of_extensions AS (SELECT classid, objid FROM pg_depend WHERE deptype = 'e'),
    relations AS (
        SELECT c.oid, c.oid::regclass::text AS name, c.relkind, c.relname, c.relrowsecurity, c.relforcerowsecurity
          FROM pg_class c
         WHERE c.relnamespace IN (SELECT oid FROM ours) AND NOT c.relispartition AND c.relname <> 'alembic_version'
           AND ('pg_class'::regclass, c.oid) NOT IN (SELECT classid, objid FROM of_extensions)),
    tables AS (SELECT * FROM relations WHERE relkind IN ('r', 'p'))"""

_TABLES: LiteralString = """
    SELECT t.name, t.relrowsecurity, t.relforcerowsecurity, obj_description(t.oid, 'pg_class'),
           (SELECT count(*) FROM pg_policy p WHERE p.polrelid = t.oid)
      FROM tables t ORDER BY t.name"""
_COLUMNS: LiteralString = """
    SELECT t.name, a.attname::text,
           CASE WHEN y.typtype = 'd' THEN format_type(y.typbasetype, y.typtypmod)
                ELSE format_type(a.atttypid, a.atttypmod) END
      FROM tables t JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
      JOIN pg_type y ON y.oid = a.atttypid ORDER BY t.name, a.attnum"""
_KEYS: LiteralString = """
    SELECT t.name, k.conname::text, k.contype::text,
           ARRAY(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY u (attnum, place)
                   JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.attnum ORDER BY u.place)
      FROM tables t JOIN pg_constraint k ON k.conrelid = t.oid AND k.contype IN ('p', 'f') ORDER BY t.name, k.conname"""
# An index with a predicate finds a parent's rows only where all of them are in it: those with a key.
_INDEXES: LiteralString = """
    SELECT t.name,
           ARRAY(SELECT coalesce(a.attname::text, '')
                   FROM unnest(i.indkey::smallint[]) WITH ORDINALITY u (attnum, place)
                   LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = u.attnum AND u.attnum > 0
                  WHERE u.place <= i.indnkeyatts ORDER BY u.place),
           m.amname::text, pg_get_expr(i.indpred, i.indrelid)
      FROM tables t JOIN pg_index i ON i.indrelid = t.oid AND i.indisvalid JOIN pg_class c ON c.oid = i.indexrelid
      JOIN pg_am m ON m.oid = c.relam AND m.amname IN ('btree', 'hash') ORDER BY t.name, c.relname"""
_CODE: tuple[LiteralString, ...] = (
    """
    SELECT 'policy', t.name || '.' || p.polname,
           concat_ws(' AND ', pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid)), false, false
      FROM tables t JOIN pg_policy p ON p.polrelid = t.oid ORDER BY 2""",
    """
    SELECT 'function', f.oid::regprocedure::text,
           CASE WHEN f.prosqlbody IS NULL THEN f.prosrc ELSE pg_get_functiondef(f.oid) END, f.prosecdef,
           EXISTS (SELECT FROM unnest(f.proconfig) s (setting) WHERE setting LIKE 'search_path=%')
      FROM pg_proc f WHERE f.pronamespace IN (SELECT oid FROM ours) AND f.prokind IN ('f', 'p')
       AND ('pg_proc'::regclass, f.oid) NOT IN (SELECT classid, objid FROM of_extensions) ORDER BY 2""",
    """
    SELECT CASE r.relkind WHEN 'v' THEN 'view' ELSE 'materialized view' END, r.name, pg_get_viewdef(r.oid), false, false
      FROM relations r WHERE r.relkind IN ('v', 'm') ORDER BY 2""",
)
_NAMES: LiteralString = """
    SELECT CASE relkind WHEN 'i' THEN 'index' WHEN 'I' THEN 'index' WHEN 'S' THEN 'sequence' WHEN 'v' THEN 'view'
                        WHEN 'm' THEN 'materialized view' WHEN 'c' THEN 'type' ELSE 'table' END, relname::text
      FROM relations
    UNION SELECT 'column', a.attname::text
      FROM tables t JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
    UNION SELECT 'constraint', k.conname::text FROM tables t JOIN pg_constraint k ON k.conrelid = t.oid
    UNION SELECT 'policy', p.polname::text FROM tables t JOIN pg_policy p ON p.polrelid = t.oid
    UNION SELECT 'trigger', g.tgname::text FROM tables t JOIN pg_trigger g ON g.tgrelid = t.oid AND NOT g.tgisinternal
    UNION SELECT 'function', f.proname::text FROM pg_proc f WHERE f.pronamespace IN (SELECT oid FROM ours)
       AND ('pg_proc'::regclass, f.oid) NOT IN (SELECT classid, objid FROM of_extensions)
    UNION SELECT 'type', y.typname::text FROM pg_type y WHERE y.typnamespace IN (SELECT oid FROM ours)
       AND y.typtype IN ('e', 'd') AND ('pg_type'::regclass, y.oid) NOT IN (SELECT classid, objid FROM of_extensions)
     ORDER BY 1, 2"""


def observe(connection: Connection) -> Seen:
    return Seen(_tables(connection), tuple(_code(connection)), tuple(_rows(connection, _NAMES)))


def _tables(connection: Connection) -> tuple[Table, ...]:
    columns = _by_table(connection, _COLUMNS)
    keys = _by_table(connection, _KEYS)
    indexes = _by_table(connection, _INDEXES)
    return tuple(
        Table(
            name,
            columns=tuple(Column(*row) for row in columns.get(name, ())),
            primary_key=next((tuple(on) for _, kind, on in keys.get(name, ()) if kind == "p"), ()),
            foreign_keys=tuple(ForeignKey(key, tuple(on)) for key, kind, on in keys.get(name, ()) if kind == "f"),
            indexes=tuple(tuple(on) for on, _, predicate in indexes.get(name, ()) if _finds_all(on, predicate)),
            comment=comment,
            row_security=secured,
            forced=forced,
            policies=policies,
        )
        for name, secured, forced, comment, policies in _rows(connection, _TABLES)
    )


def _code(connection: Connection) -> Iterator[Code]:
    for query in _CODE:
        for row in _rows(connection, query):
            yield Code(*row)


def _finds_all(columns: list[str], predicate: str | None) -> bool:
    return predicate is None or predicate == f"({columns[0]} IS NOT NULL)"


def _rows(connection: Connection, query: LiteralString) -> list[Any]:
    # on the search path, names of schema public are written without it, as the revisions and people do
    with connection.transaction():
        connection.execute("SET LOCAL search_path = pg_catalog, public")
        return connection.execute(_OURS + query).fetchall()


def _by_table(connection: Connection, query: LiteralString) -> dict[str, list[tuple[Any, ...]]]:
    found: dict[str, list[tuple[Any, ...]]] = {}
    for name, *rest in _rows(connection, query):
        found.setdefault(name, []).append(tuple(rest))
    return found
