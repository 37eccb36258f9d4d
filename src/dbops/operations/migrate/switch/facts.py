"""What is known when readers are to follow: how many do, what was verified, and under which triggers."""

from dataclasses import dataclass
from typing import Any

from dbops.operations.migrate.life import Life, Told
from dbops.operations.migrate.shapes.shape import Do

BASELINE = "baseline"  # kinds of evidence
READERS = "readers"
OVERRIDE = "override"
REVERSE = "reverse"  # the gate of a switch that may be overridden
ALL = 100


@dataclass(frozen=True, slots=True)
class Override:
    """Somebody goes on all the same, and says why: it stays in the ledger."""

    gate: str
    reason: str


@dataclass(frozen=True, slots=True)
class Facts:
    """All that a switch is judged and planned by."""

    target: str
    change: str
    life: Life
    percent: int
    wanted: int
    proof: Told | None  # the newest comparison in this very database
    triggers: str  # the digest of our triggers as they are now
    ways: frozenset[str]  # that the shape can compare: forward, back
    swap: tuple[str, ...] = ()
    before_swap: tuple[Do, ...] = ()
    overrides: tuple[Override, ...] = ()
    baseline_due: str | None = None  # why it has to be taken
    works: frozenset[str] | None = None  # the hashes of what is to be compared

    @property
    def reversed(self) -> bool:
        """Say whether the way back is proven."""
        return "back" in self.ways and self.proof is not None and not _bad(self.proof, "back")

    @property
    def forward(self) -> bool:
        return "forward" not in self.ways or (self.proof is not None and not _bad(self.proof, "forward"))


def _bad(proof: Told, way: str) -> bool:
    """Say whether a comparison found anything in this direction, or did not see all of it."""
    ways: list[dict[str, Any]] = list(proof.detail.get("ways", ()))
    there = [one for one in ways if one["way"] == way]
    return not there or any(one["differ"] or one["unreadable"] for one in there)
