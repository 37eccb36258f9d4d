"""Read every row and check every index of a restored cluster, on all the cores there are."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, LiteralString

import psycopg
from psycopg import sql

from dbops.engine import stop
from dbops.engine.run import each
from dbops.operations.clusters.restore.examine import sql as asked
from dbops.operations.clusters.restore.examine.facts import (
    BadIndex,
    Behind,
    Brought,
    Examined,
    Names,
    Problem,
    Security,
    Table,
)
from dbops.redact import redact

Connection = psycopg.Connection[Any]
Reach = Callable[[str], str]  # a database's conninfo

_CORRUPT = frozenset({"XX000", "XX001", "XX002", "58030", "58P01"})


@dataclass(frozen=True, slots=True)
class _Database:
    name: str
    tables: tuple[tuple[str, str], ...]
    indexes: tuple[tuple[int, str], ...]
    amcheck: str | None  # the schema of its functions
    why_not: str | None
    found: Examined


@dataclass(frozen=True, slots=True)
class _Shard:
    """A part of one database: a connection of its own."""

    database: str
    tables: tuple[tuple[str, str], ...]
    indexes: tuple[tuple[int, str], ...]
    amcheck: str | None


def examine(reach: Reach) -> Examined:
    """Look at every database that lets anybody in."""
    with connect(reach("postgres")) as connection:
        names = _column(connection, asked.DATABASES)
        roles = tuple(_column(connection, asked.ROLES))
    jobs = len(os.sched_getaffinity(0))
    databases = _all(names, partial(_observe, reach), jobs)
    shards = [shard for one in databases for shard in _cut(one, jobs)]
    looked = _all(shards, partial(_look, reach), jobs)
    return Examined(
        databases=tuple(names),
        tables=tuple(table for tables, _ in looked for table in tables),
        indexes=sum(len(shard.indexes) for shard in shards if shard.amcheck is not None),
        bad=tuple(index for _, indexes in looked for index in indexes),
        unchecked=tuple((one.name, one.why_not) for one in databases if one.why_not is not None and one.indexes),
        invalid=tuple(name for one in databases for name in one.found.invalid),
        behind=tuple(name for one in databases for name in one.found.behind),
        unpopulated=tuple(name for one in databases for name in one.found.unpopulated),
        collations=tuple(name for one in databases for name in one.found.collations),
        extensions=tuple(name for one in databases for name in one.found.extensions),
        security=tuple(name for one in databases for name in one.found.security),
        roles=roles,
    )


def what_it_brought(reach: Reach) -> Brought:
    """List what could reach out of the copy, and what does not run in it."""
    foreign: list[tuple[str, str]] = []
    subscriptions: list[tuple[str, str]] = []
    jobs: list[tuple[str, int]] = []
    with connect(reach("postgres")) as connection:
        names = _column(connection, asked.DATABASES)
    for name in names:
        with connect(reach(name)) as connection:
            foreign += [(name, one) for one in _column(connection, asked.FOREIGN)]
            subscriptions += [(name, one) for one in _column(connection, asked.SUBSCRIPTIONS)]
            if _column(connection, asked.HAS_CRON) == [True]:
                jobs += [(name, many) for many in _column(connection, asked.JOBS) if many]
    return Brought(tuple(foreign), tuple(subscriptions), tuple(jobs))


def connect(conninfo: str) -> Connection:
    connection = psycopg.connect(conninfo, autocommit=True)
    for setting in ("search_path = pg_catalog, pg_temp", "statement_timeout = 0", "row_security = off"):
        connection.execute(sql.SQL("SET {}").format(sql.SQL(setting)))  # pyright: ignore[reportArgumentType]
    return connection


def security(connection: Connection, database: str) -> tuple[Security, ...]:
    rows = connection.execute(asked.SECURITY).fetchall()
    return tuple(Security(database, name, on, forced, tuple(policies)) for name, on, forced, policies in rows)


def _column(connection: Connection, query: LiteralString) -> list[Any]:
    return [row[0] for row in connection.execute(query).fetchall()]


def _all(items: Sequence[Any], work: Callable[[Any], Any], jobs: int) -> list[Any]:
    ended = each(items, work, jobs=jobs)
    for one in ended:
        if one.error is not None:
            raise one.error
    stop.check()
    return [one.result for one in ended]


def _observe(reach: Reach, name: str) -> _Database:
    with connect(reach(name)) as connection:
        amcheck, why_not = _amcheck(connection)

        def named(query: LiteralString) -> Names:
            return tuple((name, str(one)) for one in _column(connection, query))

        modern = connection.info.server_version >= 150000
        found = Examined(
            databases=(name,),
            invalid=named(asked.INVALID),
            behind=tuple(_behind(connection, name)),
            unpopulated=named(asked.UNPOPULATED),
            collations=(named(asked.DATABASE_COLLATION) if modern else ()) + named(asked.COLLATIONS),
            extensions=named(asked.EXTENSIONS),
            security=security(connection, name),
        )
        tables = tuple(connection.execute(asked.TABLES).fetchall())
        indexes = tuple(connection.execute(asked.INDEXES).fetchall())
    return _Database(name, tables, indexes, amcheck, why_not, found)


def _amcheck(connection: Connection) -> tuple[str | None, str | None]:
    """Find amcheck, or create it in the copy: the original is not touched."""
    if found := _column(connection, asked.AMCHECK):
        return str(found[0]), None
    schema = sql.Identifier(asked.OWN_SCHEMA)
    try:
        with connection.transaction():
            connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(schema))
            connection.execute(sql.SQL("CREATE EXTENSION amcheck SCHEMA {}").format(schema))
    except psycopg.Error as error:
        return None, redact(str(error).splitlines()[0])
    return asked.OWN_SCHEMA, None


def _behind(connection: Connection, database: str) -> list[Behind]:
    found: list[Behind] = []
    for sequence, schema, table, column, last, start in connection.execute(asked.SEQUENCES).fetchall():
        query = sql.SQL("SELECT max({})::bigint FROM {}").format(sql.Identifier(column), sql.Identifier(schema, table))
        try:
            highest = connection.execute(query).fetchone()
        except psycopg.Error:
            continue  # the table is told when its rows are counted
        if highest and highest[0] is not None and highest[0] >= (start if last is None else last + 1):
            found.append(Behind(database, sequence, f"{schema}.{table}.{column}", last, highest[0]))
    return found


def _cut(one: _Database, jobs: int) -> list[_Shard]:
    """Deal out tables and indexes, the large ones first."""
    shards = (
        _Shard(one.name, one.tables[n::jobs], one.indexes[jobs - 1 - n :: jobs] if one.amcheck else (), one.amcheck)
        for n in range(jobs)
    )
    return [shard for shard in shards if shard.tables or shard.indexes]


def _look(reach: Reach, shard: _Shard) -> tuple[list[Table], list[BadIndex]]:
    with connect(reach(shard.database)) as connection:
        # an index-only scan would count rows that nobody has read
        for kind in ("indexscan", "indexonlyscan", "bitmapscan"):
            connection.execute(sql.SQL("SET {} = off").format(sql.SQL(f"enable_{kind}")))  # pyright: ignore[reportArgumentType]
        tables = [_count(connection, shard.database, *name) for name in shard.tables]
        bad: list[BadIndex] = []
        for oid, name in shard.indexes:
            stop.check()
            query = sql.SQL("SELECT {}.bt_index_check(%s::oid::regclass, true)").format(
                sql.Identifier(shard.amcheck or "")
            )
            try:
                connection.execute(query, (oid,))
            except psycopg.Error as error:
                bad.append(BadIndex(shard.database, name, _problem(error)))
    return tables, bad


def _count(connection: Connection, database: str, schema: str, table: str) -> Table:
    stop.check()
    name = f"{schema}.{table}"
    try:
        query = sql.SQL("SELECT count(*) FROM ONLY {}").format(sql.Identifier(schema, table))
        row = connection.execute(query).fetchone()
    except psycopg.Error as error:
        return Table(database, name, None, _problem(error))
    return Table(database, name, row[0] if row else 0)


def _problem(error: psycopg.Error) -> Problem:
    if error.sqlstate is None:
        raise error  # the server went away
    return Problem(redact(str(error).strip()).replace("\n", " "), error.sqlstate in _CORRUPT)
