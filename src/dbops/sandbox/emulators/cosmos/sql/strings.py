"""The string functions; undefined comes out where the arguments are not what the function wants."""

import re
from functools import lru_cache
from typing import Any

import orjson

from dbops.sandbox.emulators.cosmos.sql.problems import Invalid, Unsupported
from dbops.sandbox.emulators.cosmos.sql.values import ARRAY, NUMBER, STRING, UNDEFINED, is_number, rank


def contains(value: Any, part: Any, ignore_case: Any = False) -> Any:
    pair = _pair(value, part, ignore_case)
    return UNDEFINED if pair is None else pair[1] in pair[0]


def starts_with(value: Any, part: Any, ignore_case: Any = False) -> Any:
    pair = _pair(value, part, ignore_case)
    return UNDEFINED if pair is None else pair[0].startswith(pair[1])


def ends_with(value: Any, part: Any, ignore_case: Any = False) -> Any:
    pair = _pair(value, part, ignore_case)
    return UNDEFINED if pair is None else pair[0].endswith(pair[1])


def string_equals(value: Any, other: Any, ignore_case: Any = False) -> Any:
    pair = _pair(value, other, ignore_case)
    return UNDEFINED if pair is None else pair[0] == pair[1]


def _pair(value: Any, part: Any, ignore_case: Any) -> tuple[str, str] | None:
    if value.__class__ is not str or part.__class__ is not str or ignore_case.__class__ is not bool:
        return None
    return (value.lower(), part.lower()) if ignore_case else (value, part)


def lower(value: Any) -> Any:
    return value.lower() if value.__class__ is str else UNDEFINED


def upper(value: Any) -> Any:
    return value.upper() if value.__class__ is str else UNDEFINED


def length(value: Any) -> Any:
    return len(value) if value.__class__ is str else UNDEFINED


def reverse(value: Any) -> Any:
    return value[::-1] if value.__class__ is str else UNDEFINED


def trim(value: Any, what: Any = None) -> Any:
    return value.strip(what) if _trims(value, what) else UNDEFINED


def left_trim(value: Any, what: Any = None) -> Any:
    return value.lstrip(what) if _trims(value, what) else UNDEFINED


def right_trim(value: Any, what: Any = None) -> Any:
    return value.rstrip(what) if _trims(value, what) else UNDEFINED


def _trims(value: Any, what: Any) -> bool:
    return value.__class__ is str and (what is None or what.__class__ is str)


def concat(*values: Any) -> Any:
    return "".join(values) if all(value.__class__ is str for value in values) else UNDEFINED


def substring(value: Any, start: Any, size: Any) -> Any:
    if value.__class__ is not str or not is_number(start) or not is_number(size):
        return UNDEFINED
    if start < 0 or size <= 0:
        return ""
    return value[int(start) : int(start) + int(size)]


def left(value: Any, size: Any) -> Any:
    return substring(value, 0, size)


def right(value: Any, size: Any) -> Any:
    if value.__class__ is not str or not is_number(size):
        return UNDEFINED
    return value[max(0, len(value) - int(size)) :] if size > 0 else ""


def index_of(value: Any, part: Any, start: Any = 0) -> Any:
    if value.__class__ is not str or part.__class__ is not str or not is_number(start):
        return UNDEFINED
    return value.find(part, max(0, int(start)))


def replace(value: Any, part: Any, new: Any) -> Any:
    if any(one.__class__ is not str for one in (value, part, new)):
        return UNDEFINED
    return value.replace(part, new) if part else value


def replicate(value: Any, times: Any) -> Any:
    if value.__class__ is not str or not is_number(times) or times < 0 or len(value) * times > 10_000:
        return UNDEFINED
    return value * int(times)


def to_string(value: Any) -> Any:
    if value is UNDEFINED or value.__class__ is str:
        return value
    return orjson.dumps(value).decode()


def string_to_number(value: Any) -> Any:
    return _parsed(value, NUMBER)


def string_to_boolean(value: Any) -> Any:
    return _parsed(value, 2)


def string_to_null(value: Any) -> Any:
    return _parsed(value, 1)


def string_to_array(value: Any) -> Any:
    return _parsed(value, ARRAY)


def string_to_object(value: Any) -> Any:
    return _parsed(value, 6)


def _parsed(value: Any, wanted: int) -> Any:
    if value.__class__ is not str:
        return UNDEFINED
    try:
        found = orjson.loads(value)
    except ValueError:
        return UNDEFINED
    return found if rank(found) == wanted else UNDEFINED


def string_join(values: Any, separator: Any) -> Any:
    if rank(values) != ARRAY or rank(separator) != STRING or any(one.__class__ is not str for one in values):
        return UNDEFINED
    return separator.join(values)


def string_split(value: Any, separator: Any) -> Any:
    if rank(value) != STRING or rank(separator) != STRING or not separator:
        return UNDEFINED
    return value.split(separator)


_MODIFIERS = {"m": re.MULTILINE, "s": re.DOTALL, "i": re.IGNORECASE, "x": re.VERBOSE}


def regex_match(value: Any, pattern: Any, modifiers: Any = "") -> Any:
    if value.__class__ is not str or pattern.__class__ is not str or modifiers.__class__ is not str:
        return UNDEFINED
    return _regex(pattern, modifiers).search(value) is not None


@lru_cache(maxsize=256)
def _regex(pattern: str, modifiers: str) -> re.Pattern[str]:
    flags = re.NOFLAG
    for letter in modifiers:
        if letter not in _MODIFIERS:
            raise Invalid(f"REGEXMATCH does not know the modifier '{letter}'.")
        flags |= _MODIFIERS[letter]
    try:
        return re.compile(pattern, flags)
    except re.error as error:
        raise Unsupported(f"the regular expression {pattern!r} ({error})") from None


@lru_cache(maxsize=256)
def like(pattern: str, escape: str | None) -> re.Pattern[str]:
    """The pattern of LIKE: % any run, _ one character, [ab-d] one of these, [^ab-d] none of these."""
    parts: list[str] = []
    at = 0
    while at < len(pattern):
        letter = pattern[at]
        if escape and letter == escape and at + 1 < len(pattern):
            at += 1
            parts.append(re.escape(pattern[at]))
        elif letter == "%":
            parts.append(".*")
        elif letter == "_":
            parts.append(".")
        elif letter == "[" and "]" in pattern[at + 1 :]:
            end = pattern.index("]", at + 1)
            parts.append(_letters(pattern[at + 1 : end]))
            at = end
        else:
            parts.append(re.escape(letter))
        at += 1
    return re.compile("".join(parts), re.DOTALL)


def _letters(inside: str) -> str:
    if inside in {"", "^"}:
        return r"(?!)" if not inside else re.escape("^")
    turned = "^" if inside.startswith("^") else ""
    letters = inside[len(turned) :]
    return f"[{turned}{re.escape(letters).replace(chr(92) + '-', '-')}]"
