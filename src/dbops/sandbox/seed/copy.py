"""Filling tables by COPY: one transaction for each, with the marker that tells that it was filled."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import LiteralString, cast

from psycopg import sql

from dbops.engine import stop
from dbops.engine.plan import Statement
from dbops.engine.run import Run
from dbops.errors import DbopsError, Refused
from dbops.operations.partitions import observe as partitions
from dbops.operations.partitions.facts import Facts as PartitionFacts
from dbops.operations.partitions.facts import Wish
from dbops.operations.partitions.plan import Create, plan
from dbops.sandbox.seed import markers
from dbops.sandbox.seed.facts import Facts, Part
from dbops.sandbox.seed.lines import Table
from dbops.stores import ledger, postgres
from dbops.stores.postgres import Connection

_STAGE = sql.Identifier("pg_temp", "seed_stage")


def observe(connection: Connection, tables: Sequence[Table], *, target: str) -> Facts:
    if ledger.observe(connection, target=target) != ledger.VERSION or _missing(connection, tables):
        raise Refused(
            f"{target} has not all of its tables",
            hint=f"bring its schema first: dbops migrate up --target {target}",
            target=target,
        )
    told = markers.read(connection, target=target)
    parts = tuple(
        Part(table.name, table.rows, holds=_holds(connection, table), filled=told.filled.get(table.name))
        for table in tables
    )
    return Facts(target, "rows", parts, _partitions(connection, tables, target=target))


def _missing(connection: Connection, tables: Sequence[Table]) -> list[str]:
    names = [f"public.{table.name}" for table in tables]
    found = connection.execute("SELECT n FROM unnest(%s::text[]) n WHERE to_regclass(n) IS NULL", (names,))
    return [name for (name,) in found.fetchall()]


def _holds(connection: Connection, table: Table) -> bool:
    query = sql.SQL("SELECT EXISTS (SELECT FROM {})").format(sql.Identifier("public", table.name))
    row = connection.execute(query).fetchone()
    return row is not None and bool(row[0])


def _partitions(connection: Connection, tables: Sequence[Table], *, target: str) -> dict[str, tuple[Statement, ...]]:
    """Ask the planner of `partition ensure` what the months of these rows need: it knows rights and row security."""
    parted = [table for table in tables if table.months]
    if not parted:
        return {}
    asked = [("public", table.name) for table in parted]
    found = partitions.observe(connection, target=target, asked=asked, shapes=True)
    return {table.name: tuple(_missing_months(found, table)) for table in parted}


def _missing_months(found: PartitionFacts, table: Table) -> Iterator[Statement]:
    first, last = (datetime(month.year, month.month, 1, tzinfo=UTC) for month in (min(table.months), max(table.months)))
    for step in plan(found, (Wish(("public", table.name), premake=0),), now=last, since=first).steps:
        if isinstance(step.action, Create):
            yield from step.statements


def partition(connection: Connection, statements: Sequence[Statement]) -> None:
    with connection.transaction():
        for statement in statements:
            postgres.execute(connection, statement)


def fill(connection: Connection, table: Table, run: Run, *, target: str, seed: str) -> None:
    """Fill an empty table; its marker is there exactly when its rows are."""
    name = sql.Identifier("public", table.name)
    with connection.transaction():
        connection.execute("SET LOCAL synchronous_commit = off")
        if _holds(connection, table):
            raise Refused(f"somebody is filling {table.name} just now", hint="run again", target=target)
        if not table.triggers:
            connection.execute(sql.SQL("ALTER TABLE {} DISABLE TRIGGER USER").format(name))
        rows = _staged(connection, table, name) if table.computed else _copied(connection, table, name)
        if not table.triggers:
            connection.execute(sql.SQL("ALTER TABLE {} ENABLE TRIGGER USER").format(name))
        if rows != table.rows:
            raise DbopsError(f"{table.name} got {rows} rows, not {table.rows}", target=target)
        connection.execute(sql.SQL("ANALYZE {}").format(name))
        markers.write_filled(connection, run, table.name, target=target, seed=seed, rows=rows)


def _copied(connection: Connection, table: Table, into: sql.Composable) -> int:
    columns = sql.SQL(", ").join(map(sql.Identifier, table.columns))
    with connection.cursor() as cursor:
        with cursor.copy(sql.SQL("COPY {} ({}) FROM STDIN").format(into, columns)) as copy:
            for block in table.blocks():
                copy.write(block)
                stop.check()
        return cursor.rowcount


def _staged(connection: Connection, table: Table, into: sql.Composable) -> int:
    """Let the server work out some columns on the way, from text."""
    make = sql.SQL("CREATE TEMPORARY TABLE {} (LIKE {}) ON COMMIT DROP")
    connection.execute(make.format(sql.Identifier("seed_stage"), into))
    for column in table.computed:
        connection.execute(sql.SQL("ALTER TABLE {} ALTER {} TYPE text").format(_STAGE, sql.Identifier(column)))
    _copied(connection, table, _STAGE)
    columns = sql.SQL(", ").join(map(sql.Identifier, table.columns))
    values = sql.SQL(", ").join(
        sql.SQL(cast("LiteralString", table.computed[one])) if one in table.computed else sql.Identifier(one)
        for one in table.columns
    )
    query = sql.SQL("INSERT INTO {} ({}) SELECT {} FROM {}").format(into, columns, values, _STAGE)
    return connection.execute(query).rowcount
