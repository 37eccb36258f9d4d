"""What was seen in the vault and in its second copies; pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from dbops.engine.finding import Finding, Verdict

VAULT = "vault"  # how the first place is called where copies have names


class State(StrEnum):
    """How much of an artifact there is."""

    COMPLETE = "complete"
    BUILDING = "under construction"
    ABANDONED = "abandoned"  # under construction, and nobody has written to it for a day
    BROKEN = "broken"
    UNKNOWN = "unknown"  # its manifest is of a newer dbops


@dataclass(frozen=True, slots=True)
class Checked:
    """One verification that was recorded beside an artifact."""

    at: datetime
    depth: str
    verdict: Verdict
    subset: str | None = None  # which slice, such as 2/7; None: all of it


@dataclass(frozen=True, slots=True)
class Seen:
    """One artifact as one place has it."""

    name: str  # where it lies: <tier's prefix><store>/<target>/<instant>-<kind>
    store: str
    target: str
    kind: str
    instant: datetime  # the moment that it represents
    state: State
    files: int
    size: int  # bytes that are stored
    manifest: str | None  # hash of the manifest: the same manifest is the same content
    written: datetime  # when its manifest was, or, without one, its last object
    wrong: str | None = None  # why it is broken
    checked: Checked | None = None  # the last verification


@dataclass(frozen=True, slots=True)
class Strangers:
    """Objects that belong to no artifact."""

    count: int = 0
    first: str | None = None


@dataclass(frozen=True, slots=True)
class Held:
    """One place and what it holds; `failed` tells why nobody could look."""

    place: str
    seen: tuple[Seen, ...] = ()
    strangers: Strangers = Strangers()
    failed: Finding | None = None
    remembered: tuple[str, ...] = ()  # what verifications of stores have found: it belongs to no artifact
    max_age: timedelta | None = None  # how far it may lag behind the vault


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which artifacts a command is about; all filters have to agree."""

    stores: frozenset[str] = frozenset()
    targets: frozenset[str] = frozenset()
    kinds: frozenset[str] = frozenset()

    def holds(self, *, store: str, target: str, kind: str) -> bool:
        """Tell whether an artifact passes every filter that was given."""
        return all(
            not wanted or found in wanted
            for wanted, found in ((self.stores, store), (self.targets, target), (self.kinds, kind))
        )


@dataclass(frozen=True, slots=True)
class CopyArtifact:
    """Bring one artifact to a second place: data first, manifest last."""

    name: str
    manifest: str  # only this very artifact was agreed to
    files: int
    size: int


@dataclass(frozen=True, slots=True)
class CopyRemembered:
    """Bring over what verifications of stores have found: a copy that outlives the vault keeps the proofs."""

    names: tuple[str, ...]


Action = CopyArtifact | CopyRemembered
