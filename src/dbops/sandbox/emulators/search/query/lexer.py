"""Cut an OData expression into tokens."""

import re
from dataclasses import dataclass
from typing import Literal as Only
from typing import cast

from dbops.sandbox.emulators.search.query.refusal import Invalid

Sort = Only["string", "date", "float", "integer", "name", "mark", "end"]

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<string>'(?:[^']|'')*')
    | (?P<date>\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d))
    | (?P<float>[+-]?\d+(?:\.\d+(?:[eE][+-]?\d+)?|[eE][+-]?\d+)|-INF(?![A-Za-z_0-9])
        |(?:INF|NaN)(?![A-Za-z_0-9/]))
    | (?P<integer>[+-]?\d+)
    | (?P<name>(?:search|geo)\.[a-z]+(?=\s*\()|[A-Za-z_][A-Za-z_0-9]*)
    | (?P<mark>[(),:/])
    )""",
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Token:
    sort: Sort
    text: str
    at: int


def tokens(text: str) -> list[Token]:
    """Cut, and refuse what no token begins with."""
    found: list[Token] = []
    at = 0
    end = len(text.rstrip())
    while at < end:
        match = _TOKEN.match(text, at)
        if match is None:
            raise Invalid(f"Invalid expression: Syntax error at position {at} in '{text}'.")
        sort = cast("Sort", match.lastgroup)
        found.append(Token(sort, match.group(sort), match.start(sort)))
        at = match.end()
    found.append(Token("end", "", end))
    return found
