"""One line for Nagios: the gravest first, and what could not be checked is never OK."""

import pytest

from dbops.cli import nagios
from dbops.engine.finding import Finding, Severity


def found(*severities: Severity) -> list[Finding]:
    return [Finding(severity, "DBX1", "audit", f"it is {severity}") for severity in severities]


@pytest.mark.parametrize(
    ("severities", "code"),
    [
        ((), 0),
        ((Severity.INFO,), 0),
        ((Severity.WARNING,), 1),
        ((Severity.UNKNOWN, Severity.WARNING), 3),
        ((Severity.ERROR, Severity.WARNING), 3),
        ((Severity.ERROR, Severity.MISSED), 2),
        ((Severity.WARNING, Severity.BAD), 2),
    ],
)
def test_the_gravest_decides_and_is_told_first(severities: tuple[Severity, ...], code: int) -> None:
    line, exit_code = nagios.line("THINGS", "all well", found(*severities))
    assert exit_code == code
    assert line.startswith(f"THINGS {('OK', 'WARNING', 'CRITICAL', 'UNKNOWN')[code]} - ")
    assert ("all well" in line) == (not severities)
    if severities and code == 2:
        assert line.split(" - audit: it is ")[1].split(";")[0] in {"bad", "missed"}


def test_a_line_stays_one_line_and_its_figures_stay_apart() -> None:
    bad = [Finding(Severity.BAD, "DBX1", "audit", "a | b\nc")]
    assert nagios.line("THINGS", "", bad, "'x'=1d") == ("THINGS CRITICAL - audit: a / b c | 'x'=1d", 2)
    line, _ = nagios.line("THINGS", "", found(*[Severity.BAD] * 5))
    assert line.endswith("; audit: it is bad and 2 more")
