"""What status tells of one target; every kind of store fills it in its own way."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from dbops import units
from dbops.engine.finding import Finding, Severity
from dbops.errors import ExitCode


@dataclass(frozen=True, slots=True)
class Status:
    """What one target answered."""

    target: str
    store: str
    state: str  # ok, or the name of an exit code: unreachable, auth, refused ...
    latency: timedelta | None = None
    version: str = ""
    facts: dict[str, Any] = field(default_factory=dict[str, Any])
    findings: tuple[Finding, ...] = ()
    code: ExitCode = ExitCode.OK


def promise(target: str, age: timedelta | None, promised: timedelta | None, hint: str) -> Iterator[Finding]:
    """Hold the age of a target's newest backup (None: there is no backup) against what was promised."""
    if promised is None or (age is not None and age <= promised):
        return
    told = "there is no backup" if age is None else f"the newest backup is {units.duration(age)} old"
    message = f"{told}; the objective is {units.duration(promised)}"
    yield Finding(Severity.MISSED, "backup-age", target, message, hint)
