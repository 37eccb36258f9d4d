"""What partitioned tables are (facts, from the catalogs) and what is meant (wishes, from the configuration)."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from dbops.operations.partitions.bounds import Grid, Interval, Kind, Span

Name = tuple[str, str]  # schema, table


@dataclass(frozen=True, slots=True)
class Hold:
    first: date
    last: date
    reason: str


@dataclass(frozen=True, slots=True)
class Policies:
    """The table that says how long each kind of rows is kept."""

    table: Name
    kind: str
    days: str


@dataclass(frozen=True, slots=True)
class Wish:
    """What the configuration says of one partitioned table."""

    table: Name
    interval: Interval = Interval.MONTH
    premake: int = 3
    column: str | None = None
    zone: str = "UTC"
    runway: timedelta | None = None
    retention: timedelta | None = None
    policies: Policies | None = None
    action: str = "archive"  # drop, detach, archive
    grace: timedelta = timedelta(days=7)
    holds: tuple[Hold, ...] = ()
    default: str = "none"  # none, keep
    pruned: tuple[tuple[str, int], ...] = ()

    def grid(self, kind: Kind) -> Grid:
        return Grid(self.interval, self.zone, kind)


@dataclass(frozen=True, slots=True, order=True)
class Right:
    """One privilege of one grantee; an empty grantee is PUBLIC."""

    grantee: str
    privilege: str
    grantable: bool = False
    column: str = ""


@dataclass(frozen=True, slots=True)
class Partition:
    """A table that is, or is being detached from, a part of another; its bounds are those of the catalog."""

    oid: int
    schema: str
    name: str
    span: Span
    default: bool = False
    detach_pending: bool = False
    partitioned: bool = False  # it has partitions of its own
    rows: int | None = None  # an estimate; None: never counted
    size_bytes: int | None = None  # None: not asked
    indexes: tuple[str, ...] = ()
    lacking_indexes: tuple[str, ...] = ()  # of the parent, that it has no (valid) part of
    row_security: bool = False
    forced: bool = False
    policies: tuple[str, ...] = ()  # names
    owner: str = ""
    rights: tuple[Right, ...] = ()
    bound: str = ""  # as the server writes it

    @property
    def place(self) -> Name:
        return (self.schema, self.name)


@dataclass(frozen=True, slots=True)
class Policy:
    name: str
    permissive: bool
    command: str  # ALL, SELECT, INSERT, UPDATE, DELETE
    roles: tuple[str, ...]  # an empty name is PUBLIC
    using: str | None
    check: str | None
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class Child:
    """A partition of a partition: how a new one is divided in its turn."""

    suffix: str
    bound: str  # FOR VALUES ..., or DEFAULT
    divided: bool = False  # once more: that goes too deep for us


@dataclass(frozen=True, slots=True)
class Shape:
    """What a new partition has to be like, beside what LIKE copies."""

    current_user: str
    policies: tuple[Policy, ...] = ()
    default_grantees: tuple[str, ...] = ()  # who would get something by default privileges
    replica_identity: str = "d"
    identity_index: str | None = None
    tablespace: str | None = None
    comment: str | None = None
    options: tuple[str, ...] = ()  # of the newest sibling: name=value
    targets: tuple[tuple[str, int], ...] = ()  # statistics targets of columns
    publications: tuple[str, ...] = ()  # that have siblings by name
    divided_by: str | None = None  # LIST (region), when siblings are divided
    children: tuple[Child, ...] = ()


@dataclass(frozen=True, slots=True)
class Parent:
    """A partitioned table with its partitions."""

    oid: int
    schema: str
    name: str
    strategy: str  # range, list, hash
    column: str | None  # None: an expression, or several columns
    kind: Kind | None  # None: no date and no timestamp
    owner: str
    row_security: bool = False
    forced: bool = False
    policies: tuple[str, ...] = ()
    rights: tuple[Right, ...] = ()
    peers: tuple[Name, ...] = ()  # tables that its foreign keys refer to, or whose foreign keys refer to it
    partitions: tuple[Partition, ...] = ()  # without the default
    default: Partition | None = None
    default_rows: tuple[tuple[Span, int], ...] = ()  # in the default, by cell
    newest: datetime | None = None  # the newest row's key, where it was asked
    shape: Shape | None = None
    taken: frozenset[str] = frozenset()  # names of relations in its schema that begin like its own
    litter: tuple[str, ...] = ()  # constraints of ours on the default, left by a run that was killed

    @property
    def place(self) -> Name:
        return (self.schema, self.name)

    @property
    def told(self) -> str:
        return self.name if self.schema == "public" else f"{self.schema}.{self.name}"

    @property
    def attached(self) -> tuple[Partition, ...]:
        return tuple(one for one in self.partitions if not one.detach_pending)

    @property
    def pending(self) -> tuple[Partition, ...]:
        return tuple(one for one in self.partitions if one.detach_pending)


@dataclass(frozen=True, slots=True)
class Facts:
    target: str
    standby: bool = False
    parents: tuple[Parent, ...] = ()
    hypertables: tuple[Name, ...] = ()
    ledger: int | None = None

    def parent(self, table: Name) -> Parent | None:
        return next((one for one in self.parents if one.place == table), None)
