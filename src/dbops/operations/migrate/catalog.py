"""The catalog of a database, object by object: each with the one text that PostgreSQL would write for it.

Two databases are the same when these are equal. OIDs, owners, grants, partitions and rows are none of it.
"""

from collections.abc import Mapping
from typing import LiteralString

from dbops.stores.postgres import Connection

# Each query yields (kind, name, definition). Leaf partitions belong to `partition`, owners and grants to `roles`.
_WITH: LiteralString = """
    WITH ours AS (
        SELECT oid FROM pg_catalog.pg_namespace
         WHERE nspname !~ '^(pg_|dbops_grace)' AND nspname NOT IN ('information_schema', 'dbops', 'dbops_attic')),
    of_extensions AS (SELECT classid, objid FROM pg_catalog.pg_depend WHERE deptype = 'e'),
    relations AS (
        SELECT c.* FROM pg_catalog.pg_class c
         WHERE c.relnamespace IN (SELECT oid FROM ours) AND NOT c.relispartition AND c.relname <> 'alembic_version'
           AND ('pg_catalog.pg_class'::regclass, c.oid) NOT IN (SELECT classid, objid FROM of_extensions))
"""
# Each yields (kind, name, definition). Leaf partitions belong to `partition`, owners and grants to `roles`.
_QUERIES: tuple[LiteralString, ...] = (
    """
    SELECT CASE c.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' WHEN 'S' THEN 'sequence'
                          ELSE 'table' END,
           c.oid::regclass::text,
           concat_ws(' ', CASE WHEN c.relkind = 'p' THEN 'PARTITION BY ' || pg_catalog.pg_get_partkeydef(c.oid) END,
                     CASE WHEN c.relkind IN ('v', 'm') THEN pg_catalog.pg_get_viewdef(c.oid) END,
                     CASE WHEN c.relrowsecurity THEN 'row security' END,
                     CASE WHEN c.relforcerowsecurity THEN 'forced' END,
                     pg_catalog.array_to_string(c.reloptions, ', '))
      FROM relations c WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S')""",
    """
    SELECT 'column', c.oid::regclass || '.' || pg_catalog.quote_ident(a.attname),
           concat_ws(' ', pg_catalog.lpad(rank() OVER (PARTITION BY c.oid ORDER BY a.attnum)::text, 3, '0'),
                     pg_catalog.format_type(a.atttypid, a.atttypmod), CASE WHEN a.attnotnull THEN 'NOT NULL' END,
                     CASE WHEN a.attgenerated = 's' THEN 'GENERATED AS' WHEN a.atthasdef THEN 'DEFAULT' END,
                     pg_catalog.pg_get_expr(d.adbin, d.adrelid), nullif(a.attidentity::text, ''))
      FROM relations c JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
      LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
     WHERE c.relkind IN ('r', 'p', 'm')""",
    """
    SELECT 'constraint', k.conrelid::regclass || '.' || pg_catalog.quote_ident(k.conname),
           pg_catalog.pg_get_constraintdef(k.oid)
      FROM pg_catalog.pg_constraint k JOIN relations c ON c.oid = k.conrelid
     WHERE k.contype IN ('c', 'f', 'p', 'u', 'x')""",
    """
    SELECT 'index', i.indexrelid::regclass::text,
           concat_ws(' ', pg_catalog.pg_get_indexdef(i.indexrelid), CASE WHEN NOT i.indisvalid THEN 'INVALID' END)
      FROM pg_catalog.pg_index i JOIN relations c ON c.oid = i.indrelid WHERE c.relkind IN ('r', 'p', 'm')""",
    """
    SELECT 'trigger', t.tgrelid::regclass || '.' || pg_catalog.quote_ident(t.tgname),
           pg_catalog.pg_get_triggerdef(t.oid)
      FROM pg_catalog.pg_trigger t JOIN relations c ON c.oid = t.tgrelid WHERE NOT t.tgisinternal""",
    """
    SELECT 'policy', p.polrelid::regclass || '.' || pg_catalog.quote_ident(p.polname),
           concat_ws(' ', CASE WHEN p.polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END,
                     'FOR', p.polcmd::text, 'TO',
                     (SELECT pg_catalog.string_agg(CASE r.o WHEN 0 THEN 'PUBLIC' ELSE r.o::regrole::text END, ', '
                                                   ORDER BY r.o::regrole::text)
                        FROM unnest(p.polroles) r (o)),
                     'USING ' || pg_catalog.pg_get_expr(p.polqual, p.polrelid),
                     'WITH CHECK ' || pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid))
      FROM pg_catalog.pg_policy p JOIN relations c ON c.oid = p.polrelid""",
    """
    SELECT 'function', p.oid::regprocedure::text,
           pg_catalog.regexp_replace(pg_catalog.pg_get_functiondef(p.oid), '[ \t]+$', '', 'gn')
      FROM pg_catalog.pg_proc p WHERE p.pronamespace IN (SELECT oid FROM ours) AND p.prokind IN ('f', 'p')
       AND ('pg_catalog.pg_proc'::regclass, p.oid) NOT IN (SELECT classid, objid FROM of_extensions)""",
    """
    SELECT 'enum', t.oid::regtype::text,
           (SELECT pg_catalog.string_agg(pg_catalog.quote_literal(e.enumlabel), ', ' ORDER BY e.enumsortorder)
              FROM pg_catalog.pg_enum e WHERE e.enumtypid = t.oid)
      FROM pg_catalog.pg_type t WHERE t.typnamespace IN (SELECT oid FROM ours) AND t.typtype = 'e'
       AND ('pg_catalog.pg_type'::regclass, t.oid) NOT IN (SELECT classid, objid FROM of_extensions)""",
    "SELECT 'extension', extname::text, '' FROM pg_catalog.pg_extension WHERE extname <> 'plpgsql'",
)
_COMMENTS: LiteralString = """
    SELECT 'comment', c.oid::regclass || coalesce('.' || pg_catalog.quote_ident(a.attname), ''), d.description
      FROM relations c JOIN pg_catalog.pg_description d ON d.classoid = 'pg_catalog.pg_class'::regclass
       AND d.objoid = c.oid
      LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.objsubid AND d.objsubid > 0"""

Catalog = Mapping[str, str]


def observe(connection: Connection, *, comments: bool = False) -> Catalog:
    """Read every object: `kind name` to its definition."""
    found: dict[str, str] = {}
    # with a search path, PostgreSQL would leave out the schema of what is on it
    connection.execute("SET search_path = public")
    try:
        queries = (*_QUERIES, _COMMENTS) if comments else _QUERIES
        for query in queries:
            rows: list[tuple[str, str, str]] = connection.execute(_WITH + query).fetchall()
            found.update((f"{kind} {name}", definition) for kind, name, definition in rows)
    finally:
        connection.execute("SET search_path = pg_catalog, pg_temp")
    return dict(sorted(found.items()))
