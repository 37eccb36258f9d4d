"""Which processes serve a folder, as /proc tells. No pid file is trusted: pids are used again.

Where process 1 does not reap (containers without an init) an ended server stays as a zombie: it is dead.
"""

import contextlib
import os
import select
import signal
import time
from collections.abc import Callable, Collection, Generator, Iterator
from pathlib import Path

from dbops import process

Argv = tuple[str, ...]


def argv_of(pid: int) -> Argv:
    """Return the arguments of a process that lives, otherwise nothing (a zombie has none)."""
    try:
        raw = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return ()
    return tuple(os.fsdecode(part) for part in raw.split(b"\0")[:-1])


def _state(pid: int) -> tuple[str, int]:
    """Return state and parent; the name before them may hold spaces and brackets."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return "X", 0
    return (fields[0], int(fields[1])) if len(fields) > 1 else ("X", 0)


def is_alive(pid: int) -> bool:
    return _state(pid)[0] not in "ZX"


def everybody() -> Iterator[int]:
    return (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())


def serving(wanted: Callable[[Argv], bool]) -> list[int]:
    """Return who lives and was started with such arguments, oldest first.

    A child that was forked just now still has the arguments of its parent: it is none of them.
    """
    found = {pid for pid in everybody() if (argv := argv_of(pid)) and wanted(argv) and is_alive(pid)}
    return sorted(pid for pid in found if _state(pid)[1] not in found)


def working_in(folder: Path, *names: str) -> list[int]:
    """Return who of such names lives and works in `folder`: what a killed server left behind."""
    found: list[int] = []
    for pid in everybody():
        with contextlib.suppress(OSError):  # gone, or not ours to look at
            if Path(f"/proc/{pid}/cwd").readlink() == folder and is_alive(pid):
                title = "".join(argv_of(pid)[:1])  # "postgres: checkpointer", or a path
                found += [pid] if title.rpartition("/")[2].startswith(names) or title.startswith(names) else []
    return found


def family(pid: int) -> list[int]:
    """Return a process and all that descend from it."""
    children: dict[int, list[int]] = {}
    for each in everybody():
        children.setdefault(_state(each)[1], []).append(each)
    found = [pid]
    for member in found:
        found += children.get(member, [])
    return found


@contextlib.contextmanager
def _watched(pids: Collection[int]) -> Generator[dict[int, int]]:
    """Hold a descriptor for each process: it cannot be taken for another one that got its number."""
    held: dict[int, int] = {}
    try:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                held[pid] = os.pidfd_open(pid)
        yield held
    finally:
        for descriptor in held.values():
            os.close(descriptor)


def _await_end(held: dict[int, int], within_s: float) -> bool:
    poll = select.poll()
    waiting = {descriptor: pid for pid, descriptor in held.items() if is_alive(pid)}
    for descriptor in waiting:
        poll.register(descriptor, select.POLLIN)
    deadline = time.monotonic() + within_s
    while waiting and (left := deadline - time.monotonic()) > 0:
        for descriptor, _ in poll.poll(left * 1000):
            poll.unregister(descriptor)
            waiting.pop(descriptor)
    return not waiting


def await_end(pids: Collection[int], within_s: float) -> bool:
    """Wait until all of them are dead; False when some outlived the time."""
    with _watched(pids) as held:
        ended = _await_end(held, within_s)
    process.reap()
    return ended


def end(pid: int, *ways: tuple[signal.Signals, float]) -> None:
    """End a server and its children: each signal in turn gets its seconds, whoever is left is killed."""
    with _watched(family(pid)) as held:
        leader = held.get(pid)
        for number, within_s in ways:
            if leader is not None:
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(leader, number)
            if _await_end(held, within_s):
                break
        else:
            for descriptor in held.values():
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(descriptor, signal.SIGKILL)
            _await_end(held, 10.0)
    process.reap()


def end_leftovers(folder: Path) -> None:
    """End what a killed run left at work on `folder`: a program that is no server and not run by one.

    The kernel tells them that we died, but they take their time: initdb tidies up, pgBackRest lets go of its locks.
    """

    def leftover(argv: Argv) -> bool:
        name = Path(argv[0]).name
        by_the_server = any(word.startswith("archive-") for word in argv)
        return name in {"initdb", "pgbackrest"} and not by_the_server and any(str(folder) in word for word in argv)

    for pid in serving(leftover):
        end(pid, (signal.SIGTERM, 5.0))
