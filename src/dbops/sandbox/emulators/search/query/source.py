"""The rows that a query is about: a part of an SQL statement, shared by page, count and facets."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Source:
    tables: str  # what follows FROM: the rows `d`, and what they are joined with
    where: str
    before: list[Any] = field(default_factory=list[Any])  # values of `tables`
    after: list[Any] = field(default_factory=list[Any])  # values of `where`
    score: str = "d.n * 0"  # small where the score is high
    scores: dict[int, float] | None = None  # by row; without them the score is what `score` says, negated
    constant: bool = False  # everything scores 1.0
    ranked: bool = False  # the default order is by score
    unscored: "Source | None" = None  # the same rows, for who needs no scores: they cost

    @property
    def counted(self) -> "Source":
        return self.unscored or self

    @property
    def values(self) -> list[Any]:
        return [*self.before, *self.after]
