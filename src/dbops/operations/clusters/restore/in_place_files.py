"""The folders of an in-place restore: renamed, made anew, linked; an old one is never removed."""

import os
import pwd
import re
import shutil
from contextlib import suppress
from pathlib import Path

from dbops.errors import DbopsError, Refused
from dbops.operations.clusters.restore.in_place_facts import Identity, Moved, Note
from dbops.operations.clusters.restore.in_place_notes import sync
from dbops.operations.clusters.restore.in_place_observe import identity

_SEGMENT = re.compile(r"[0-9A-F]{24}")
_MODE = 0o700


def rename(path: Path, aside: Path, target: str) -> None:
    """Rename a folder within its own parent: at once, or not at all."""
    if aside.exists():
        raise Refused(f"{aside} is there already", hint="move it away", target=target)
    try:
        path.rename(aside)
    except OSError as error:
        raise DbopsError(f"{path} cannot be renamed: {error.strerror}", target=target) from error
    sync(path.parent)


def keep_wal(note: Note) -> None:
    """Copy pg_wal whole, or not at all."""
    kept = Path(note.wal_kept)
    new = kept.with_name(f"{kept.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    shutil.copytree((Path(note.data) / "pg_wal").resolve(), new)
    _own_as(new, Path(note.data))
    new.rename(kept)
    sync(kept.parent)


def make_room(note: Note, account: str | None) -> tuple[Identity, ...]:
    """Make the empty folders that are restored into; what an interrupted run has restored there is removed.

    Only a folder that is empty, or that we have made ourselves, is taken for one of those.
    """
    made: list[Identity] = []
    for moved in note.moved:
        place = Path(moved.path)
        if place.exists():
            if any(place.iterdir()) and identity(moved.path) not in note.made:
                raise Refused(
                    f"{place} is neither empty nor ours", hint="move it away, and run again", target=note.target
                )
            _empty(place)
        else:
            place.mkdir(mode=_MODE)
        _as_before(place, moved, account)
        found = identity(moved.path)
        if found is not None:
            made.append(found)
    return tuple(made)


def _empty(folder: Path) -> None:
    for entry in list(folder.iterdir()):
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def _as_before(place: Path, moved: Moved, account: str | None) -> None:
    with suppress(FileNotFoundError):
        old = Path(moved.aside).stat()
        place.chmod(old.st_mode & 0o777)
        if os.geteuid() == 0:
            os.chown(place, old.st_uid, old.st_gid)
        return
    if os.geteuid() == 0 and account is not None:
        who = pwd.getpwnam(account)
        os.chown(place, who.pw_uid, who.pw_gid)


def put_links_back(note: Note) -> None:
    """What was a link in the data directory is one again: pgBackRest restores the content of most in their place."""
    data, old = Path(note.data), Path(note.moved[0].aside)
    for moved in note.moved:
        if moved.what == "wal":
            _link_wal(data, Path(moved.path))
    if note.delta or not old.exists():
        return
    for link in old.iterdir():
        here = data / link.name
        if not link.is_symlink() or link.name == "pg_wal" or here.is_symlink():
            continue
        if here.is_dir():
            shutil.rmtree(here)
        else:
            here.unlink(missing_ok=True)
        here.symlink_to(link.readlink())


def _link_wal(data: Path, wal: Path) -> None:
    here = data / "pg_wal"
    if here.is_symlink():
        return
    _empty(wal)
    status = wal / "archive_status"
    status.mkdir(mode=_MODE)
    _own_as(status, data)
    if here.is_dir():
        shutil.rmtree(here)
    here.symlink_to(wal)
    _own_as(here, data)


def bring_the_tail(note: Note) -> None:
    """Copy the segments that were never archived into the new pg_wal."""
    old, new = Path(note.moved[0].aside) / "pg_wal", Path(note.data) / "pg_wal"
    aside = next((Path(moved.aside) for moved in note.moved if moved.what == "wal"), old)
    for segment in sorted(aside.iterdir()):
        if _SEGMENT.fullmatch(segment.name) and not (aside / "archive_status" / f"{segment.name}.done").exists():
            shutil.copy2(segment, new / segment.name)
            _own_as(new / segment.name, Path(note.data))


def _own_as(path: Path, like: Path) -> None:
    if os.geteuid() == 0:
        who = like.stat()
        os.chown(path, who.st_uid, who.st_gid, follow_symlinks=False)
        if path.is_dir() and not path.is_symlink():
            for entry in path.iterdir():
                _own_as(entry, like)
