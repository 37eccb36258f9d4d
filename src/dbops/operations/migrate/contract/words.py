"""The words of a statement of SQL, without comments and constants. Pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto

_WORD = re.compile(
    r"""(?P<skip>\s+|--[^\n]*)
    |(?P<comment>/\*)
    |(?P<param>\$\d+)
    |(?P<dollar>\$(?P<tag>\w*)\$(?P<inside>.*?)\$(?P=tag)\$)
    |(?P<text>[eE]'(?:[^'\\]|''|\\.)*'|[bBxXnN]?'(?:[^']|'')*')
    |(?P<quoted>(?P<unicode>[uU]&)?"(?P<plain>(?:[^"]|"")*)")
    |(?P<name>[^\W\d][\w$]*)
    |(?P<number>\d[\w.]*)
    |(?P<sign>.)""",
    re.VERBOSE | re.DOTALL,
)
_COMMENT = re.compile(r"/\*|\*/")
_ESCAPE = re.compile(r"\\(?:\+([0-9a-fA-F]{6})|([0-9a-fA-F]{4}))")
_LAST_OF_UNICODE = 0x10FFFF


class Kind(Enum):
    NAME = auto()  # as PostgreSQL folds it: keywords too
    QUOTED = auto()  # a name that cannot be a keyword
    CONSTANT = auto()
    SIGN = auto()


@dataclass(frozen=True, slots=True)
class Word:
    kind: Kind
    text: str

    @property
    def named(self) -> bool:
        return self.kind in {Kind.NAME, Kind.QUOTED}

    def __eq__(self, other: object) -> bool:
        if isinstance(other, str):  # a keyword or a sign: never a quoted name, never a constant
            return self.kind in {Kind.NAME, Kind.SIGN} and self.text == other
        return isinstance(other, Word) and (self.kind, self.text) == (other.kind, other.text)

    def __hash__(self) -> int:
        return hash(self.text)  # as the text's own, so that a word is found in a set of keywords


def words(text: str) -> list[Word]:
    """Cut a statement; what a dollar-quoted body holds counts as words too."""
    return list(_words(text))


def _words(text: str) -> Iterator[Word]:
    for match in _matches(text):
        match match.lastgroup:
            case "name":
                yield Word(Kind.NAME, match[0].lower())
            case "quoted" | "plain" | "unicode":
                name = match["plain"].replace('""', '"')
                yield Word(Kind.QUOTED, name if match["unicode"] is None else _ESCAPE.sub(_escaped, name))
            case "dollar" | "inside" | "tag":
                yield from _words(match["inside"])
            case "param" | "text" | "number":
                yield Word(Kind.CONSTANT, match[0])
            case _:
                yield Word(Kind.SIGN, match[0])


def _matches(text: str) -> Iterator[re.Match[str]]:
    """Cut a text at its tokens, without white space and comments: these hold each other in PostgreSQL."""
    at = 0
    while (match := _WORD.match(text, at)) is not None:
        at = match.end()
        if match.lastgroup == "comment":
            at = _behind(text, at)
        elif match.lastgroup != "skip":
            yield match


def _behind(text: str, at: int) -> int:
    """Return where a comment ends; one that never does hides nothing."""
    start, depth = at, 1
    while depth:
        found = _COMMENT.search(text, at)
        if found is None:
            return start
        depth, at = depth + (1 if found[0] == "/*" else -1), found.end()
    return at


def _escaped(match: re.Match[str]) -> str:
    code = int(match[1] or match[2], 16)
    return chr(code) if code <= _LAST_OF_UNICODE else match[0]


def in_texts(text: str) -> list[Word]:
    """Return the words inside of quoted texts: what a function may put together and EXECUTE."""
    every = list(_matches(text))
    quoted = [match[0] for match in every if match.lastgroup == "text"]
    inside = [match["inside"] for match in every if match["dollar"] is not None]
    found = [word for each in quoted for word in _words(each.strip("eEbBxXnN").strip("'"))]
    return found + [word for each in inside for word in in_texts(each)]
