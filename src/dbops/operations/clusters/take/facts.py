"""What is known of a cluster's backups before another one is taken, and what taking one consists of; pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

READABLE = frozenset({0, 2})  # of a repository: ok; no backup yet
NO_STANZA = frozenset({1, 3})  # of a repository: no folder of the stanza; nothing in it


class Kind(StrEnum):
    AUTO = "auto"
    FULL = "full"
    DIFF = "diff"
    INCR = "incr"


@dataclass(frozen=True, slots=True)
class Set:
    """One backup set, as far as it decides what is due."""

    label: str
    kind: Kind
    stopped: datetime
    prior: str | None = None
    references: tuple[str, ...] = ()
    bad: bool = False  # pages of the source were damaged when it was taken


@dataclass(frozen=True, slots=True)
class Repository:
    """One repository of the stanza with its sets, oldest first."""

    key: int
    status: int
    message: str
    path: str | None = None
    sets: tuple[Set, ...] = ()
    archive: str | None = None  # where the WAL of the cluster as it is now goes

    @property
    def readable(self) -> bool:
        return self.status in READABLE


@dataclass(frozen=True, slots=True)
class Orphan:
    """A process of pgBackRest that holds the stanza's lock although whoever it worked for is dead."""

    pid: int
    command: str


@dataclass(frozen=True, slots=True)
class Archiver:
    """How the server's archiver is doing."""

    failing: bool = False
    last_failed: str | None = None
    last_failed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """A cluster that is to be backed up."""

    target: str
    stanza: str
    repositories: tuple[Repository, ...]
    orphans: tuple[Orphan, ...] = ()
    running: bool = False  # somebody holds pgBackRest's lock: these orphans, or a backup
    archiver: Archiver = Archiver()
    vault: bool = True  # there is one for the configuration
    segment_size: int = 16 << 20


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a full backup is due each day (UTC), and how far apart differential ones are."""

    full_at: timedelta = timedelta(hours=2)  # after midnight
    diff: timedelta = timedelta(hours=6)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the operator asked for."""

    kind: Kind = Kind.AUTO
    reason: str | None = None
    configuration_only: bool = False


@dataclass(frozen=True, slots=True)
class EndOrphans:
    orphans: tuple[Orphan, ...]


@dataclass(frozen=True, slots=True)
class Take:
    repository: int
    kind: Kind
    why: str


@dataclass(frozen=True, slots=True)
class KeepConfiguration:
    """Put what a bare host needs beside the newest backup into the vault."""


Action = EndOrphans | Take | KeepConfiguration


@dataclass(frozen=True, slots=True)
class Taken:
    """A backup that was taken just now."""

    target: str
    repository: int
    label: str
    kind: str
    started: datetime
    stopped: datetime
    took: timedelta
    size_bytes: int
    repository_bytes: int  # what it added there
    page_errors: bool
    configuration: str | None = None  # the artifact's folder in the vault
