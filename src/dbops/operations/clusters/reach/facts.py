"""What is known of a cluster's reach through time, and what is asked of it; pure."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from dbops.operations.clusters.reach.continuity import Gap
from dbops.operations.clusters.wal import Segment

Wanted = Literal["at", "lsn", "xid", "name", "latest", "immediate"]
Kind = Literal["time", "lsn", "xid", "name", "immediate", "default"]  # as pgBackRest calls them


@dataclass(frozen=True, slots=True)
class Mark:
    """A record that recovery can stop at: the end of a transaction, or a restore point."""

    lsn: int
    at: datetime
    xid: int = 0
    committed: bool = True
    name: str | None = None  # of a restore point


@dataclass(frozen=True, slots=True)
class Border:
    """A moment that an interval begins or ends with; not exact: no commit was found near it."""

    at: datetime
    exact: bool
    lsn: int | None = None


@dataclass(frozen=True, slots=True)
class Interval:
    """Any moment from `since` up to, not including, `until`, which is the last commit before the WAL ends."""

    repository: int
    archive: str
    timeline: int
    label: str  # the first set that opens it
    since: Border
    until: Border | None  # None: nothing was committed after the set; its end is all there is
    first: Segment
    last: Segment
    gap: Gap | None = None  # what ends it; None: the end of the archive
    missing: str | None = None  # the name of the gap's first segment
    reopened: str | None = None  # the set that opens what comes after the gap
    abandoned: bool = False  # another timeline has gone on


@dataclass(frozen=True, slots=True)
class Known:
    """One backup set as the window draws it."""

    label: str
    kind: str
    repository: int
    stopped: datetime
    complete: bool
    missing: str | None = None  # the first segment of its own that is not there
    lost: str | None = None  # why, when somebody acknowledged it


@dataclass(frozen=True, slots=True)
class Rpo:
    """How old the oldest commit is that is not archived yet, and how that is known."""

    age: timedelta | None  # None: it cannot be told
    exact: bool
    how: str


@dataclass(frozen=True, slots=True)
class Archiver:
    """What the server says of its archiving."""

    failing: bool
    last_failed: datetime | None
    last_failed_wal: str | None
    last_archived: datetime | None


@dataclass(frozen=True, slots=True)
class Told:
    """A gap as it is shown: with the names of its segments."""

    repository: int
    first: str
    last: str
    segments: int
    reason: str | None = None
    on: str | None = None


@dataclass(frozen=True, slots=True)
class Window:
    """What can be brought back of one cluster."""

    target: str
    now: datetime
    intervals: tuple[Interval, ...]
    gaps: tuple[Told, ...]
    backups: tuple[Known, ...]
    rpo: Rpo
    archiver: Archiver | None = None
    duplicates: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()  # repositories, and why
    about: tuple[str, ...] = ()  # why a border is not exact
    foreign: int | None = None  # the identity of a server that is not the cluster behind the stanza


@dataclass(frozen=True, slots=True)
class Target:
    """A moment as the operator names it."""

    kind: Wanted
    at: datetime | None = None
    value: str | None = None  # of lsn, xid, name
    timeline: int | None = None
    label: str | None = None  # only this set
    exclusive: bool = False
    repository: int | None = None

    @property
    def told(self) -> str:
        match self.kind:
            case "at":
                return "-" if self.at is None else self.at.isoformat()
            case "latest" | "immediate":
                return f"--{self.kind}"
            case _:
                return f"--{self.kind} {self.value}"


@dataclass(frozen=True, slots=True)
class Options:
    """What pgBackRest's restore is told."""

    type: Kind
    set: str
    repository: int
    target: str | None = None
    target_timeline: str | None = None
    exclusive: bool = False

    def arguments(self, action: Literal["promote", "pause"] = "promote") -> tuple[str, ...]:
        told = [f"--repo={self.repository}", f"--set={self.set}", f"--type={self.type}"]
        told += [f"--target={self.target}"] if self.target is not None else []
        told += ["--target-exclusive"] if self.exclusive else []
        if self.target_timeline is not None and self.type != "immediate":  # where pgBackRest refuses to be told
            told.append(f"--target-timeline={self.target_timeline}")
        told += [f"--target-action={action}"] if self.type != "default" else []
        return tuple(told)


@dataclass(frozen=True, slots=True)
class Losses:
    """What a restore to the target would lose: transactions that committed after it."""

    commits: int
    exact: bool
    last: datetime | None


@dataclass(frozen=True, slots=True)
class Chosen:
    """The way to a target: exactly this is restored."""

    target: str
    wanted: str
    options: Options
    label: str
    chain: tuple[str, ...]  # the set with all that it is built on
    repository: int
    timeline: int
    size_bytes: int  # of the restored cluster
    first: str  # segments to be read
    last: str
    segments: int
    wal_bytes: int  # as they are stored
    before: Mark | None = None  # the last commit that will be there, if it was found
    after: Mark | None = None  # the first one that will not
    losses: Losses | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Bystanders:
    """What does not survive a restore."""

    slots: tuple[str, ...] = ()
    publications: tuple[str, ...] = ()
    subscriptions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Planned:
    """A way to a moment, and what it costs."""

    chosen: Chosen
    predicted: timedelta | None  # None: no restore was measured here
    objective: timedelta | None
    bystanders: Bystanders | None  # None: the server did not answer
    options: tuple[str, ...] = field(default=())
