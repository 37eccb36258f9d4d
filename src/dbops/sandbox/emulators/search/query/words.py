"""How texts become words: the standard analyzer and the keyword analyzer; the others are not imitated.

The words are given to FTS5 ready made, parted by blanks, because its own tokenizer cuts at the point of example.com
and at the apostrophe of don't, where the service does not. What is no letter inside a word is written as a character
of the private area, which FTS5 takes for a letter.
"""

import re

from dbops.sandbox.emulators.search.query.fields import Field

GAP = " \ue000 "  # between elements of a collection, so that no phrase spans two
_STANDARD = ("standard", "standard.lucene", "standardasciifolding.lucene")
_LANGUAGE = re.compile(r"[a-z]{2}(-[A-Za-z]{2,4})?\.(lucene|microsoft)")
_EAST = "\u3040-\u309f\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"  # written without blanks: one word each
_MIDDLE = r"(?:(?:(?<=[^\W\d_])['\u2019.](?=[^\W\d_])|(?<=\d)[.,](?=\d))\w+)*"
_WORD = re.compile(r"\w+" + _MIDDLE)
_ANY_WORD = re.compile(rf"[{_EAST}]|(?:(?![{_EAST}])\w)+{_MIDDLE}")
_INNER = str.maketrans({"'": "\ue001", "\u2019": "\ue001", ".": "\ue002", ",": "\ue003"})


def of(text: str) -> list[str]:
    """Cut a text into words, in small letters."""
    return (_WORD if text.isascii() else _ANY_WORD).findall(text.lower())


def text(value: str) -> str:
    return " ".join(of(value)).translate(_INNER)


def keywords(value: str) -> str:
    """The whole value is one word; hexadecimal keeps prefixes prefixes."""
    return "x" + value.encode().hex()


def is_keyword(field: Field) -> bool:
    return "keyword" in field.analyzers


def is_imitated(field: Field) -> bool:
    """Whether a search on this field finds what the service finds, up to stemming and stop words of languages."""
    return all(name in (*_STANDARD, "keyword") or _LANGUAGE.fullmatch(name) is not None for name in field.analyzers)
