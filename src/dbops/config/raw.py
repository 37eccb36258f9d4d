"""What TOML said, before it is known to be valid: tables and lists are found where they are ones."""

import difflib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast

_PLAIN_KEY = re.compile(r"[\w{}.-]{1,64}")

Raw = Mapping[str, Any]


def key(text: str) -> str:
    """Quote what a hostile key could do to the line that speaks of it."""
    return text if _PLAIN_KEY.fullmatch(text) else json.dumps(text[:64])


def table(raw: Raw, section: str) -> dict[str, Any]:
    told = raw.get(section)
    return cast("dict[str, Any]", told) if isinstance(told, dict) else {}


def tables(raw: Raw, section: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, told in table(raw, section).items():
        if isinstance(told, dict):
            yield name, cast("dict[str, Any]", told)


def listed(value: Any) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else []


def near(word: str, valid: Iterable[str], *, at_least: float = 0.6) -> str:
    found = nearest(word, valid, at_least=at_least)
    return "" if found is None else f"; did you mean {key(found)!r}?"


def nearest(word: str, valid: Iterable[str], *, at_least: float = 0.6) -> str | None:
    """Find the word that was meant, if one is near."""
    return next(iter(difflib.get_close_matches(word, list(valid), n=1, cutoff=at_least)), None)
