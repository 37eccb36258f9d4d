"""What a table is walked by, as data: keys, ranges of them, and how both are written as SQL. Pure.

A range is open below and closed above, so that ranges that follow one another hold each row once. Bounds are texts, as
the server writes its values, and are kept as such: they survive the process, and say nothing but the key.
"""

import itertools
from collections.abc import Iterable
from dataclasses import dataclass

from dbops.engine.plan import literal, qualified

Bound = tuple[str, ...]

_CTID = (("ctid", "tid"),)


@dataclass(frozen=True, slots=True)
class Key:
    """What a table is walked by: columns with their types, as SQL; and ctid where no key is unique and never null."""

    columns: tuple[tuple[str, str], ...] = _CTID

    @property
    def is_place(self) -> bool:
        return self.columns == _CTID

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column(name) for name, _ in self.columns)

    @property
    def row(self) -> str:
        return f"({', '.join(self.names)})"

    @property
    def texts(self) -> str:
        return ", ".join(f"{name}::text" for name in self.names)

    def value(self, bound: Bound) -> str:
        """Write a bound as SQL."""
        pairs = zip(bound, self.columns, strict=True)
        return f"({', '.join(f'{literal(text)}::{type_}' for text, (_, type_) in pairs)})"


@dataclass(frozen=True, slots=True)
class Range:
    """Rows behind `low` up to `high`, which is one of them; None is the end of the table on that side."""

    low: Bound | None = None
    high: Bound | None = None

    def rows(self, key: Key) -> str:
        """Say as SQL which rows of `r` are meant."""
        ends = (
            f"{key.row} {how} {key.value(bound)}"
            for how, bound in ((">", self.low), ("<=", self.high))
            if bound is not None
        )
        return " AND ".join(ends) or "true"


@dataclass(frozen=True, slots=True)
class Table:
    """A table to walk. `rows` is the server's estimate, none where it was never analyzed."""

    oid: int
    shown: str  # schema-qualified and quoted
    key: Key
    rows: int | None
    blocks: int  # of its largest part
    files: tuple[int, ...]  # what the places of rows are worth: VACUUM FULL and CLUSTER write new ones

    @property
    def whole(self) -> Range:
        """All of it; by places only what is there now: what is written later, is written later than the triggers."""
        return Range(None, (f"({self.blocks},0)",)) if self.key.is_place else Range()


@dataclass(frozen=True, slots=True)
class Stretch:
    """The next batch."""

    range: Range
    rows: int
    last: bool  # nothing is behind it
    full: bool = True  # ends with a row; else with what was looked at


def ranges(ends: Iterable[Bound], whole: Range) -> list[Range]:
    """Turn bounds in their order into ranges that follow one another."""
    distinct = [end for end, _ in itertools.groupby(ends)]
    return [Range(low, high) for low, high in itertools.pairwise((whole.low, *distinct, whole.high))]


def column(name: str) -> str:
    return f"r.{qualified((name,))}"
