"""What stands on a column that gets another name or type, as it has to stand on the new one.

PostgreSQL rewrites the definitions: on an empty copy of the table, the column is renamed, and what is there is read
again. A new type is tried on such a copy too; what it refuses, or what may come to mean something else, is told.
"""
# ruff: noqa: S608  # the parts are names and definitions that the catalog tells

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, LiteralString, cast

from psycopg import errors, sql
from psycopg.rows import dict_row

from dbops.operations.migrate.scaffold.facts import Carried, Meaning
from dbops.operations.migrate.shapes.guarded import quoted
from dbops.stores.postgres import Connection

_LONGEST = 63
_KEYS = frozenset({"UNIQUE", "PRIMARY KEY", "UNIQUE INDEX"})
_TRY = "pg_temp.dbops_try"
_TYPED = "pg_temp.dbops_typed"
_PEER = "pg_temp.dbops_peer"
_CONSTRAINTS: LiteralString = """
    WITH it AS (SELECT a.attrelid, a.attnum FROM pg_attribute a WHERE a.attrelid = %(table)s AND a.attname = %(old)s)
    SELECT c.contype::text AS kind, c.conname::text AS name, format('%%I.%%I', n.nspname, t.relname) AS of,
           t.relkind = 'p' AS partitioned, pg_get_constraintdef(c.oid) AS told, c.conrelid = it.attrelid AS own,
           ARRAY(SELECT a.attname::text FROM unnest(c.conkey) WITH ORDINALITY k (num, place)
                   JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.num ORDER BY k.place) AS columns,
           quote_ident(rn.nspname) || '.' || quote_ident(r.relname) AS other, c.confrelid = it.attrelid AS to_itself,
           ARRAY(SELECT a.attname::text FROM unnest(c.confkey) WITH ORDINALITY k (num, place)
                   JOIN pg_attribute a ON a.attrelid = c.confrelid AND a.attnum = k.num ORDER BY k.place) AS others,
           concat(CASE c.confmatchtype WHEN 'f' THEN ' MATCH FULL' END,
                  ' ON UPDATE ' || CASE c.confupdtype WHEN 'r' THEN 'RESTRICT' WHEN 'c' THEN 'CASCADE'
                                                      WHEN 'n' THEN 'SET NULL' WHEN 'd' THEN 'SET DEFAULT' END,
                  ' ON DELETE ' || CASE c.confdeltype WHEN 'r' THEN 'RESTRICT' WHEN 'c' THEN 'CASCADE'
                                                      WHEN 'n' THEN 'SET NULL' WHEN 'd' THEN 'SET DEFAULT' END,
                  CASE WHEN c.condeferrable THEN ' DEFERRABLE' END,
                  CASE WHEN c.condeferred THEN ' INITIALLY DEFERRED' END) AS more,
           coalesce(to_jsonb(c) ->> 'confdelsetcols', '') <> '' AS some_set
      FROM it CROSS JOIN pg_constraint c JOIN pg_class t ON t.oid = c.conrelid
      JOIN pg_namespace n ON n.oid = t.relnamespace
      LEFT JOIN pg_class r ON r.oid = c.confrelid LEFT JOIN pg_namespace rn ON rn.oid = r.relnamespace
     WHERE c.contype IN ('c', 'f', 'u', 'p', 'x') AND c.conparentid = 0
       AND ((c.conrelid = it.attrelid AND it.attnum = ANY (c.conkey))
            OR (c.confrelid = it.attrelid AND it.attnum = ANY (c.confkey)))
     ORDER BY array_position(ARRAY['p', 'u', 'c', 'x', 'f'], c.contype::text), own DESC, c.conname"""
_INDEXES: LiteralString = """
    SELECT c.relname::text AS name, pg_get_indexdef(i.indexrelid) AS told, i.indisunique AS single,
           t.relkind = 'p' AS partitioned, format('%%I.%%I', n.nspname, t.relname) AS of,
           i.indexprs IS NULL AND i.indpred IS NULL AS plain
      FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid
      JOIN pg_namespace n ON n.oid = t.relnamespace
     WHERE i.indrelid = %(table)s AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = i.indexrelid)
       AND EXISTS (SELECT FROM pg_depend d JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
                    WHERE d.classid = 'pg_class'::regclass AND d.objid = i.indexrelid
                      AND d.refclassid = 'pg_class'::regclass AND d.refobjid = i.indrelid AND a.attname = %(old)s)
     ORDER BY c.relname"""
