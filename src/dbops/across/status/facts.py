"""What status tells of one target; every kind of store fills it in its own way."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from dbops.engine.finding import Finding
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
