"""The binary operators that look at both sides."""

import math
import operator
from collections.abc import Callable
from typing import Any, Final

from dbops.sandbox.emulators.cosmos.sql.values import UNDEFINED, comparison, equal, is_number, number, unequal


def _arithmetic(compute: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def calculate(left: Any, right: Any) -> Any:
        if not is_number(left) or not is_number(right):
            return UNDEFINED
        try:
            return number(compute(left, right))
        except (ZeroDivisionError, OverflowError, ValueError):
            return UNDEFINED

    return calculate


def _joined(left: Any, right: Any) -> Any:
    return left + right if left.__class__ is str and right.__class__ is str else UNDEFINED


def _divided(left: Any, right: Any) -> Any:
    return left / right


BINARY: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "=": equal,
    "!=": unequal,
    "<": comparison(operator.lt),
    "<=": comparison(operator.le),
    ">": comparison(operator.gt),
    ">=": comparison(operator.ge),
    "||": _joined,
    "+": _arithmetic(operator.add),
    "-": _arithmetic(operator.sub),
    "*": _arithmetic(operator.mul),
    "/": _arithmetic(_divided),
    "%": _arithmetic(math.fmod),  # the sign of the dividend, as JavaScript has it
}