_NAMES: LiteralString = """
    SELECT c.relname::text FROM pg_class c
     WHERE c.relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = %(table)s)
    UNION SELECT k.conname::text FROM pg_constraint k
           WHERE k.conrelid = %(table)s OR k.confrelid = %(table)s OR k.conrelid IN (
                 SELECT conrelid FROM pg_constraint WHERE confrelid = %(table)s)"""


@dataclass(frozen=True, slots=True)
class Way:
    """From which column to which: `type` where that becomes another, `meaning` of its values."""

    oid: int
    table: str
    old: str
    new: str
    type: str | None
    meaning: Meaning


def observe(connection: Connection, way: Way) -> tuple[Carried, ...]:
    """Tell all that stands on the old column; in a transaction that is rolled back, and names come with a schema."""
    asked = {"table": way.oid, "old": way.old}
    taken = {str(name) for (name,) in connection.execute(_NAMES, asked)}
    found: list[Carried] = []
    for one in _every(connection, way):
        name = renamed(one.name, way.old, way.new, taken)
        taken.add(name)
        found.append(Carried(one.kind, one.table, name, one.definition, one.was, one.partitioned, one.problem))
    keys = {one.kind for one in found if one.problem is None and one.table == way.table}
    for number, one in enumerate(found):
        if (
            one.kind == "FOREIGN KEY"
            and one.table != way.table
            and not keys & {"UNIQUE", "PRIMARY KEY", "UNIQUE INDEX"}
        ):
            found[number] = _left(one, "the key that it refers to is not carried over")
    return tuple(sorted(found, key=lambda one: one.kind == "FOREIGN KEY"))


def _left(one: Carried, problem: str) -> Carried:
    return Carried(one.kind, one.table, one.name, one.definition, one.was, one.partitioned, one.problem or problem)


def renamed(name: str, old: str, new: str, taken: set[str]) -> str:
    """Name what is to come after what is there: users_name_key becomes users_full_name_key."""
    wanted = name.replace(old, new) if old in name else f"{name}_{new}"
    if wanted in taken or len(wanted.encode()) > _LONGEST:
        told = hashlib.sha256(f"{name}/{new}".encode()).hexdigest()[:8]
        wanted = f"{wanted.encode()[: _LONGEST - 9].decode(errors='ignore')}_{told}"
    return wanted


def _every(connection: Connection, way: Way) -> Iterator[Carried]:
    asked = {"table": way.oid, "old": way.old}
    for one in _rows(connection, _CONSTRAINTS, asked):
        if one["kind"] == "f":
            yield _foreign_key(connection, way, one)
        else:
            yield _constraint(connection, way, one)
    for one in _rows(connection, _INDEXES, asked):
        yield _index(connection, way, one)


def _rows(connection: Connection, query: LiteralString, asked: Mapping[str, Any]) -> list[dict[str, Any]]:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query, asked).fetchall()


_KINDS = {"c": "CHECK", "u": "UNIQUE", "p": "PRIMARY KEY", "x": "EXCLUDE"}


def _constraint(connection: Connection, way: Way, one: Mapping[str, Any]) -> Carried:
    kind, told = _KINDS[one["kind"]], str(one["told"]).removesuffix(" NOT VALID")
    was = f"constraint {quoted(one['name'])}: {told}"
    problem: str | None = None
    if kind == "EXCLUDE":
        problem = "it cannot be added to a table in use"
    elif kind == "PRIMARY KEY" and one["partitioned"]:
        problem = "the primary key of a partitioned table cannot be: replace the table"
    elif kind == "CHECK" and way.meaning is Meaning.OTHER:
        problem = "its values come to mean something else"
    keyed = kind in ("UNIQUE", "PRIMARY KEY") and one["partitioned"]
    if problem is None:
        told, problem = _rewritten(connection, way, told)
    return Carried(kind, way.table, one["name"], told, was, keyed, problem)


def _index(connection: Connection, way: Way, one: Mapping[str, Any]) -> Carried:
    kind = "UNIQUE INDEX" if one["single"] else "INDEX"
    was = f"index {quoted(one['name'])}: {one['told']}"
    told = str(one["told"]).partition(" USING ")[2]
    problem = None if one["plain"] or way.meaning is not Meaning.OTHER else "its values come to mean something else"
    if problem is None:
        told, problem = _rewritten(connection, way, told, index=True, unique=one["single"])
    told = told.removeprefix("btree ") if told.startswith("btree (") else f"USING {told}"
    return Carried(kind, way.table, one["name"], told, was, one["partitioned"], problem)


