"""The closures that expressions become: each takes a row and gives a value."""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, Final

from dbops.sandbox.emulators.cosmos.sql import strings
from dbops.sandbox.emulators.cosmos.sql.problems import Invalid
from dbops.sandbox.emulators.cosmos.sql.scope import Evaluate, Row
from dbops.sandbox.emulators.cosmos.sql.values import UNDEFINED, identity, is_number, number, same

Stream = Callable[[Iterable[Row]], Iterator[Any]]


def fixed(value: Any) -> Evaluate:
    return lambda _row: value


def slot(place: int) -> Evaluate:
    return lambda row: row[place]


def property_of_slot(place: int, key: str) -> Evaluate:
    def get(row: Row) -> Any:
        whole = row[place]
        return whole.get(key, UNDEFINED) if whole.__class__ is dict else UNDEFINED

    return get


def property_of(of: Evaluate, key: str) -> Evaluate:
    def get(row: Row) -> Any:
        whole = of(row)
        return whole.get(key, UNDEFINED) if whole.__class__ is dict else UNDEFINED

    return get


def item_of(of: Evaluate, key: Evaluate) -> Evaluate:
    def get(row: Row) -> Any:
        whole, at = of(row), key(row)
        if whole.__class__ is dict and at.__class__ is str:
            return whole.get(at, UNDEFINED)
        if whole.__class__ is list and is_number(at) and 0 <= at < len(whole) and at == int(at):
            return whole[int(at)]
        return UNDEFINED

    return get


def turned(operand: Evaluate) -> Evaluate:
    def turn(row: Row) -> Any:
        value = operand(row)
        return not value if value.__class__ is bool else UNDEFINED

    return turn


def signed(operator: str, operand: Evaluate) -> Evaluate:
    if operator == "NOT":
        return turned(operand)
    if operator == "()":
        return operand
    sign = -1 if operator == "-" else 1

    def number_of(row: Row) -> Any:
        value = operand(row)
        return number(sign * value) if is_number(value) else UNDEFINED

    return number_of


def both(left: Evaluate, right: Evaluate) -> Evaluate:
    def conjunction(row: Row) -> Any:
        first = left(row)
        if first is False:
            return False
        second = right(row)
        if first is True and second is True:
            return True
        return False if second is False else UNDEFINED

    return conjunction


def either(left: Evaluate, right: Evaluate) -> Evaluate:
    def disjunction(row: Row) -> Any:
        first = left(row)
        if first is True:
            return True
        second = right(row)
        if second is True:
            return True
        return False if first is False and second is False else UNDEFINED

    return disjunction


def coalesce(left: Evaluate, right: Evaluate) -> Evaluate:
    def first_defined(row: Row) -> Any:
        value = left(row)
        return right(row) if value is UNDEFINED else value

    return first_defined


def conditional(condition: Evaluate, then: Evaluate, otherwise: Evaluate) -> Evaluate:
    return lambda row: then(row) if condition(row) is True else otherwise(row)


def of_two(operator: Callable[[Any, Any], Any], left: Evaluate, right: Evaluate) -> Evaluate:
    return lambda row: operator(left(row), right(row))


def equals_constant(of: Evaluate, constant: Any) -> Evaluate:
    """The commonest condition by far, without the detour over types where Python's == is exact."""
    if constant is UNDEFINED:
        return fixed(UNDEFINED)

    def equals(row: Row) -> Any:
        value = of(row)
        return UNDEFINED if value is UNDEFINED else value == constant

    def equals_singleton(row: Row) -> Any:
        value = of(row)
        return UNDEFINED if value is UNDEFINED else value is constant

    def equals_any(row: Row) -> Any:
        value = of(row)
        return UNDEFINED if value is UNDEFINED else same(value, constant)

    if isinstance(constant, str):
        return equals
    return equals_singleton if constant is None or isinstance(constant, bool) else equals_any


def in_constants(of: Evaluate, wanted: frozenset[Any], *, negated: bool) -> Evaluate:
    def check(row: Row) -> Any:
        value = of(row)
        return UNDEFINED if value is UNDEFINED else (identity(value) in wanted) is not negated

    return check


def in_values(of: Evaluate, items: list[Evaluate], *, negated: bool) -> Evaluate:
    def check(row: Row) -> Any:
        value = of(row)
        return UNDEFINED if value is UNDEFINED else any(same(value, item(row)) for item in items) is not negated

    return check


def matches(of: Evaluate, pattern: Evaluate, escape: str | None) -> Evaluate:
    def check(row: Row) -> Any:
        value, wanted = of(row), pattern(row)
        if value.__class__ is not str or wanted.__class__ is not str:
            return UNDEFINED
        return strings.like(wanted, escape).fullmatch(value) is not None

    return check


def applied(function: Callable[..., Any], arguments: list[Evaluate]) -> Evaluate:
    match arguments:
        case [one]:
            return lambda row: function(one(row))
        case [one, two]:
            return lambda row: function(one(row), two(row))
        case _:
            return lambda row: function(*(argument(row) for argument in arguments))


def array(items: list[Evaluate]) -> Evaluate:
    return lambda row: [value for item in items if (value := item(row)) is not UNDEFINED]


def record(properties: list[tuple[str, Evaluate]]) -> Evaluate:
    """An object of the properties that are defined."""
    return lambda row: {name: value for name, of in properties if (value := of(row)) is not UNDEFINED}


def subquery(kind: str, stream: Stream) -> Evaluate:
    def scalar(row: Row) -> Any:
        found = list(islice(stream([row]), 2))
        if len(found) > 1:
            raise Invalid("The cardinality of a scalar subquery result set cannot be greater than one.")
        return found[0] if found else UNDEFINED

    match kind:
        case "exists":
            return lambda row: next(stream([row]), _NOTHING) is not _NOTHING
        case "array":
            return lambda row: list(stream([row]))
        case _:
            return scalar


_NOTHING: Final = object()
