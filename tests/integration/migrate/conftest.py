"""What the tests of migrations share."""

import subprocess
import uuid
from collections.abc import Callable, Generator

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from dbops import process

import shaping


@pytest.fixture(scope="module")
def place(server: str) -> Generator[str]:
    """One database for the tests of a file; each makes its schema anew."""
    name = f"shapes_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(server, autocommit=True) as connection:
        shaping.run(connection, f"CREATE DATABASE {name}")
        yield make_conninfo(server, dbname=name)
        shaping.run(connection, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def psql() -> Callable[[str, str], None]:
    """Run a script as psql would, and stop at its first error."""
    program = process.find("psql")

    def run(conninfo: str, script: str) -> None:
        argv = [program, "-X", "-q", "-v", "ON_ERROR_STOP=1", conninfo]
        ended = subprocess.run(argv, input=script, capture_output=True, text=True)
        assert ended.returncode == 0, ended.stderr

    return run
