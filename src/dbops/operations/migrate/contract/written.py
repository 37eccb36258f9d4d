"""The revision that contracts (or takes back), as text: the expand revision's own head and shape, and one call. Pure.

Its id and content follow from the change and its place in the history alone, so that it can be written again.
"""

import ast
import hashlib
import re

from dbops.operations.migrate.parsing import parsed
from dbops.operations.migrate.scaffold.text import docstring
from dbops.operations.migrate.scaffold.text import text as literal

_LONGEST = 32  # of alembic_version.version_num
_OWN = frozenset({"revision", "down_revision", "phase", "impact", "branch_labels", "depends_on"})
_BODY = """

def upgrade() -> None:
    changes.{phase}(change, shape)


def downgrade() -> None:
    changes.{back}
"""
_BACK = {"rollback": "expand(change, shape)"}
_NO_WAY_BACK = "no_way_back(change)"


def revision_id(expand: str, phase: str) -> str:
    """Name the revision after the one that it ends."""
    whole = f"{expand}_{phase}"
    if len(whole) <= _LONGEST:
        return whole
    return f"{hashlib.sha256(expand.encode()).hexdigest()[:12]}_{phase}"


def file_name(revision: str, change: str) -> str:
    slug = re.sub(r"[^a-z0-9]+", "_", change.lower()).strip("_")[:40]
    return f"{revision}_{slug}.py"


def text(
    source: str,
    *,
    change: str,
    expand: str,
    behind: str,
    phase: str,
    about: str,
    impact: str,
    back: str | None = None,
) -> str:
    """Write the revision from the source of the expand revision; `back` is what takes it back, where anything does."""
    imports, kept = _kept(source)
    told = about.rstrip(".")
    own = [
        f'revision = "{revision_id(expand, phase)}"',
        f'down_revision = "{behind}"',
        "",
        f'phase = "{phase}"',
        f"impact = {literal(impact)}",
    ]
    if not any(re.search(r"\bimport\b.*\bchanges\b", line) for line in imports):
        imports = ["from dbops.operations.migrate import changes", *imports]
    head = [docstring(told, [_about(change, expand, phase)]), "", *imports, "", *own, *kept]
    body = _BODY.format(phase=phase, back=back or _BACK.get(phase, _NO_WAY_BACK))
    return "\n".join(head).rstrip("\n") + "\n" + body


def _about(change: str, expand: str, phase: str) -> str:
    if phase == "contract":
        return f"What {expand} has put beside each other is taken apart. Run it by: dbops migrate contract {change}"
    if phase == "rollback":
        return f"What {expand} has put beside the old is removed again. Run it by: dbops migrate up"
    return f"What the contraction of {change} has put out of the way is dropped for good, once it was kept long enough."


def _kept(source: str) -> tuple[list[str], list[str]]:
    """Keep imports, constants, the change and its shape, as they were written."""
    lines = source.splitlines()
    imports: list[str] = []
    found: list[str] = []
    tree = parsed(source)
    before = _docstring_end(tree)
    for node in tree.body[1:] if before else tree.body:
        first, last = _first(node), node.end_lineno or 0
        if not _goes(node):
            block = [*_comments(lines, before, first), *lines[first - 1 : last]]
            if isinstance(node, ast.Import | ast.ImportFrom):
                imports += block
            elif isinstance(node, ast.ClassDef | ast.FunctionDef):
                found += ["", "", *block, "", ""]
            else:
                found += block
        before = last
    return imports, _tidy(found)


def _tidy(lines: list[str]) -> list[str]:
    """Leave no more than two blank lines in a row."""
    return re.sub(r"\n{4,}", "\n\n\n", "\n".join(lines)).split("\n")


def _docstring_end(tree: ast.Module) -> int:
    return (tree.body[0].end_lineno or 0) if ast.get_docstring(tree) is not None else 0


def _first(node: ast.stmt) -> int:
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return min([node.lineno, *(one.lineno for one in decorators)])


def _comments(lines: list[str], before: int, first: int) -> list[str]:
    """Take along the comments right above a statement."""
    start = first - 1
    while start > before and lines[start - 1].lstrip().startswith("#"):
        start -= 1
    return lines[start : first - 1]


def _goes(node: ast.stmt) -> bool:
    match node:
        case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
            return name in _OWN
        case ast.FunctionDef(name=name):
            return name in {"upgrade", "downgrade"}
        case _:
            return False
