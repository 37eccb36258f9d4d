"""What a restore is told, and what it reached; pure."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

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


@dataclass(frozen=True, slots=True)
class Limits:
    """Settings that a hot standby may not have lower than its primary had, as pg_control keeps them."""

    values: tuple[tuple[str, int], ...] = ()

    def at_least(self, name: str, value: int) -> "Limits":
        told = dict(self.values)
        told[name] = max(value, told.get(name, 0))
        return Limits(tuple(sorted(told.items())))


def options(aim: Aim) -> tuple[str, ...]:
    """Say it on pgBackRest's command line."""
    told = [f"--set={aim.label}", f"--repo={aim.repository}", f"--type={aim.kind}"]
    if aim.target is not None:
        told.append(f"--target={aim.target}")
    if aim.exclusive:
        told.append("--target-exclusive")
    if aim.timeline is not None:
        told.append(f"--target-timeline={aim.timeline}")
    if aim.kind != "default":
        told.append(f"--target-action={'promote' if aim.promote else 'pause'}")
    return tuple(told)


@dataclass(frozen=True, slots=True)
class Connect:
    """How to reach a scratch copy that is kept."""

    socket: str
    port: int
    user: str
    psql: str


@dataclass(frozen=True, slots=True)
class Restored:
    """One restore, with what it took and what it really reached."""

    target: str
    label: str
    folder: str
    size_bytes: int
    restored_s: float
    consistent_s: float
    writable_s: float
    truth: Truth
    verdict: str | None = None  # of --verify
    connect: Connect | None = None
    kept_until: datetime | None = None
    verified: "Counted | None" = None


@dataclass(frozen=True, slots=True)
class Counted:
    """What a verification looked at."""

    databases: int = 0
    tables: int = 0
    rows: int = 0
    indexes: int = 0
    seconds: float = 0.0
    by_table: tuple[tuple[str, int], ...] = field(default=(), repr=False)
