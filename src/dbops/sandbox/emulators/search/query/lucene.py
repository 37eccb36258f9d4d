"""The full query syntax of Lucene, as far as it is done right.

Words, "phrases", prefix*, fields, AND OR NOT + -, and groups.
"""

import re

from dbops.sandbox.emulators.search.query.refusal import Invalid, Unsupported
from dbops.sandbox.emulators.search.query.simple import Joined, Query, Without, Words

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<phrase>"(?:[^"\\]|\\.)*")
    | (?P<mark>&&|\|\||[()+!-])
    | (?P<field>[A-Za-z_][A-Za-z0-9_/]*):
    | (?P<word>(?:[^\s()"\\:]|\\.)+)
    )""",
    re.VERBOSE,
)
_MISSING = re.compile(r"(?<!\\)[~^?\[\]{}/]")
_CONJUNCTIONS = {"AND": "and", "&&": "and", "OR": "or", "||": "or"}
_DEEPEST = 50
_BEHIND = "Failed to parse query string at line 1. See https://aka.ms/azure-search-full-query for supported syntax."
Clause = tuple[str, Query]  # must, should or not


def parse(text: str, *, every: bool) -> Query | None:
    """Read a query; `every` is searchMode all. Raises Invalid for what is no query, as the service does."""
    parser = _Parser(text, every)
    found = parser.group(0, None)
    if not parser.is_done:
        raise Invalid(_BEHIND)
    return found


class _Parser:
    def __init__(self, text: str, every: bool) -> None:
        self._every = every
        self._tokens: list[tuple[str, str]] = []
        self._at = 0
        at, end = 0, len(text.rstrip())
        while at < end:
            match = _TOKEN.match(text, at)
            if match is None or match.lastgroup is None:
                raise Invalid(_BEHIND)
            self._tokens.append((match.lastgroup, match.group(match.lastgroup)))
            at = match.end()

    @property
    def is_done(self) -> bool:
        return self._at == len(self._tokens)

    def group(self, depth: int, field: str | None) -> Query | None:
        """Read clauses up to a closing parenthesis, with the rules of Lucene's classic parser."""
        if depth > _DEEPEST:
            raise Unsupported(f"queries nested deeper than {_DEEPEST}")
        clauses: list[Clause] = []
        while not self.is_done and self._tokens[self._at] != ("mark", ")"):
            conjunction = self._conjunction()
            sign = self._sign()
            part = self._part(depth, field)
            if conjunction and not clauses:
                raise Invalid(_BEHIND)
            self._adjust(clauses, conjunction)
            if part is not None:
                clauses.append((self._occurs(sign, conjunction), part))
        return _combined(clauses)

    def _adjust(self, clauses: list[Clause], conjunction: str) -> None:
        if not clauses or clauses[-1][0] == "not":
            return
        if conjunction == "and":
            clauses[-1] = ("must", clauses[-1][1])
        elif conjunction == "or" and self._every:
            clauses[-1] = ("should", clauses[-1][1])

    def _occurs(self, sign: str, conjunction: str) -> str:
        if sign:
            return sign
        if self._every:
            return "should" if conjunction == "or" else "must"
        return "must" if conjunction == "and" else "should"

    def _conjunction(self) -> str:
        _, text = self._tokens[self._at]
        if text not in _CONJUNCTIONS:
            return ""
        self._at += 1
        return _CONJUNCTIONS[text]

    def _sign(self) -> str:
        sort, text = self._tokens[self._at] if not self.is_done else ("", "")
        if sort == "mark" and text in "+-!":
            self._at += 1
            return "must" if text == "+" else "not"
        if (sort, text) == ("word", "NOT"):
            self._at += 1
            return "not"
        return ""

    def _part(self, depth: int, field: str | None) -> Query | None:
        if self.is_done:
            raise Invalid(_BEHIND)
        sort, text = self._tokens[self._at]
        self._at += 1
        if sort == "field":
            return self._part(depth, text)
        if (sort, text) == ("mark", "("):
            found = self.group(depth + 1, field)
            if self.is_done:
                raise Invalid(_BEHIND)
            self._at += 1
            return found
        if sort == "mark" or text in _CONJUNCTIONS:
            raise Invalid(_BEHIND)
        return _words(sort, text, field)


def _words(sort: str, text: str, field: str | None) -> Query | None:
    if sort == "phrase":
        phrase = _unescaped(text[1:-1])
        return Words(phrase, phrase=True, field=field) if phrase.strip() else None
    prefix = text.endswith("*") and not text.endswith("\\*")
    word = text[:-1] if prefix else text
    if _MISSING.search(word) or re.search(r"(?<!\\)\*", word) or not word:
        raise Unsupported("fuzzy, boosted, wildcard, range and regular-expression queries")
    return Words(_unescaped(word), prefix=prefix, field=field)


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)


def _combined(clauses: list[Clause]) -> Query | None:
    """What must be is joined by and; what should be counts alone where nothing must; else it adds to the score."""
    if not clauses:
        return None
    must, should, never = ([part for occurs, part in clauses if occurs == kind] for kind in ("must", "should", "not"))
    wanted = Joined(True, tuple(must), bonus=tuple(should)) if must else Joined(False, tuple(should))
    if never:
        return Joined(True, (wanted, *(Without(part) for part in never)))
    return wanted
