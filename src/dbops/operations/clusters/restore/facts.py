"""What a restore is told, and what it reached; pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from dbops.engine.finding import Verdict

Kind = Literal["time", "lsn", "xid", "name", "immediate", "default"]  # as pgBackRest calls them


@dataclass(frozen=True, slots=True)
class Aim:
    """What pgBackRest is told: which set, how far, on which timeline."""

    label: str
    kind: Kind = "default"
    target: str | None = None
    timeline: str | None = None  # a number, "current" or "latest"
    exclusive: bool = False
    repository: int = 1
    promote: bool = True  # False: it stays read-only at the target


@dataclass(frozen=True, slots=True)
class Truth:
    """What a restored server really is, as it told itself."""

    consistent_s: float  # from its start until it let readers in
    reached_s: float  # until the target was reached, and writers were let in if it was to promote
    promoted: bool
    timeline: int
    lsn: str | None  # where replay ended
    last_commit: datetime | None  # of the newest transaction that was replayed
    stopped_at: str | None  # its own words for why replay ended here
    system: int = 0  # the identity of the cluster


def options(aim: Aim) -> tuple[str, ...]:
    """Say it on pgBackRest's command line."""
    told = [f"--set={aim.label}", f"--repo={aim.repository}", f"--type={aim.kind}"]
    if aim.target is not None:
        told.append(f"--target={aim.target}")
    if aim.exclusive:
        told.append("--target-exclusive")
    if aim.timeline is not None and aim.kind != "immediate":  # where it refuses to be told
        told.append(f"--target-timeline={aim.timeline}")
    if aim.kind != "default":
        told.append(f"--target-action={'promote' if aim.promote else 'pause'}")
    return tuple(told)


@dataclass(frozen=True, slots=True)
class Goal:
    """What was chosen to be restored, and what it will take."""

    aim: Aim
    wanted: str  # as the operator asked for it: "2026-11-21T04:26:21Z"
    size: int  # bytes of the restored cluster
    segments: int  # of WAL to be read
    notes: tuple[str, ...] = ()
    before: datetime | None = None  # of the last commit that will be there, as far as it was found
    after: datetime | None = None  # of the first one that will not


@dataclass(frozen=True, slots=True)
class Left:
    """A scratch copy of another run."""

    name: str
    target: str
    folder: str
    run: str
    alive: bool  # its run is still at it
    kept: bool
    until: datetime | None  # None: until somebody removes it
    ours: bool  # its folder carries our mark, or was not made yet


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known before a scratch copy is made."""

    target: str
    goal: Goal
    folder: str  # where it goes, for the preview
    free: int  # bytes
    occupied: bool  # something is there already
    left: tuple[Left, ...] = ()


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the operator asked for."""

    verify: bool = False
    keep: bool = False
    ttl: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Connect:
    """How to reach a scratch copy that is kept."""

    socket: str
    port: int
    user: str
    psql: str


@dataclass(frozen=True, slots=True)
class Looked:
    """What a verification looked at."""

    databases: int
    tables: int
    rows: int
    indexes: int
    took: timedelta


@dataclass(frozen=True, slots=True)
class Restored:
    """One restore: what it took, and what it really reached."""

    target: str
    label: str
    repository: int
    wanted: str
    folder: str
    size_bytes: int
    restored: timedelta  # until the files were back
    consistent: timedelta  # until it let readers in; all three from the start of the restore
    writable: timedelta | None  # until it took writes; None: it stays read-only
    timeline: int
    lsn: str | None
    last_commit: datetime | None
    stopped_at: str | None
    verdict: Verdict | None = None  # of --verify
    looked: Looked | None = None
    connect: Connect | None = None
    kept_until: datetime | None = None