def _rewritten(
    connection: Connection, way: Way, told: str, *, index: bool = False, unique: bool = False
) -> tuple[str, str | None]:
    """Let PostgreSQL write a definition with the new column, and try it with its type: the text, and what is wrong."""

    def put(table: str, definition: str) -> str:
        if not index:
            name = f"dbops_it_{len(table)}"
            _run(connection, f"ALTER TABLE {table} ADD CONSTRAINT {name} {definition}")
            return f"SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = '{name}'"
        _run(connection, f"CREATE {'UNIQUE ' if unique else ''}INDEX ON {table} USING {definition}")
        return f"SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = '{table}'::regclass"

    try:
        with connection.transaction(force_rollback=True):
            _copies(connection, way)
            query = put(_TRY, told)
            _rename(connection, way)
            text = _definition(connection, query, index=index)
            if way.type is not None:
                text = _definition(connection, put(_TYPED, text), index=index)
    except errors.Error as error:
        if isinstance(error, errors.InsufficientPrivilege | errors.ReadOnlySqlTransaction):
            raise
        return told, f"PostgreSQL refuses it on the new column: {str(error).partition(chr(10))[0]}"
    return (told, "it names the whole row") if "dbops_t" in text else (text, None)


def _definition(connection: Connection, query: str, *, index: bool) -> str:
    row = connection.execute(sql.SQL(cast("LiteralString", query))).fetchone()
    text = str(row[0]) if row else ""
    return text.partition(" USING ")[2] if index else text


def _copies(connection: Connection, way: Way) -> None:
    """Make an empty copy of the table, and another whose column has its new name and type."""
    _run(connection, f"CREATE TEMP TABLE dbops_try (LIKE {way.table})")
    _run(connection, f"CREATE TEMP TABLE dbops_typed (LIKE {way.table})")
    _run(connection, f"ALTER TABLE {_TYPED} RENAME COLUMN {quoted(way.old)} TO {quoted(way.new)}")
    if way.type is not None:
        _run(connection, f"ALTER TABLE {_TYPED} ALTER COLUMN {quoted(way.new)} TYPE {way.type} USING NULL")


def _rename(connection: Connection, way: Way) -> None:
    _run(connection, f"ALTER TABLE {_TRY} RENAME COLUMN {quoted(way.old)} TO {quoted(way.new)}")


def _foreign_key(connection: Connection, way: Way, one: Mapping[str, Any]) -> Carried:
    columns = _named(way, one["columns"]) if one["own"] else list(one["columns"])
    others = _named(way, one["others"]) if one["to_itself"] else list(one["others"])
    told = (
        f"FOREIGN KEY ({', '.join(map(quoted, columns))}) REFERENCES {one['other']}"
        f" ({', '.join(map(quoted, others))}){one['more']}"
    )
    was = f"constraint {quoted(one['name'])} of {one['of']}: {str(one['told']).removesuffix(' NOT VALID')}"
    problem: str | None = None
    if way.meaning is Meaning.OTHER:
        problem = "its values come to mean something else"
    elif one["some_set"]:
        problem = "ON DELETE SET NULL names columns"
    elif way.type is not None:
        problem = _fits(connection, way, one, columns, others)
    return Carried("FOREIGN KEY", one["of"], one["name"], told, was, one["partitioned"], problem)


def _named(way: Way, columns: Sequence[str]) -> list[str]:
    return [way.new if name == way.old else name for name in columns]


def _fits(
    connection: Connection, way: Way, one: Mapping[str, Any], columns: Sequence[str], others: Sequence[str]
) -> str | None:
    """Try whether the new type can be compared with its peer's."""
    here = _TYPED if one["own"] else _PEER
    there = _TYPED if one["to_itself"] else _PEER
    try:
        with connection.transaction(force_rollback=True):
            _copies(connection, way)
            _run(connection, f"CREATE TEMP TABLE dbops_peer (LIKE {one['other'] if one['own'] else one['of']})")
            listed = ", ".join(map(quoted, others))
            _run(connection, f"ALTER TABLE {there} ADD UNIQUE ({listed})")
            own = ", ".join(map(quoted, columns))
            _run(connection, f"ALTER TABLE {here} ADD FOREIGN KEY ({own}) REFERENCES {there} ({listed})")
    except errors.Error as error:
        if isinstance(error, errors.InsufficientPrivilege | errors.ReadOnlySqlTransaction):
            raise
        return f"PostgreSQL refuses it on the new column: {str(error).partition(chr(10))[0]}"
    return None


def _run(connection: Connection, text: str) -> None:
    connection.execute(sql.SQL(cast("LiteralString", text)))
