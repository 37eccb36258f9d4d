"""The revision that contracts (or takes back), as text: the expand revision's own head and shape, and one call. Pure.

Its id and content follow from the change and its place in the history alone, so that it can be written again.
"""

import ast
import hashlib
import re

_LONGEST = 32  # of alembic_version.version_num
_OWN = frozenset({"revision", "down_revision", "phase", "impact", "branch_labels", "depends_on"})
_BODY = """

def upgrade() -> None:
    changes.{phase}(change, shape)


def downgrade() -> None:
    changes.{back}
"""
_BACK = {"rollback": "expand(change, shape)"}  # what contracts has no way back


def revision_id(expand: str, phase: str) -> str:
    """Name the revision after the one that it ends."""
    whole = f"{expand}_{phase}"
    if len(whole) <= _LONGEST:
        return whole
    return f"{hashlib.sha256(expand.encode()).hexdigest()[:12]}_{phase}"


def file_name(revision: str, change: str) -> str:
    slug = re.sub(r"[^a-z0-9]+", "_", change.lower()).strip("_")[:40]
    return f"{revision}_{slug}.py"


def text(source: str, *, change: str, expand: str, behind: str, phase: str, about: str, impact: str) -> str:
    """Write the revision from the source of the expand revision."""
    kept = "\n".join(_kept(source))
    if "import changes" not in kept and "changes," not in kept:
        kept = f"from dbops.operations.migrate import changes\n{kept}"
    head = [
        f'"""{about}\n\n{_about(change, expand, phase)}\n"""\n\n{kept}\n',
        f'revision = "{revision_id(expand, phase)}"',
        f'down_revision = "{behind}"',
        f'phase = "{phase}"',
        f"impact = {_quoted(impact)}",
    ]
    return "\n".join(head) + "\n" + _BODY.format(phase=phase, back=_BACK.get(phase, "no_way_back(change)"))


def _about(change: str, expand: str, phase: str) -> str:
    if phase == "contract":
        return f"What {expand} has put beside each other is taken apart. Run it by: dbops migrate contract {change}"
    if phase == "rollback":
        return f"What {expand} has put beside the old is removed again. Run it by: dbops migrate up"
    return f"What the contraction of {expand} has put out of the way is dropped for good."


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ") + '"'


def _kept(source: str) -> list[str]:
    """Keep imports, constants, the change and its shape, as they were written."""
    lines = source.splitlines()
    found: list[str] = []
    before = 0
    tree = ast.parse(source)
    nodes = tree.body[1:] if ast.get_docstring(tree) is not None else tree.body
    for node in nodes:
        if _goes(node):
            before = node.end_lineno or 0
            continue
        first = _first(node)
        comments = _comments(lines, max(before, _docstring_end(tree)), first)
        if found and found[-1] and _apart(node):
            found.append("")
        found += [*comments, *lines[first - 1 : node.end_lineno]]
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            found.append("")
        before = node.end_lineno or 0
    return found


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


def _apart(node: ast.stmt) -> bool:
    return not isinstance(node, ast.Import | ast.ImportFrom)


def _goes(node: ast.stmt) -> bool:
    match node:
        case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
            return name in _OWN
        case ast.FunctionDef(name=name):
            return name in {"upgrade", "downgrade"}
        case _:
            return False
