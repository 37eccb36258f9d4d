"""Fill `${NAME}` into a text the way the text's own syntax wants it, and tell which of the values are secrets.

A password with a space or a quote in it must not break the connection string, nor end up in the error that a
broken one causes. A host or a database name is no secret: blanked, it would make every message unreadable.
"""

import re
from collections.abc import Callable
from urllib.parse import quote

from dbops.config.fields import VARIABLE

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_KEY_BEFORE = re.compile(r"(\w+)\s*=\s*'?[^\s']*$")
_QUERY_KEY_BEFORE = re.compile(r"[?&](\w+)=[^&]*$")
_NEEDS_ESCAPE = re.compile(r"([\s'\\])")
_OPEN = frozenset(
    {"host", "hostaddr", "port", "user", "dbname", "db", "sslmode", "sslrootcert", "sslcert", "sslkey", "service"}
)


def fill(text: str, value_of: Callable[[str], str]) -> tuple[str, list[str]]:
    """Return the text with every `${NAME}` replaced, once, and the secrets among what was put in."""
    secrets: list[str] = []

    def put(match: re.Match[str]) -> str:
        value = value_of(match[1])
        written, secret = _written(text, match, value)
        if secret:
            secrets.extend((value, written))
        return written

    return VARIABLE.sub(put, text), secrets


def _written(text: str, match: re.Match[str], value: str) -> tuple[str, bool]:
    before = text[: match.start()]
    if _URL.match(text):
        return _in_url(text, before, value)
    if key := _KEY_BEFORE.search(before):
        quoted = before.count("'") % 2 == 1
        escaped = _NEEDS_ESCAPE.sub(r"\\\1", value)
        return escaped if escaped or quoted else "''", key[1].lower() not in _OPEN
    return value, True


def _in_url(text: str, before: str, value: str) -> tuple[str, bool]:
    if "@" not in before and "@" in text[len(before) :]:  # user or password
        return quote(value, safe=""), ":" in before.partition("://")[2]
    if key := _QUERY_KEY_BEFORE.search(before):
        return quote(value, safe=""), key[1].lower() not in _OPEN
    return value, "@" in value  # a host, a port, a path; or all of them in one
