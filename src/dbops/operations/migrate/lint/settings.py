"""How SQL reads settings: what fails where one was never made, or has ended with its transaction."""

import re
from collections.abc import Iterator

_COMMENT = re.compile(r"--[^\n]*|/\*[\s\S]*?\*/")
_CALL = re.compile(r"\b(?:pg_catalog\.)?current_setting\s*\(", re.IGNORECASE)
_MISSING_OK = re.compile(r",\s*(true|'t'|'true')", re.IGNORECASE)
_TEXT = r"(?:text|character varying|varchar)\b(?:\s*\(\d+\))?"
_AS_TEXT = re.compile(rf"\s*::\s*{_TEXT}", re.IGNORECASE)
_AS_OTHER = re.compile(r"\s*::\s*(?P<type>[a-z]\w*(?:\.\w+)?)", re.IGNORECASE)
_CAST_AS = re.compile(rf"(?:\s*::\s*{_TEXT})*\s+AS\s+(?!{_TEXT})(?P<type>[a-z]\w*(?:\.\w+)?)", re.IGNORECASE)
_WORD = re.compile(r"(\w*)\s*$")


def unsafe(sql: str) -> Iterator[str]:
    """Tell what is wrong, as what follows the name of the object."""
    text = _COMMENT.sub(" ", sql)
    for call in _CALL.finditer(text):
        end = _closing(text, call.end() - 1)
        if not _MISSING_OK.match(_after_first_argument(text[call.end() : end])):
            yield "reads a setting without missing_ok: where nobody has made it, every query fails"
        if kind := _cast_to(text, call.start(), end + 1):
            yield f"casts a setting to {kind}, but it is '' once it has ended with its transaction"


def _cast_to(text: str, start: int, end: int) -> str | None:
    """Follow the value outwards, through brackets and coalesce, to a cast; NULLIF guards it."""
    while True:
        while as_text := _AS_TEXT.match(text, end):
            end = as_text.end()
        if cast := _AS_OTHER.match(text, end):
            return cast["type"]
        opening = _opening(text, start)
        if opening is None:
            return None
        word = _WORD.search(text, 0, opening)
        match word[1].lower() if word else "":
            case "cast":
                cast = _CAST_AS.match(text, end)
                return cast["type"] if cast else None
            case "coalesce":
                pass
            case "nullif":
                return None
            case _ if text[:opening][-1:].isidentifier() or not _wraps(text, opening, start, end):
                return None  # what a function makes of it, or a comparison
            case _:
                pass
        start, end = opening, _closing(text, opening) + 1


def _wraps(text: str, opening: int, start: int, end: int) -> bool:
    return not text[opening + 1 : start].strip() and text[end:].lstrip().startswith(")")


def _brackets(text: str) -> Iterator[tuple[int, str]]:
    quoted = False
    for place, sign in enumerate(text):
        if sign == "'":
            quoted = not quoted
        elif not quoted and sign in "(),":
            yield place, sign


def _opening(text: str, place: int) -> int | None:
    """Find the bracket around a place."""
    opened: list[int] = []
    for where, sign in _brackets(text[:place]):
        match sign:
            case "(":
                opened.append(where)
            case ")" if opened:
                opened.pop()
            case _:
                pass
    return opened[-1] if opened else None


def _closing(text: str, opening: int) -> int:
    """Find the bracket that closes the one at `opening`; the end where none does."""
    depth = 0
    for where, sign in _brackets(text[opening:]):
        depth += {"(": 1, ")": -1, ",": 0}[sign]
        if depth == 0:
            return opening + where
    return len(text)


def _after_first_argument(arguments: str) -> str:
    depth = 0
    for where, sign in _brackets(arguments):
        if sign == "," and depth == 0:
            return arguments[where:]
        depth += {"(": 1, ")": -1, ",": 0}[sign]
    return ""
