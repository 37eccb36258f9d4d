"""The words of a statement of SQL, without comments and constants. Pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto

_WORD = re.compile(
    r"""(?P<skip>\s+|--[^\n]*|/\*(?:[^*]|\*(?!/))*\*/)
    |(?P<param>\$\d+)
    |(?P<dollar>\$(?P<tag>\w*)\$(?P<inside>.*?)\$(?P=tag)\$)
    |(?P<text>[eE]'(?:[^'\\]|''|\\.)*'|[bBxXnN]?'(?:[^']|'')*')
    |(?P<quoted>(?:[uU]&)?"(?:[^"]|"")*")
    |(?P<name>[^\W\d][\w$]*)
    |(?P<number>\d[\w.]*)
    |(?P<sign>.)""",
    re.VERBOSE | re.DOTALL,
)


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
    for match in _WORD.finditer(text):
        match match.lastgroup:
            case "skip":
                continue
            case "name":
                yield Word(Kind.NAME, match[0].lower())
            case "quoted":
                yield Word(Kind.QUOTED, match[0].partition('"')[2][:-1].replace('""', '"'))
            case "dollar" | "inside" | "tag":
                yield from _words(match["inside"])
            case "param" | "text" | "number":
                yield Word(Kind.CONSTANT, match[0])
            case _:
                yield Word(Kind.SIGN, match[0])


def in_texts(text: str) -> list[Word]:
    """Return the words inside of quoted texts: what a function may put together and EXECUTE."""
    quoted = [match[0] for match in _WORD.finditer(text) if match.lastgroup == "text"]
    inside = [match["inside"] for match in _WORD.finditer(text) if match["dollar"] is not None]
    found = [word for each in quoted for word in _words(each.strip("eEbBxXnN").strip("'"))]
    return found + [word for each in inside for word in in_texts(each)]
