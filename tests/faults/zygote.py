"""A process that has imported dbops once and forks a run of it in milliseconds: kills become cheap.

It is single-threaded, so that forking it is safe. It reads one JSON request a line and answers each with one:
what the program said, and whether it ended by itself or was killed.
"""

import json
import os
import signal
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Any


def main() -> None:
    for name in (
        "across.status",
        "cli.journal",
        "cli.migrate",
        "cli.partition",
        "cli.roles",
        "cli.sandbox",
        "cli.status",
        "operations.migrate.ready",
        "operations.migrate.rollback.ready",
        "operations.partitions.restore_ready",
        "operations.roles.ready",
        "cli.vault_told",
        "cli.vault",
    ):
        import_module(f"dbops.{name}")
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    print("ready", flush=True)
    for line in sys.stdin:
        print(json.dumps(_carried_out(json.loads(line))), flush=True)


def _carried_out(wanted: dict[str, Any]) -> dict[str, Any]:
    began = time.monotonic()
    child = os.fork()
    if child == 0:
        _run(wanted)
    killed = not _ends_within(wanted["kill_after"])
    if killed:
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    signal.sigtimedwait({signal.SIGCHLD}, 0)
    code = os.waitstatus_to_exitcode(status)
    return {
        "code": code,
        "killed": code == -signal.SIGKILL,
        "seconds": time.monotonic() - began,
        "out": Path(wanted["out"]).read_text(errors="replace"),
        "err": Path(wanted["err"]).read_text(errors="replace"),
    }


def _ends_within(seconds: float | None) -> bool:
    if seconds is None:
        signal.sigwait({signal.SIGCHLD})
        return True
    return signal.sigtimedwait({signal.SIGCHLD}, seconds) is not None


def _run(wanted: dict[str, Any]) -> None:
    """Be the installed program, in the forked child."""
    from dbops.cli import main as dbops

    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
    os.setsid()
    os.chdir(wanted["cwd"])
    os.environ.update(wanted["env"])
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(os.open(wanted["out"], flags), 1)
    os.dup2(os.open(wanted["err"], flags), 2)
    code: Any = 1
    try:
        dbops(wanted["argv"])
    except SystemExit as ended:
        code = ended.code
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(int(code or 0))


if __name__ == "__main__":
    main()
