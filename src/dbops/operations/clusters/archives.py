"""What lies in an archive of WAL, read from the names of its files; pure, and fast for 100,000 of them."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple, Protocol

from dbops.operations.clusters.wal import Segment, Switch, per_file

_SEGMENT = re.compile(r"[0-9A-F]{16}/([0-9A-F]{24})-[0-9a-f]{40}(?:\.[a-z0-9]+)?")
_PARTIAL = re.compile(r"[0-9A-F]{16}/[0-9A-F]{24}\.partial-.*")
_BACKUP = re.compile(r"[0-9A-F]{16}/[0-9A-F]{24}\.[0-9A-F]{8}\.backup(?:\.[a-z0-9]+)?")
_HISTORY = re.compile(r"([0-9A-F]{8})\.history(?:\.[a-z0-9]+)?")
_LOW = 0xFFFFFFFF


class BackupSet(Protocol):
    """What a decision needs to know of a backup; pgbackrest.BackupInfo is one, which pure code cannot import."""

    @property
    def label(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def started(self) -> datetime: ...
    @property
    def stopped(self) -> datetime: ...
    @property
    def prior(self) -> str | None: ...
    @property
    def wal_start(self) -> str | None: ...
    @property
    def wal_stop(self) -> str | None: ...
    @property
    def lsn_start(self) -> str | None: ...
    @property
    def lsn_stop(self) -> str | None: ...
    @property
    def size(self) -> int: ...
    @property
    def error(self) -> bool | None: ...
    @property
    def repository(self) -> int: ...
    @property
    def database_id(self) -> int: ...


class Stored(NamedTuple):
    """The file of one segment."""

    path: str  # below the stanza's archive, such as 15-1/0000000100000000/...
    size: int  # as it is stored
    written: int  # seconds since 1970


File = tuple[str, int, int]  # what Stored names; kept plain, because there are 100,000 of them


Runs = tuple[tuple[int, int], ...]  # numbers without a gap: the first and the last of each stretch


@dataclass(frozen=True, slots=True)
class Archive:
    """The WAL of one incarnation of a cluster, in one repository."""

    repository: int
    id: str  # such as 15-1
    database_id: int
    segment_size: int
    files: Mapping[int, Mapping[int, File]] = field(default_factory=dict[int, Mapping[int, File]])  # by timeline
    runs: Mapping[int, Runs] = field(default_factory=dict[int, Runs])  # by timeline
    duplicates: tuple[Segment, ...] = ()  # two files with different content under one name
    partial: tuple[str, ...] = ()  # these count for nothing
    backups: tuple[str, ...] = ()
    histories: Mapping[int, tuple[Switch, ...]] = field(default_factory=dict[int, tuple[Switch, ...]])

    @property
    def timelines(self) -> tuple[int, ...]:
        return tuple(sorted(self.runs))

    @property
    def count(self) -> int:
        return sum(last - first + 1 for runs in self.runs.values() for first, last in runs)

    def segments(self) -> Iterator[Segment]:
        """Name all of them, by timeline and number."""
        for timeline in self.timelines:
            for first, last in self.runs[timeline]:
                yield from (Segment(timeline, number) for number in range(first, last + 1))

    def has(self, segment: Segment) -> bool:
        return segment.number in self.files.get(segment.timeline, {})

    def file(self, segment: Segment) -> Stored | None:
        file = self.files.get(segment.timeline, {}).get(segment.number)
        return None if file is None else Stored(*file)

    def parse(self, name: str) -> Segment | None:
        return Segment.parse(name, self.segment_size)

    def name(self, segment: Segment) -> str:
        return segment.name(self.segment_size)


@dataclass(slots=True)
class Names:
    """The files of one archive folder, sorted by kind; segments by the 24 digits of their names."""

    segments: dict[int, File] = field(default_factory=dict[int, File])
    doubles: set[int] = field(default_factory=set[int])
    partial: list[str] = field(default_factory=list[str])
    backups: list[str] = field(default_factory=list[str])
    histories: dict[int, str] = field(default_factory=dict[int, str])

    @property
    def newest(self) -> Stored | None:
        return Stored(*self.segments[max(self.segments)]) if self.segments else None


def sort(files: Iterable[File]) -> dict[str, Names]:
    """Sort the files of a stanza's archive (path, size, time) by archive id."""
    found: dict[str, Names] = {}
    segment = _SEGMENT.fullmatch
    for file in files:
        home, _, name = file[0].partition("/")
        if not name:
            continue  # archive.info and its copy
        names = found.get(home)
        if names is None:
            names = found[home] = Names()
        if match := segment(name):
            key = int(match[1], 16)
            if names.segments.setdefault(key, file) is not file:
                names.doubles.add(key)
        elif _PARTIAL.fullmatch(name):
            names.partial.append(name)
        elif _BACKUP.fullmatch(name):
            names.backups.append(name)
        elif match := _HISTORY.fullmatch(name):
            names.histories[int(match[1], 16)] = name
    return found


def archive(
    names: Names,
    histories: Mapping[int, tuple[Switch, ...]],
    *,
    repository: int,
    id: str,  # noqa: A002  # as pgBackRest calls it
    database_id: int,
    segment_size: int,
) -> Archive:
    """Number the segments, now that their size is known."""
    each = per_file(segment_size)
    files: dict[int, dict[int, File]] = {}
    of, mine = -1, dict[int, File]()
    for key, file in names.segments.items():
        if key >> 64 != of:  # names come sorted: a timeline begins seldom
            of = key >> 64
            mine = files.setdefault(of, {})
        mine[(key >> 32 & _LOW) * each + (key & _LOW)] = file
    duplicates = [Segment(key >> 64, (key >> 32 & _LOW) * each + (key & _LOW)) for key in names.doubles]
    return Archive(
        repository=repository,
        id=id,
        database_id=database_id,
        segment_size=segment_size,
        files=files,
        runs={timeline: runs(numbers) for timeline, numbers in files.items()},
        duplicates=tuple(sorted(duplicates)),
        partial=tuple(sorted(names.partial)),
        backups=tuple(sorted(names.backups)),
        histories=dict(histories),
    )


def runs(numbers: Iterable[int]) -> Runs:
    """Cut numbers into stretches without a gap."""
    ordered = sorted(numbers)
    if not ordered:
        return ()
    found: list[tuple[int, int]] = []
    first = last = ordered[0]
    for number in ordered:
        if number > last + 1:
            found.append((first, last))
            first = number
        last = number
    return (*found, (first, last))
