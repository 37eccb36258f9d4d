"""What is known of a comparison: its ways, how far each is, and what came of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from dbops.operations.migrate.life import State
from dbops.operations.migrate.shapes.shape import Comparison

KEPT = 1000  # keys of rows that differ; the others are counted
SHOWN = 20
COMPARED = "compared"  # the kind of evidence that a comparison leaves
DIFFERS = "differs"  # the reason of a row that was set aside because it differs; any other could not be compared


@dataclass(frozen=True, slots=True)
class Way:
    """One comparison of the shape, and how far this database is with it."""

    number: int
    comparison: Comparison
    work: str
    seen: int = 0
    begun: bool = False  # an earlier run was cut off
    done: bool = False  # and this one was finished, but no verdict was drawn

    @property
    def kind(self) -> str:
        return "verify" if self.comparison.way == "forward" else "verify back"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a finished walk found. Keys name rows; what is in them is never told."""

    table: str
    way: str
    work: str
    rows: int
    differ: int
    unreadable: int
    keys: tuple[str, ...] = ()  # of rows that differ, some
    unread: tuple[str, ...] = ()  # keys of rows that could not be compared, with the reason


@dataclass(frozen=True, slots=True)
class Facts:
    """All that a plan is made of."""

    target: str
    change: str
    state: State
    ways: tuple[Way, ...]
    where: str  # the server that is read


def work_of(comparison: Comparison, triggers: str) -> str:
    """Hash what is done: with another query, or other triggers, it is another comparison."""
    told = (comparison.table, comparison.query, comparison.way, triggers)
    return sha256(repr(told).encode()).hexdigest()[:32]


def clean(outcomes: Sequence[Outcome]) -> bool:
    return complete(outcomes) and not any(one.differ for one in outcomes)


def complete(outcomes: Sequence[Outcome]) -> bool:
    return not any(one.unreadable for one in outcomes)
