"""The way to each kind of target: which set, where recovery stops, what would be lost."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from dbops import units
from dbops.errors import CouldNotVerify, Refused
from dbops.operations.clusters.reach import choose, locate
from dbops.operations.clusters.reach.commits import Reader
from dbops.operations.clusters.reach.continuity import Gap, Track
from dbops.operations.clusters.reach.facts import Losses, Mark, Rpo, Target
from dbops.operations.clusters.reach.locate import Stop
from dbops.operations.clusters.reach.observe import Laid, Notes, Open, lay_out, opened
from dbops.operations.clusters.wal import lsn, parse_lsn

Search = Callable[[Reader, int, int, str], Iterator[Mark]]


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be reached, and all that is there to reach it with; the age of the rest only when it is needed."""

    reader: Reader
    sets: tuple[Open, ...]
    holes: Sequence[Gap]
    wanted: Target
    now: datetime
    rpo: Callable[[], Rpo]

    @property
    def target(self) -> str:
        return self.reader.target

    @property
    def track(self) -> Track:
        return self.reader.track


@dataclass(frozen=True, slots=True)
class Way:
    """A set, and where recovery from it stops."""

    track: Track
    open: Open
    stop: Stop
    wanted: Target
    losses: Losses | None
    notes: tuple[str, ...] = ()


def way(asked: Asked) -> Way:
    """Find the way, or refuse."""
    match asked.wanted.kind:
        case "at":
            return _at(asked)
        case "lsn":
            return _lsn(asked)
        case "xid":
            return _found(asked, locate.transaction)
        case "name":
            return _found(asked, locate.point)
        case "latest":
            return _latest(asked, ())
        case "immediate":
            one = _newest(asked, asked.sets)
            return _way(asked, one, locate.at_start(asked.reader, one))


def _way(asked: Asked, one: Open, stop: Stop, notes: tuple[str, ...] = ()) -> Way:
    lost = locate.losses(asked.reader, one, stop)
    beyond = asked.track.last is not None and asked.track.last > one.run[1]
    if beyond:
        notes = (*notes, "behind a gap there is more that this way does not reach")
    return Way(asked.track, one, stop, asked.wanted, lost, notes)


def _newest(asked: Asked, sets: Sequence[Open]) -> Open:
    """Take the newest of the sets, or the one that was named."""
    named = [one for one in sets if asked.wanted.label in (None, one.label)]
    if not named:
        raise choose.nothing(asked.target, asked.track.timeline)
    return named[-1]


# ── A time ───────────────────────────────────────────────────────────────────────────────────────


def _at(asked: Asked) -> Way:
    wanted, moment = asked.wanted, asked.wanted.at
    if moment is None:
        raise Refused("a time is needed", target=asked.target)
    if moment > asked.now:
        raise Refused(f"{wanted.told} lies in the future", hint="--latest leads to the end", target=asked.target)
    laid = tuple(lay_out(asked.reader, asked.sets, asked.holes, asked.track.timeline, Notes()))
    intervals = tuple(one.interval for one in laid)
    number = choose.holding(intervals, moment, exclusive=wanted.exclusive)
    if number is not None:
        one = _set_before(asked, laid[number], moment)
        stop = locate.at_time(asked.reader, one, moment, exclusive=wanted.exclusive)
        if stop is not None:
            return _way(asked, one, stop)
        return _beyond(asked, laid, number)
    earlier = [n for n, one in enumerate(intervals) if one.since.at <= moment]
    if not earlier:
        raise choose.too_early(asked.target, wanted, intervals[0] if intervals else None)
    return _beyond(asked, laid, earlier[-1])


def _beyond(asked: Asked, laid: Sequence[Laid], number: int) -> Way:
    """A moment after the last commit of a stretch: behind a gap, at the end of an idle server, or not archived."""
    one = laid[number].interval
    if one.gap is not None:
        archive = asked.reader.archive
        raise choose.in_gap(asked.target, asked.wanted, one, archive.name(one.gap.first), archive.name(one.gap.last))
    if one.last.number != asked.track.last:
        raise choose.nothing(asked.target, asked.track.timeline)
    rpo = asked.rpo()
    if rpo.age == timedelta(0) and rpo.exact:
        told = f"nothing was committed after {choose.border(one)}" if one.until else "nothing was committed since"
        note = f"{told}, and all of it is archived ({rpo.how}): planned as --latest"
        set_ = _set_before(asked, laid[number], asked.wanted.at)
        named = replace(asked.wanted, kind="latest", at=None, exclusive=False, label=set_.label)
        return _latest(replace(asked, wanted=named), (note,))
    age = f"{'' if rpo.exact else 'at most '}{units.duration(rpo.age)} old" if rpo.age is not None else rpo.how
    raise choose.too_late(asked.target, asked.wanted, one, age)


