"""Read partitioned tables into facts, in one snapshot that changes nothing."""

import re
from collections import defaultdict
from collections.abc import Collection, Generator, Iterable
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, LiteralString

from psycopg import errors, sql
from psycopg.rows import tuple_row

from dbops.operations.partitions import queries
from dbops.operations.partitions.bounds import Grid, Kind, Span
from dbops.operations.partitions.facts import Child, Facts, Name, Parent, Partition, Policy, Right, Shape
from dbops.stores import ledger
from dbops.stores.postgres import Connection

_BOUND = re.compile(r"FOR VALUES FROM \((.*)\) TO \((.*)\)", re.DOTALL)
_VALUE = re.compile(r"MINVALUE|MAXVALUE|'((?:[^']|'')*)'")
_PATIENCE = "2s"  # for what only informs


def _rows(connection: Connection, query: LiteralString, values: dict[str, Any] | None = None) -> list[Any]:
    with connection.cursor(row_factory=tuple_row) as cursor:
        return cursor.execute(query, values).fetchall()


@contextmanager
def snapshot(connection: Connection) -> Generator[None]:
    """Look at one instant; names are spelled in full, bounds in UTC, whatever the session says."""
    with connection.transaction():
        connection.execute(
            "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY;"
            "SET LOCAL search_path = pg_catalog; SET LOCAL TimeZone = 'UTC'; SET LOCAL DateStyle = 'ISO, YMD'"
        )
        yield


def observe(
    connection: Connection, *, target: str, asked: Iterable[Name] = (), details: bool = False, shapes: bool = False
) -> Facts:
    """Read every partitioned table that is no partition itself, and those of `asked` that are.

    `details` are what people want to know (sizes, indexes); `shapes` what a new partition has to be like.
    """
    with snapshot(connection):
        standby, timescale, user = _rows(connection, queries.CONTEXT)[0]
        rows = _rows(connection, queries.PARENTS, {"asked": [f"{schema}.{name}" for schema, name in asked]})
        oids = [row[0] for row in rows]
        partitions = _partitions(connection, oids, details=details)
        rights = _rights(connection, [*oids, *(one.oid for found in partitions.values() for one in found)])
        parents = [_parent(row, partitions[row[0]], rights) for row in rows]
        if shapes:
            parents = [_shaped(connection, parent, user) for parent in parents]
        hypertables = _rows(connection, queries.HYPERTABLES) if timescale else []
        version = ledger.observe(connection, target=target)
    return Facts(target, standby, tuple(parents), tuple((schema, name) for schema, name in hypertables), version)


def _parent(row: tuple[Any, ...], partitions: list[Partition], rights: dict[int, list[Right]]) -> Parent:
    oid, schema, name, strategy, column, type_, owner, secured, forced, policies, peers, litter = row
    kind = Kind(type_) if type_ in set(Kind) else None
    found = [replace(one, rights=tuple(rights.get(one.oid, ()))) for one in partitions]
    return Parent(
        oid,
        schema,
        name,
        strategy,
        column,
        kind if column is not None else None,
        owner,
        secured,
        forced,
        tuple(policies),
        tuple(rights.get(oid, ())),
        tuple((peer[0], peer[1]) for peer in peers),
        tuple(sorted((one for one in found if not one.default), key=_by_time)),
        next((one for one in found if one.default), None),
        litter=tuple(litter),
    )


def _by_time(one: Partition) -> tuple[bool, datetime, str]:
    start = one.span.start
    return (start is not None, start or datetime.min.replace(tzinfo=UTC), one.name)


def _partitions(connection: Connection, parents: list[int], *, details: bool) -> dict[int, list[Partition]]:
    found: dict[int, list[Partition]] = defaultdict(list)
    asked = {"parents": parents}
    more = {row[0]: row[1:] for row in _rows(connection, queries.DETAILS, asked)} if details else {}
    for parent, oid, schema, name, bound, pending, divided, secured, forced, owner, rows in _rows(
        connection, queries.PARTITIONS, asked
    ):
        span, default = parse(bound or "")
        told = Partition(
            oid,
            schema,
            name,
            span,
            default=default,
            detach_pending=pending,
            partitioned=divided,
            rows=rows,
            row_security=secured,
            forced=forced,
            owner=owner,
            bound=bound or "",
        )
        if oid in more:
            size, estimate, indexes, lacking, policies = more[oid]
            told = replace(
                told,
                size_bytes=size,
                rows=estimate,
                indexes=tuple(indexes),
                lacking_indexes=tuple(lacking),
                policies=tuple(policies),
            )
        found[parent].append(told)
    return found


def _rights(connection: Connection, oids: list[int]) -> dict[int, list[Right]]:
    found: dict[int, list[Right]] = defaultdict(list)
    for oid, grantee, privilege, grantable, column in _rows(connection, queries.RIGHTS, {"oids": oids}):
        found[oid].append(Right(grantee, privilege, grantable, column))
    return found


