"""The values of the language: JSON and undefined, how they equal one another and how they are ordered."""

import math
from collections.abc import Callable
from typing import Any, Final

import orjson


class Undefined:
    """What a path yields that leads nowhere; never part of a result."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "undefined"


UNDEFINED: Final = Undefined()

_RANKS: Final[dict[type, int]] = {
    Undefined: 0,
    type(None): 1,
    bool: 2,
    int: 3,
    float: 3,
    str: 4,
    list: 5,
    dict: 6,
}
NUMBER: Final = 3
STRING: Final = 4
ARRAY: Final = 5
OBJECT: Final = 6
_EXACT: Final = 2**53


def rank(value: Any) -> int:
    """The place of a value's type in the order of types."""
    return _RANKS[value.__class__]


def same(left: Any, right: Any) -> bool:
    """Whether two values are equal: Python's == would call true equal to 1, also inside arrays."""
    kind = _RANKS[left.__class__]
    if kind != _RANKS[right.__class__]:
        return False
    if kind == ARRAY:
        return len(left) == len(right) and all(map(same, left, right))
    if kind == OBJECT:
        return left.keys() == right.keys() and all(same(value, right[key]) for key, value in left.items())
    return left == right


def equal(left: Any, right: Any) -> Any:
    # The documentation's table calls values of two types incomparable; the service's own client
    # evaluates `=` to false and `!=` to true for them, and `c.x != null` is in daily use.
    if left is UNDEFINED or right is UNDEFINED:
        return UNDEFINED
    return same(left, right)


def unequal(left: Any, right: Any) -> Any:
    if left is UNDEFINED or right is UNDEFINED:
        return UNDEFINED
    return not same(left, right)


def comparison(holds: Callable[[Any, Any], bool]) -> Callable[[Any, Any], Any]:
    """An order between two primitives of one type; undefined for everything else."""

    def compare(left: Any, right: Any) -> Any:
        kind = _RANKS[left.__class__]
        if kind != _RANKS[right.__class__] or kind == 0 or kind >= ARRAY:
            return UNDEFINED
        if left is None:
            return holds(0, 0)
        return holds(left, right)

    return compare


def order_key(value: Any) -> tuple[Any, ...]:
    """A key that sorts values of all types; the service orders arrays and objects by a hash of its own."""
    kind = _RANKS[value.__class__]
    if kind <= 1:
        return (kind,)
    if kind >= ARRAY:
        return (kind, orjson.dumps(value, option=orjson.OPT_SORT_KEYS))
    return (kind, value)


def identity(value: Any) -> Any:
    """A hashable key, equal for values that are the same."""
    kind = _RANKS[value.__class__]
    if kind == ARRAY:
        return (kind, tuple(identity(one) for one in value))
    if kind == OBJECT:
        return (kind, frozenset((key, identity(one)) for key, one in value.items()))
    return (kind, value)


def is_number(value: Any) -> bool:
    return _RANKS[value.__class__] == NUMBER


def number(value: float) -> Any:
    """A result as JSON has it: whole numbers without a fraction, doubles beyond 2**53, nothing for infinity."""
    if value.__class__ is int:
        return value if -_EXACT <= value <= _EXACT else _double(value)
    if not math.isfinite(value):
        return UNDEFINED
    if value == int(value) and -_EXACT <= value <= _EXACT:
        return int(value)
    return value


def _double(value: float) -> Any:
    try:
        return float(value)
    except OverflowError:
        return UNDEFINED
