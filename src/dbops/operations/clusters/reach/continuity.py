"""WAL without gaps: how far a backup reaches, along which timelines, and what is missing first.

Along a timeline positions only grow, also over its ancestors: up to a switch the ancestor's segments count, from the
segment of the switch on those of the descendant. So a timeline with its ancestors is one track of numbers.
"""

from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import TypeVar

from dbops.operations.clusters.archives import Archive, BackupSet, Runs
from dbops.operations.clusters.wal import Segment, Stretch, parse_lsn

Kept = TypeVar("Kept", bound=BackupSet)


@dataclass(frozen=True, slots=True)
class Lost:
    """A gap that somebody knows of, and why."""

    first: Segment
    last: Segment
    reason: str
    on: date


@dataclass(frozen=True, slots=True)
class Gap:
    """Segments that are not there, both ends included; `lost` when that was acknowledged."""

    first: Segment
    last: Segment
    lost: Lost | None = None

    @property
    def count(self) -> int:
        return self.last.number - self.first.number + 1


@dataclass(frozen=True, slots=True)
class Leg:
    """The part of a track that lies on one timeline: numbers from `first` up to, not including, `end`."""

    timeline: int
    first: int
    end: int | None  # None: as far as it goes
    end_lsn: int | None = None


@dataclass(frozen=True, slots=True)
class Track:
    """A timeline with its ancestors, oldest leg first, and what is there of it."""

    timeline: int
    legs: tuple[Leg, ...]
    runs: Runs

    def at(self, number: int) -> Segment:
        """Tell on which timeline a number of this track lies."""
        leg = next(leg for leg in reversed(self.legs) if leg.first <= number)
        return Segment(leg.timeline, number)

    def leg(self, timeline: int) -> Leg | None:
        return next((leg for leg in self.legs if leg.timeline == timeline), None)

    def run(self, number: int) -> tuple[int, int] | None:
        """Find the stretch that a number lies in."""
        at = bisect_right(self.runs, (number, 1 << 62)) - 1
        return self.runs[at] if at >= 0 and self.runs[at][1] >= number else None

    @property
    def last(self) -> int | None:
        return self.runs[-1][1] if self.runs else None


@dataclass(frozen=True, slots=True)
class Way:
    """How far a backup reaches along one timeline."""

    timeline: int
    until: Segment | None  # the last segment before anything is missing
    missing: Segment | None  # what ends the way before the archive ends; None: it goes to the archive's end


@dataclass(frozen=True, slots=True)
class Reach:
    """What a backup can be carried to: nothing, unless the WAL of its own making is there."""

    label: str
    complete: bool
    missing: Segment | None  # the first one of its own that is not there
    ways: tuple[Way, ...] = ()

    @property
    def until(self) -> Segment | None:
        """Return the last segment on the highest timeline that it reaches."""
        return max((way.until for way in self.ways if way.until is not None), default=None)


# ── Tracks and stretches ─────────────────────────────────────────────────────────────────────────


def stretches(archive: Archive) -> tuple[Stretch, ...]:
    """Return what is there without a gap, by timeline."""
    return tuple(
        Stretch(Segment(timeline, first), Segment(timeline, last))
        for timeline in archive.timelines
        for first, last in archive.runs[timeline]
    )


def track(archive: Archive, timeline: int) -> Track:
    """Lay a timeline and its ancestors in one row; without its history file a timeline stands alone."""
    legs: list[Leg] = []
    first = 0
    for switch in archive.histories.get(timeline, ()):
        # the segment of the switch was copied to the new timeline, and recovery reads it there
        end = switch.lsn // archive.segment_size
        legs.append(Leg(switch.timeline, first, end, switch.lsn))
        first = end
    legs.append(Leg(timeline, first, None))
    return Track(timeline, tuple(legs), _joined(archive, legs))


def _joined(archive: Archive, legs: Iterable[Leg]) -> Runs:
    found: list[tuple[int, int]] = []
    for leg in legs:
        for first, last in archive.runs.get(leg.timeline, ()):
            start, stop = max(first, leg.first), last if leg.end is None else min(last, leg.end - 1)
            if start > stop:
                continue
            if found and found[-1][1] + 1 == start:
                found[-1] = (found[-1][0], stop)
            else:
                found.append((start, stop))
    return tuple(found)


def timelines(archive: Archive) -> tuple[int, ...]:
    """Name every timeline that has WAL or a history."""
    return tuple(sorted({*archive.runs, *archive.histories}))


# ── Gaps ─────────────────────────────────────────────────────────────────────────────────────────


