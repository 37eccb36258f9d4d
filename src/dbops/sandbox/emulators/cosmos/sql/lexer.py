"""The words of a query."""

import math
import re
from dataclasses import dataclass
from typing import Any, Final

from dbops.sandbox.emulators.cosmos.sql.problems import Invalid

_RESERVED: Final = (
    "AND ARRAY AS ASC BETWEEN BY DESC DISTINCT EXISTS FALSE FROM GROUP IN JOIN LEFT LIKE LIMIT NOT NULL OFFSET OR "
    "ORDER RIGHT SELECT TOP TRUE UDF UNDEFINED VALUE WHERE"
)
RESERVED: Final = frozenset(_RESERVED.split())
_WORDS: Final = re.compile(
    r"""(?P<blank>\s+|--[^\n]*)
      | (?P<number>0[xX][0-9a-fA-F]+|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)
      | (?P<name>[^\W\d]\w*)
      | (?P<parameter>@\w+)
      | (?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
      | (?P<operator>\?\?|\|\||>>>|<<|>>|<>|!=|<=|>=|[-+*/%&|^~=<>?:.,()\[\]{}])""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE: Final = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_ESCAPED: Final = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "\\": "\\", "/": "/", "'": "'", '"': '"'}


@dataclass(frozen=True, slots=True)
class Token:
    kind: str  # name, keyword, number, string, parameter, operator, end
    text: str  # keywords in upper case
    value: Any
    at: int


def tokens(text: str) -> list[Token]:
    found: list[Token] = []
    at = 0
    while at < len(text):
        match = _WORDS.match(text, at)
        if match is None:
            raise Invalid(f"Syntax error, invalid token at position {at}: {text[at : at + 20]!r}")
        kind, word = match.lastgroup or "", match.group()
        if kind != "blank":
            found.append(_token(kind, word, at))
        at = match.end()
    found.append(Token("end", "end of query", None, at))
    return found


def _token(kind: str, word: str, at: int) -> Token:
    match kind:
        case "name" if word.upper() in RESERVED:
            return Token("keyword", word.upper(), word, at)
        case "number":
            return Token(kind, word, _number(word), at)
        case "string":
            return Token(kind, word, _unescaped(word[1:-1]), at)
        case _:
            return Token(kind, word, word, at)


def _number(word: str) -> int | float:
    if word[:2] in {"0x", "0X"} or word.isdecimal():
        whole = int(word, 0) if word[1:2] in {"x", "X"} else int(word)
        return whole if whole < 2**63 else float(whole)
    value = float(word)
    if math.isinf(value):
        raise Invalid(f"Syntax error, the number {word} is too large")
    return int(value) if value.is_integer() and value <= 2**53 else value


def _unescaped(word: str) -> str:
    if "\\" not in word:
        return word

    def plain(match: re.Match[str]) -> str:
        code = match.group(1)
        if len(code) == 5:
            return chr(int(code[1:], 16))
        if code not in _ESCAPED:
            raise Invalid(f"Syntax error, unknown escape \\{code} in a string")
        return _ESCAPED[code]

    # Characters beyond the basic plane come as two surrogates, which only UTF-16 puts together.
    return _ESCAPE.sub(plain, word).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
