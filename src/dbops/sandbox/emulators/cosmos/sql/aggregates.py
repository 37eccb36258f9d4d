"""The aggregates, fed value by value."""

from typing import Any, Final, Protocol

from dbops.sandbox.emulators.cosmos.sql.tree import Call, Expression, Subquery, children
from dbops.sandbox.emulators.cosmos.sql.values import ARRAY, UNDEFINED, is_number, number, order_key, rank


class Aggregate(Protocol):
    def add(self, value: Any) -> None: ...
    def result(self) -> Any: ...


class Count:
    """How many values are defined."""

    __slots__ = ("found",)

    def __init__(self) -> None:
        self.found = 0

    def add(self, value: Any) -> None:
        if value is not UNDEFINED:
            self.found += 1

    def result(self) -> Any:
        return self.found


class CountIf:
    """How many values are true."""

    __slots__ = ("found",)

    def __init__(self) -> None:
        self.found = 0

    def add(self, value: Any) -> None:
        if value is True:
            self.found += 1

    def result(self) -> Any:
        return self.found


class Sum:
    """The sum of numbers; one value that is defined and no number makes it undefined."""

    __slots__ = ("broken", "total")

    def __init__(self) -> None:
        self.total: float = 0
        self.broken = False

    def add(self, value: Any) -> None:
        if is_number(value):
            self.total += value
        elif value is not UNDEFINED:
            self.broken = True

    def result(self) -> Any:
        return UNDEFINED if self.broken else number(self.total)


class Average(Sum):
    __slots__ = ("count",)

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def add(self, value: Any) -> None:
        super().add(value)
        self.count += is_number(value)

    def result(self) -> Any:
        return UNDEFINED if self.broken or not self.count else number(self.total / self.count)


class Least:
    """The first value in the order of values; arrays and objects have none, and make it undefined."""

    __slots__ = ("best", "broken", "key")

    def __init__(self) -> None:
        self.best: Any = UNDEFINED
        self.key: tuple[Any, ...] | None = None
        self.broken = False

    def add(self, value: Any) -> None:
        if value is UNDEFINED:
            return
        if rank(value) >= ARRAY:
            self.broken = True
            return
        key = order_key(value)
        if self.key is None or self.is_better(key, self.key):
            self.best, self.key = value, key

    def is_better(self, key: tuple[Any, ...], than: tuple[Any, ...]) -> bool:
        return key < than

    def result(self) -> Any:
        return UNDEFINED if self.broken else self.best


class Greatest(Least):
    __slots__ = ()

    def is_better(self, key: tuple[Any, ...], than: tuple[Any, ...]) -> bool:
        return key > than


AGGREGATES: Final[dict[str, type[Aggregate]]] = {
    "COUNT": Count,
    "COUNTIF": CountIf,
    "SUM": Sum,
    "AVG": Average,
    "MIN": Least,
    "MAX": Greatest,
}


def calls(expression: Expression) -> list[Call]:
    """The aggregates within an expression, those of subqueries left to them."""
    match expression:
        case Call(name, _) if name in AGGREGATES:
            return [expression]
        case Subquery():
            return []
        case _:
            return [call for child in children(expression) for call in calls(child)]