def gaps(archive: Archive, lost: Collection[Lost] = (), *, since: int = 0) -> tuple[Gap, ...]:
    """Return what is missing between what is there, also where a timeline was left; each gap once.

    `since`: WAL before this number may be gone, as no backup needs it.
    """
    found: set[tuple[int, int, int]] = set()
    for timeline in timelines(archive):
        along = track(archive, timeline)
        for (_, before), (after, _) in zip(along.runs, along.runs[1:], strict=False):
            found |= {
                (leg.timeline, max(before + 1, leg.first), min(after, leg.end or after) - 1)
                for leg in along.legs
                if max(before + 1, leg.first) < min(after, leg.end or after)
            }
    wanted = sorted((timeline, max(first, since), last) for timeline, first, last in found if last >= since)
    return tuple(piece for each in _merged(wanted) for piece in _split(each, lost))


def _merged(holes: Iterable[tuple[int, int, int]]) -> Iterator[Gap]:
    """Two descendants may see the same hole of an ancestor, one of them less of it."""
    held: tuple[int, int, int] | None = None
    for timeline, first, last in holes:
        if held is not None and held[0] == timeline and first <= held[2] + 1:
            held = (timeline, held[1], max(held[2], last))
            continue
        if held is not None:
            yield Gap(Segment(held[0], held[1]), Segment(held[0], held[2]))
        held = (timeline, first, last)
    if held is not None:
        yield Gap(Segment(held[0], held[1]), Segment(held[0], held[2]))


def _split(gap: Gap, lost: Collection[Lost]) -> Iterator[Gap]:
    """Cut a gap where its acknowledgement begins and ends."""
    timeline, at = gap.first.timeline, gap.first.number
    known = sorted((one for one in lost if one.first.timeline == timeline), key=lambda one: one.first.number)
    for one in known:
        first, last = max(one.first.number, at), min(one.last.number, gap.last.number)
        if first > last:
            continue
        if first > at:
            yield Gap(Segment(timeline, at), Segment(timeline, first - 1))
        yield Gap(Segment(timeline, first), Segment(timeline, last), one)
        at = last + 1
    if at <= gap.last.number:
        yield Gap(Segment(timeline, at), gap.last)


# ── Backups ──────────────────────────────────────────────────────────────────────────────────────


def span(backup: BackupSet, archive: Archive) -> tuple[Segment, Segment] | None:
    """Tell from which segment to which a backup was made."""
    first = archive.parse(backup.wal_start or "")
    last = archive.parse(backup.wal_stop or "")
    return None if first is None or last is None else (first, last)


def on(backup: BackupSet, along: Track, archive: Archive) -> bool:
    """Tell whether a track passes through a backup: its timeline was not left before the backup was complete."""
    own = span(backup, archive)
    leg = along.leg(own[0].timeline) if own else None
    if own is None or leg is None or own[0].number < leg.first:
        return False
    if leg.end_lsn is None:
        return True
    if backup.lsn_stop is not None:
        return parse_lsn(backup.lsn_stop) <= leg.end_lsn
    return own[1].number < leg.end_lsn // archive.segment_size


def reach(backup: BackupSet, archive: Archive) -> Reach:
    """Tell how far a backup can be carried, along every timeline that passes through it."""
    own = span(backup, archive)
    if own is None:
        return Reach(backup.label, complete=False, missing=None)
    first, last = own
    here = archive.runs.get(first.timeline, ())
    at = bisect_right(here, (first.number, 1 << 62)) - 1
    there = here[at] if at >= 0 and here[at][1] >= first.number else None
    if there is None or there[1] < last.number:
        return Reach(
            backup.label, complete=False, missing=first if there is None else Segment(first.timeline, there[1] + 1)
        )
    tracks = (track(archive, timeline) for timeline in timelines(archive) if timeline >= first.timeline)
    ways = tuple(_way(last, along) for along in tracks if on(backup, along, archive))
    return Reach(backup.label, complete=True, missing=None, ways=ways)


def _way(last: Segment, along: Track) -> Way:
    there = along.run(last.number)
    if there is None:  # the segment of the switch: here it is read on the new timeline, and it is not there
        ends = along.last is not None and along.last > last.number
        return Way(along.timeline, last, along.at(last.number) if ends else None)
    more = along.last is not None and along.last > there[1]
    return Way(along.timeline, along.at(there[1]), along.at(there[1] + 1) if more else None)


def chain(backups: Iterable[Kept], label: str, *, repository: int | None = None) -> tuple[Kept, ...]:
    """Return a backup with all that it is built on, the full one first; what is missing is missing."""
    known = {one.label: one for one in backups if repository is None or one.repository == repository}
    found: list[Kept] = []
    at = known.get(label)
    while at is not None and at not in found:
        found.insert(0, at)
        at = known.get(at.prior) if at.prior else None
    return tuple(found)
