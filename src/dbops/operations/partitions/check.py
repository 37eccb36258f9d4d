"""Judge partitioned tables; pure."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from dbops import units
from dbops.engine.finding import Finding, Severity
from dbops.errors import DbopsError
from dbops.operations.partitions import bounds, plan, told
from dbops.operations.partitions.bounds import Grid, Span
from dbops.operations.partitions.facts import Facts, Parent, Partition, Wish


def unverified(target: str, error: DbopsError) -> Finding:
    return Finding(Severity.UNKNOWN, "DBP100", target, f"could not verify: {error.message}", error.hint)


def while_ensuring(facts: Facts, wishes: Sequence[Wish], now: datetime) -> Iterator[Finding]:
    """Tell what `ensure` leaves alone, and why."""
    target = facts.target
    if facts.standby:
        yield Finding(Severity.INFO, "DBP117", target, "the server is a standby: skipped")
        return
    for wish in wishes:
        parent = facts.parent(wish.table)
        if parent is None or not plan.usable(parent, wish):
            yield from _unusable(facts, wish)
            continue
        for piece in plan.missing(parent, wish, now):
            if plan.blocked(parent, piece):
                span = span_told(piece.span)
                message = f"{parent.told}: its default partition has rows of {span}, so no partition can be attached"
                hint = "draining a default partition comes later; until then its rows stay where they are"
                yield Finding(Severity.WARNING, "DBP105", target, message, hint)
                if piece.for_now:
                    yield _not_now(target, parent)


def _not_now(target: str, parent: Parent) -> Finding:
    message = f"{parent.told} has no partition for now"
    return Finding(Severity.MISSED, "DBP101", target, message, "dbops partition ensure; runbook partition-runway")


def _unusable(facts: Facts, wish: Wish) -> Iterator[Finding]:
    name, parent = ".".join(wish.table), facts.parent(wish.table)
    if wish.table in facts.hypertables:
        message = f"{name} is a hypertable: TimescaleDB makes and drops its chunks, dbops leaves it alone"
        yield Finding(Severity.INFO, "DBP114", facts.target, message)
        return
    if parent is None:
        why = "there is no such partitioned table"
    elif parent.strategy != "range":
        why = f"it is partitioned by {parent.strategy}, not by range"
    elif parent.column is None or parent.kind is None:
        why = "its key is not one column of type date, timestamp or timestamptz"
    elif wish.column is not None and wish.column != parent.column:
        why = f"its key is {parent.column}, the configuration says {wish.column}"
    else:
        why = "its partitions are divided more than once"
    hint = "correct [postgres.NAME.partition.TABLE], or migrate the table first"
    yield Finding(Severity.UNKNOWN, "DBP116", facts.target, f"{name}: {why}", hint)


def check(facts: Facts, wishes: Sequence[Wish], now: datetime) -> Iterator[Finding]:
    target = facts.target
    for wish in wishes:
        parent = facts.parent(wish.table)
        if parent is None or not plan.usable(parent, wish) or parent.kind is None:
            yield from _unusable(facts, wish)
            continue
        grid = wish.grid(parent.kind)
        yield from _runway(target, parent, wish, grid, now)
        yield from _order(target, parent, grid)
        yield from _default(target, parent, wish)
        yield from _overdue(target, parent, wish, grid.now(now))
        for part in parent.attached:
            yield from _like_the_parent(target, parent, part)
    known = {wish.table for wish in wishes}
    for parent in facts.parents:
        if parent.strategy == "range" and parent.kind is not None and parent.place not in known:
            message = f"{parent.told} is partitioned by time and not configured: nobody makes its partitions"
            hint = f"add [postgres.{target}.partition.{parent.told}]"
            yield Finding(Severity.WARNING, "DBP115", target, message, hint)
    for name in facts.hypertables:
        if name not in known:
            yield Finding(Severity.INFO, "DBP114", target, f"{'.'.join(name)} is a hypertable, and left to TimescaleDB")


def promised(wish: Wish, grid: Grid, now: datetime) -> timedelta:
    """Return how much runway there has to be."""
    return wish.runway if wish.runway is not None else (grid.ahead(grid.now(now), wish.premake) - grid.now(now)) / 2


def _runway(target: str, parent: Parent, wish: Wish, grid: Grid, now: datetime) -> Iterator[Finding]:
    here = grid.now(now)
    if not any(one.span.holds(here) for one in parent.attached):
        yield _not_now(target, parent)
        return
    left = told.runway(parent, here)
    wanted = promised(wish, grid, now)
    if left is not None and left < wanted:
        message = f"{parent.told}: {units.duration(left)} of runway, {units.duration(wanted)} are promised"
        yield Finding(Severity.MISSED, "DBP102", target, message, "dbops partition ensure")


def _order(target: str, parent: Parent, grid: Grid) -> Iterator[Finding]:
    spans = [one.span for one in parent.attached]
    holes = bounds.gaps(spans)
    if holes:
        message = f"{parent.told}: rows of {units.some(map(span_told, holes))} have no partition"
        yield Finding(Severity.WARNING, "DBP103", target, message, "dbops partition ensure fills gaps")
    for one, two in bounds.overlaps(spans):
        message = f"{parent.told}: partitions overlap, {span_told(one)} and {span_told(two)}"
        yield Finding(Severity.BAD, "DBP104", target, message, "detach the one that is wrong")
    odd = [
        one.name
        for one in parent.attached
        if not all(edge is None or grid.is_start(edge) for edge in (one.span.start, one.span.end))
    ]
    if odd:
        message = f"{parent.told}: bounds are not at starts of {grid.interval.value} in {grid.zone}: {units.some(odd)}"
        hint = "made in a session of another zone? ensure respects them; rows near them lie in the neighbour"
        yield Finding(Severity.WARNING, "DBP110", target, message, hint)
    for one in parent.pending:
        message = f"{parent.told}: the detach of {one.name} was interrupted and is pending"
        yield Finding(Severity.WARNING, "DBP112", target, message, "dbops partition ensure finishes it")


def _default(target: str, parent: Parent, wish: Wish) -> Iterator[Finding]:
    if parent.default is None:
        return
    rows = sum(count for _, count in parent.default_rows)
    if rows:
        where = units.some(span_told(span) for span, _ in parent.default_rows)
        message = f"{parent.told}: {rows} rows in the default partition, of {where}"
        hint = "no partition of these ranges can be attached; draining a default partition comes later"
        yield Finding(Severity.WARNING, "DBP105", target, message, hint)
    elif wish.default == "none":
        message = f"{parent.told} has an empty default partition: every ATTACH blocks its readers"
        yield Finding(Severity.WARNING, "DBP106", target, message, f"dbops partition default drop {parent.told}")


def _overdue(target: str, parent: Parent, wish: Wish, here: datetime) -> Iterator[Finding]:
    if wish.retention is None or wish.policies is not None:
        return
    limit = here - wish.retention
    old = [one.name for one in parent.attached if one.span.end is not None and one.span.end <= limit]
    if old:
        message = f"{parent.told}: {len(old)} partitions are past their retention: {units.some(old)}"
        yield Finding(Severity.WARNING, "DBP111", target, message, "dbops partition retire --plan")


def _like_the_parent(target: str, parent: Parent, part: Partition) -> Iterator[Finding]:
    """What a partition lacks shows when it is read by its own name."""
    lacks = [
        *(["row security"] if parent.row_security and not part.row_security else []),
        *(["forced row security"] if parent.forced and not part.forced else []),
        *(f"policy {name}" for name in parent.policies if name not in part.policies),
    ]
    if lacks:
        message = (
            f"{part.name} lacks {units.some(lacks)} of {parent.told}: read by its name, it shows other tenants' rows"
        )
        yield Finding(Severity.BAD, "DBP107", target, message, "see runbook partition-runway, step 4")
    if part.lacking_indexes:
        message = f"{part.name} has no valid part of {units.some(part.lacking_indexes)}"
        hint = "create it on the partition CONCURRENTLY, then ALTER INDEX ... ATTACH PARTITION"
        yield Finding(Severity.WARNING, "DBP108", target, message, hint)
    more = sorted({(r.grantee or "PUBLIC", r.privilege) for r in set(part.rights) - set(parent.rights)})
    if more:
        message = f"{part.name} grants more than {parent.told}: {units.some(' '.join(one) for one in more)}"
        yield Finding(Severity.WARNING, "DBP109", target, message, "dbops roles plan; or REVOKE it")
    if part.owner != parent.owner:
        message = f"{part.name} belongs to {part.owner}, {parent.told} to {parent.owner}"
        yield Finding(Severity.WARNING, "DBP109", target, message, "ALTER TABLE ... OWNER TO ...")


def span_told(span: Span) -> str:
    return f"{bounds.edge(span.start)} to {bounds.edge(span.end)}"
