"""Where scratch copies lie, whose they are, and how they end.

`STATE/scratch/NAME.json` records a copy before its folder is made, `NAME.lock` is held by the run that works on it,
and the folder carries a mark with the same name: what has no such mark is never removed.
"""

import json
import os
from collections.abc import Generator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from dbops import units
from dbops.engine import locks
from dbops.engine.run import Run
from dbops.errors import LockBusy, Refused
from dbops.operations.clusters.restore.facts import Left
from dbops.operations.clusters.restore.room import room
from dbops.servers import account, scratch

_MARK = "dbops-scratch.json"
_PATIENCE = timedelta(seconds=30)  # others are in the room for milliseconds


@dataclass(frozen=True, slots=True)
class Scratch:
    """One scratch copy, as it is recorded."""

    name: str
    target: str
    folder: str
    run: str
    made: bool  # the folder itself is ours, too
    kept: bool = False
    until: str | None = None

    @property
    def home(self) -> Path:
        return Path(self.folder)


def describe(run: Run, target: str, to: Path | None) -> Scratch:
    """Name a new copy and its folder; nothing is made yet."""
    name = f"{run.id}-{target}"
    home = (room(run.state_dir) / name) if to is None else to.absolute()
    return Scratch(name, target, str(home), run.id, made=not home.exists())


@contextmanager
def held(run: Run, one: Scratch) -> Generator[None]:
    """Hold a copy: others see that its run is alive."""
    path = room(run.state_dir) / f"{one.name}.lock"
    with locks.file_lock(path, _at_once(run), what=f"scratch copy {one.name}", target=one.target):
        yield


@contextmanager
def working(run: Run, one: Scratch) -> Generator[None]:
    """Hold a new copy that is recorded from the first moment on; unless it is kept, nothing is left of it."""
    with ExitStack() as stack:
        with _alone(run):  # a lock without a record is one that a dead run has left
            stack.enter_context(held(run, one))
            record(run.state_dir, one)
        try:
            yield
        finally:
            if (
                one.name in {each.name for each in recorded(run.state_dir) if not each.kept}
                and not (one.home / _MARK).exists()
            ):
                _forget(run.state_dir, one.name)


def sweep(run: Run) -> None:
    """Remove locks without a record, and records that were never whole: their runs were killed in between."""
    with _alone(run):
        known = {one.name for one in recorded(run.state_dir)}
        for path in room(run.state_dir).glob("[!.]*.lock"):
            if path.stem not in known:
                with suppress(LockBusy), locks.file_lock(path, _at_once(run), what=path.stem, target="scratch"):
                    path.unlink(missing_ok=True)
        for path in room(run.state_dir).glob(".*.json.new"):
            if path.name.removeprefix(".").removesuffix(".json.new") not in known:
                path.unlink(missing_ok=True)


@contextmanager
def _alone(run: Run) -> Generator[None]:
    with locks.on_this_host(replace(run, lock_wait=_PATIENCE), "scratch", "room"):
        yield


def _at_once(run: Run) -> Run:
    return replace(run, lock_wait=timedelta(0))


def make(state_dir: Path, one: Scratch) -> None:
    """Record it, then make its folder, marked, with room for data and tablespaces."""
    record(state_dir, one)
    one.home.parent.mkdir(parents=True, exist_ok=True)
    account.refuse_closed(one.home)
    account.make_folder(one.home)
    account.write_file(one.home / _MARK, json.dumps(asdict(one)) + "\n")
    account.make_folder(one.home / "data")
    account.make_folder(one.home / "tablespaces")


def record(state_dir: Path, one: Scratch) -> None:
    account.write_file(room(state_dir) / f"{one.name}.json", json.dumps(asdict(one)) + "\n", ours=True)


def recorded(state_dir: Path) -> tuple[Scratch, ...]:
    """Read what scratch copies there are; an unreadable record is none."""
    found: list[Scratch] = []
    for path in sorted(room(state_dir).glob("[!.]*.json")):
        with suppress(OSError, ValueError, TypeError):
            told: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            found.append(Scratch(**told))
    return tuple(found)


def left(run: Run) -> tuple[Left, ...]:
    """Look at the copies of all runs but this one."""
    return tuple(
        Left(
            one.name,
            one.target,
            one.folder,
            one.run,
            alive=_alive(run, one),
            kept=one.kept,
            until=None if one.until is None else units.parse_instant(one.until),
            ours=is_ours(one),
        )
        for one in recorded(run.state_dir)
        if one.run != run.id
    )


def _alive(run: Run, one: Scratch) -> bool:
    try:
        with held(run, one):
            return False
    except LockBusy:
        return True


def is_ours(one: Scratch) -> bool:
    """Tell whether the folder carries our mark, or holds nothing yet."""
    if one.home.is_symlink():
        return False
    try:
        told: dict[str, Any] = json.loads((one.home / _MARK).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return not one.home.exists() or not _content(one.home)
    except (OSError, ValueError):
        return False
    return told.get("name") == one.name


def _content(home: Path) -> list[str]:
    """List what is in a folder, but for a mark that was being written."""
    return [entry.name for entry in home.iterdir() if entry.name != f".{_MARK}.new"]


def occupied(one: Scratch) -> bool:
    home = one.home
    return home.is_symlink() or (home.exists() and (not home.is_dir() or any(home.iterdir())))


def remove(state_dir: Path, one: Scratch) -> None:
    """Stop its server, remove its folder, the mark last, and forget it."""
    if not is_ours(one):
        raise Refused(
            f"{one.folder} does not carry the mark of scratch copy {one.name}; nothing was removed",
            hint="look at it; what is there is not ours",
            target=one.target,
        )
    if one.home.exists():
        scratch.stop(one.home)
        for entry in sorted(one.home.iterdir(), key=lambda each: each.name == _MARK):
            if entry.is_dir() and not entry.is_symlink():
                account.remove_folder(entry)
            else:
                entry.unlink()
        if one.made:
            one.home.rmdir()
    _forget(state_dir, one.name)


def _forget(state_dir: Path, name: str) -> None:
    for file in (f"{name}.json", f".{name}.json.new", f"{name}.lock"):
        (room(state_dir) / file).unlink(missing_ok=True)


def keep(state_dir: Path, one: Scratch, until: datetime | None) -> Scratch:
    """Record that it outlives its run."""
    kept = replace(one, kept=True, until=None if until is None else units.instant(until))
    record(state_dir, kept)
    return kept


def free(home: Path) -> int:
    """Tell how much room there is where a folder is to be."""
    place = next(each for each in (home, *home.parents) if each.exists())
    told = os.statvfs(place)
    return told.f_bavail * told.f_frsize
