"""What is known before the old goes away: the evidence that the gates judge."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from dbops.operations.migrate.contract.uses import Old
from dbops.operations.migrate.life import Place, State

PRIMARY = "primary"
LEAVE = "leave"  # kinds of evidence in the ledger; the gate within the revision looks for this one
LEAVE_ENDED = "leave ended"
LOOKED = "gates"
OVERRIDE = "override"
SAMPLE = "clients"
BASELINE = "baseline"
REHEARSED = "rehearsed"  # {"plan": checksum, "ok": bool, "took_ms": .., "revisions": {id: milliseconds}}


class Passed(StrEnum):
    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"  # never a pass


@dataclass(frozen=True, slots=True)
class Gate:
    """One gate: what was found, how old that is, and what would open it."""

    name: str
    passed: Passed
    evidence: str
    at: datetime | None = None  # when the evidence was taken; None: there is none, or it is of this moment
    todo: str | None = None
    overridden: str | None = None  # why somebody went through all the same

    @property
    def open(self) -> bool:
        return self.passed is Passed.YES or self.overridden is not None


@dataclass(frozen=True, slots=True)
class Proof:
    """An entry of the ledger that was made in this very database."""

    at: datetime
    detail: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Dependant:
    """Something in the catalog that needs the old, or might."""

    what: str  # as PostgreSQL describes it
    certain: bool = True
    goes_along: bool = False  # an index, a constraint of the table itself: dropped with the column


@dataclass(frozen=True, slots=True)
class Statement:
    """A row of pg_stat_statements."""

    user: int
    query: int
    calls: int
    text: str | None  # None: it is not to be read


@dataclass(frozen=True, slots=True)
class Counted:
    """What a server counted up to now; `problem` tells why it counts for nothing."""

    server: str
    problem: str | None = None
    hint: str | None = None
    reset: datetime | None = None
    dealloc: int = 0
    statements: tuple[Statement, ...] = ()


@dataclass(frozen=True, slots=True)
class Before:
    """What a server had counted when the readers were switched."""

    server: str
    reset: datetime | None
    dealloc: int
    calls: Mapping[tuple[int, int], int]


@dataclass(frozen=True, slots=True)
class Baseline:
    taken: datetime
    servers: Mapping[str, Before]
    problems: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Sample:
    """Who was connected at one moment: how often each pattern of an old client was seen."""

    at: datetime
    patterns: tuple[str, ...]
    seen: Mapping[str, int]
    ours: int = 0  # sessions of others that sign in as the role of dbops
    servers: tuple[str, ...] = (PRIMARY,)  # that were looked at; clients of another one may have been there unseen
    missed: Mapping[str, str] = field(default_factory=dict[str, str])  # the others, and why


@dataclass(frozen=True, slots=True)
class Backups:
    """What `across` collected about the cluster's backups."""

    newest: datetime | None = None  # when the newest one was complete
    problem: str | None = None  # why it could not be told, or does not count
    archiving: str | None = None  # what is wrong with it


@dataclass(frozen=True, slots=True)
class Facts:
    """All that the gates are judged by."""

    target: str
    change: str
    now: datetime
    here: Place
    state: State
    switched: datetime | None  # since when all readers follow, in this very database
    soak: timedelta
    checksum: str
    old: Old | None  # None: nothing goes away
    compares: bool = True  # the shape has a comparison: there is a copy to go by
    kept: bool = False  # what goes away is put out of the way first, with all that is in it
    compared: Proof | None = None
    triggers: str = ""  # the digest of our triggers as they are now
    works: frozenset[str] | None = None  # the hashes of what is to be compared
    conflicts: int = 0  # since the switch: rows whose old and new were both written, and disagreed
    dependants: tuple[Dependant, ...] = ()
    own_roles: Mapping[int, str] = field(default_factory=dict[int, str])  # by their OIDs
    baseline: Baseline | None = None
    counted: tuple[Counted, ...] = ()
    patterns: tuple[str, ...] | None = None  # application names of old clients; None: nobody has told them
    samples: tuple[Sample, ...] = ()  # oldest first; the last one is of now
    servers: tuple[str, ...] = (PRIMARY,)  # where clients may connect
    backups: Backups = Backups(problem="nobody looked")
    rehearsed: Proof | None = None
