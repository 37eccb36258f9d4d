"""What is known before a backfill: table and statistics, who listens to its updates, and what was done so far."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from dbops.copies.bounds import Range, Table
from dbops.engine.plan import Statement
from dbops.operations.migrate.life import STATE, Life
from dbops.operations.migrate.shapes.belongings import Belonging
from dbops.operations.migrate.shapes.shape import Filling

FILLED = "filled"  # in the evidence of a failure: all rows were filled, and what comes behind them failed


class Firing(StrEnum):
    """What becomes of the table's own triggers while rows are filled."""

    FIRE = "fire"
    SUPPRESS = "suppress"


class By(StrEnum):
    """Who may fill rows without firing triggers."""

    OWNER = "owner"
    ADMINISTRATOR = "administrator"


@dataclass(frozen=True, slots=True)
class Trigger:
    """A trigger of the application that an UPDATE of a batch fires."""

    name: str
    table: str
    function: str
    columns: tuple[str, ...] = ()  # fires only when one of these is set; none: always
    always: bool = False  # ENABLE ALWAYS or REPLICA: fires also where triggers are suppressed


@dataclass(frozen=True, slots=True)
class Part:
    """One range of the table, walked by one connection at a time. A row of dbops.jobs."""

    job: int
    number: int
    left: Range  # from the cursor on
    rows_total: int
    rows_seen: int
    rows_changed: int
    batch_rows: int
    finished: bool


@dataclass(frozen=True, slots=True)
class Facts:
    """A change in a database, as its backfill finds it."""

    target: str
    change: str
    life: Life
    filling: Filling
    table: Table
    work: str  # identifies what is done: parts of other work mean nothing
    parts: tuple[Part, ...] = ()
    set_aside: int = 0
    stale: str | None = None  # why the planner's statistics are not to be trusted
    triggers: tuple[Trigger, ...] = ()
    publications: tuple[str, ...] = ()
    suppressing: By | None = None  # who may
    checks_foreign_keys: bool = False  # the written table has some: suppressed, nobody checks them
    paused_by: str | None = None
    ledger: tuple[Statement, ...] = ()
    carries: bool = False  # indexes and constraints go over to the new columns
    missing: tuple[Belonging, ...] = ()  # of them

    @property
    def filled(self) -> bool:
        """Say whether it failed behind the rows: they need not be walked again."""
        states = [one for one in self.life.entries if one.kind == STATE]
        return bool(states) and bool(states[-1].detail.get(FILLED))

    @property
    def complete(self) -> bool:
        return bool(self.parts) and all(part.finished for part in self.parts) and not self.set_aside


LIMITS: Mapping[str, float | None] = {
    "replica-lag": 10.0,  # seconds of replay
    "replica-behind": 512 * 2**20,  # bytes that a replica has not replayed
    "slot-wal": 8 * 2**30,  # bytes that the worst replication slot retains
    "wal-archive": 64.0,  # segments that wait for the archive
    "wal-rate": 200 * 2**20,  # bytes a second that the whole server writes
    "wraparound-vacuum": 0.0,  # autovacuums of the table that nobody may hold up
    "autovacuum": None,  # other ones: shown, and no reason to wait
    "dead-rows": 0.6,  # share of the table, where autovacuum is there to remove them
    "waiters": 0.0,  # sessions that wait for a batch: the next one is smaller
    "throttle-sql": 0.0,
}
UNITS: Mapping[str, str] = {
    "replica-lag": "s",
    "replica-behind": "B",
    "slot-wal": "B",
    "wal-rate": "B/s",
    "dead-rows": "%",
}
SLOWS = frozenset({"waiters"})  # these make the next batch smaller; the others hold it


@dataclass(frozen=True, slots=True)
class Signal:
    """One thing that a backfill gives way to. No value: it could not be observed. No limit: it is only shown."""

    name: str
    value: float | None
    limit: float | None

    @property
    def over(self) -> bool:
        return self.value is not None and self.limit is not None and self.value > self.limit


@dataclass(frozen=True, slots=True)
class Wanted:
    """How the operator wants it done."""

    firing: Firing | None = None
    jobs: int = 1
    batch: timedelta = timedelta(milliseconds=200)  # how long one may take
    most_rows: int = 20_000  # of a batch
    most_set_aside: int = 100
    patience: timedelta = timedelta(minutes=3)  # with a row that another transaction holds
    limits: Mapping[str, float | None] = field(default_factory=lambda: LIMITS)
    throttle_sql: str | None = None
    again: bool = False
