"""What in the catalog needs the old: by its dependencies, and by the text of functions, which have none."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, LiteralString

from dbops.operations.migrate.contract.facts import Dependant
from dbops.operations.migrate.contract.uses import Old, Use, mentions, use_in_function
from dbops.operations.migrate.shapes import names
from dbops.operations.migrate.shapes.shape import OldNames
from dbops.stores.postgres import Connection

_FIND = """
    SELECT n.nspname, c.relname, c.oid::bigint FROM pg_catalog.pg_class c
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = pg_catalog.to_regclass(%s)"""
_OTHERS = """
    SELECT a.attname, n.nspname, c.relname
      FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE a.attname = ANY (%(names)s) AND a.attnum > 0 AND NOT a.attisdropped AND c.oid <> %(table)s::oid
       AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'dbops')
       AND NOT c.relispartition"""
_TWINS = """
    SELECT EXISTS (SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
                    WHERE c.relname = %(name)s AND c.oid <> %(table)s::oid AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
                      AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'dbops', 'dbops_attic'))"""
_PARTS = """
    WITH RECURSIVE parts AS (
        SELECT inhrelid FROM pg_catalog.pg_inherits WHERE inhparent = %(table)s::oid
        UNION SELECT i.inhrelid FROM pg_catalog.pg_inherits i JOIN parts p ON p.inhrelid = i.inhparent)
    SELECT n.nspname, c.relname FROM parts p JOIN pg_catalog.pg_class c ON c.oid = p.inhrelid
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p', 'f')"""
# Of the table and its partitions; `own`: it belongs to the table itself, and goes with it.
_DEPENDS: LiteralString = """
    WITH RECURSIVE tables AS (
        SELECT %(table)s::oid AS oid
        UNION SELECT i.inhrelid FROM pg_catalog.pg_inherits i JOIN tables t ON t.oid = i.inhparent),
    row_types AS (SELECT t.oid FROM pg_catalog.pg_type t LEFT JOIN pg_catalog.pg_type e ON e.oid = t.typelem
                   WHERE coalesce(nullif(t.typrelid, 0), e.typrelid) IN (SELECT oid FROM tables)),
    needed AS (
        SELECT DISTINCT d.classid, d.objid, d.objsubid, d.refobjid
          FROM pg_catalog.pg_depend d
          LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
         WHERE d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid IN (SELECT oid FROM tables)
           AND d.deptype IN ('n', 'a') AND (%(whole)s OR a.attname = ANY (%(columns)s))
        UNION
        SELECT classid, objid, objsubid, refobjid FROM pg_catalog.pg_depend
         WHERE %(whole)s AND refclassid = 'pg_catalog.pg_type'::regclass AND refobjid IN (SELECT oid FROM row_types)
           AND deptype = 'n')
    SELECT DISTINCT
           CASE WHEN w.oid IS NOT NULL AND v.relkind IN ('v', 'm')
                THEN CASE v.relkind WHEN 'v' THEN 'view ' ELSE 'materialized view ' END || v.oid::regclass
                ELSE pg_catalog.pg_describe_object(n.classid, n.objid, n.objsubid) END,
           n.classid::regclass::text,
           coalesce(k.conname, t.tgname, p.proname)::text,
           coalesce(w.ev_class, k.conrelid, t.tgrelid, x.indrelid, s.stxrelid, g.adrelid, l.polrelid)
               IN (SELECT oid FROM tables),
           k.contype::text, NOT %(whole)s AND EXISTS (
               SELECT FROM pg_catalog.pg_constraint o WHERE k.contype = 'f' AND o.contype = 'f' AND o.convalidated
                  AND o.oid <> k.oid AND o.conrelid = k.conrelid AND o.confrelid = k.confrelid AND o.conkey = k.conkey
                  AND NOT EXISTS (SELECT FROM pg_catalog.pg_attribute oa WHERE oa.attrelid = o.confrelid
                                     AND oa.attnum = ANY (o.confkey) AND oa.attname = ANY (%(columns)s))),
           g.adnum IS NOT NULL AND ga.attgenerated <> '', c.relkind::text, v.relkind::text,
           coalesce(x.indisreplident, kx.indisreplident, false)
      FROM needed n
      LEFT JOIN pg_catalog.pg_rewrite w ON n.classid = 'pg_catalog.pg_rewrite'::regclass AND w.oid = n.objid
      LEFT JOIN pg_catalog.pg_class v ON v.oid = w.ev_class
      LEFT JOIN pg_catalog.pg_constraint k ON n.classid = 'pg_catalog.pg_constraint'::regclass AND k.oid = n.objid
      LEFT JOIN pg_catalog.pg_trigger t ON n.classid = 'pg_catalog.pg_trigger'::regclass AND t.oid = n.objid
      LEFT JOIN pg_catalog.pg_class c ON n.classid = 'pg_catalog.pg_class'::regclass AND c.oid = n.objid
      LEFT JOIN pg_catalog.pg_index x ON x.indexrelid = c.oid
      LEFT JOIN pg_catalog.pg_index kx ON kx.indexrelid = k.conindid AND k.contype IN ('p', 'u', 'x')
      LEFT JOIN pg_catalog.pg_proc p ON n.classid = 'pg_catalog.pg_proc'::regclass AND p.oid = n.objid
      LEFT JOIN pg_catalog.pg_statistic_ext s
             ON n.classid = 'pg_catalog.pg_statistic_ext'::regclass AND s.oid = n.objid
      LEFT JOIN pg_catalog.pg_attrdef g ON n.classid = 'pg_catalog.pg_attrdef'::regclass AND g.oid = n.objid
      LEFT JOIN pg_catalog.pg_attribute ga ON ga.attrelid = g.adrelid AND ga.attnum = g.adnum
      LEFT JOIN pg_catalog.pg_policy l ON n.classid = 'pg_catalog.pg_policy'::regclass AND l.oid = n.objid
     WHERE NOT coalesce(c.oid IN (SELECT oid FROM tables), false)
       AND NOT coalesce(w.ev_class IN (SELECT oid FROM tables) AND v.relkind IN ('v', 'm'), false)
     ORDER BY 1"""
