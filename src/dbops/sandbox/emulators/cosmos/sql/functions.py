"""The built-in functions by name, with how many arguments each takes."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from dbops.sandbox.emulators.cosmos.sql import strings
from dbops.sandbox.emulators.cosmos.sql.values import (
    ARRAY,
    NUMBER,
    OBJECT,
    STRING,
    UNDEFINED,
    identity,
    is_number,
    number,
    rank,
    same,
)


@dataclass(frozen=True, slots=True)
class Function:
    call: Callable[..., Any]
    least: int
    most: int


def is_defined(value: Any) -> bool:
    return value is not UNDEFINED


def of_rank(*ranks: int) -> Callable[[Any], bool]:
    def check(value: Any) -> bool:
        return rank(value) in ranks

    return check


def is_integer(value: Any) -> bool:
    return is_number(value) and value == math.floor(value) and abs(value) < 2**63


def math_of(compute: Callable[[Any], float]) -> Callable[[Any], Any]:
    def calculate(value: Any) -> Any:
        if not is_number(value):
            return UNDEFINED
        try:
            return number(compute(value))
        except (ValueError, OverflowError):
            return UNDEFINED

    return calculate


def _power(value: Any, exponent: Any) -> Any:
    if not is_number(value) or not is_number(exponent):
        return UNDEFINED
    try:
        return number(math.pow(value, exponent))
    except (ValueError, OverflowError):
        return UNDEFINED


def _log(value: Any, base: Any = math.e) -> Any:
    if not is_number(value) or not is_number(base) or value <= 0 or base <= 0 or base == 1:
        return UNDEFINED
    return number(math.log(value) if base == math.e else math.log(value, base))


def _rounded(value: float) -> float:
    return math.copysign(math.floor(abs(value) + 0.5), value)  # a half goes away from zero


def array_contains(array: Any, value: Any, partial: Any = False) -> Any:
    if rank(array) != ARRAY or value is UNDEFINED or partial.__class__ is not bool:
        return UNDEFINED
    if partial and value.__class__ is dict:
        return any(one.__class__ is dict and _has(one, value) for one in array)
    return any(same(one, value) for one in array)


def _has(whole: dict[str, Any], part: dict[str, Any]) -> bool:
    return all(key in whole and same(whole[key], value) for key, value in part.items())


def _contains_any(array: Any, *values: Any) -> Any:
    if rank(array) != ARRAY:
        return UNDEFINED
    return any(same(one, value) for one in array for value in values)


def _contains_all(array: Any, *values: Any) -> Any:
    if rank(array) != ARRAY:
        return UNDEFINED
    return all(any(same(one, value) for one in array) for value in values)


def _array_length(array: Any) -> Any:
    return len(array) if rank(array) == ARRAY else UNDEFINED


def _array_slice(array: Any, start: Any, size: Any = None) -> Any:
    if rank(array) != ARRAY or not is_number(start) or (size is not None and not is_number(size)):
        return UNDEFINED
    first = int(start) if start >= 0 else max(0, len(array) + int(start))
    if size is None:
        return array[first:]
    return array[first : first + int(size)] if size > 0 else []


def _array_concat(*arrays: Any) -> Any:
    if any(rank(array) != ARRAY for array in arrays):
        return UNDEFINED
    return [one for array in arrays for one in array]


def _set_intersect(left: Any, right: Any) -> Any:
    if rank(left) != ARRAY or rank(right) != ARRAY:
        return UNDEFINED
    wanted = {identity(one) for one in right}
    return list({key: one for one in left if (key := identity(one)) in wanted}.values())


def _set_union(left: Any, right: Any) -> Any:
    if rank(left) != ARRAY or rank(right) != ARRAY:
        return UNDEFINED
    found: dict[Any, Any] = {}
    for one in (*left, *right):
        found.setdefault(identity(one), one)
    return list(found.values())


def _choose(index: Any, *values: Any) -> Any:
    return values[int(index) - 1] if is_number(index) and 1 <= index <= len(values) else UNDEFINED


def _iif(condition: Any, then: Any, otherwise: Any) -> Any:
    return then if condition is True else otherwise


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def iso(moment: datetime) -> str:
    """The service's form: seven digits of a second and a Z."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.{moment.microsecond:06d}0Z"


