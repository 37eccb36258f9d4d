"""What is told of a database and of its open changes."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from dbops.engine.finding import Finding
from dbops.operations.migrate.backfill import remaining


@dataclass(frozen=True, slots=True)
class Walk:
    """A backfill or a verification, all its parts together."""

    kind: str  # backfill, verify, verify back
    rows: int
    seen: int
    finished: bool
    left: int = 0  # rows; by the key's range, where the statistics tell it
    throttled_by: str | None = None
    throttled_ms: int = 0  # so far, all parts together
    eta_likely: timedelta | None = None
    eta_late: timedelta | None = None  # nine times in ten no longer

    @property
    def percent(self) -> int:
        return 100 if self.finished else remaining.percent(self.seen, self.left)


@dataclass(frozen=True, slots=True)
class Open:
    """An open change in one database."""

    target: str
    change: str
    impact: str
    phase: str  # its state; soak: switched, and waiting
    since: datetime | None
    elsewhere: bool  # what is known of it was found in another database
    paused: bool
    readers: int  # of a hundred, how many follow
    walk: Walk | None = None
    missing: tuple[str, ...] = ()  # gates that are not open, as far as is known
    unlooked: tuple[str, ...] = ()  # gates that nobody looked at since the switch
    looked: datetime | None = None  # when all gates were looked at last
    overridden: tuple[str, ...] = ()  # gates that somebody went through, once and for all to be seen


@dataclass(frozen=True, slots=True)
class Standing:
    """A database: where it is in its history, and what is open."""

    target: str
    stamp: str | None
    head: str | None
    pending: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()  # why nothing would be done
    changes: tuple[Open, ...] = ()
    contracts: str | None = None  # the change that the next revision contracts: it asks for its gates


@dataclass(frozen=True, slots=True)
class Looked:
    """What one look found, and what is wrong."""

    standing: Standing
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened to a change, as the ledger tells it."""

    target: str
    change: str
    impact: str
    what: str
    said: str
    at: datetime
    age: timedelta
    run: str
    actor: str
    here: bool  # in this very database; else in the one that it was copied from
    detail: dict[str, Any]


@dataclass(frozen=True, slots=True)
class HeldBeside:
    """How long a lock was held, and how long that had been on the copy."""

    relation: str
    mode: str
    held_ms: float
    predicted_held_ms: float | None


@dataclass(frozen=True, slots=True)
class TookBeside:
    """How long a statement took, and how long that had been on the copy."""

    sql: str
    ms: float
    waited_ms: float
    predicted_ms: float | None
    builds: bool  # reads a whole table


@dataclass(frozen=True, slots=True)
class Beside:
    """A phase in earnest, beside what was foretold of it."""

    target: str
    change: str
    phase: str
    at: datetime
    run: str
    actor: str
    ms: float
    predicted_ms: float | None
    revision: str | None = None
    attempts: int = 1
    waited_ms: float = 0.0  # for locks
    throttled_ms: float = 0.0
    locks: tuple[HeldBeside, ...] = ()
    statements: tuple[TookBeside, ...] = ()
    rows: int | None = None
    rows_per_s: float | None = None
    predicted_rows_per_s: float | None = None
    wal_bytes: int | None = None  # of the whole server meanwhile
    predicted_wal_bytes: int | None = None
    rehearsed: datetime | None = None
    unforetold: str | None = None  # why nothing was
