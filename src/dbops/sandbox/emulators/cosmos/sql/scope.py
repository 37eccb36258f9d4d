"""What an expression may refer to while it is compiled, and the shape of what comes out."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from dbops.sandbox.emulators.cosmos.sql.problems import Invalid

Row = tuple[Any, ...]  # one value for each input alias, in the order of FROM
Evaluate = Callable[[Row], Any]


@dataclass(frozen=True, slots=True)
class Scope:
    slots: Mapping[str, int]  # alias -> place in the row
    width: int
    parameters: Mapping[str, Any]
    now: Callable[[], datetime]
    explicit: frozenset[str] = frozenset()  # "/a/b" that the indexing policy names: an order by it drops nothing
    aggregates: Mapping[str, int] | None = None  # text of an aggregate -> place in the row, after grouping

    def bound(self, alias: str | None) -> "Scope":
        """One place more, reachable by its alias if it has one."""
        slots = self.slots if alias is None else {**self.slots, alias: self.width}
        return replace(self, slots=slots, width=self.width + 1)

    def slot(self, name: str) -> int:
        try:
            return self.slots[name]
        except KeyError:
            raise Invalid(f"Identifier '{name}' could not be resolved.") from None

    def parameter(self, name: str) -> Any:
        try:
            return self.parameters[name]
        except KeyError:
            raise Invalid(f"The parameter {name} is used in the query but no value is given for it.") from None
