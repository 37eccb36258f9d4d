"""The file in which the emulator keeps everything."""

import sqlite3
from pathlib import Path

import pytest

from dbops.errors import DbopsError
from dbops.sandbox.emulators.cosmos.tables import Tables


def test_data_of_another_version_are_left_alone(tmp_path: Path) -> None:
    Tables(tmp_path).close()
    with sqlite3.connect(tmp_path / "cosmos.db") as file:
        file.execute("PRAGMA user_version=1")
    file.close()
    with pytest.raises(DbopsError, match="version 1"):
        Tables(tmp_path)


def _fail_after(tables: Tables, given: list[int]) -> None:
    with tables.transaction():
        given.append(tables.next())
        raise ZeroDivisionError


def test_numbers_are_never_given_twice_not_after_a_rollback_nor_a_restart(tmp_path: Path) -> None:
    given: list[int] = []
    for _ in range(3):
        tables = Tables(tmp_path)
        with pytest.raises(ZeroDivisionError):
            _fail_after(tables, given)
        with tables.transaction():
            given.append(tables.next())
        tables.close()
    assert given == sorted(set(given))
