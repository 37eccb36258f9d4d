"""What a run has to tell of each target for the metrics: how it ended, and what was measured."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Ending:
    """How a command ended for one target, or (`target` is empty) as a whole."""

    target: str
    code: int
    took: timedelta | None  # None: it had no turn of its own that could be timed
    skipped: bool = False  # another run was at it, and that was agreed to: neither a success nor a failure


@dataclass(frozen=True, slots=True)
class Measure:
    """What was promised of a target, and what it is: `backup_age` and its like."""

    target: str
    objective: str
    measured: timedelta | None  # None: there is nothing that could be measured, which no promise allows
    promised: timedelta | None = None
