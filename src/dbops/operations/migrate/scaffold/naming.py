"""Whether what was typed can be the name of something, before anybody is asked about it. Pure."""

import re

from dbops.errors import UsageError
from dbops.operations.migrate.scaffold.facts import Wanted

_MOST_BYTES = 63  # PostgreSQL cuts what is longer, and two names may become one
_PART = r'(?:[^\W\d][\w$]*|"(?:[^"\x00]|"")+")'
_TABLE = re.compile(rf"{_PART}(?:\.{_PART})?")
_CHANGE = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_REVISION = re.compile(r"[A-Za-z0-9_]{1,32}")  # it is a file's name, and 32 is what alembic_version holds


def refuse(wanted: Wanted, revision: str | None) -> None:
    """Refuse what PostgreSQL, Alembic or a file system would take for something else."""
    if not _CHANGE.fullmatch(wanted.change):
        raise UsageError(
            f"{wanted.change!r} is no name of a change",
            hint="small letters, digits, `-`, `_` and `.`, at most 63: --change NAME",
        )
    if not wanted.impact.strip():
        raise UsageError("--impact has to say what the change means for the application", hint='--impact "..."')
    if revision is not None and not _REVISION.fullmatch(revision):
        raise UsageError(
            f"{revision!r} is no name of a revision", hint="letters, digits and `_`, at most 32: --revision ID"
        )
    if wanted.table:
        _refuse_table(wanted.table)
    for option, names in (("--column", wanted.column), ("--to", wanted.to), ("--name", (wanted.name or "x",))):
        for name in names:
            _refuse_name(name, option)


def _refuse_table(name: str) -> None:
    if not _TABLE.fullmatch(name):
        raise UsageError(
            f"{name!r} is no name of a table of this database",
            hint="""--table SCHEMA.NAME, quoted as SQL needs it: --table 'public."Order Items"'""",
        )


def _refuse_name(name: str, option: str) -> None:
    if not name.strip() or "\x00" in name:
        raise UsageError(f"{option} {name!r} is no name", hint=f"{option} NAME")
    if len(name.encode(errors="replace")) > _MOST_BYTES:
        raise UsageError(
            f"{option} {name!r} is longer than the {_MOST_BYTES} bytes that PostgreSQL keeps of a name",
            hint="choose a shorter one",
        )
