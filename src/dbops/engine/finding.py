"""One thing that is worth telling, and what many of them add up to."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from dbops.errors import DbopsError, ExitCode, worst


class Severity(StrEnum):
    """How much a finding matters; each has its exit code."""

    INFO = "info"
    WARNING = "warning"
    UNKNOWN = "unknown"  # could not be verified: never a pass
    MISSED = "missed"  # an objective is not met
    BAD = "bad"
    ERROR = "error"  # it failed: the finding's code names the exit code

    @property
    def exit_code(self) -> ExitCode:
        return _CODES[self]


_CODES = {
    Severity.INFO: ExitCode.OK,
    Severity.WARNING: ExitCode.WARNINGS,
    Severity.UNKNOWN: ExitCode.UNVERIFIED,
    Severity.MISSED: ExitCode.MISSED,
    Severity.BAD: ExitCode.BAD,
    Severity.ERROR: ExitCode.FAILED,
}


class Verdict(StrEnum):
    """The three outcomes of a check."""

    GOOD = "good"
    BAD = "bad"
    COULD_NOT_VERIFY = "could not verify"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong or worth knowing. Codes are stable: scripts and runbooks match on them."""

    severity: Severity
    code: str
    target: str
    message: str
    hint: str | None = None

    @property
    def exit_code(self) -> ExitCode:
        if self.severity is Severity.ERROR:
            return ExitCode.__members__.get(self.code.upper(), ExitCode.FAILED)
        return self.severity.exit_code


def failure(error: DbopsError, target: str) -> Finding:
    """Tell an error as a finding, beside those of other targets."""
    code = error.exit_code.name.lower()
    return Finding(Severity.ERROR, code, error.target or target, error.message, error.hint)


def exit_code(findings: Iterable[Finding]) -> ExitCode:
    return worst(finding.exit_code for finding in findings)


def verdict(findings: Iterable[Finding]) -> Verdict:
    severities = {finding.severity for finding in findings}
    if severities & {Severity.BAD, Severity.MISSED}:
        return Verdict.BAD
    return Verdict.COULD_NOT_VERIFY if severities & {Severity.UNKNOWN, Severity.ERROR} else Verdict.GOOD
