"""Calendar arithmetic of partitions: days, weeks, months, quarters, years, in any zone; pure.

Instants are aware. A `date` or a `timestamp` column knows no zone: its wall clock is written as if it were UTC.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

_MONTHS = 12


class Interval(StrEnum):
    DAY = "1 day"
    WEEK = "1 week"
    MONTH = "1 month"
    QUARTER = "3 months"
    YEAR = "1 year"

    @property
    def months(self) -> int:
        """How many months it takes; none where it counts days."""
        return {Interval.MONTH: 1, Interval.QUARTER: 3, Interval.YEAR: 12}.get(self, 0)


class Kind(StrEnum):
    """What the key is, as PostgreSQL calls it."""

    DATE = "date"
    TIMESTAMP = "timestamp without time zone"
    TIMESTAMPTZ = "timestamp with time zone"


@dataclass(frozen=True, slots=True)
class Span:
    """From `start` to just before `end`; None: without a bound on that side."""

    start: datetime | None
    end: datetime | None

    def holds(self, moment: datetime) -> bool:
        return (self.start is None or self.start <= moment) and (self.end is None or moment < self.end)

    def meets(self, other: "Span") -> bool:
        """Tell whether they have an instant in common."""
        before = self.end is not None and other.start is not None and self.end <= other.start
        after = other.end is not None and self.start is not None and other.end <= self.start
        return not before and not after


@dataclass(frozen=True, slots=True)
class Grid:
    """Where partitions begin: the starts of an interval, at midnight in a zone."""

    interval: Interval
    zone: str = "UTC"
    kind: Kind = Kind.TIMESTAMPTZ

    def day_of(self, moment: datetime) -> date:
        """Return the day that people in the zone write at that instant."""
        return (moment.astimezone(ZoneInfo(self.zone)) if self._zoned else moment).date()

    def at(self, day: date) -> datetime:
        midnight = datetime(day.year, day.month, day.day)  # noqa: DTZ001  # the zone comes next
        return _in_zone(midnight, ZoneInfo(self.zone)) if self._zoned else midnight.replace(tzinfo=UTC)

    def now(self, now: datetime) -> datetime:
        """Return what the column would hold for this instant."""
        return now if self._zoned else now.astimezone(ZoneInfo(self.zone)).replace(tzinfo=UTC)

    def cell(self, moment: datetime) -> Span:
        start = start_of(self.interval, self.day_of(moment))
        return Span(self.at(start), self.at(next_start(self.interval, start)))

    def cells(self, since: datetime, until: datetime) -> Iterator[Span]:
        """Yield every cell that has an instant in [since, until)."""
        cell = self.cell(since)
        while cell.start is not None and cell.end is not None and cell.start < until:
            yield cell
            cell = self.cell(cell.end)

    def ahead(self, now: datetime, count: int) -> datetime:
        """Return the end of the `count`th cell after the one of `now`."""
        day = start_of(self.interval, self.day_of(now))
        for _ in range(count + 1):
            day = next_start(self.interval, day)
        return self.at(day)

    def is_start(self, moment: datetime) -> bool:
        return self.cell(moment).start == moment

    @property
    def _zoned(self) -> bool:
        return self.kind is Kind.TIMESTAMPTZ


def start_of(interval: Interval, day: date) -> date:
    """Return the first day of the interval that `day` is in; weeks begin on Monday."""
    match interval:
        case Interval.DAY:
            return day
        case Interval.WEEK:
            return day - timedelta(days=day.weekday())
        case _:
            months = interval.months
            return date(day.year, (day.month - 1) // months * months + 1, 1)


def next_start(interval: Interval, start: date) -> date:
    match interval:
        case Interval.DAY:
            return start + timedelta(days=1)
        case Interval.WEEK:
            return start + timedelta(days=7)
        case _:
            years, month = divmod(start.month - 1 + interval.months, _MONTHS)
            return date(start.year + years, month + 1, 1)


def _in_zone(midnight: datetime, zone: ZoneInfo) -> datetime:
    """Read a wall clock as PostgreSQL does: a skipped one by the offset before, one that comes twice by the later."""
    first, second = midnight.replace(tzinfo=zone, fold=0), midnight.replace(tzinfo=zone, fold=1)
    before, after = first.utcoffset(), second.utcoffset()
    twice = before is not None and after is not None and before > after
    return (second if twice else first).astimezone(UTC)


def suffix(interval: Interval, start: date, *, whole: bool = True) -> str:
    """Name a cell; a piece of one (`whole` is false) by the day that it begins with."""
    if not whole or interval is Interval.DAY:
        return f"{start:%Y_%m_%d}"
    match interval:
        case Interval.WEEK:
            year, week, _ = start.isocalendar()
            return f"{year:04d}_w{week:02d}"
        case Interval.MONTH:
            return f"{start:%Y_%m}"
        case Interval.QUARTER:
            return f"{start:%Y}_q{(start.month - 1) // 3 + 1}"
        case Interval.YEAR:
            return f"{start:%Y}"


def _sorted(spans: Iterable[Span]) -> list[Span]:
    return sorted(spans, key=lambda s: (s.start is not None, s.start or datetime.min.replace(tzinfo=UTC)))


def without(cell: Span, taken: Sequence[Span]) -> list[Span]:
    """Return what is left of a cell beside what is taken already, whatever bounds that has."""
    left = [cell]
    for one in taken:
        left = [piece for part in left for piece in _less(part, one)]
    return left


def _less(part: Span, taken: Span) -> Iterator[Span]:
    if not part.meets(taken):
        yield part
        return
    if taken.start is not None and (part.start is None or part.start < taken.start):
        yield Span(part.start, taken.start)
    if taken.end is not None and (part.end is None or taken.end < part.end):
        yield Span(taken.end, part.end)


def gaps(spans: Iterable[Span]) -> list[Span]:
    """Return the holes between the first and the last."""
    found: list[Span] = []
    ordered = _sorted(spans)
    if not ordered:
        return found
    reached = ordered[0].end
    for span in ordered[1:]:
        if reached is None:
            break
        if span.start is not None and reached < span.start:
            found.append(Span(reached, span.start))
        reached = None if span.end is None else max(reached, span.end)
    return found


def overlaps(spans: Iterable[Span]) -> list[tuple[Span, Span]]:
    ordered = _sorted(spans)
    return [(one, two) for i, one in enumerate(ordered) for two in ordered[i + 1 : i + 2] if one.meets(two)]


def covered_until(spans: Iterable[Span], moment: datetime) -> datetime | None:
    """Return the first instant from `moment` on that no span holds; None: there is none."""
    for span in _sorted(spans):
        if span.holds(moment):
            if span.end is None:
                return None
            moment = span.end
    return moment


def edge(moment: datetime | None) -> str:
    """Write a bound for a person: a day where it is one, and nothing where there is no bound."""
    if moment is None:
        return "..."
    midnight = (moment.hour, moment.minute, moment.second, moment.microsecond) == (0, 0, 0, 0)
    return f"{moment:%Y-%m-%d}" if midnight else f"{moment:%Y-%m-%d %H:%M:%S}Z"
