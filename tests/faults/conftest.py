"""The process that dbops is forked from, to be killed."""

import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import pytest

from killing import Zygote


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
    """Print the table of kills; workers send it along with their reports."""
    rows = [
        f"{report.nodeid.partition('::')[2]}: {value}"
        for report in terminalreporter.stats.get("passed", ())
        for name, value in report.user_properties
        if name == "kills"
    ]
    if rows:
        terminalreporter.section("kills")
        for row in sorted(rows):
            terminalreporter.write_line(row)
