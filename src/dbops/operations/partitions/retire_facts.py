"""Partitions on their way out: what is known of each one, and what can be done to it; pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from dbops.engine.plan import Statement

GRACE = "dbops_grace"
KIND = "partition"  # of the artifacts in the vault
_MOST_BYTES = 63


def grace_schema(home: str) -> str:
    """Name the schema where partitions wait. One for each schema: names may repeat from one to the other."""
    whole = GRACE if home == "public" else f"{GRACE}_{home}"
    return whole.encode()[:_MOST_BYTES].decode(errors="ignore")


@dataclass(frozen=True, slots=True)
class Copied:
    """A copy in the vault, as the ledger tells it."""

    folder: str
    digest: str
    rows: int
    in_vault: bool = True


@dataclass(frozen=True, slots=True)
class Part:
    """One partition as it is found, attached or on its way out."""

    oid: int
    schema: str  # where it is now
    name: str
    home: str  # where it belongs
    bound: str  # FOR VALUES ..., as the catalog writes it
    begin: datetime | None  # None: from MINVALUE
    end: datetime | None  # None: to MAXVALUE
    attached: bool = True
    pending: bool = False
    leaf: bool = True
    bytes: int = 0
    rows: int = 0
    grantees: tuple[str, ...] = ()  # who has a right on it, beside its owner; PUBLIC is ""
    foreign_keys: tuple[str, ...] = ()  # its own, by name: an attached one shares those of its parent
    peers: tuple[str, ...] = ()  # the tables these point to
    referenced_by: tuple[str, ...] = ()  # tables with rows that point into it
    keep: timedelta | None = None  # the longest retention that any of its rows has; None: forever
    empty: bool = False  # looked at, and found without a row
    unknown: tuple[str, ...] = ()  # kinds of rows that no policy speaks of
    held: str | None = None  # why it is under a legal hold
    copied: Copied | None = None
    sealed: bool = False  # nobody's writes were under way any more when its rights were taken
    agreed: bool = False  # after that, compared with its copy and found the same
    grace_since: datetime | None = None
    restored: datetime | None = None

    @property
    def label(self) -> str:
        return f"{self.home}.{self.name}"

    @property
    def in_grace(self) -> bool:
        return not self.attached and self.schema == grace_schema(self.home)


@dataclass(frozen=True, slots=True)
class Retired:
    """One partitioned table: what is attached to it, and what has left it."""

    target: str
    oid: int
    schema: str
    table: str
    column: str
    parts: tuple[Part, ...] = ()
    default: str | None = None
    pending: tuple[tuple[str, str], ...] = ()  # interrupted detaches, ours or not: only one is possible at a time
    standby: bool = False
    ledger: tuple[Statement, ...] = ()  # what installs or upgrades it

    @property
    def label(self) -> str:
        return f"{self.schema}.{self.table}"


@dataclass(frozen=True, slots=True)
class InstallLedger:
    statements: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class Finalize:
    """Finish a detach that was interrupted: until then no other is possible."""

    schema: str
    name: str


@dataclass(frozen=True, slots=True)
class Export:
    part: Part


@dataclass(frozen=True, slots=True)
class Detach:
    part: Part
    concurrently: bool


@dataclass(frozen=True, slots=True)
class Seal:
    """Wait for writes under way, take everybody's rights, cut its own foreign keys."""

    part: Part


@dataclass(frozen=True, slots=True)
class Compare:
    part: Part


@dataclass(frozen=True, slots=True)
class Shelve:
    """Move it to the grace schema; from here on its grace is counted."""

    part: Part


@dataclass(frozen=True, slots=True)
class Drop:
    part: Part
    compared: bool  # with its copy, under the lock; without one the operator has named the target


Action = InstallLedger | Finalize | Export | Detach | Seal | Compare | Shelve | Drop
