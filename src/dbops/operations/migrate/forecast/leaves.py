"""A partition for each partitioned table of a clone that has none: on the parent alone nothing would happen."""

from collections.abc import Mapping
from contextlib import suppress
from typing import LiteralString, cast

import psycopg
from psycopg import sql

from dbops.operations.migrate.forecast.facts import Relation
from dbops.stores.postgres import Connection

_PREFIX = "dbops_leaf_"
_BARE: LiteralString = """
    SELECT n.nspname::text, c.relname::text, c.oid, p.partstrat::text, p.partnatts,
           (SELECT y.typname::text FROM pg_attribute a JOIN pg_type y ON y.oid = a.atttypid
             WHERE a.attrelid = c.oid AND a.attnum = p.partattrs[0])
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_partitioned_table p ON p.partrelid = c.oid
     WHERE n.nspname NOT IN ('dbops', 'dbops_attic') AND NOT EXISTS (SELECT FROM pg_inherits WHERE inhparent = c.oid)"""
_OURS: LiteralString = "SELECT oid::regclass::text FROM pg_class WHERE relkind = 'r' AND starts_with(relname, %s)"
# Below what any partition of a revision will hold: nothing is less than these.
_LOWEST = {
    **dict.fromkeys(("date", "timestamp", "timestamptz", "float4", "float8"), "-infinity"),
    **dict.fromkeys(("text", "varchar", "bpchar", "bytea"), ""),
    "int2": "-32768",
    "int4": "-2147483648",
    "int8": "-9223372036854775808",
    "numeric": "-1e1000",
    "uuid": "00000000-0000-0000-0000-000000000000",
}


def add(connection: Connection) -> None:
    """Add them. A key of a kind that is not known here stays without."""
    for schema, name, oid, strategy, keys, first in connection.execute(_BARE).fetchall():
        bounds = _bounds(strategy, keys, first)
        if bounds is None:
            continue
        statement = sql.SQL("CREATE TABLE {} PARTITION OF {} FOR VALUES {}")
        leaf = sql.Identifier(schema, f"{_PREFIX}{oid}")
        with suppress(psycopg.Error):  # a check of the parent, an event trigger: then it is seen without
            connection.execute(statement.format(leaf, sql.Identifier(schema, name), sql.SQL(bounds)))


def _bounds(strategy: str, keys: int, first: str | None) -> LiteralString | None:
    match strategy:
        case "r" if first in _LOWEST:
            rest: LiteralString = ", MINVALUE" * (keys - 1)
            lowest = cast("LiteralString", _LOWEST[first])  # a constant of ours
            return f"FROM (MINVALUE{rest}) TO ('{lowest}'{rest})"
        case "l":
            return "IN (NULL)"
        case "h":
            return "WITH (MODULUS 1024, REMAINDER 1023)"
        case _:
            return None


def remove(connection: Connection) -> None:
    for (name,) in connection.execute(_OURS, (_PREFIX,)).fetchall():
        connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(sql.SQL(name)))


def is_one(name: str) -> bool:
    return name.rpartition(".")[2].startswith(_PREFIX)


def names(relations: Mapping[int, Relation]) -> dict[int, str]:
    """Tell what happens to such a partition of its parent, and to its indexes likewise."""
    found: dict[int, str] = {}
    for oid, one in relations.items():
        leaf = relations.get(one.of, one) if one.kind in {"i", "I"} else one
        parent = next((relations[p].name for p in leaf.parents if p in relations), None) if is_one(leaf.name) else None
        found[oid] = parent or one.name
    return found
