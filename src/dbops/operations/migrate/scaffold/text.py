"""Write Python that reads as if typed: the file of a revision, and the calls in it. Pure."""

import re
from collections.abc import Mapping, Sequence

from dbops.operations.migrate.scaffold.facts import Draft, Wanted

_WIDTH = 120
_SLUG = re.compile(r"[^a-z0-9]+")


def text(value: str) -> str:
    """Write a string, in double quotes where that needs no escape."""
    if '"' in value or "\\" in value or not value.isprintable():
        return repr(value)
    return f'"{value}"'


def tuple_of(items: Sequence[str]) -> str:
    return f"({', '.join(items)}{',' if len(items) == 1 else ''})"


def lines_of(items: Sequence[str]) -> str:
    """Write a tuple as an argument, one item a line."""
    return "(\n" + "".join(f"        {one},\n" for one in items) + "    )"


def mapping(items: Mapping[str, str]) -> str:
    return "{" + ", ".join(f"{text(key)}: {text(value)}" for key, value in items.items()) + "}"


def call(name: str, arguments: Mapping[str, str]) -> str:
    """Write a call, one argument a line."""
    lines = "".join(f"    {key}={value},\n" for key, value in arguments.items())
    return f"{name}(\n{lines})"


def slug(change: str) -> str:
    return _SLUG.sub("_", change.lower()).strip("_")[:40]


def revision(wanted: Wanted, draft: Draft, *, id: str, after: str | None) -> str:  # noqa: A002  # Alembic's word
    """Write the whole file."""
    more = "".join(f"{line}\n" for line in draft.more)
    docstring = f'"""{draft.about}.\n\n{more}"""' if more else f'"""{draft.about}."""'
    imports = "\n".join(sorted({"from dbops.operations.migrate import changes", *draft.imports}))
    return f"""{docstring}

{imports}

revision = {text(id)}
down_revision = {text(after) if after is not None else None}

change = {text(wanted.change)}
phase = "expand"
impact = {text(wanted.impact)}
shape = {draft.shape}


def upgrade() -> None:
    {draft.upgrade}


def downgrade() -> None:
    {draft.downgrade}
"""