def _set_before(asked: Asked, laid: Laid, moment: datetime | None) -> Open:
    """Take the newest set of a stretch that was complete before a moment; a named one has to be."""
    wanted = asked.wanted
    if wanted.label is None:
        safe = [one for one in laid.opens if moment is None or one.safe <= moment]
        return safe[-1] if safe else laid.opens[0]
    one = next((one for one in laid.opens if one.label == wanted.label), None)
    if one is None:
        raise choose.no_such_set(asked.target, wanted.label, asked.track.timeline, (), complete=True)
    end = opened(asked.reader, one, Notes())
    if moment is not None and moment < end.at:
        raise choose.before_set(asked.target, wanted, one.label, choose.moment(end))
    return one


# ── A position, a transaction, a name ────────────────────────────────────────────────────────────


def _lsn(asked: Asked) -> Way:
    wanted = parse_lsn(asked.wanted.value or "0/0")
    one = _reaching(asked, wanted)
    stop = locate.at_lsn(asked.reader, one, wanted, exclusive=asked.wanted.exclusive)
    if stop is None:
        end = lsn((one.run[1] + 1) * asked.reader.archive.segment_size)
        raise Refused(
            f"{asked.wanted.told}: no record begins there or later; the archive ends before {end}",
            hint="--latest leads to the last archived commit",
            target=asked.target,
        )
    return _way(asked, one, stop)


def _reaching(asked: Asked, position: int) -> Open:
    """Take the newest set that was complete before a position of the log and leads there without a gap."""
    size = asked.reader.archive.segment_size
    number = position // size
    told = asked.wanted.told
    before = [one for one in asked.sets if one.stop <= position]
    if asked.wanted.label is not None:
        named = _newest(asked, asked.sets)
        if named.stop > position:
            raise choose.before_set(asked.target, asked.wanted, named.label, lsn(named.stop))
        before = [named]
    if not before:
        first = asked.sets[0]
        reason = f"the first position within reach is {lsn(first.stop)}, the end of set {first.label}"
        raise Refused(f"{told}: {reason}", hint=f"dbops pitr window --target {asked.target}", target=asked.target)
    one = before[-1]
    if one.run[1] < number:
        more = one.run[1] < (asked.track.last or 0)
        missing = asked.reader.archive.name(asked.track.at(one.run[1] + 1))
        what = f"lies behind a gap: WAL segment {missing} is missing" if more else "is beyond what is archived"
        raise Refused(f"{told} {what}", hint=f"dbops pitr window --target {asked.target}", target=asked.target)
    return one


def _found(asked: Asked, search: Search) -> Way:
    """Search the log backwards; recovery stops at the first match after the set, so that has to be this one."""
    reader, wanted = asked.reader, asked.wanted
    runs = sorted({one.run for one in asked.sets}, reverse=True)
    searched = 0
    for run in runs:
        sets = [one for one in asked.sets if one.run == run and wanted.label in (None, one.label)]
        if not sets:
            continue
        lowest, whole = locate.searched(min(sets[0].last, run[1]), run[1])
        searched += run[1] - lowest + 1
        for mark in search(reader, lowest, run[1], wanted.value or ""):
            return _at_mark(asked, sets, mark)
        if not whole:
            raise CouldNotVerify(
                f"{wanted.told} was not found in the newest {searched} WAL segments, and there are more",
                hint="give --lsn or --at instead, which need no search",
                target=asked.target,
            )
    raise choose.not_found(asked.target, wanted, searched)


def _at_mark(asked: Asked, sets: Sequence[Open], mark: Mark) -> Way:
    before = [one for one in sets if one.stop <= mark.lsn]
    if not before:
        raise choose.before_set(asked.target, asked.wanted, sets[0].label, lsn(sets[0].stop))
    one = before[-1]
    if asked.wanted.kind == "name":
        size = asked.reader.archive.segment_size
        points = locate.point(asked.reader, one.last, mark.lsn // size, asked.wanted.value or "")
        if any(one.stop <= point.lsn < mark.lsn for point in points):
            raise Refused(
                f"restore point {asked.wanted.value!r} was set more than once after set {one.label}",
                hint=f"name the newest by its position: --lsn {lsn(mark.lsn)}",
                target=asked.target,
            )
    exclusive = asked.wanted.exclusive and asked.wanted.kind == "xid"
    return _way(asked, one, locate.around(asked.reader, one, mark.lsn if exclusive else mark.lsn + 1))


# ── The end ──────────────────────────────────────────────────────────────────────────────────────


def _latest(asked: Asked, notes: tuple[str, ...]) -> Way:
    one = _newest(asked, asked.sets)
    last = asked.track.last
    if last is not None and one.run[1] < last:
        missing = asked.reader.archive.name(asked.track.at(one.run[1] + 1))
        raise Refused(
            f"set {one.label} does not lead to the end: WAL segment {missing} is missing",
            hint=f"dbops pitr window --target {asked.target} tells how far it leads",
            target=asked.target,
        )
    return replace(_way(asked, one, locate.at_end(asked.reader, one), notes), losses=None)
