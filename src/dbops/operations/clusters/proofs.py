"""What a verification has found, and where a backup set stands after several of them; pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from dbops.engine.finding import Verdict


class Depth(StrEnum):
    """How closely a verification looked, in this order."""

    QUICK = "quick"
    FULL = "full"
    RESTORE = "restore"

    @property
    def rank(self) -> int:
        return tuple(Depth).index(self)


@dataclass(frozen=True, slots=True)
class Remembered:
    """What one verification has found of one backup set, or (without a label) of a repository's WAL."""

    target: str
    repository: int
    label: str | None
    depth: Depth
    verdict: Verdict
    at: datetime
    run: str
    subset: str | None = None  # such as 2/7; None: all of it
    system_id: int | None = None  # of the cluster whose backup it is: a clone does not inherit proof
    codes: tuple[str, ...] = ()  # of the findings, bad or unknown
    # of WAL only: (archive id, first, last) of segments that were read and found good
    stretches: tuple[tuple[str, str, str], ...] = ()
    # of WAL only: files that carry no checksum, by path, as they were when they were first seen
    witnessed: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def good(self) -> bool:
        return self.verdict is Verdict.GOOD


def last(
    results: Iterable[Remembered], *, repository: int, label: str | None, at_least: Depth = Depth.QUICK
) -> Remembered | None:
    """Tell where a set stands: of its whole verifications, newest first, the last one at least this deep.

    A slice does not stand for the whole, unless it was bad.
    """
    of_it = (one for one in results if (one.repository, one.label) == (repository, label))
    return next(
        (
            one
            for one in of_it
            if one.depth.rank >= at_least.rank and (one.subset is None or one.verdict is Verdict.BAD)
        ),
        None,
    )
