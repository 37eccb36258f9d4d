"""What writers pay while old and new columns are kept alike: the same statement with triggers and without.

Measured is the time that the server's process is on a processor: ratios of it are the same on a busy machine.
"""

from pathlib import Path
from statistics import median
from typing import Any

import psycopg
import pytest

from dbops.operations.migrate.shapes.columns import Columns, New

import shaping

_ROWS = 300_000
_ROUNDS = 5
_LEAST = 0.6
_TABLE = """
    CREATE TABLE users (id serial PRIMARY KEY, name varchar(255) DEFAULT '1', full_name {}, visits int)
      WITH (autovacuum_enabled = off);
    INSERT INTO users (name, full_name, visits) SELECT '1', '1', 0 FROM generate_series(1, {})"""
_PLAIN = Columns(
    table="public.users",
    old=("name",),
    new=(New("full_name", "varchar(255)"),),
    up={"full_name": "r.name"},
    down={"name": "r.full_name"},
)
_CAST = Columns(  # a cast may fail: what may is tried, and let be where it does
    table="public.users",
    old=("name",),
    new=(New("full_name", "int"),),
    up={"full_name": "r.name::int"},
    down={"name": "r.full_name::text"},
)
_LEAST_CAST = 0.4


class Side:
    """One table, with triggers or without; each statement is measured on rows that were not touched since."""

    def __init__(self, place: str, *, dual: bool, shape: Columns = _PLAIN) -> None:
        self.connection = psycopg.connect(place, autocommit=True)
        self.schema = "dual" if dual else "bare"
        shaping.run(self.connection, f"CREATE SCHEMA {self.schema}; SET search_path = {self.schema}")
        shaping.run(self.connection, _TABLE.format(shape.new[0].type, _ROWS))
        if dual:
            with self.connection.transaction():
                shaping.do(self.connection, _installed(shape))

    def on_cpu(self) -> float:
        """How long the server's process has worked for us: what else the machine does is none of it."""
        told = Path(f"/proc/{self.connection.info.backend_pid}/schedstat").read_text(encoding="ascii")
        return int(told.split()[0]) / 1e9

    def timed(self, statement: str) -> float:
        shaping.run(self.connection, "VACUUM users")
        began = self.on_cpu()
        shaping.run(self.connection, statement)
        took = self.on_cpu() - began
        shaping.run(self.connection, "VACUUM users")
        return took


def _installed(told: Columns) -> tuple[Any, ...]:
    """Expand without ADD COLUMN: both sides have the same columns, so only the triggers differ."""
    shape = Columns(table="users", old=told.old, new=told.new, up=told.up, down=told.down)
    return shape.expand(shaping.CHANGE)[1:]


STATEMENTS = (
    ("an old client updates the column", "UPDATE users SET name = 'w{}'"),
    ("a new client updates the column", "UPDATE users SET full_name = 'n{}'"),
    ("somebody updates another column", "UPDATE users SET visits = {}"),
    ("an old client inserts", "INSERT INTO users (name) SELECT 'i{}' FROM generate_series(1, 100000)"),
    ("a new client inserts", "INSERT INTO users (full_name) SELECT 'i{}' FROM generate_series(1, 100000)"),
)


CASTS = (
    ("an old client updates what is cast", "UPDATE users SET name = '10{}'"),
    ("a new client updates what is cast", "UPDATE users SET full_name = 20{}"),
    ("somebody updates beside what is cast", "UPDATE users SET visits = {}"),
    ("an old client inserts what is cast", "INSERT INTO users (name) SELECT '3{}' FROM generate_series(1, 100000)"),
    ("a new client inserts what is cast", "INSERT INTO users (full_name) SELECT 4{} FROM generate_series(1, 100000)"),
)
CASES = [(*one, _PLAIN, _LEAST) for one in STATEMENTS] + [(*one, _CAST, _LEAST_CAST) for one in CASTS]


@pytest.mark.parametrize(("told", "statement", "shape", "least"), CASES, ids=[case[0] for case in CASES])
def test_writes_keep_most_of_their_speed_when(
    database: str, told: str, statement: str, shape: Columns, least: float
) -> None:
    bare, dual = Side(database, dual=False, shape=shape), Side(database, dual=True, shape=shape)
    try:
        times: dict[str, list[float]] = {"bare": [], "dual": []}
        for turn in range(_ROUNDS):
            for side in (bare, dual) if turn % 2 else (dual, bare):
                times[side.schema].append(side.timed(statement.format(turn)))
        ratio = median(times["bare"]) / median(times["dual"])
        assert ratio >= least, f"{told}: {ratio:.2f} of the speed without triggers: {times}"
        print(f"{told}: {ratio:.2f} of the speed without triggers")
    finally:
        bare.connection.close()
        dual.connection.close()
