"""The process that dbops is forked from, to be killed."""

import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import pytest

from killing import Zygote

_TABLES = {
    "fault rows": ("| fault | dbops | pgbackrest verify | pgbackrest check |", "|---|---|---|---|"),
    "change fault rows": ("| fault | dbops says | then |", "|---|---|---|"),
}


@pytest.fixture(scope="session")
def zygote(base: Path) -> Generator[Zygote]:
    place = base / "zygote"
    place.mkdir()
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("zygote.py"))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdin is not None
    assert process.stdout.readline() == "ready\n"
    yield Zygote(process, place)
    process.stdin.close()
    process.wait(10)
    process.stdout.close()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the tables of kills and of faults; workers send them along with their reports."""
    told = [
        (name, report.nodeid.partition("::")[2], str(value))
        for report in terminalreporter.stats.get("passed", ())
        for name, value in report.user_properties
    ]
    if kills := sorted(f"{test}: {value}" for name, test, value in told if name == "kills"):
        terminalreporter.section("kills")
        for row in kills:
            terminalreporter.write_line(row)
    for table, head in _TABLES.items():
        if rows := list(dict.fromkeys(value for name, _, value in told if name == table)):
            terminalreporter.section("faults")
            for row in (*head, *rows):
                terminalreporter.write_line(row)
