"""Write Python that reads as if typed: the file of a revision, and the calls in it. Pure."""

import ast
import re
from collections.abc import Mapping, Sequence

from dbops.operations.migrate.parsing import expression
from dbops.operations.migrate.scaffold.facts import Draft, Wanted

_WIDTH = 120
_SLUG = re.compile(r"[^a-z0-9]+")


def text(value: str) -> str:
    """Write a string, in double quotes unless single ones need fewer escapes."""
    quote = "'" if value.count('"') > value.count("'") else '"'
    return f"{quote}{_escaped(value, quote)}{quote}"


def _escaped(value: str, quote: str) -> str:
    return "".join(f"\\{one}" if one == quote else one if one in "'\"" else repr(one)[1:-1] for one in value)


def docstring(about: str, more: Sequence[str] = ()) -> str:
    """Write a docstring; what it tells may hold quotes and backslashes."""
    lines = "\n".join((f"{about}.", "", *more, "") if more else (f"{about}.",))
    told = "".join(one if one == "\n" else _escaped(one, "") for one in lines).replace('"""', '""\\"')
    return f'"""{" " if told.startswith(chr(34)) else ""}{told}"""'


def tuple_of(items: Sequence[str]) -> str:
    return f"({', '.join(items)}{',' if len(items) == 1 else ''})"


def lines_of(items: Sequence[str]) -> str:
    """Write a tuple as an argument, one item a line."""
    return "(\n" + "".join(f"        {one},\n" for one in items) + "    )"


def mapping(items: Mapping[str, str]) -> str:
    return "{" + ", ".join(f"{text(key)}: {text(value)}" for key, value in items.items()) + "}"


def call(name: str, arguments: Mapping[str, str]) -> str:
    """Write a call, one argument a line."""
    lines = "".join(_laid_out(f"{key}=", value, 1) for key, value in arguments.items())
    return f"{name}(\n{lines})"


def _laid_out(before: str, source: str, depth: int) -> str:
    """Write an expression in one line, or each of its parts in lines of its own where one is too long."""
    line = f"{'    ' * depth}{before}{source},\n"
    whole = expression(source)
    if not isinstance(whole, ast.Call | ast.Tuple | ast.Dict) or ("\n" not in source and len(line) <= _WIDTH + 1):
        return line

    def of(part: ast.expr) -> str:
        return ast.get_source_segment(source, part) or ""

    parts: list[tuple[str, str]]
    match whole:
        case ast.Dict(keys=keys, values=values):
            parts = [(f"{of(key)}: ", of(value)) for key, value in zip(keys, values, strict=True) if key]
        case ast.Tuple(elts=elements):
            parts = [("", of(one)) for one in elements]
        case ast.Call(args=args, keywords=keywords):
            parts = [*(("", of(one)) for one in args), *((f"{one.arg}=", of(one.value)) for one in keywords)]
    begin = f"{of(whole.func)}(" if isinstance(whole, ast.Call) else source[0]
    inner = "".join(_laid_out(name, value, depth + 1) for name, value in parts)
    return f"{'    ' * depth}{before}{begin}\n{inner}{'    ' * depth}{source[-1]},\n"


def slug(change: str) -> str:
    return _SLUG.sub("_", change.lower()).strip("_")[:40]


def revision(wanted: Wanted, draft: Draft, *, id: str, after: str | None) -> str:  # noqa: A002  # Alembic's word
    """Write the whole file."""
    imports = "\n".join(sorted({"from dbops.operations.migrate import changes", *draft.imports}))
    return f"""{docstring(draft.about, draft.more)}

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
