"""What is seen of a statement that was run on a clone, and what is known of the real tables."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from dbops.engine.finding import Severity

# From the weakest to the strongest, as PostgreSQL's documentation orders them.
MODES = (
    "ACCESS SHARE",
    "ROW SHARE",
    "ROW EXCLUSIVE",
    "SHARE UPDATE EXCLUSIVE",
    "SHARE",
    "SHARE ROW EXCLUSIVE",
    "EXCLUSIVE",
    "ACCESS EXCLUSIVE",
)
SUE, SHARE, AEL = MODES[3], MODES[4], MODES[7]


def strength(mode: str) -> int:
    return MODES.index(mode)


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    type: str  # as PostgreSQL writes it
    required: bool = False
    default: bool = False
    serial: bool = False  # a sequence of its own feeds it
    identity: bool = False
    generated: bool = False
    checked: bool = False  # its domain has a CHECK or NOT NULL


@dataclass(frozen=True, slots=True)
class Constraint:
    name: str
    kind: str  # as in pg_constraint: c f p u x
    valid: bool
    peer: int = 0  # the table that a foreign key leads to
    index: int = 0


@dataclass(frozen=True, slots=True)
class Relation:
    """A table, index, view, ... at one moment."""

    oid: int
    name: str  # without its schema, where that is public
    kind: str  # as in pg_class: r p i I v m S
    file: int | None = None
    storage: tuple[str, ...] = ()  # persistence, tablespace, access method
    manners: tuple[str, ...] = ()  # row security, replica identity, owner: what only the catalog knows
    of: int = 0  # an index's table
    valid: bool = True
    parents: tuple[int, ...] = ()
    columns: Mapping[int, Column] = field(default_factory=dict[int, Column])
    constraints: Mapping[int, Constraint] = field(default_factory=dict[int, Constraint])
    triggers: tuple[str, ...] = ()
    policies: tuple[str, ...] = ()
    publications: tuple[str, ...] = ()

    @property
    def is_table(self) -> bool:
        return self.kind in {"r", "p", "m"}


What = Literal[
    "column added",
    "column dropped",
    "column renamed",
    "type changed",
    "not null set",
    "constraint added",
    "constraint dropped",
    "constraint validated",
    "index added",
    "index dropped",
    "renamed",
    "trigger added",
    "trigger dropped",
    "trigger changed",
    "policy changed",
    "manners changed",
    "storage changed",
    "attached",
    "detached",
    "partition created",
    "child created",
    "dropped",
]


@dataclass(frozen=True, slots=True)
class Change:
    """One difference that a statement made to what was there before its revision."""

    what: What
    table: str  # the table, or the view, that it is about
    name: str = ""  # the column, constraint, index, ...
    about: frozenset[str] = frozenset()
    told: str = ""


@dataclass(frozen=True, slots=True)
class Lock:
    relation: str
    mode: str
    kind: str
    held: bool = False  # an earlier statement of the transaction took it


@dataclass(frozen=True, slots=True)
class Failure:
    sqlstate: str
    message: str


@dataclass(frozen=True, slots=True)
class Seen:
    """One statement, run on a clone. Only what was there before its revision is told: nobody waits for what is new."""

    revision: str
    number: int  # within the revision, from 1
    text: str
    transaction: int | None  # statements of a revision with the same number share one; None: it runs outside
    locks: tuple[Lock, ...] = ()
    rewritten: tuple[str, ...] = ()
    scanned: tuple[str, ...] = ()
    changes: tuple[Change, ...] = ()
    broken: tuple[str, ...] = ()  # indexes that it leaves invalid
    fires: tuple[str, ...] = ()  # triggers and publications of the tables whose rows it changes
    failed: Failure | None = None


@dataclass(frozen=True, slots=True)
class Size:
    rows: int
    bytes: int
    indexes: int = 0


@dataclass(frozen=True, slots=True)
class Sizes:
    """How large the real tables are. Unknown ones count as large: `None`."""

    known: Mapping[str, Size] | None = None  # of a live database; a table that is not in it is empty
    empty: frozenset[str] = frozenset()  # revisions that only ever run on an empty database

    def of(self, table: str, revision: str) -> Size | None:
        if revision in self.empty:
            return Size(0, 0)
        return None if self.known is None else self.known.get(table, Size(0, 0))


@dataclass(frozen=True, slots=True)
class Hazard:
    """What a statement does to a running application."""

    code: str
    severity: Severity
    revision: str
    number: int  # of the statement; 0 is the revision as a whole
    table: str
    message: str
    hint: str


@dataclass(frozen=True, slots=True)
class Line:
    """What is to be expected of one statement."""

    revision: str
    number: int
    statement: str
    locks: tuple[str, ...]
    blocks: str  # nothing, writes, reads and writes
    rewrites: tuple[str, ...]
    scans: tuple[str, ...]
    reversible: bool
    at_least_s: float | None = None  # None: nobody told how large the tables are
    at_most_s: float | None = None
    notes: tuple[str, ...] = ()
    codes: tuple[str, ...] = ()
