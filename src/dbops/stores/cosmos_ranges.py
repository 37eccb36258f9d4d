"""Where reading a range of a Cosmos DB container stands, so that it goes on even when its partition was split.

The library gives a range that is one partition the service's own continuation, and starts from the beginning when the
range has become two. The two continue the one: each of them understands the continuation of the partition that it came
from. So what is left to read is a list of parts, each with its continuation, and that list is what a page tells.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import orjson

from dbops.errors import Refused

FeedRange = dict[str, Any]  # opaque: what `Container.ranges` gave, and what JSON keeps

_WHOLE = re.compile(r"\b(?:order\s+by|group\s+by|distinct|top|offset|count|sum|min|max|avg)\b", re.IGNORECASE)


class ContinuationLost(Refused):
    """A continuation is not understood any more: what it belongs to is read from its beginning again."""


@dataclass(frozen=True, slots=True)
class Part:
    """A range that is still to be read, from its beginning or behind a continuation."""

    range: FeedRange
    token: str | None = None


def fingerprint(query: str, parameters: Mapping[str, Any] | None) -> str:
    """Know a query again: the continuation of another one leads to the wrong documents."""
    return hashlib.sha256(orjson.dumps([query, parameters], option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]


def written(parts: Sequence[Part], of: str) -> str | None:
    """Write down what is left; nothing left is no continuation."""
    if not parts:
        return None
    return orjson.dumps({"query": of, "parts": [[part.range, part.token] for part in parts]}).decode()


def read(within: FeedRange, continuation: str | None, of: str) -> list[Part]:
    """Read what `written` wrote for the same query; without it, all of the range is left."""
    if continuation is None:
        return [Part(within)]
    try:
        told = cast("dict[str, Any]", orjson.loads(continuation))
        parts = [Part(dict(one), token) for one, token in told["parts"]]
        known = told["query"]
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise lost("is none of a range") from error
    if known != of:
        raise lost("belongs to another query")
    if any(not inside(part.range, within) for part in parts):
        raise lost("belongs to another range")
    return parts


def lost(why: str) -> ContinuationLost:
    return ContinuationLost(f"the continuation {why}", hint="read the range from its beginning again")


def children(part: Part, today: Iterable[FeedRange]) -> list[Part]:
    """Find what a part has become: each piece goes on where the whole one stood."""
    return [Part(one, part.token) for one in today if inside(one, part.range)]


def inside(one: FeedRange, other: FeedRange) -> bool:
    """Tell whether a range lies in another; its bounds are hexadecimal texts, the last one is `FF`."""
    (low, high), (least, most) = _bounds(one), _bounds(other)
    return least <= low and high <= most


def _bounds(one: FeedRange) -> tuple[str, str]:
    told = cast("dict[str, Any]", one.get("Range", one))
    return str(told["min"]), str(told["max"])


def goes_on_in_parts(query: str) -> bool:
    """Tell whether a query may be answered part by part: not when it sorts, counts or limits over all of them."""
    return _WHOLE.search(query) is None
