"""What the tests of migrations share."""

import subprocess
from collections.abc import Callable

import pytest

from dbops import process


@pytest.fixture
def psql() -> Callable[[str, str], None]:
    """Run a script as psql would, and stop at its first error."""
    program = process.find("psql")

    def run(conninfo: str, script: str) -> None:
        argv = [program, "-X", "-q", "-v", "ON_ERROR_STOP=1", conninfo]
        ended = subprocess.run(argv, input=script, capture_output=True, text=True)
        assert ended.returncode == 0, ended.stderr

    return run
