"""Find a target in the log: the record that recovery will stop at, and the commits on both of its sides."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from dbops.operations.clusters.reach.commits import Reader
from dbops.operations.clusters.reach.facts import Losses, Mark
from dbops.operations.clusters.reach.observe import Open

_NEAR = 3  # segments that are read at once while searching
_LOST = 64  # segments in which lost commits are counted; beyond that they are estimated
_SEARCHED = 512  # segments that are searched for a name or a transaction
_STEP = 16


@dataclass(frozen=True, slots=True)
class Stop:
    """Where recovery stops: before `at`, with what was committed before it."""

    at: int  # records that begin here or later are not applied
    before: Mark | None
    after: Mark | None


def at_time(reader: Reader, one: Open, moment: datetime, *, exclusive: bool) -> Stop | None:
    """Find the first transaction that ended after a moment; without one recovery would fail at the end."""
    low, high = _narrowed(reader, one, moment)
    before: Mark | None = None
    for mark in reader.marks(max(low - 1, min(one.first, one.run[1])), high):
        if mark.lsn < one.stop:
            before = mark if mark.committed else before
        elif mark.at > moment or (exclusive and mark.at == moment):
            return Stop(mark.lsn, before, _committed(reader, mark, one.run[1], high))
        elif mark.committed:
            before = mark
    return None


def _committed(reader: Reader, mark: Mark, last: int, high: int) -> Mark | None:
    """Find the first commit from a record on: recovery also stops before a rollback."""
    if mark.committed:
        return mark
    start = mark.lsn // reader.archive.segment_size
    later = reader.marks(start, min(high + _NEAR, last))
    return next((one for one in later if one.committed and one.lsn > mark.lsn), None)


def _narrowed(reader: Reader, one: Open, moment: datetime) -> tuple[int, int]:
    """Halve the range until few segments are left; commits are nearly in the order of their times.

    From `high` on the first transaction ended after the moment, and it did so in segment `top`.
    """
    low, high = min(one.last, one.run[1]), one.run[1]
    top = high
    while high - low > _NEAR:
        middle = (low + high) // 2
        first = _first(reader, middle, high)
        if first is None:
            high = middle
        elif first.at > moment:
            high, top = middle, _of(reader, first)
        else:
            low = max(middle, min(_of(reader, first), high - 1))
    return low, min(max(high, top) + 1, one.run[1])


def _of(reader: Reader, mark: Mark) -> int:
    return mark.lsn // reader.archive.segment_size


def _first(reader: Reader, start: int, last: int) -> Mark | None:
    """Find the first end of a transaction from a segment on."""
    at = start
    while at <= last:
        if (mark := next(reader.marks(at, min(at + _NEAR, last)), None)) is not None:
            return mark
        at += _NEAR
    return None


def at_lsn(reader: Reader, one: Open, wanted: int, *, exclusive: bool) -> Stop | None:
    """Find the first record at or after a position; unless left out, it is the last one that is applied."""
    size = reader.archive.segment_size
    here = min(wanted // size, one.run[1])
    record = reader.record_from(wanted, max(here - 1, min(one.first, here)), min(here + _NEAR, one.run[1]))
    if record is None:
        return None
    return around(reader, one, record if exclusive else record + 1)


def around(reader: Reader, one: Open, at: int) -> Stop:
    """Name the commits on both sides of a position; near it only, because a quiet log is long."""
    size, last = reader.archive.segment_size, one.run[1]
    here = min(at // size, last)
    before: Mark | None = None
    for mark in reader.marks(max(here - _STEP, min(one.first, here)), min(here + _STEP, last)):
        if not mark.committed:
            continue
        if mark.lsn >= at:
            return Stop(at, before, mark)
        before = mark
    return Stop(at, before, None)


def at_end(reader: Reader, one: Open) -> Stop:
    """Stop where the log stops."""
    end = (one.run[1] + 1) * reader.archive.segment_size
    return around(reader, one, end)


def at_start(reader: Reader, one: Open) -> Stop:
    """Stop as soon as the set is consistent."""
    return around(reader, one, one.stop)


def transaction(reader: Reader, first: int, last: int, xid: str) -> Iterator[Mark]:
    """Search the end of a transaction, the newest segments first: its number may have come round before."""
    for start, stop in _backwards(first, last):
        yield from reversed([mark for mark in reader.marks(start, stop) if mark.xid == int(xid)])


def point(reader: Reader, first: int, last: int, name: str) -> Iterator[Mark]:
    """Search restore points of a name, the newest first."""
    for start, stop in _backwards(first, last):
        yield from reversed([mark for mark in reader.points(start, stop) if mark.name == name])


def _backwards(first: int, last: int) -> Iterator[tuple[int, int]]:
    at = last
    while at >= first:
        start = max(first, at - _STEP + 1)
        yield start, min(at + 1, last)  # with the next one, for what straddles the border
        at = start - 1


def searched(first: int, last: int) -> tuple[int, bool]:
    """Tell from where a search begins, and whether that is all of it."""
    lowest = max(first, last - _SEARCHED + 1)
    return lowest, lowest == first


def losses(reader: Reader, one: Open, stop: Stop) -> Losses:
    """Count what was committed after the target; beyond some segments the rest is estimated."""
    size, last = reader.archive.segment_size, one.run[1]
    start = min(stop.at // size, last)
    counted_to = min(start + _LOST, last)
    count, newest = 0, None
    for mark in reader.marks(start, counted_to):
        if mark.committed and mark.lsn >= stop.at:
            count, newest = count + 1, mark.at
    if counted_to == last:
        return Losses(count, exact=True, last=newest)
    return Losses(count * (last - start + 1) // (counted_to - start + 1), exact=False, last=None)
