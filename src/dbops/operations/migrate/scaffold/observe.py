"""Look at the live database for what a kind of change needs to know."""

import re

from psycopg import errors

from dbops.engine.plan import Statement, Verbatim
from dbops.errors import UsageError
from dbops.operations.migrate.scaffold import carrying
from dbops.operations.migrate.scaffold.facts import Carried, Column, Known, Meaning, Table, Wanted, near
from dbops.stores import postgres
from dbops.stores.postgres import Connection

_TABLE = """
    SELECT c.oid, format('%%I.%%I', n.nspname, c.relname), c.relkind = 'p'
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.oid = to_regclass(%s) AND c.relkind IN ('r', 'p')"""
_TABLES = """
    SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND n.nspname !~ '^(pg_|information_schema$|dbops)'
     ORDER BY 1"""
_COLUMNS = """
    SELECT a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
           CASE a.attgenerated WHEN '' THEN pg_get_expr(d.adbin, d.adrelid) END, a.attgenerated <> '',
           a.attidentity <> '', coalesce(array_agg(e.enumlabel::text ORDER BY e.enumsortorder)
                                         FILTER (WHERE e.enumlabel IS NOT NULL), '{}')
      FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
      LEFT JOIN pg_enum e ON e.enumtypid = a.atttypid
     WHERE a.attrelid = %s AND a.attnum > 0 AND NOT a.attisdropped
     GROUP BY a.attrelid, a.attnum, a.attname, a.atttypid, a.atttypmod, a.attnotnull, a.attgenerated, a.attidentity,
              d.adbin, d.adrelid
     ORDER BY a.attnum"""
_KEY = """
    SELECT a.attname FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey)
     WHERE i.indrelid = %s AND i.indisprimary ORDER BY array_position(i.indkey::int2[], a.attnum)"""
_CONSTRAINTS = """
    SELECT format('constraint %%I: %%s', conname, pg_get_constraintdef(oid)) FROM pg_constraint
     WHERE conrelid = %s AND contype IN ('c', 'f', 'u', 'x', 'p') ORDER BY conname"""
_INDEXES = """
    SELECT format('index %%I: %%s', c.relname, pg_get_indexdef(i.indexrelid)) FROM pg_index i
      JOIN pg_class c ON c.oid = i.indexrelid
     WHERE i.indrelid = %s AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = i.indexrelid)
     ORDER BY c.relname"""
_CUT_BY = """
    SELECT a.attname::text FROM pg_partitioned_table p JOIN pg_attribute a ON a.attrelid = p.partrelid
       AND (a.attnum = ANY (p.partattrs) OR EXISTS (
            SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = p.partrelid AND d.objsubid = 0
               AND d.refclassid = 'pg_class'::regclass AND d.refobjid = p.partrelid AND d.refobjsubid = a.attnum))
     WHERE p.partrelid = %s AND a.attnum > 0 ORDER BY a.attnum"""
_ENUMS = """
    SELECT format_type(t.oid, NULL), array_agg(e.enumlabel::text ORDER BY e.enumsortorder)
      FROM pg_type t JOIN pg_enum e ON e.enumtypid = t.oid GROUP BY t.oid"""
_SAME_FOR_ALL = """
    SELECT atthasmissing FROM pg_attribute WHERE attrelid = 'pg_temp.dbops_try'::regclass AND attname = 'tried'"""
_VOLATILE = re.compile(
    r"\b(?:nextval|random|gen_random_uuid|uuid_generate\w*|clock_timestamp|timeofday)\s*\(", re.IGNORECASE
)


def observe(connection: Connection, wanted: Wanted) -> Known:
    """Ask for the table, and whether the default that is wanted is the same for all rows."""
    with connection.transaction(force_rollback=True):
        connection.execute("SET LOCAL search_path = public, pg_temp")  # as revisions have it
        table = _table(connection, wanted.table) if wanted.table else None
        volatile = _is_volatile(connection, wanted) if wanted.type and wanted.default is not None else False
        connection.execute("SET LOCAL search_path = pg_catalog, pg_temp")  # every name comes with its schema
        carried = _carried(connection, wanted, table) if table is not None else ()
        types = {name: tuple(labels) for name, labels in connection.execute(_ENUMS).fetchall()}
    return Known(table, volatile, types, carried)


def unseen(wanted: Wanted) -> Known:
    """Tell what can be told without a database."""
    return Known(volatile_default=bool(wanted.default and _VOLATILE.search(wanted.default)))


def _table(connection: Connection, name: str) -> Table:
    row = connection.execute(_TABLE, (name,)).fetchone()
    if row is None:
        others = tuple(str(one[0]) for one in connection.execute(_TABLES).fetchall())
        raise UsageError(f"there is no table {name}{near(name, others)}", hint="--table SCHEMA.NAME")
    oid, whole, partitioned = row
    connection.execute("SET LOCAL search_path = pg_catalog, pg_temp")
    found = Table(
        whole,
        tuple(
            Column(name, kind, not_null, default, generated, identity, tuple(enum))
            for name, kind, not_null, default, generated, identity, enum in connection.execute(_COLUMNS, (oid,))
        ),
        tuple(str(one[0]) for one in connection.execute(_KEY, (oid,))),
        partitioned,
        tuple(str(one[0]) for one in connection.execute(_CUT_BY, (oid,))),
        tuple(str(one[0]) for one in connection.execute(_CONSTRAINTS, (oid,))),
        tuple(str(one[0]) for one in connection.execute(_INDEXES, (oid,))),
    )
    connection.execute("SET LOCAL search_path = public, pg_temp")
    return found


_REPLACES = frozenset({"rename-column", "type", "enum-values"})  # one column by one


def _carried(connection: Connection, wanted: Wanted, table: Table) -> tuple[Carried, ...]:
    """Look what stands on the one column that another one is to replace."""
    if wanted.kind not in _REPLACES or len(wanted.column) != 1 or len(wanted.to) > 1:
        return ()
    old = wanted.column[0]
    if all(one.name != old for one in table.columns):
        return ()  # refused later, with those that are near
    new = wanted.to[0] if wanted.to else f"{old}_new"
    other = wanted.kind == "enum-values" or new in wanted.up
    row = connection.execute("SELECT %s::regclass::oid::bigint", (table.name,)).fetchone()
    assert row is not None  # noqa: S101
    meaning = Meaning.OTHER if other else Meaning.SAME
    return carrying.observe(connection, carrying.Way(row[0], table.name, old, new, wanted.type, meaning))


def _is_volatile(connection: Connection, wanted: Wanted) -> bool:
    """Let the server decide: add the column to an empty table, and see whether a single value was kept for all rows."""
    told = (Verbatim(wanted.type or ""), Verbatim(wanted.default or ""))
    try:
        connection.execute("CREATE TEMP TABLE dbops_try (one int)")
        postgres.execute(connection, Statement("ALTER TABLE pg_temp.dbops_try ADD COLUMN tried {} DEFAULT {}", told))
    except (errors.InsufficientPrivilege, errors.ReadOnlySqlTransaction):
        raise
    except errors.Error as error:
        message = str(error).partition("\n")[0]
        raise UsageError(f"the server takes no column of this type and default: {message}") from error
    row = connection.execute(_SAME_FOR_ALL).fetchone()
    null = (wanted.default or "").strip().upper().startswith("NULL")
    return not null and not (row is not None and row[0])
