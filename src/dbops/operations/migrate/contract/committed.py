"""Whether a file is committed as it is: what contracts was read by somebody else before it runs."""

from pathlib import Path

from dbops import process
from dbops.errors import Refused

_NO_WORK_TREE = 128


def refuse_uncommitted(file: Path, *, target: str) -> None:
    """Refuse a revision that git does not have in its last commit; a folder without git is taken as it is."""
    if not any((above / ".git").exists() for above in file.absolute().parents):
        return
    git = process.find("git", hint="install git: the revisions are in a work tree of it")
    asked = [git, "-C", file.parent]
    inside = process.run([*asked, "rev-parse", "--is-inside-work-tree"], ok=(0, _NO_WORK_TREE))
    if inside.code:
        raise Refused(f"git does not tell about {file}: {inside.err}", hint="run as the owner of it", target=target)
    hint = f"git add {file} && git commit; what contracts is read before it runs"
    known = process.run([*asked, "ls-tree", "--name-only", "HEAD", "--", file.name], ok=(0, _NO_WORK_TREE))
    if known.code or not known.out.strip():
        raise Refused(f"{file} is not committed", hint=hint, target=target)
    changed = process.run([*asked, "status", "--porcelain", "--", file.name])
    if changed.out.strip():
        raise Refused(f"{file} differs from what is committed", hint=hint, target=target)
