"""Processes that hold the lock of a stanza although whoever they worked for is dead.

A backup that is killed with -9 leaves its workers: they go on, and the lock file that they inherited stays locked.
They are certain to be orphans when the process that their `--exec-id` names is gone. A backup that a dead dbops
started is told by the mark that it was given in its environment; the kernel has asked it to end, and it is waited
for. Anything else that holds the lock is somebody's work and is left alone.
"""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

from dbops.config.model import Cluster
from dbops.operations.clusters.take.facts import Orphan
from dbops.servers import alive

MARK = "DBOPS_STARTED_BY"  # in the environment of what we start: our pid
_PATIENCE_S = 10.0  # for a backup that the kernel has asked to end
_GRACE_S = 2.0


def find(place: Cluster) -> tuple[Orphan, ...]:
    """Look at every process of pgBackRest that was started for the same stanza with the same configuration."""
    return tuple(_orphans(place))


def _orphans(place: Cluster) -> Iterator[Orphan]:
    for pid in alive.everybody():
        argv = alive.argv_of(pid)
        if not argv or Path(argv[0]).name != "pgbackrest" or not _same(place, argv) or not alive.is_alive(pid):
            continue
        if argv[-1] == "backup:local":
            main = _main(argv)
            if main is not None and not _is_pgbackrest(main) and _holds_lock(pid, place):
                yield Orphan(pid, argv[-1])
        elif "backup" in argv[1:]:
            starter = _starter(pid)
            if starter is not None and parent_of(pid) != starter and _holds_lock(pid, place):
                yield Orphan(pid, "backup")


def _same(place: Cluster, argv: alive.Argv) -> bool:
    given = next((word.partition("=")[2] for word in argv if word.startswith("--config=")), None)
    wanted = None if place.pgbackrest_config is None else str(place.pgbackrest_config)
    return f"--stanza={place.stanza}" in argv and given == wanted


def _main(argv: alive.Argv) -> int | None:
    """Read who started a worker: `--exec-id=31199-204aa4f1`."""
    told = next((word.partition("=")[2] for word in argv if word.startswith("--exec-id=")), "")
    number = told.partition("-")[0]
    return int(number) if number.isdigit() else None


def _is_pgbackrest(pid: int) -> bool:
    argv = alive.argv_of(pid)
    return bool(argv) and Path(argv[0]).name == "pgbackrest" and alive.is_alive(pid)


def _starter(pid: int) -> int | None:
    try:
        words = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return None
    told = next((word.partition(b"=")[2] for word in words if word.startswith(MARK.encode() + b"=")), b"")
    return int(told) if told.isdigit() else None


def parent_of(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[1])
    except (OSError, IndexError, ValueError):
        return 0


def _holds_lock(pid: int, place: Cluster) -> bool:
    name = f"{place.stanza}-backup.lock"
    return any(path.name == name for path in _open_files(pid))


def _open_files(pid: int) -> Iterator[Path]:
    try:
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            yield entry.readlink()
    except OSError:  # it has ended, or is not ours to look at
        return


def holders(lock: Path) -> list[int]:
    """Return who has the lock file open, oldest first."""
    return sorted(pid for pid in alive.everybody() if lock in _open_files(pid))


def told(pid: int) -> str:
    """Tell who it is and since when, for whoever has to wait for it."""
    argv = alive.argv_of(pid)
    since = _since(pid)
    when = "" if since is None else f", for {since:.0f} s"
    return f"pid {pid} ({' '.join(argv)}){when}"


def _since(pid: int) -> float | None:
    try:
        began = int(Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[19])
        up = float(Path("/proc/uptime").read_text(encoding="ascii").split()[0])
    except (OSError, IndexError, ValueError):
        return None
    return up - began / os.sysconf("SC_CLK_TCK")


def end(orphans: tuple[Orphan, ...]) -> None:
    """Wait for backups that are ending already, then end whoever is left: workers have nothing to tidy up."""
    alive.await_end([one.pid for one in orphans if one.command == "backup"], _PATIENCE_S)
    for one in orphans:
        if alive.is_alive(one.pid):
            alive.end(one.pid, (signal.SIGTERM, _GRACE_S))


def own_pid() -> str:
    return str(os.getpid())
