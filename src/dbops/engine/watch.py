"""What others are told of an invocation: the metrics file and the monitor, on whatever way it ends."""

import socket
from collections.abc import Iterable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from dbops import units
from dbops.engine import clock
from dbops.engine.ending import Ending, Measure
from dbops.engine.finding import Finding, Severity, exit_code
from dbops.errors import DbopsError, ExitCode
from dbops.redact import redact

if TYPE_CHECKING:  # who asks for neither pays for neither
    from dbops.engine.ping import Pings

_MOST_FINDINGS = 20
_MOST_CHARACTERS = 8_000


class Watch:
    """Collects, from begin to end, what one invocation has to tell."""

    def __init__(self) -> None:
        self._began = clock.monotonic()
        self._endings: list[Ending] = []
        self._pings: Pings | None = None

    def aim(self, ping_url_env: str | None, run_id: str) -> None:
        """Learn where the pings go, before anything is done."""
        if ping_url_env is not None:
            from dbops.engine.ping import Pings, url_of

            self._pings = Pings(url_of(ping_url_env), run_id)

    def working(self) -> None:
        """Tell the monitor, once, that work has begun."""
        if self._pings is not None:
            self._pings.start()

    def ended(self, target: str, code: int, took: timedelta | None, *, skipped: bool = False) -> None:
        """Note how one target ended; what was never begun is not noted, and keeps what it said before."""
        self._endings.append(Ending(target, code, took, skipped))

    def judged(self, targets: Iterable[str], findings: Iterable[Finding]) -> None:
        """Note how a command that only looks ended for each target: as its gravest finding says."""
        told = list(findings)
        for target in targets:
            self.ended(target, exit_code(f for f in told if f.target == target), None)

    def close(
        self,
        metrics_file: Path | None,
        *,
        command: str,
        run_id: str,
        code: int,
        findings: Sequence[Finding],
        measures: Sequence[Measure],
    ) -> list[Finding]:
        """Write the metrics, send the last ping, and return what did not work; neither changes the exit code."""
        told: list[Finding] = []
        took = timedelta(seconds=clock.monotonic() - self._began)
        skipped = code in {ExitCode.OK, ExitCode.WARNINGS} and any(ending.skipped for ending in self._endings)
        if metrics_file is not None:
            from dbops.engine import metrics

            whole = Ending("", code, took, skipped)
            report = metrics.of_command(command, clock.now(), whole, self._endings, measures)
            told += metrics.write(metrics_file, report)
        if self._pings is not None:
            action = _action(code, left_to_another=skipped and not self._pings.started)
            failed = self._pings.finish(action, _summary(command, run_id, code, took, findings))
            told += [_not_told(what, why) for what, why in sorted(failed.items(), reverse=True)]
        return told


def _action(code: int, *, left_to_another: bool) -> str:
    if left_to_another:
        return "log"  # the run that is at it tells its end itself; a success here would hide that it hangs
    return "" if code in {ExitCode.OK, ExitCode.WARNINGS} else str(code)


def _not_told(what: str, why: str) -> Finding:
    message = f"the monitor was not told of the {what} of this run: {why}"
    return Finding(Severity.WARNING, "ping-failed", "-", message, "the exit code speaks of the run alone")


def _summary(command: str, run_id: str, code: int, took: timedelta, findings: Sequence[Finding]) -> str:
    """Say shortly what a person wants to know who is woken by the monitor."""
    meaning = f" ({ExitCode(code).meaning})" if code in ExitCode.__members__.values() else ""
    lines = [f"dbops {command}: exit code {code}{meaning}, after {units.duration(took)}"]
    lines.append(f"run {run_id} on {socket.gethostname()}")
    for finding in findings[:_MOST_FINDINGS]:
        where = "" if finding.target == "-" else f"{finding.target}: "
        lines.append(f"{finding.severity.value} [{finding.code}] {where}{finding.message}")
    if len(findings) > _MOST_FINDINGS:
        lines.append(f"and {len(findings) - _MOST_FINDINGS} more")
    return redact("\n".join(lines))[:_MOST_CHARACTERS]


def code_of(error: BaseException) -> int:
    """Return the exit code of what a target's turn ended with."""
    if isinstance(error, DbopsError):
        return int(error.exit_code)
    return int(ExitCode.INTERRUPTED if isinstance(error, KeyboardInterrupt) else ExitCode.FAILED)
