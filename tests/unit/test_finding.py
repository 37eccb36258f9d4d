"""What many findings add up to: a check that did not run is not a pass, an error keeps its own code."""

import pytest

from dbops.engine.finding import Finding, Severity, Verdict, exit_code, failure, verdict
from dbops.errors import AuthenticationFailed, DbopsError, ExitCode, Refused, Stopped, Unreachable


def of(*severities: Severity) -> list[Finding]:
    return [Finding(severity, "code", "t", "m") for severity in severities]


@pytest.mark.parametrize(
    ("severities", "code", "told"),
    [
        ([], 0, Verdict.GOOD),
        ([Severity.INFO], 0, Verdict.GOOD),
        ([Severity.WARNING], 3, Verdict.GOOD),
        ([Severity.WARNING, Severity.UNKNOWN], 5, Verdict.COULD_NOT_VERIFY),
        ([Severity.UNKNOWN, Severity.MISSED], 6, Verdict.BAD),
        ([Severity.MISSED, Severity.BAD, Severity.INFO], 4, Verdict.BAD),
        ([Severity.ERROR, Severity.WARNING], 1, Verdict.COULD_NOT_VERIFY),
    ],
)
def test_the_worst_finding_decides(severities: list[Severity], code: int, told: Verdict) -> None:
    assert exit_code(of(*severities)) == code
    assert verdict(of(*severities)) is told


@pytest.mark.parametrize(
    "error", [Refused("no"), Unreachable("no"), AuthenticationFailed("no"), Stopped(15), DbopsError("no")], ids=repr
)
def test_an_error_among_others_keeps_its_own_code(error: DbopsError) -> None:
    found = failure(error, "audit")
    assert (found.severity, found.target, found.exit_code) == (Severity.ERROR, "audit", error.exit_code)
    assert exit_code([found, *of(Severity.WARNING)]) == error.exit_code


def test_an_error_that_names_its_target_keeps_it() -> None:
    assert failure(Refused("no", target="orders"), "audit").target == "orders"


@pytest.mark.parametrize("severity", list(Severity))
def test_every_severity_has_an_exit_code(severity: Severity) -> None:
    assert severity.exit_code in ExitCode
