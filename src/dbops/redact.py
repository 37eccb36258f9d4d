"""The second net for secrets: whatever is printed, logged or journaled passes through `redact`.

The first net is that secrets are references until they are used, and that no argv ever holds one.
"""

import json
import re
from urllib.parse import quote

MARK = "***"
_SHORTEST = 4  # a shorter secret would blank half of every message; the patterns below still catch it

_PATTERNS = (
    re.compile(
        r"(?i)(\b(?:password|passwd|pwd|accountkey|secret|token|api[-_]?key)\b\s*[=:]\s*)(?![{$*])('(?:[^'\\]|\\.)*'|[^\s'\",;)}]+)"
    ),
    re.compile(r"(?i)(\bpassword\s+)('(?:[^']|'')*')"),
    re.compile(r"([a-z][a-z0-9+.-]{0,31}://[^/\s:@]*:)([^@\s/]+)(?=@)", re.IGNORECASE),
    re.compile(r"()(SCRAM-SHA-256\$[0-9]+:[A-Za-z0-9+/=]+\$[A-Za-z0-9+/=]+:[A-Za-z0-9+/=]+)"),
)
_known: set[str] = set()


def register(secret: str) -> str:
    """Remember a secret, as it is and as URLs, JSON and conninfo strings write it; return it unchanged."""
    if len(secret) >= _SHORTEST:
        conninfo = secret.replace("\\", "\\\\").replace("'", "\\'")
        _known.update((secret, quote(secret, safe=""), json.dumps(secret)[1:-1], conninfo))
    return secret


def redact(text: str) -> str:
    """Blank every registered secret, and what looks like one."""
    for secret in sorted(_known, key=len, reverse=True):
        text = text.replace(secret, MARK)
    for pattern in _PATTERNS:
        text = pattern.sub(rf"\g<1>{MARK}", text)
    return text