def timestamp(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def ticks(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1) * 10 + 621_355_968_000_000_000


CLOCKS: Final[dict[str, Callable[[datetime], Any]]] = {
    "GETCURRENTDATETIME": iso,
    "GETCURRENTDATETIMESTATIC": iso,
    "GETCURRENTTIMESTAMP": timestamp,
    "GETCURRENTTIMESTAMPSTATIC": timestamp,
    "GETCURRENTTICKS": ticks,
    "GETCURRENTTICKSSTATIC": ticks,
}

_MANY: Final = 1_000

FUNCTIONS: Final[dict[str, Function]] = {
    "IS_DEFINED": Function(is_defined, 1, 1),
    "IS_NULL": Function(of_rank(1), 1, 1),
    "IS_BOOL": Function(of_rank(2), 1, 1),
    "IS_NUMBER": Function(of_rank(NUMBER), 1, 1),
    "IS_FINITE_NUMBER": Function(of_rank(NUMBER), 1, 1),
    "IS_STRING": Function(of_rank(STRING), 1, 1),
    "IS_ARRAY": Function(of_rank(ARRAY), 1, 1),
    "IS_OBJECT": Function(of_rank(OBJECT), 1, 1),
    "IS_PRIMITIVE": Function(of_rank(1, 2, NUMBER, STRING), 1, 1),
    "IS_INTEGER": Function(is_integer, 1, 1),
    "ARRAY_CONTAINS": Function(array_contains, 2, 3),
    "ARRAY_CONTAINS_ANY": Function(_contains_any, 2, _MANY),
    "ARRAY_CONTAINS_ALL": Function(_contains_all, 2, _MANY),
    "ARRAY_LENGTH": Function(_array_length, 1, 1),
    "ARRAY_SLICE": Function(_array_slice, 2, 3),
    "ARRAY_CONCAT": Function(_array_concat, 2, _MANY),
    "SETINTERSECT": Function(_set_intersect, 2, 2),
    "SETUNION": Function(_set_union, 2, 2),
    "CHOOSE": Function(_choose, 2, _MANY),
    "IIF": Function(_iif, 3, 3),
    "CONTAINS": Function(strings.contains, 2, 3),
    "STARTSWITH": Function(strings.starts_with, 2, 3),
    "ENDSWITH": Function(strings.ends_with, 2, 3),
    "STRINGEQUALS": Function(strings.string_equals, 2, 3),
    "LOWER": Function(strings.lower, 1, 1),
    "UPPER": Function(strings.upper, 1, 1),
    "LENGTH": Function(strings.length, 1, 1),
    "REVERSE": Function(strings.reverse, 1, 1),
    "TRIM": Function(strings.trim, 1, 2),
    "LTRIM": Function(strings.left_trim, 1, 2),
    "RTRIM": Function(strings.right_trim, 1, 2),
    "CONCAT": Function(strings.concat, 2, _MANY),
    "SUBSTRING": Function(strings.substring, 3, 3),
    "LEFT": Function(strings.left, 2, 2),
    "RIGHT": Function(strings.right, 2, 2),
    "INDEX_OF": Function(strings.index_of, 2, 3),
    "REPLACE": Function(strings.replace, 3, 3),
    "REPLICATE": Function(strings.replicate, 2, 2),
    "REGEXMATCH": Function(strings.regex_match, 2, 3),
    "TOSTRING": Function(strings.to_string, 1, 1),
    "STRINGTONUMBER": Function(strings.string_to_number, 1, 1),
    "STRINGTOBOOLEAN": Function(strings.string_to_boolean, 1, 1),
    "STRINGTONULL": Function(strings.string_to_null, 1, 1),
    "STRINGTOARRAY": Function(strings.string_to_array, 1, 1),
    "STRINGTOOBJECT": Function(strings.string_to_object, 1, 1),
    "STRINGJOIN": Function(strings.string_join, 2, 2),
    "STRINGSPLIT": Function(strings.string_split, 2, 2),
    "ABS": Function(math_of(abs), 1, 1),
    "FLOOR": Function(math_of(math.floor), 1, 1),
    "CEILING": Function(math_of(math.ceil), 1, 1),
    "ROUND": Function(math_of(_rounded), 1, 1),
    "TRUNC": Function(math_of(math.trunc), 1, 1),
    "SIGN": Function(math_of(lambda value: (value > 0) - (value < 0)), 1, 1),
    "SQRT": Function(math_of(math.sqrt), 1, 1),
    "SQUARE": Function(math_of(lambda value: value * value), 1, 1),
    "POWER": Function(_power, 2, 2),
    "EXP": Function(math_of(math.exp), 1, 1),
    "LOG": Function(_log, 1, 2),
    "LOG10": Function(math_of(math.log10), 1, 1),
    "SIN": Function(math_of(math.sin), 1, 1),
    "COS": Function(math_of(math.cos), 1, 1),
    "TAN": Function(math_of(math.tan), 1, 1),
    "DEGREES": Function(math_of(math.degrees), 1, 1),
    "RADIANS": Function(math_of(math.radians), 1, 1),
    "PI": Function(lambda: math.pi, 0, 0),
}

# Functions that the service has and this emulator has not: an honest 501, where an unknown name is a 400.
_ABSENT: Final = (
    "ACOS ASIN ATAN ATN2 COT DATETIMEADD DATETIMEBIN DATETIMEDIFF DATETIMEFORMAT DATETIMEFROMPARTS DATETIMEPART "
    "DATETIMETOTICKS DATETIMETOTIMESTAMP DOCUMENTID FULLTEXTCONTAINS FULLTEXTCONTAINSALL FULLTEXTCONTAINSANY "
    "FULLTEXTSCORE INTADD INTBITAND INTBITLEFTSHIFT INTBITNOT INTBITOR INTBITRIGHTSHIFT INTBITXOR INTDIV INTMOD "
    "INTMUL INTSUB LASTSUBSTRINGAFTER LASTSUBSTRINGBEFORE NUMBERBIN OBJECTTOARRAY ARRAYTOOBJECT ARRAY_AVG ARRAY_MAX "
    "ARRAY_MEDIAN ARRAY_MIN ARRAY_SUM RAND RRF SETDIFFERENCE SETEQUAL ST_AREA ST_DISTANCE ST_INTERSECTS ST_ISVALID "
    "ST_ISVALIDDETAILED ST_WITHIN STRINGTOBOOL SUBSTRINGAFTER SUBSTRINGBEFORE TICKSTODATETIME TIMESTAMPTODATETIME "
    "VECTORDISTANCE"
)
ABSENT: Final = frozenset(_ABSENT.split())
