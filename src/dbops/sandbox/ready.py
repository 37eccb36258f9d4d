"""Open a sandbox for `up` and `down`: refuse what is none, lock it, look at it, plan."""

import json
import os
import pwd
from collections.abc import Generator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from dbops import process
from dbops.engine.locks import file_lock
from dbops.engine.plan import Ready
from dbops.engine.run import Run
from dbops.errors import LockBusy, Refused
from dbops.sandbox import plan
from dbops.sandbox.apply import apply
from dbops.sandbox.facts import CLUSTER, SUPERUSER, Facts
from dbops.sandbox.layout import Layout, at
from dbops.sandbox.observe import observe, processes
from dbops.servers import account, alive, emulator, postgres

_MARK = {"what": "a sandbox of dbops", "format": 1}


@contextmanager
def up(folder: Path, run: Run, *, durable: bool = True) -> Generator[Ready[plan.Action]]:
    """Plan what is missing of the sandbox in `folder`, under its lock (a mere look takes none)."""
    layout = at(folder, durable=durable)
    account.name()  # a missing account or program is told before anything is made
    _refuse_what_cannot_be(layout)
    for program in ("pgbackrest", "redis-server"):
        process.find(program, hint=f"install it: apt install {program}")
    postgres.program("initdb")
    emulator.refuse_missing_parts()
    if run.plan_only:
        yield _up(layout, run)
        return
    _make(layout)
    with _locked(layout, run):
        layout.root.chmod(0o711 if os.geteuid() == 0 else 0o700)  # the servers' account passes through
        if not layout.marker.exists():
            account.write_file(layout.marker, json.dumps(_MARK) + "\n", 0o644, ours=True)
        yield _up(layout, run)


def _make(layout: Layout) -> None:
    try:
        layout.root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Refused(f"{layout.root} cannot be made: {error.strerror}", hint="name another folder: --dir") from error


def _up(layout: Layout, run: Run) -> Ready[plan.Action]:
    facts = _observed(layout, run)
    return Ready(plan.up(facts), partial(apply, layout, run))


@contextmanager
def down(folder: Path, run: Run, *, purge: bool = False) -> Generator[Ready[plan.Action]]:
    """Plan the end of the sandbox in `folder`; where there is nothing, there is nothing to do."""
    layout = at(folder)
    _refuse_what_is_none(layout)
    if not layout.marker.exists():
        yield Ready(plan.down(Facts(str(layout.root)), purge=purge), partial(apply, layout, run))
    elif run.plan_only:
        yield _down(layout, run, purge=purge)
    else:
        with _locked(layout, run):
            yield _down(layout, run, purge=purge)


def _down(layout: Layout, run: Run, *, purge: bool) -> Ready[plan.Action]:
    return Ready(plan.down(processes(layout), purge=purge), partial(apply, layout, run))


def _observed(layout: Layout, run: Run) -> Facts:
    if postgres.exists(layout.server) and not layout.secret_file(SUPERUSER).exists():
        raise Refused(
            f"the superuser's password {layout.secret_file(SUPERUSER)} is gone, and the cluster is there",
            hint="put it back, or begin anew: dbops sandbox down --purge",
            target=CLUSTER,
        )
    return observe(layout, run)


@contextmanager
def _locked(layout: Layout, run: Run) -> Generator[None]:
    with file_lock(layout.lock, run, what=f"the sandbox {layout.root}", target=plan.TARGET):
        # Whoever purged it while we waited took the file of our lock with it.
        if not layout.lock.exists() or run.id not in layout.lock.read_text(encoding="utf-8"):
            raise LockBusy("the sandbox was removed just now", hint="run the same command again")
        alive.end_leftovers(layout.root)
        yield


def _refuse_what_is_none(layout: Layout) -> None:
    """Refuse a folder that holds something else, or is somebody else's."""
    root = layout.root
    if any(character in str(root) for character in "\n\r"):
        raise Refused(f"no server can live in a folder with a line break in its name: {str(root)!r}")
    if not root.exists():
        return
    if not root.is_dir():
        raise Refused(f"{root} is not a folder", hint="name another one with --dir")
    if root.stat().st_uid != os.geteuid():
        raise Refused(f"{root} belongs to {_owner(root)}, not to you", hint="name another folder with --dir")
    ours = {layout.lock.name, layout.state.name, f".{layout.marker.name}.new"}  # a killed first step leaves these
    if {entry.name for entry in root.iterdir()} - ours and not layout.marker.exists():
        raise Refused(f"{root} is no sandbox, and not empty", hint="name an empty or a new folder with --dir")


def _refuse_what_cannot_be(layout: Layout) -> None:
    _refuse_what_is_none(layout)
    account.refuse_closed(layout.root)
    home = layout.server.home
    if home.exists() and home.stat().st_uid != account.uid():
        raise Refused(
            f"the servers in {layout.root} belong to the account {_owner(home)}, not to {account.name()}",
            hint=f"set {account.VARIABLE}={_owner(home)}",
        )


def _owner(path: Path) -> str:
    uid = path.stat().st_uid
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
