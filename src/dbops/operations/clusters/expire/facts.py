"""What there is to expire, as data: the sets of one repository, their WAL, and what is promised of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class Until:
    """How far WAL leads from a set on one timeline: to the end of a segment, which was archived at a moment."""

    timeline: int
    segment: str
    archived: datetime | None = None  # unknown: it may have been just now


@dataclass(frozen=True, slots=True)
class Backup:
    """One backup set, as far as its retention is concerned."""

    label: str
    kind: str
    started: datetime
    stopped: datetime
    archive: str  # the id of its WAL, such as 15-1
    wal_start: str | None
    needs: frozenset[str] = frozenset()  # the sets that its files lie in
    size: int = 0  # what it added to the repository, in bytes
    bad: str | None = None  # why nobody should count on it
    verified: frozenset[str] = frozenset()  # the depths at which it was found good
    until: tuple[Until, ...] = ()

    @property
    def root(self) -> str:
        """Name its full backup."""
        return self.label.partition("_")[0]


@dataclass(frozen=True, slots=True)
class Wal:
    """The segments of one incarnation of the cluster, by name."""

    id: str
    segments: tuple[str, ...]
    current: bool = True
    sizes: tuple[int, ...] = ()  # of each, as it is stored


@dataclass(frozen=True, slots=True)
class Holding:
    """All that one repository holds of a stanza."""

    repository: int
    backups: tuple[Backup, ...]
    wal: tuple[Wal, ...] = ()
    leftovers: tuple[str, ...] = ()  # folders that no list knows: removed by halves, or begun and never finished
    newest: str | None = None  # by its name, of all folders: what is unfinished there may still be resumed


@dataclass(frozen=True, slots=True)
class Promise:
    """What the configuration promises to keep."""

    keep: int
    keep_for: timedelta | None = None
    hold: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class ExpireSet:
    """Remove one set that no other one needs any more."""

    repository: int
    label: str


@dataclass(frozen=True, slots=True)
class ExpireWal:
    """Remove the WAL that no remaining set can use, and what earlier runs left behind."""

    repository: int
    fulls: int  # full backups that remain: pgBackRest is told to keep as many
    below: tuple[tuple[str, str], ...]  # per archive: segments before this one go
    whole: tuple[str, ...] = ()  # archives of earlier incarnations that no set needs


Action = ExpireSet | ExpireWal


@dataclass(frozen=True, slots=True)
class Reachable:
    """What can be brought back from one repository."""

    repository: int
    sets: int
    good: int
    first: datetime | None  # the earliest moment
    until: tuple[Until, ...]  # the furthest ends of WAL, per timeline
    segments: int
    size_bytes: int  # of sets and WAL


@dataclass(frozen=True, slots=True)
class Kept:
    """A set that stays, and why."""

    label: str
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Simulated:
    """One repository before and after, and what stays for which reason."""

    before: Reachable
    after: Reachable
    kept: tuple[Kept, ...]
    expired: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sized:
    """How large a repository was."""

    repository: int
    at: datetime
    size: int