# What has no dependency: arguments of triggers, as of tsvector_update_trigger; partition keys; what others send.
_BY_NAME: LiteralString = """
    WITH RECURSIVE tables AS (
        SELECT %(table)s::oid AS oid
        UNION SELECT i.inhrelid FROM pg_catalog.pg_inherits i JOIN tables t ON t.oid = i.inhparent),
    arguments AS (
        SELECT t.oid, t.tgname, pg_catalog.decode('00', 'hex') || t.tgargs AS args FROM pg_catalog.pg_trigger t
         WHERE t.tgnargs > 0 AND NOT t.tgisinternal AND t.tgparentid = 0
           AND (%(whole)s OR t.tgrelid IN (SELECT oid FROM tables)))
    SELECT pg_catalog.pg_describe_object('pg_catalog.pg_trigger'::regclass, a.oid, 0), a.tgname::text, NULL
      FROM arguments a
     WHERE EXISTS (SELECT FROM pg_catalog.unnest(%(words)s::text[]) word
                    WHERE pg_catalog.position(
                          a.args, pg_catalog.decode('00', 'hex')
                              || pg_catalog.convert_to(word, pg_catalog.getdatabaseencoding())
                              || pg_catalog.decode('00', 'hex')) > 0)
    UNION
    SELECT 'partition key of ' || oid::regclass, NULL, pg_catalog.pg_get_partkeydef(oid) FROM tables
     WHERE pg_catalog.pg_get_partkeydef(oid) IS NOT NULL
    UNION
    SELECT 'subscription ' || s.subname, NULL, NULL FROM pg_catalog.pg_subscription_rel r
      JOIN pg_catalog.pg_subscription s ON s.oid = r.srsubid WHERE r.srrelid IN (SELECT oid FROM tables)
     ORDER BY 1"""