def parse(bound: str) -> tuple[Span, bool]:
    """Read the bounds of a range partition as pg_get_expr writes them; tell whether it is the default.

    Of several columns the first decides. What no datetime can be (infinity, before Christ) counts as no bound.
    """
    match = _BOUND.fullmatch(bound)
    if match is None:
        return Span(None, None), bound == "DEFAULT"
    return Span(_instant(match[1]), _instant(match[2])), False


def _instant(text: str) -> datetime | None:
    value = _VALUE.match(text)
    if value is None or value[1] is None:
        return None
    with suppress(ValueError):
        moment = datetime.fromisoformat(value[1])
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    return None


def _shaped(connection: Connection, parent: Parent, user: str) -> Parent:
    asked = {"parent": parent.oid, "schema": parent.schema, "name": parent.name[:40]}
    identity, index, tablespace, comment, targets, grantees = _rows(connection, queries.SHAPE, asked)[0]
    policies = [
        Policy(name, permissive, command, tuple(roles), using, check, told)
        for name, permissive, command, roles, using, check, told in _rows(connection, queries.POLICIES, asked)
    ]
    options: list[str] = []
    publications: list[str] = []
    divided, children = None, []
    if parent.attached:
        sibling = {**asked, "sibling": parent.attached[-1].oid}
        options, publications, divided, children = _rows(connection, queries.SIBLING, sibling)[0]
        prefix = parent.attached[-1].name
        children = [_child(prefix, name, bound, kind) for name, bound, kind in children]
    return replace(
        parent,
        taken=frozenset(name for (name,) in _rows(connection, queries.TAKEN, asked)),
        shape=Shape(
            user,
            tuple(policies),
            tuple(grantees),
            identity,
            index,
            tablespace,
            comment,
            tuple(options),
            tuple((name, int(number)) for name, number in targets),
            tuple(publications),
            divided,
            tuple(children),
        ),
    )


def _child(prefix: str, name: str, bound: str, kind: str) -> Child:
    """Name what a partition of the sibling adds to the sibling's name; `kind` p: divided once more."""
    suffix = name.removeprefix(prefix) if name.startswith(prefix) else f"_{name}"
    return Child(suffix, bound, divided=kind == "p")


def default_rows(
    connection: Connection, parent: Parent, grid: Grid, *, within: Collection[Span] = ()
) -> tuple[tuple[Span, int], ...]:
    """Count the rows of the default partition by cell; of `within` alone, and then only whether there are any."""
    if parent.default is None or parent.column is None:
        return ()
    table, column = sql.Identifier(*parent.default.place), sql.Identifier(parent.column)
    with snapshot(connection):
        if within:
            return tuple((span, 1) for span in within if _any(connection, table, column, span))
        rows = connection.execute(
            sql.SQL("SELECT date_trunc('day', {0}::timestamp), count(*) FROM ONLY {1} GROUP BY 1 ORDER BY 1").format(
                column, table
            )
        ).fetchall()
    counted: dict[Span, int] = {}
    for day, count in rows:
        span = grid.cell(day.replace(tzinfo=UTC)) if isinstance(day, datetime) else Span(None, None)
        counted[span] = counted.get(span, 0) + count
    return tuple(counted.items())


def _any(connection: Connection, table: sql.Identifier, column: sql.Identifier, span: Span) -> bool:
    query = sql.SQL("SELECT EXISTS (SELECT FROM ONLY {} WHERE {} >= {} AND {} < {})").format(
        table, column, sql.Literal(str(span.start)), column, sql.Literal(str(span.end))
    )
    row = connection.execute(query).fetchone()
    return row is not None and bool(row[0])


def newest(connection: Connection, parent: Parent) -> datetime | None:
    """Return the newest row's key, from the newest partition that has rows; None where that takes too long."""
    if parent.column is None:
        return None
    with suppress(errors.QueryCanceled, errors.LockNotAvailable), snapshot(connection):
        connection.execute(
            "SELECT set_config('statement_timeout', %s, true), set_config('lock_timeout', '200ms', true)", (_PATIENCE,)
        )
        for one in reversed(parent.attached):
            row = connection.execute(
                sql.SQL("SELECT max({})::timestamptz FROM {}").format(
                    sql.Identifier(parent.column), sql.Identifier(*one.place)
                )
            ).fetchone()
            if row is not None and isinstance(row[0], datetime):
                return row[0].astimezone(UTC)
    return None


def counted(connection: Connection, parent: Parent) -> Parent:
    """Count the rows of each partition, where an estimate is not enough."""

    def count(one: Partition) -> Partition:
        row = connection.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(*one.place))).fetchone()
        return replace(one, rows=int(row[0]) if row else None)

    with snapshot(connection):
        default = count(parent.default) if parent.default else None
        return replace(parent, partitions=tuple(count(one) for one in parent.partitions), default=default)
