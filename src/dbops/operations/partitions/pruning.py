"""Prove by its plan that a query reads only a few partitions."""

import json
from collections.abc import Iterator
from typing import Any, LiteralString, cast

import psycopg
from psycopg import sql

from dbops.engine.finding import Finding, Severity
from dbops.operations.partitions.facts import Wish
from dbops.stores.postgres import Connection


def prove(connection: Connection, target: str, wish: Wish, query: str, most: int) -> Iterator[Finding]:
    """EXPLAIN plans and does not run; the transaction is read-only all the same."""
    told = " ".join(query.split())[:80]
    try:
        with connection.transaction():
            connection.execute("SET TRANSACTION READ ONLY")
            connection.execute("SELECT set_config('search_path', %s, true)", (f"{wish.table[0]}, public",))
            row = connection.execute(
                sql.SQL("EXPLAIN (FORMAT JSON) {}").format(sql.SQL(cast("LiteralString", query)))
            ).fetchone()
    except psycopg.Error as error:
        yield Finding(
            Severity.UNKNOWN,
            "DBP113",
            target,
            f"{wish.table[1]}: {told!r} could not be explained: {error.diag.message_primary or error}",
            "correct it in `pruned` of the configuration",
        )
        return
    tables = sorted(set(_scanned(_parsed(row[0] if row else None))))
    if len(tables) > most:
        yield Finding(
            Severity.BAD,
            "DBP113",
            target,
            f"{wish.table[1]}: {told!r} reads {len(tables)} partitions, {most} at most are allowed",
            f"does it compare the partition key with constants? it reads {', '.join(tables[:5])}",
        )


def _parsed(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value


def _scanned(node: Any) -> Iterator[str]:
    """Name the relations that the plan scans; one alternative of many counts."""
    if isinstance(node, list):
        for one in cast("list[Any]", node):
            yield from _scanned(one)
    elif isinstance(node, dict):
        told = cast("dict[str, Any]", node)
        if "Relation Name" in told:
            yield str(told["Relation Name"])
        for key in ("Plan", "Plans"):
            yield from _scanned(told.get(key))
