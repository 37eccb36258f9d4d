"""Ask the worker, the process that runs the revisions of one database, and raise what it could not do."""

import json
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dbops import process, units
from dbops.engine.run import Run
from dbops.errors import (
    AuthenticationFailed,
    CouldNotVerify,
    DbopsError,
    DependencyMissing,
    ExitCode,
    LockBusy,
    Refused,
    Unreachable,
)

Ask = Callable[..., bytes]

_KINDS = {
    kind.code: kind
    for kind in (AuthenticationFailed, CouldNotVerify, DependencyMissing, LockBusy, Refused, Unreachable)
}


def about(place: Path, section: str, target: str, run: Run, *, config: Path, dsn: str | None = None) -> dict[str, Any]:
    """Say what the worker has to know; without a dsn, it reads that of the target in the configuration."""
    return {
        "target": target,
        "config": str(config.absolute()),
        "dsn": dsn,
        "folder": str(place),
        "section": section,
        "run": run.id,
        "command": run.command,
        "started": units.instant(run.started),
        "state_dir": str(run.state_dir),
        "actor": run.actor,
    }


@contextmanager
def worker(told: dict[str, Any]) -> Generator[tuple[Ask, int]]:
    """Start it, and learn which backend serves it. What it is told (a dsn too) goes to its stdin, never to argv."""
    with process.conversation([sys.executable, "-P", "-m", "dbops.operations.migrate.worker"]) as ask:
        answer = json.loads(ask(json.dumps(told).encode()))
        raise_told(answer, told["target"])
        yield ask, int(answer["backend"])


def upgrade(revision: str) -> dict[str, Any]:
    return {"way": "up", "revision": revision, "to": revision}


def downgrade(revision: str, to: str) -> dict[str, Any]:
    return {"way": "down", "revision": revision, "to": to}


def revise(
    ask: Ask, asked: dict[str, Any], target: str, *, lock_timeout_ms: int, meanwhile: Callable[[], None] = lambda: None
) -> None:
    """Run one revision."""
    answer = ask(json.dumps({**asked, "lock_timeout_ms": lock_timeout_ms}).encode(), meanwhile)
    raise_told(json.loads(answer), target)


def raise_told(answer: dict[str, Any], target: str) -> None:
    """Raise what the worker could not do, as the error that it was."""
    if "code" not in answer:
        return
    kind = _KINDS.get(ExitCode(answer["code"]), DbopsError)
    raise kind(answer["message"], hint=answer["hint"], target=target)
