"""The little that is read from the text of a statement."""

import re
from collections.abc import Sequence

_COMMENT = re.compile(r"--[^\n]*|/\*[\s\S]*?\*/")
_LONGEST = 72


def plain(text: str) -> str:
    """Leave out the comments before it."""
    return _COMMENT.sub("", text).strip() if text.lstrip().startswith(("--", "/*")) else text.strip()


def head(text: str) -> str:
    """Return its first word."""
    words = plain(text).split(None, 1)
    return words[0].upper() if words else ""


def short(text: str) -> str:
    """Return it in one line that is not too long."""
    line = " ".join(plain(text).split())
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"


def made_anew(name: str, later: Sequence[str]) -> bool:
    """Tell whether a view or a function comes back under its name: PostgreSQL replaces only what keeps its columns."""
    bare = re.escape(name.rpartition(".")[2].strip('"'))
    again = re.compile(
        rf'CREATE\s+(OR\s+REPLACE\s+)?(MATERIALIZED\s+)?(VIEW|FUNCTION|PROCEDURE)\s+([\w."]+\.)?"?{bare}\b',
        re.IGNORECASE,
    )
    return any(again.search(text) for text in later)