_FUNCTIONS: LiteralString = """
    WITH RECURSIVE tables AS (
        SELECT %(table)s::oid AS oid
        UNION SELECT i.inhrelid FROM pg_catalog.pg_inherits i JOIN tables t ON t.oid = i.inhparent)
    SELECT p.oid::regprocedure::text, p.prosrc,
           EXISTS (SELECT FROM pg_catalog.pg_trigger t
                    WHERE t.tgfoid = p.oid AND t.tgrelid IN (SELECT oid FROM tables)),
           EXISTS (SELECT FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_type t ON t.oid = d.refobjid
                    WHERE d.classid = 'pg_catalog.pg_proc'::regclass AND d.objid = p.oid
                      AND d.refclassid = 'pg_catalog.pg_type'::regclass AND t.typrelid IN (SELECT oid FROM tables))
      FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
      JOIN pg_catalog.pg_language g ON g.oid = p.prolang
     WHERE n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'dbops')
       AND g.lanname NOT IN ('c', 'internal') AND p.proname !~ '^[~!]dbops_'
       AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.deptype = 'e'
                          AND d.classid = 'pg_catalog.pg_proc'::regclass AND d.objid = p.oid)
       AND (EXISTS (SELECT FROM unnest(%(words)s::text[]) word
                     WHERE pg_catalog.strpos(lower(p.prosrc), lower(word)) > 0)
            OR p.prosrc ~* 'u&"')
     ORDER BY 1"""


def find(connection: Connection, names: OldNames) -> tuple[Old, int] | None:
    """Find the old in the catalog; None where it is gone."""
    connection.execute("SET search_path = public, pg_temp")  # as revisions have it: shapes are written so
    try:
        row = connection.execute(_FIND, (names.table,)).fetchone()
    finally:
        connection.execute("SET search_path = pg_catalog, pg_temp")
    if row is None:
        return None
    schema, table, oid = row
    others: dict[str, set[tuple[str, str]]] = {}
    asked = {"names": [*names.columns, table], "table": oid, "name": table}
    for column, *where in connection.execute(_OTHERS, asked):
        others.setdefault(column, set()).add((where[0], where[1]))
    twins = connection.execute(_TWINS, asked).fetchone()
    told = {column: frozenset(tables) for column, tables in others.items()}
    parts: list[tuple[str, str]] = connection.execute(_PARTS, asked).fetchall()
    alone = Old((schema, table), frozenset(names.columns), told, twins=bool(twins and twins[0]))
    return replace(alone, parts=frozenset(parts)), oid


def observe(connection: Connection, old: Old, oid: int) -> tuple[Dependant, ...]:
    """List what needs the old, and what only goes along with it; what a change made itself is neither."""
    words = sorted(old.columns or old.names)
    asked: dict[str, Any] = {"table": oid, "whole": not old.columns, "columns": sorted(old.columns), "words": words}
    rows = connection.execute(_DEPENDS, asked).fetchall()
    found = [one for row in rows for one in _judged(row, whole=not old.columns)]
    for what, name, key in connection.execute(_BY_NAME, asked):
        if (name is None or not names.is_ours(name)) and (key is None or mentions(key, old.columns)):
            found.append(Dependant(what, certain=key is not None))
    for name, body, of_trigger, takes_rows in connection.execute(_FUNCTIONS, asked):
        used = use_in_function(body, old, of_its_trigger=of_trigger)
        if used or (takes_rows and mentions(body, old.columns)):  # row.name: the text does not tell whose row
            found.append(Dependant(f"function {name}", certain=used is Use.USED))
    return tuple(dict.fromkeys(found))


def _judged(row: tuple[Any, ...], *, whole: bool) -> Iterator[Dependant]:
    what, kind, name, own, contype, has_twin, generated, relkind, of, identifies = row
    if name is not None and names.is_ours(name):
        return
    match kind:
        case _ if identifies and not whole:
            yield Dependant(f"replica identity: {what}")
        case "pg_constraint" | "pg_catalog.pg_constraint":
            yield Dependant(what, goes_along=bool(own) or contype == "c" or has_twin)
        case "pg_class":
            yield Dependant(what, goes_along=relkind in {"i", "I", "S"})
        case "pg_attrdef":
            if whole or not generated:
                return
            yield Dependant(f"generated column: {what}")
        case "pg_statistic_ext":
            yield Dependant(what, goes_along=True)
        case "pg_rewrite":
            yield Dependant(what, goes_along=whole and bool(own) and of not in {"v", "m"})
        case "pg_policy" | "pg_trigger":
            yield Dependant(what, goes_along=whole and bool(own))
        case _:
            yield Dependant(what)
