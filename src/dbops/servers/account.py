"""Which account servers run as, and its files.

PostgreSQL refuses root, and pgBackRest as root leaves files that break later runs.
"""

import os
import shutil
import stat
from pathlib import Path

from dbops import process
from dbops.errors import Refused

VARIABLE = "DBOPS_RUN_AS"
_ALL_ENTER = stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH


def name() -> str:
    """Name the account: as root `postgres` (or what DBOPS_RUN_AS says), otherwise the caller's own."""
    if os.geteuid() != 0:
        return process.current_user()
    return process.account(os.environ.get(VARIABLE) or "postgres").pw_name


def _ids() -> tuple[int, int]:
    if os.geteuid() != 0:
        return os.geteuid(), os.getegid()
    who = process.account(name())
    return who.pw_uid, who.pw_gid


def uid() -> int:
    return _ids()[0]


def give(path: Path) -> None:
    """Make the account the owner of a file or folder (never of what a link points to)."""
    if os.geteuid() == 0:
        os.chown(path, *_ids(), follow_symlinks=False)


def make_folder(path: Path, mode: int = 0o700) -> Path:
    """Make a folder that belongs to the account; its parents have to exist."""
    path.mkdir(mode=mode, exist_ok=True)
    if path.is_symlink():
        raise Refused(f"{path} is a link, and servers keep their files in folders of their own")
    give(path)
    path.chmod(mode)
    return path


def write_file(path: Path, text: str, mode: int = 0o600, *, ours: bool = False) -> None:
    """Write a file of the account (or `ours`) in one piece: a reader sees the old text or the new one."""
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    os.fchmod(descriptor, mode)  # whatever the umask
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    if not ours:
        give(new)
    new.replace(path)
    sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_folder(path: Path) -> None:
    """Remove a folder with all that is in it; links are removed, not followed."""
    if path.is_symlink():
        path.unlink()
    elif path.exists():
        shutil.rmtree(path)


def closed_parent(path: Path) -> Path | None:
    """Name the first folder on the way to `path` that the account cannot enter, if there is one."""
    for folder in reversed(path.absolute().parents):  # from the root: below a closed one nothing can be looked at
        if not folder.exists():
            return None
        if not _may_enter(folder):
            return folder
    return None


def _may_enter(folder: Path) -> bool:
    if os.geteuid() != 0:
        return os.access(folder, os.X_OK)
    if folder.stat().st_mode & _ALL_ENTER == _ALL_ENTER:
        return True  # open to all; only the rest is worth starting a program, which also knows access lists
    test = process.find("test")
    return process.run([test, "-x", folder], user=name(), ok=(0, 1)).code == 0


def refuse_closed(path: Path) -> None:
    if (closed := closed_parent(path)) is not None:
        raise Refused(
            f"{path} cannot hold a server: the account {name()} cannot enter {closed}",
            hint=f"choose a folder below one that all may enter (mode 0755), or run as the owner of {closed}",
        )
