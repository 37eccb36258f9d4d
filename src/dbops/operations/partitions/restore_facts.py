"""A partition that has been retired, and what it takes to bring it back; pure."""

from dataclasses import dataclass

from dbops.engine.plan import Statement
from dbops.operations.partitions.facts import Name, Parent


@dataclass(frozen=True, slots=True)
class Kept:
    """What a copy in the vault says of its partition."""

    folder: str
    home: str
    name: str
    parent: str  # schema.table
    bound: str
    digest: str
    rows: int
    columns: tuple[tuple[str, str], ...]
    key: tuple[str, ...]

    @property
    def label(self) -> str:
        return f"{self.home}.{self.name}"


@dataclass(frozen=True, slots=True)
class There:
    """A table that was this partition, or is to become it again."""

    oid: int
    schema: str
    name: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """One partition to bring back, and the world that it comes back to."""

    target: str
    kept: Kept
    attached: bool  # wanted so; otherwise it comes back beside its table
    parent: Parent | None
    there: There | None = None  # it still waits in the grace schema, or was loaded by a run that was killed
    is_attached: bool = False
    foreign_keys: tuple[tuple[str, str], ...] = ()  # of its table: name, definition
    overlaps: tuple[str, ...] = ()
    lacking: tuple[str, ...] = ()  # columns that its table no longer has
    standby: bool = False
    ledger: tuple[Statement, ...] = ()


@dataclass(frozen=True, slots=True)
class InstallLedger:
    statements: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class Load:
    """Make a table and bring the rows back into it, in one transaction: killed, there is nothing of it."""

    kept: Kept
    into: Name
    make: Statement
    more: tuple[Statement, ...]  # once the rows are in


@dataclass(frozen=True, slots=True)
class Prove:
    """Give it its table's foreign keys and bounds and validate them, so that ATTACH has no row to look at."""

    kept: Kept
    there: There | None  # None: what Load has made
    constraints: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Attach:
    kept: Kept
    there: There | None  # None: what Load has made
    statements: tuple[Statement, ...]


Action = InstallLedger | Load | Prove | Attach
