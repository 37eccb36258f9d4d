"""The second net for secrets: whatever is printed, logged or journaled passes through `redact`.

The first net is that secrets are references until they are used, and that no argv ever holds one.
"""

import json
import re
import shlex
from collections.abc import Iterator
from typing import Any, cast
from urllib.parse import quote, quote_plus

MARK = "***"
_SHORTEST = 4  # a shorter secret would blank half of every message; the patterns below still catch it

_WORDS = r"(?:password|passwd|pwd|passphrase|accountkey|secret|token|api[-_]?key)"
_VALUE = r"""(?!["']?[{$*])('(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.)*"|[^\s'",;)}]+)"""
# Each begins at a fixed place, or is bounded: a line of a million letters must not take a minute.
_PATTERNS = (
    re.compile(rf"(?i)({_WORDS}\s*=\s*){_VALUE}"),
    # behind a dot it is a key of the configuration that a message speaks of; and JSON's null hides nothing
    re.compile(rf"(?i)((?<![.\w])\w{{0,40}}{_WORDS}[\"']?\s*:\s*)(?!null\b|true\b|false\b|\[){_VALUE}"),
    re.compile(r"(?i)(\bpassword\s+)('(?:[^']|'')*')"),
    re.compile(r"([a-z][a-z0-9+.-]{0,31}://[^/\s:@]*:)(?!\$\{)([^\s/]+)(?=@)", re.IGNORECASE),
    re.compile(r"()(SCRAM-SHA-256\$[0-9]+:[A-Za-z0-9+/=]+\$[A-Za-z0-9+/=]+:[A-Za-z0-9+/=]+)"),
)
_known: set[str] = set()


def register(secret: str) -> str:
    """Remember a secret, as it is and as others write it: URLs, JSON, conninfo, SQL, shells; return it unchanged."""
    for line in (secret, *secret.splitlines()):  # what comes line by line is redacted line by line
        if len(line) >= _SHORTEST:
            _known.update(_forms(line))
    return secret


def _forms(secret: str) -> Iterator[str]:
    conninfo = secret.replace("\\", "\\\\").replace("'", "\\'")
    yield from (secret, conninfo, secret.replace("'", "''"), conninfo.replace("\\'", "''"))
    yield from (repr(secret)[1:-1], shlex.quote(secret).removeprefix("'").removesuffix("'"))
    yield from (quote(secret, safe="", errors="replace"), quote(secret, errors="replace"))
    yield quote_plus(secret, errors="replace")
    for text in (secret, conninfo):
        yield from (json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1])


def redact(text: str) -> str:
    """Blank every registered secret, and what looks like one."""
    if spans := sorted(_found(text)):
        text = _blanked(text, spans)
    for pattern in _PATTERNS:
        text = pattern.sub(rf"\g<1>{MARK}", text)
    return text


def _found(text: str) -> Iterator[tuple[int, int]]:
    for secret in _known:
        at = text.find(secret)
        while at >= 0:
            yield at, at + len(secret)
            at = text.find(secret, at + 1)


def _blanked(text: str, spans: list[tuple[int, int]]) -> str:
    """Blank what the spans cover: of two secrets that overlap, no rest of the second remains."""
    parts: list[str] = []
    done = 0
    for start, end in spans:
        if start >= done:
            parts += (text[done:start], MARK)
        done = max(done, end)
    return "".join([*parts, text[done:]])


def redacted(value: Any) -> Any:
    """Redact every text inside plain data, before a format's escapes could hide a secret."""
    match value:
        case str():
            return redact(value)
        case dict():
            return {redact(str(key)): redacted(inner) for key, inner in cast("dict[Any, Any]", value).items()}
        case list() | tuple():
            return [redacted(inner) for inner in cast("list[Any]", value)]
        case None | bool() | int() | float():
            return value
        case _:
            return redact(str(value))
