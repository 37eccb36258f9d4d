"""Filling tables by COPY: one transaction for each, with the marker that tells that it was filled."""

from collections.abc import Sequence
from datetime import date
from typing import LiteralString, cast

from psycopg import sql

from dbops.engine import stop
from dbops.engine.plan import Statement
from dbops.engine.run import Run
from dbops.errors import DbopsError, Refused
from dbops.sandbox.seed import markers
from dbops.sandbox.seed.facts import Facts, Part
from dbops.sandbox.seed.lines import Table
from dbops.sandbox.seed.world import month_before
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
    partitions = {table.name: _partitions(connection, table) for table in tables if table.months}
    return Facts(target, "rows", parts, partitions)


def _missing(connection: Connection, tables: Sequence[Table]) -> list[str]:
    names = [f"public.{table.name}" for table in tables]
    found = connection.execute("SELECT n FROM unnest(%s::text[]) n WHERE to_regclass(n) IS NULL", (names,))
    return [name for (name,) in found.fetchall()]


def _holds(connection: Connection, table: Table) -> bool:
    query = sql.SQL("SELECT EXISTS (SELECT FROM {})").format(sql.Identifier("public", table.name))
    row = connection.execute(query).fetchone()
    return row is not None and bool(row[0])


def _partitions(connection: Connection, table: Table) -> tuple[Statement, ...]:
    """Tell how the partitions that are missing are made; who reads one by its name meets its parent's row security."""
    row = connection.execute(
        "SELECT c.relrowsecurity, t.typname = 'date' FROM pg_class c JOIN pg_partitioned_table p ON p.partrelid = c.oid"
        " JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = p.partattrs[0] JOIN pg_type t ON t.oid = a.atttypid"
        " WHERE c.oid = to_regclass(%s)",
        (f"public.{table.name}",),
    ).fetchone()
    secured, by_date = row or (False, False)
    found = connection.execute(
        "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = to_regclass(%s)",
        (f"public.{table.name}",),
    )
    there = {name for (name,) in found.fetchall()}
    statements: list[Statement] = []
    for month in table.months:
        name = f"{table.name}_{month:%Y_%m}"
        if name in there:
            continue
        names = (("public", name), ("public", table.name))
        bounds = _bounds(month, by_date=by_date)
        text = "CREATE TABLE IF NOT EXISTS {} PARTITION OF {} FOR VALUES FROM (%s) TO (%s)"
        statements.append(Statement(text, names, bounds))
        if secured:
            statements.append(Statement("ALTER TABLE {} ENABLE ROW LEVEL SECURITY", names[:1]))
    return tuple(statements)


def _bounds(month: date, *, by_date: bool) -> tuple[str, str]:
    tail = "" if by_date else " 00:00:00+00"
    return f"{month}{tail}", f"{month_before(month, -1)}{tail}"


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
