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
        answer = json.loads(_answer(ask, told, told["target"]))
        raise_told(answer, told["target"])
        yield ask, int(answer["backend"])


def upgrade(revision: str) -> dict[str, Any]:
    return {"way": "up", "revision": revision, "to": revision}


def downgrade(revision: str, to: str) -> dict[str, Any]:
    return {"way": "down", "revision": revision, "to": to}


def drop_invalid(index: str) -> dict[str, Any]:
    return {"way": "drop", "revision": index, "index": index}


def revise(
    ask: Ask, asked: dict[str, Any], target: str, *, lock_timeout_ms: int, meanwhile: Callable[[], None] = lambda: None
) -> list[dict[str, Any]]:
    """Run one revision; return what its statements took, where that was asked for: `timed`."""
    answer = json.loads(_answer(ask, {**asked, "lock_timeout_ms": lock_timeout_ms}, target, meanwhile))
    raise_told(answer, target)
    return answer.get("statements", [])


def _answer(ask: Ask, told: dict[str, Any], target: str, meanwhile: Callable[[], None] = lambda: None) -> bytes:
    try:
        return ask(json.dumps(told).encode(), meanwhile)
    except process.ProgramFailed as error:
        raise DbopsError(f"the process that runs the revisions failed: {error.message}", target=target) from error


def raise_told(answer: dict[str, Any], target: str) -> None:
    """Raise what the worker could not do, as the error that it was."""
    if "code" not in answer:
        return
    kind = _KINDS.get(ExitCode(answer["code"]), DbopsError)
    raise kind(answer["message"], hint=answer["hint"], target=target)
