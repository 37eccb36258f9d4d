"""Only one run works on a (target, subject) at a time; locks die with their holder, so none can be stale.

A lock is tried through a callable, so that this room needs no store: the file lock below serves one host,
the stores bring their own.
"""

import contextlib
import fcntl
import json
import os
import re
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from dbops.engine import clock, stop
from dbops.engine.run import Run
from dbops.errors import LockBusy, Refused

_POLL_S = 0.25
_NAMING_S = 0.5


def await_lock(
    try_once: Callable[[], bool], *, holder: Callable[[], str], what: str, target: str, wait: timedelta
) -> None:
    """Try until it is granted or `wait` is over; then tell who holds it."""
    deadline = clock.monotonic() + wait.total_seconds()
    while not try_once():
        left = deadline - clock.monotonic()
        if left <= 0:
            who = holder()
            raise LockBusy(
                f"another dbops is at work on {what}: {who}",
                hint="wait for it with --lock-wait 5m, or see what it does: dbops journal list",
                target=target,
            )
        stop.pause(min(_POLL_S, left))


@contextmanager
def on_this_host(run: Run, target: str, subject: str, *, shared: bool = False) -> Generator[None]:
    """Hold a file lock below the state directory; `shared` with others who share it."""
    safe = re.sub(r"[^A-Za-z0-9_.-]", "_", subject)
    path = run.state_dir / "locks" / f"{target}--{safe}.lock"
    with file_lock(path, run, what=f"{target}, {subject}", target=target, shared=shared):
        yield


@contextmanager
def file_lock(path: Path, run: Run, *, what: str, target: str, shared: bool = False) -> Generator[None]:
    """Hold `path` locked; its content tells others who holds it, one line for each who shares it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise Refused(
            f"the lock {path} cannot be opened: {error.strerror}",
            hint="make the state directory writable, or name another in [platform] state_dir",
            target=target,
        ) from error
    try:
        await_lock(
            lambda: _try_flock(descriptor, shared=shared),
            holder=lambda: _holder_in(path),
            what=what,
            target=target,
            wait=run.lock_wait,
        )
        with contextlib.suppress(OSError):  # a full disk: the lock holds all the same, it only tells no name
            if not shared:
                os.ftruncate(descriptor, 0)
            _append(path, json.dumps(run.holder))
        yield
    finally:
        os.close(descriptor)


def _append(path: Path, line: str) -> None:
    with path.open("ab", buffering=0) as file:  # in one piece, whoever else appends
        file.write(f"{line}\n".encode())


def _try_flock(descriptor: int, *, shared: bool) -> bool:
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:  # some network file systems
        raise Refused(
            f"the state directory is on a file system that does not lock: {error.strerror}",
            hint="name another in [platform] state_dir",
        ) from error
    return True


def _holder_in(path: Path) -> str:
    """Tell who holds it; one who has just got it writes his name in the next moment, over the name of the last one."""
    deadline = clock.monotonic() + _NAMING_S
    while (told := _named_in(path)) is None or not _is_here(told):
        if clock.monotonic() >= deadline:
            break
        stop.pause(_NAMING_S / 50)
    with contextlib.suppress(LookupError, TypeError):
        return "run {run} ({command}) on {host}, pid {pid}, since {since}".format(**(told or {}))
    return "a run that has not told its name yet"


def _named_in(path: Path) -> dict[str, str] | None:
    """Read the last name of those who are there, or the last of all: who shared it may have ended."""
    try:
        known: list[dict[str, str]] = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        return ([one for one in known if _is_here(one)] or known)[-1]
    except (OSError, ValueError, LookupError, TypeError):  # it may be half written
        return None


def _is_here(holder: dict[str, str]) -> bool:
    return Path(f"/proc/{holder['pid']}").exists()
