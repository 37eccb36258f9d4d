"""Lay out what is within reach: intervals with borders from commit records, gaps, the age of what is not archived."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from dbops.config.model import Cluster
from dbops.errors import CouldNotVerify
from dbops.operations.clusters.archives import Archive
from dbops.operations.clusters.reach.commits import Reader
from dbops.operations.clusters.reach.continuity import Gap, Lost, Track, gaps, on, reach, span
from dbops.operations.clusters.reach.facts import Border, Interval, Known, Mark, Told
from dbops.operations.clusters.repository import Repository
from dbops.operations.clusters.wal import Segment, parse_lsn
from dbops.stores.pgbackrest import BackupInfo

_LOOK_BACK = 16  # segments before a set's end in which its last commit is looked for
_MOST = 64  # segments that are read back for the last commit of a stretch
_SECOND = timedelta(seconds=1)  # pgBackRest tells whole ones


@dataclass(frozen=True, slots=True)
class Open:
    """A set that opens a stretch of a track: from its stop on, any moment."""

    backup: BackupInfo
    first: int
    last: int
    stop: int  # the LSN from which on it is consistent
    run: tuple[int, int]

    @property
    def label(self) -> str:
        return self.backup.label

    @property
    def safe(self) -> datetime:
        """Return a moment that is certainly after its end."""
        return self.backup.stopped + _SECOND


@dataclass(frozen=True, slots=True)
class Laid:
    """One interval, with the sets that open it, oldest first."""

    interval: Interval
    opens: tuple[Open, ...]


@dataclass(slots=True)
class Notes:
    """Why a border is not exact."""

    told: list[str] = field(default_factory=list[str])


def acknowledged(place: Cluster, archive: Archive) -> tuple[Lost, ...]:
    """Read the gaps that the configuration knows of."""
    pairs = ((one, archive.parse(one.first), archive.parse(one.last)) for one in place.backup.lost)
    return tuple(Lost(first, last, one.reason, one.on) for one, first, last in pairs if first and last)


def holes(repository: Repository, archive: Archive, lost: Sequence[Lost]) -> tuple[Gap, ...]:
    """Return the gaps that matter: since the oldest set began."""
    starts = [own[0].number for b in repository.backups(archive) if (own := span(b, archive)) is not None]
    return gaps(archive, lost, since=min(starts)) if starts else ()


def told(gap: Gap, archive: Archive) -> Told:
    lost = gap.lost
    return Told(
        archive.repository,
        archive.name(gap.first),
        archive.name(gap.last),
        gap.count,
        lost.reason if lost else None,
        lost.on.isoformat() if lost else None,
    )


def known(place: Cluster, repository: Repository) -> Iterator[Known]:
    for backup in sorted(repository.stanza.backups, key=lambda one: (one.stopped, one.repository)):
        archive = repository.archive(backup)
        far = reach(backup, archive) if archive else None
        if archive is None or far is None or far.missing is None:
            complete = far is not None and far.complete
            yield Known(backup.label, backup.kind, backup.repository, backup.stopped, complete)
            continue
        lost = (one for one in acknowledged(place, archive) if one.first <= far.missing <= one.last)
        why = next((one.reason for one in lost), None)
        name = archive.name(far.missing)
        yield Known(
            backup.label, backup.kind, backup.repository, backup.stopped, complete=False, missing=name, lost=why
        )


def opens(repository: Repository, archive: Archive, along: Track) -> tuple[Open, ...]:
    """Find the sets that a track passes through, whose own WAL is whole; oldest first."""
    found: list[Open] = []
    for backup in repository.backups(archive):
        own = span(backup, archive)
        if own is None or backup.lsn_stop is None or not on(backup, along, archive):
            continue
        if not reach(backup, archive).complete:
            continue
        run = along.run(own[1].number) or along.run(own[1].number - 1)
        if run is not None:
            found.append(Open(backup, own[0].number, own[1].number, parse_lsn(backup.lsn_stop), run))
    return tuple(sorted(found, key=lambda one: one.stop))


def lay_out(reader: Reader, sets: Sequence[Open], holes: Sequence[Gap], newest: int, notes: Notes) -> Iterator[Laid]:
    """Make an interval of each stretch that a set opens."""
    along, archive = reader.track, reader.archive
    for run in along.runs:
        mine = tuple(one for one in sets if one.run == run)
        if not mine:
            continue
        more = next((later for later in along.runs if later[0] > run[1]), None)
        after = next((one.label for one in sets if one.run > run), None)
        gap = _gap(along, run[1] + 1, more[0] - 1, holes) if more else None
        yield Laid(
            Interval(
                repository=archive.repository,
                archive=archive.id,
                timeline=along.timeline,
                label=mine[0].label,
                since=opened(reader, mine[0], notes),
                until=closed(reader, mine[0], notes),
                first=along.at(mine[0].first),
                last=along.at(run[1]),
                gap=gap,
                missing=archive.name(gap.first) if gap else None,
                reopened=after,
                abandoned=along.timeline != newest,
            ),
            mine,
        )


def _gap(along: Track, first: int, last: int, holes: Sequence[Gap]) -> Gap:
    start = along.at(first)
    same = (one for one in holes if one.first.timeline == start.timeline)
    told = next((one for one in same if one.first.number <= first <= one.last.number), None)
    return told or Gap(start, Segment(start.timeline, last))


def opened(reader: Reader, one: Open, notes: Notes) -> Border:
    """Find the last commit before a set's end: from then on every moment is told apart."""
    try:
        first = max(one.run[0], one.last - _LOOK_BACK)
        before = [mark for mark in reader.marks(first, min(one.last, one.run[1])) if mark.lsn < one.stop]
    except CouldNotVerify as error:
        notes.told.append(error.message)
        return Border(one.safe, exact=False)
    if not before:
        return Border(one.safe, exact=False)
    newest = max(before, key=lambda mark: mark.at)
    return Border(newest.at, exact=True, lsn=newest.lsn)


def closed(reader: Reader, one: Open, notes: Notes) -> Border | None:
    """Find the last commit before the WAL ends; None when there is none since the set's end."""
    try:
        found, whole = last_commit(reader, one)
    except CouldNotVerify as error:
        notes.told.append(error.message)
        found, whole = None, False
    if found is not None:
        return Border(found.at, exact=True, lsn=found.lsn)
    if whole:
        return None
    file = reader.archive.file(reader.track.at(one.run[1]))
    return Border(datetime.fromtimestamp(file.written, UTC), exact=False) if file else None


def last_commit(reader: Reader, one: Open) -> tuple[Mark | None, bool]:
    """Read back from the end in growing steps; also tell whether all was read since the set's end."""
    lowest, end, step = min(one.last, one.run[1]), one.run[1], 1
    while True:
        first = max(lowest, end - step)
        marks = [mark for mark in reader.marks(first, end) if mark.committed and mark.lsn >= one.stop]
        if marks:
            return max(marks, key=lambda mark: mark.at), False
        if first == lowest:
            return None, True
        if one.run[1] - first >= _MOST:
            return None, False
        end, step = first, step * 2
