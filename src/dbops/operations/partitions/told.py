"""What `partition list` tells of each table; pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from dbops.operations.partitions import bounds
from dbops.operations.partitions.bounds import Kind, Span
from dbops.operations.partitions.facts import Parent, Partition, Wish


@dataclass(frozen=True, slots=True)
class Part:
    schema: str
    name: str
    start: datetime | None
    end: datetime | None
    rows: int | None  # None: never counted
    size_bytes: int | None
    indexes: int
    lacking_indexes: tuple[str, ...]
    row_security: bool
    forced: bool
    policies: int
    detach_pending: bool
    divided: bool
    current: bool


@dataclass(frozen=True, slots=True)
class Table:
    """A partitioned table as it is; instants of a key without a zone are its wall clock."""

    schema: str
    name: str
    strategy: str
    column: str | None
    configured: bool
    parts: tuple[Part, ...]
    default: Part | None
    default_rows: int
    gaps: tuple[Span, ...]
    overlaps: int
    exact: bool
    covered_until: datetime | None  # None: without an end, or not even now
    now_covered: bool
    runway: timedelta | None  # None: without an end
    newest: datetime | None
    rows_per_day: float | None
    bytes_per_day: float | None


@dataclass(frozen=True, slots=True)
class Listed:
    target: str
    standby: bool
    tables: tuple[Table, ...]
    hypertables: tuple[str, ...]


def table(parent: Parent, wish: Wish | None, now: datetime, *, exact: bool) -> Table:
    kind = parent.kind or Kind.TIMESTAMPTZ
    here = (wish or Wish(parent.place)).grid(kind).now(now)
    timed = parent.strategy == "range" and parent.kind is not None
    spans = [one.span for one in parent.attached] if timed else []
    until = bounds.covered_until(spans, here)
    rate = per_day(parent, here) if timed else None
    return Table(
        parent.schema,
        parent.name,
        parent.strategy,
        parent.column,
        wish is not None,
        tuple(_part(one, here) for one in parent.partitions),
        _part(parent.default, here) if parent.default else None,
        sum(count for _, count in parent.default_rows),
        tuple(bounds.gaps(spans)),
        len(bounds.overlaps(spans)),
        exact,
        until if until is not None and until > here else None,
        any(span.holds(here) for span in spans),
        runway(parent, here) if timed else None,
        parent.newest,
        rate[0] if rate else None,
        rate[1] if rate else None,
    )


def runway(parent: Parent, here: datetime) -> timedelta | None:
    """Return how long rows go on finding a partition, from where they are written: that may be ahead of the clock."""
    spans = [one.span for one in parent.attached]
    writing = max(here, parent.newest) if parent.newest is not None else here
    until = bounds.covered_until(spans, here)
    if until is None:
        return None
    return max(timedelta(0), until - writing)


def per_day(parent: Parent, here: datetime, *, over: timedelta = timedelta(days=92)) -> tuple[float, float] | None:
    """Return rows and bytes a day, measured on whole partitions that ended lately; None where there are none."""
    seconds, rows, size = 0.0, 0, 0
    for one in parent.attached:
        start, end = one.span.start, one.span.end
        if start is not None and end is not None and here - over <= end <= here and one.rows is not None:
            seconds += (end - start).total_seconds()
            rows += one.rows
            size += one.size_bytes or 0
    return (rows / seconds * 86_400, size / seconds * 86_400) if seconds else None


def _part(one: Partition, here: datetime) -> Part:
    return Part(
        one.schema,
        one.name,
        one.span.start,
        one.span.end,
        one.rows,
        one.size_bytes,
        len(one.indexes),
        one.lacking_indexes,
        one.row_security,
        one.forced,
        len(one.policies),
        one.detach_pending,
        one.partitioned,
        not one.default and not one.detach_pending and one.span.holds(here),
    )
