"""What every shape of a change can tell: the SQL of its phases, as data. Nothing here is executed.

A revision holds one shape: `shape = Columns(...)`, `upgrade()` calls `changes.expand(change, shape)`. From the same
object come the backfill, the comparison, the switch and the revision that contracts.
"""

from dataclasses import dataclass
from typing import Literal, Protocol

ROWS = "{rows}"  # in a Filling and a Comparison: which rows of `r` are meant, filled in by whoever walks the table
KEY = "{key}"  # in a Comparison: the key's columns of `r`


@dataclass(frozen=True, slots=True)
class Do:
    r"""One statement. `alone` ones cannot run in a transaction (CONCURRENTLY), and come before or after the others.

    One that `asks` is a query: each value that it yields is a statement, run alone. What is there, such as partitions,
    is known only then; in a script for psql it is followed by \gexec.
    """

    sql: str
    alone: bool = False
    asks: bool = False


@dataclass(frozen=True, slots=True)
class Filling:
    """One batch of a backfill: walks `table` (alias r) in the order of its key; doing a batch twice does no harm.

    Such as UPDATE public.users AS r SET b = (r.a) WHERE {rows} AND r.b IS DISTINCT FROM (r.a)
    """

    table: str
    statement: str
    writes: str  # the table that is written: mostly the same


@dataclass(frozen=True, slots=True)
class Comparison:
    """One direction of a verification: walks `table` (alias r); the query yields the keys of rows that differ.

    Such as SELECT {key} FROM public.users AS r WHERE {rows} AND r.b IS DISTINCT FROM (r.a)
    """

    table: str
    query: str
    way: Literal["forward", "back"] = "forward"


@dataclass(frozen=True, slots=True)
class OldNames:
    """What clients of before use, and must have stopped to use before contract: a table, or columns of it."""

    table: str
    columns: tuple[str, ...] = ()  # none: the table itself


class Shape(Protocol):
    """Each method is pure, and says the same each time. Nothing to do in a phase is an empty tuple or None."""

    @property
    def table(self) -> str: ...

    def expand(self, change: str) -> tuple[Do, ...]:
        """Put the new beside the old; what old clients do keeps working."""
        ...

    def undo(self, change: str) -> tuple[Do, ...]:
        """Take expand back, before anything was contracted. What new clients wrote is in the old by then."""
        ...

    def filling(self) -> Filling | None: ...

    def comparisons(self) -> tuple[Comparison, ...]:
        """Both directions, where there are two: from old to new, and (for the way back) from new to old."""
        ...

    def swap(self, change: str) -> tuple[Do, ...]:
        """What happens to the catalog when all readers follow (an atomic rename). In one transaction."""
        ...

    def swap_back(self, change: str) -> tuple[Do, ...]: ...

    def contract(self, change: str) -> tuple[Do, ...]:
        """Remove the old and what kept both alike. Also right where nothing was ever swapped: a fresh database."""
        ...

    def old_names(self) -> OldNames | None:
        """Tell what nobody may use any more before contract; None where nothing goes away."""
        ...
