"""What a verification is asked for, and what it sees; pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from dbops.engine.finding import Finding, Verdict
from dbops.operations.clusters.proofs import Depth
from dbops.operations.clusters.restore.facts import Restored


@dataclass(frozen=True, slots=True)
class Wanted:
    """How closely to look, and at what."""

    depth: Depth = Depth.FULL
    subset: tuple[int, int] | None = None
    since_last: bool = False
    label: str | None = None

    @property
    def slice_name(self) -> str | None:
        return None if self.subset is None or self.subset[1] == 1 else f"{self.subset[0]}/{self.subset[1]}"


class Cut(NamedTuple):
    """A part of a stored file, and its hash as it is stored; a plain tuple, because there are many."""

    offset: int
    size: int
    sha1: str  # empty: not told
    name: str


@dataclass(frozen=True, slots=True)
class Expected:
    """A file of a set as its manifest tells it."""

    size: int | None  # as it is stored; None: not told
    cuts: tuple[Cut, ...] = ()
    content: str | None = None  # the hash of what comes out when it is decrypted and unpacked
    compression: str = "none"


class Wrong(StrEnum):
    """What can be wrong with a file."""

    MISSING = "missing"
    DAMAGED = "damaged"
    CHANGED = "changed"  # it carries no checksum, and is not what was seen first
    UNREAD = "not read"
    NOT_UNDERSTOOD = "not understood"
    EXTRA = "extra"
    TEMPORARY = "temporary"


@dataclass(frozen=True, slots=True)
class Fault:
    """One file that is not as it should be."""

    path: str
    wrong: Wrong
    why: str


@dataclass(frozen=True, slots=True)
class Task:
    """One file to be read, and what it is compared with."""

    path: str
    size: int
    expected: Expected | None = None
    is_sealed: bool = False  # unpacked it is a sealed file
    is_witnessed: bool = False  # compared with what was seen first


@dataclass(frozen=True, slots=True)
class Pair:
    """A sealed file and its copy: why each of them is of no use, or None."""

    path: str
    original: str | None
    copy: str | None
    could_not_read: bool = False

    @property
    def usable(self) -> bool:
        return self.original is None or self.copy is None


@dataclass(frozen=True, slots=True)
class Read:
    """What was read of some files."""

    faults: tuple[Fault, ...] = ()
    files: int = 0
    size: int = 0
    witnessed: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Told:
    """What `pgbackrest verify` says of one set or one archive."""

    valid: bool
    checked: int
    good: int
    counts: str


@dataclass(frozen=True, slots=True)
class Judged:
    """A finding, and which set of which repository it is about (none: the WAL, or the repository itself)."""

    repository: int
    label: str | None
    finding: Finding


@dataclass(frozen=True, slots=True)
class SetOutcome:
    """What became of one set."""

    repository: int
    label: str
    verdict: Verdict
    codes: tuple[str, ...]
    skipped: bool = False  # found good before, and --since-last trusts that


@dataclass(frozen=True, slots=True)
class Outcome:
    """What verifying one cluster's backups has found."""

    target: str
    depth: Depth
    subset: str | None
    verdict: Verdict
    sets: tuple[SetOutcome, ...] = ()
    segments: int = 0
    read_files: int = 0
    read_bytes: int = 0
    kept: str | None = None
    restored: tuple[Restored, ...] = ()  # by depth restore
    findings: tuple[Finding, ...] = ()
