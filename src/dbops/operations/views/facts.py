"""What is known of the materialized views of one database; pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from dbops.engine.plan import qualified


@dataclass(frozen=True, slots=True)
class Signature:
    """What tells one state of all that a view reads from another. Equal in all parts: nothing has changed.

    Counters of rows reach the statistics up to a minute late, so a change may be seen one pass later; it is never
    missed. What empties or exchanges counters (a crash, a promotion, a reset) changes `server`.
    """

    server: str
    definition: str  # of the view, the plain views below it, and the functions that they call
    data: str  # of every table, partition and materialized view below it

    def differs(self, other: "Signature") -> str:
        """Say how; empty when it does not."""
        if self.server != other.server:
            return "the server's statistics began anew since: a restart after a crash, a promotion, a reset"
        if self.definition != other.definition:
            return "its definition, or a function in it, has changed"
        return "" if self.data == other.data else "what it reads has changed"


@dataclass(frozen=True, slots=True)
class Node:
    """A relation that a view reads, and what that one reads."""

    name: str
    kind: str
    reads: tuple["Node", ...] = ()


class Outcome(StrEnum):
    """How the last refresh ended."""

    REFRESHED = "refreshed"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Past:
    """What the ledger tells of a view in this very database."""

    last_at: datetime | None = None
    outcome: Outcome | None = None
    error: str | None = None
    read_at: datetime | None = None  # when the last good refresh read its data
    signature: Signature | None = None  # what it read then
    unchanged_at: datetime | None = None  # when it was last seen that nothing had changed since
    refreshes: int = 0
    p50: timedelta | None = None
    p95: timedelta | None = None


@dataclass(frozen=True, slots=True)
class View:
    """One materialized view."""

    oid: int
    schema: str
    name: str
    owner: str
    populated: bool = True
    size: int = 0
    rows: int | None = None  # as the statistics tell
    live: int = 0
    dead: int = 0
    key: str | None = None  # the unique index that a concurrent refresh can use
    invalid: tuple[str, ...] = ()  # indexes that serve nobody
    candidate: str | None = None  # a column that looks unique
    may_refresh: bool = True  # the connected role may
    parents: frozenset[int] = frozenset()  # materialized views that it reads, through plain views too
    below: frozenset[int] = frozenset()  # every relation below it, through all views and partitions
    reads: tuple[Node, ...] = ()
    bound: tuple[str, ...] = ()  # where row security would hide rows from the refresh
    opaque: tuple[str, ...] = ()  # why a change of what it reads cannot be seen
    signature: Signature | None = None
    past: Past = Past()

    @property
    def shown(self) -> str:
        return qualified((self.schema, self.name))

    @property
    def subject(self) -> str:
        """Name the lock and the ledger's entries of this view."""
        return f"view:{self.shown}"

    @property
    def index_ddl(self) -> str:
        """Write the index that a concurrent refresh lacks."""
        column = qualified((self.candidate,)) if self.candidate else "..., the columns that identify a row"
        return f"CREATE UNIQUE INDEX CONCURRENTLY ON {self.shown} ({column})"

    @property
    def changed(self) -> str:
        """Say why it has to be refreshed; empty when nothing has changed since it was."""
        if not self.populated:
            return "it was never filled"
        if self.opaque or self.signature is None:
            return f"a change cannot be seen: {', '.join(self.opaque) or 'no statistics'}"
        if self.past.signature is None:
            return "no earlier refresh is known"
        return self.signature.differs(self.past.signature)

    def age(self, now: datetime) -> timedelta | None:
        """Tell how old its content may be: it can only be as old as the last look that found nothing changed."""
        if self.past.read_at is None or not self.populated:
            return None
        if not self.changed:
            return timedelta(0)
        seen = max(self.past.read_at, self.past.unchanged_at or self.past.read_at)
        return max(timedelta(0), now - seen)


@dataclass(frozen=True, slots=True)
class Facts:
    """The views of one database, each behind those that it reads."""

    target: str
    now: datetime  # by the server's clock, as the ledger's instants are
    views: tuple[View, ...] = ()
    relations: tuple[tuple[int, str], ...] = ()  # what views read, and the parents of partitions; by oid
    standby: bool = False
    ledger: int | None = None

    def ages(self) -> dict[int, timedelta | None]:
        """Tell how old each view's content may be: at least as old as that of the views that it reads."""
        ages: dict[int, timedelta | None] = {}
        for view in self.views:
            all_of_it = [view.age(self.now), *(ages.get(parent) for parent in view.parents)]
            known = [age for age in all_of_it if age is not None]
            ages[view.oid] = max(known) if len(known) == len(all_of_it) else None
        return ages


@dataclass(frozen=True, slots=True)
class Setting:
    """What is declared of a view."""

    schedule: timedelta | None = None
    staleness: timedelta | None = None
    mode: str = "auto"  # auto, concurrently, plain
    timeout: timedelta | None = None
    skip_unchanged: bool = True


Declared = Mapping[str, Setting]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which views the operator means. Without names, `stale` or `downstream_of`: all."""

    names: tuple[str, ...] = ()
    stale: bool = False
    downstream_of: str | None = None
    force: bool = False  # also what has not changed
    jobs: int = 1


@dataclass(frozen=True, slots=True)
class Compared:
    """How many rows the view has that its query does not give, and the other way round."""

    view: str
    too_many: int | None = None
    missing: int | None = None
    failed: str | None = None  # why it could not be compared
