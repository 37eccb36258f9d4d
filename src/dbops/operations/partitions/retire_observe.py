"""Look at a partitioned table: what hangs on it, what has left it, and which of it nobody has to keep any more."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from psycopg import sql

from dbops.copies import rows
from dbops.copies.manifest import MANIFEST
from dbops.engine.plan import Statement
from dbops.errors import Refused
from dbops.operations.partitions import retire_queries as queries
from dbops.operations.partitions.bounds import Kind
from dbops.operations.partitions.facts import Policies, Wish
from dbops.operations.partitions.observe import parse
from dbops.operations.partitions.retire_facts import Part, Retired
from dbops.operations.partitions.retire_ledger import KINDS, Story, stories
from dbops.stores.postgres import Connection
from dbops.stores.vault import Store

_EVER = datetime.min.replace(tzinfo=UTC)


def observe(
    connection: Connection,
    wish: Wish,
    *,
    target: str,
    now: datetime,
    ledger: int | None,
    install: tuple[Statement, ...],
    vault: Callable[[], Store] | None,
) -> Retired:
    schema, table = wish.table
    oid, column, zoned, default, standby = _table(connection, schema, table, target=target)
    zone = None if zoned else ZoneInfo(wish.zone)
    told = _told(connection, target) if ledger is not None else {}
    mine = {one: story for one, story in told.items() if story.left and story.parent == f"{schema}.{table}"}
    asked = {"parent": oid, "left": list(mine)}
    parts = [
        part
        for row in connection.execute(queries.PARTS, asked).fetchall()
        if (part := _part(row, told.get(row[0], Story()), wish, zone)) is not None
    ]
    grantees = dict(connection.execute(queries.GRANTEES, ([part.oid for part in parts],)).fetchall())
    parts = [replace(part, grantees=tuple(grantees.get(part.oid, ()))) for part in parts]
    parts = _with_retention(connection, parts, wish, now)
    parts = _with_references(connection, parts, oid)
    if vault is not None:
        parts = _with_copies(parts, vault)
    pending = tuple((part.schema, part.name) for part in parts if part.pending)
    parts.sort(key=lambda part: (part.begin or _EVER, part.name))
    return Retired(target, oid, schema, table, column, tuple(parts), default, pending, standby, install)


def _table(connection: Connection, schema: str, table: str, *, target: str) -> tuple[int, str, bool, str | None, bool]:
    row = connection.execute(queries.TABLE, (schema, table)).fetchone()
    if row is None:
        raise Refused(f"there is no table {schema}.{table}", hint="run its migrations first", target=target)
    oid, _, _, kind, strategy, keys, column, type_, default, default_schema, standby = row
    if kind != "p" or strategy != "r" or keys != 1 or column is None:
        told = f"{schema}.{table} is not partitioned by the range of one column"
        raise Refused(told, hint="partition retire knows no other kind", target=target)
    return oid, column, type_ == Kind.TIMESTAMPTZ, None if default is None else f"{default_schema}.{default}", standby


def _told(connection: Connection, target: str) -> dict[int, Story]:
    return stories(connection.execute(queries.ENTRIES, (target, list(KINDS))).fetchall())


def _part(row: tuple[Any, ...], story: Story, wish: Wish, zone: ZoneInfo | None) -> Part | None:
    oid, schema, name, leaf, attached, pending, bound, size, count, keys, peers, pointed = row
    bound = bound if bound is not None else story.bound
    span, default = parse(bound)
    if default:
        return None
    begin, end = _instant(span.start, zone), _instant(span.end, zone)
    gone = not attached or pending
    return Part(
        oid=oid,
        schema=schema,
        name=name,
        home=story.home if gone and story.left else schema,
        bound=bound,
        begin=begin,
        end=end,
        attached=attached,
        pending=pending,
        leaf=leaf,
        bytes=size,
        rows=count,
        foreign_keys=tuple(keys or ()),
        peers=tuple(peers or ()),
        referenced_by=tuple(pointed or ()),
        held=_hold(wish, begin, end),
        copied=story.copied,
        sealed=story.sealed and not attached,
        agreed=story.agreed and not attached,
        grace_since=story.grace_since if not attached else None,
        restored=story.restored,
    )


def _instant(bound: datetime | None, zone: ZoneInfo | None) -> datetime | None:
    """Tell the instant of a bound; dates and local timestamps come as if they were UTC, and are those of `zone`."""
    return bound if bound is None or zone is None else bound.replace(tzinfo=zone)


def _hold(wish: Wish, begin: datetime | None, end: datetime | None) -> str | None:
    """Tell the reason of the hold that a partition has a part of."""
    zone = ZoneInfo(wish.zone)
    for hold in wish.holds:
        first, last = (datetime.combine(day, time(), zone) for day in (hold.first, hold.last))
        if (end is None or first < end) and (begin is None or begin < last):
            return hold.reason
    return None


def _with_retention(connection: Connection, parts: list[Part], wish: Wish, now: datetime) -> list[Part]:
    if wish.policies is None:
        return [replace(part, keep=wish.retention) for part in parts]
    with rows.snapshot(connection):
        shortest = _shortest(connection, wish.policies)
        found: list[Part] = []
        for part in parts:
            over = part.end is not None and part.end + shortest <= now
            looked = over and part.leaf and part.attached
            found.append(_judged(connection, part, wish, wish.policies) if looked else part)
    return found


def _shortest(connection: Connection, policies: Policies) -> timedelta:
    """Spare younger partitions the look into all of their rows."""
    query = sql.SQL("SELECT min({}) FROM {}").format(sql.Identifier(policies.days), sql.Identifier(*policies.table))
    row = connection.execute(query).fetchone()
    return timedelta(days=row[0]) if row is not None and row[0] is not None else timedelta(0)


def _judged(connection: Connection, part: Part, wish: Wish, policies: Policies) -> Part:
    """Tell how long the longest kept row of a partition is kept, and which kinds of rows no policy knows."""
    query = sql.SQL(
        "SELECT coalesce(k.kind, '(none)'), p.{days} FROM (SELECT DISTINCT r.{kind}::text AS kind FROM {part} r) k"
        " LEFT JOIN {table} p ON p.{kind}::text = k.kind ORDER BY 1"
    ).format(
        days=sql.Identifier(policies.days),
        kind=sql.Identifier(policies.kind),
        part=sql.Identifier(part.schema, part.name),
        table=sql.Identifier(*policies.table),
    )
    found = connection.execute(query).fetchall()
    unknown = tuple(kind for kind, days in found if days is None)
    told = [timedelta(days=days) for _, days in found if days is not None]
    least = wish.retention or timedelta(0)  # beside policies, what the table itself is kept at least
    return replace(part, keep=max([least, *told]), unknown=unknown, empty=not found)


def _with_references(connection: Connection, parts: list[Part], oid: int) -> list[Part]:
    """Look which partitions rows of other tables point into, through foreign keys to the whole table."""
    incoming = connection.execute(queries.INCOMING, (oid,)).fetchall()
    if not incoming:
        return parts
    found: list[Part] = []
    with rows.snapshot(connection):
        for part in parts:
            names = set(part.referenced_by)
            for schema, table, columns, ours in incoming if part.attached and part.leaf else ():
                query = sql.SQL("SELECT EXISTS (SELECT FROM {} f JOIN {} p ON ({}) = ({}))").format(
                    sql.Identifier(schema, table),
                    sql.Identifier(part.schema, part.name),
                    sql.SQL(", ").join(sql.SQL("f.{}").format(sql.Identifier(name)) for name in columns),
                    sql.SQL(", ").join(sql.SQL("p.{}").format(sql.Identifier(name)) for name in ours),
                )
                row = connection.execute(query).fetchone()
                names |= {f"{schema}.{table}"} if row is not None and row[0] else set()
            found.append(replace(part, referenced_by=tuple(sorted(names))))
    return found


def _with_copies(parts: list[Part], vault: Callable[[], Store]) -> list[Part]:
    """Look whether the copies that the ledger tells of are still there."""
    found: list[Part] = []
    for part in parts:
        copied = part.copied
        if copied is not None:
            there = vault().head(copied.folder + MANIFEST) is not None
            copied = replace(copied, in_vault=there)
        found.append(replace(part, copied=copied))
    return found
