"""kill -9 anywhere in `matview refresh`: the next run finishes the work, and the end is the same."""

import json
from collections.abc import Callable, Generator
from pathlib import Path
from typing import LiteralString

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from dbops.sandbox.environment import environment

from killing import Zygote, kills, moment

TARGET = "validation"
_CHAIN = 4
TABLES = """
    CREATE TABLE orders (id int PRIMARY KEY, buyer int);
    INSERT INTO orders SELECT n, n % 1000 FROM generate_series(1, 50000) n;
    CREATE MATERIALIZED VIEW sums AS SELECT buyer, count(*) AS many, sum(id) AS ids FROM orders GROUP BY buyer;
    CREATE UNIQUE INDEX ON sums (buyer);
    CREATE VIEW between_them AS SELECT * FROM sums WHERE many > 0;
    CREATE MATERIALIZED VIEW total AS SELECT sum(many) AS many, sum(ids) AS ids FROM between_them;
    CREATE MATERIALIZED VIEW alone AS SELECT count(*) AS many FROM orders WITH NO DATA;
"""
_SAME = """
    SELECT (SELECT count(*) FROM (SELECT * FROM {view} EXCEPT ALL ({query})) a)
         + (SELECT count(*) FROM (({query}) EXCEPT ALL SELECT * FROM {view}) b)"""
_QUERIES: dict[str, LiteralString] = {
    "sums": "SELECT buyer, count(*), sum(id) FROM orders GROUP BY buyer",
    "total": "SELECT count(*), sum(id) FROM orders",
    "alone": "SELECT count(*) FROM orders",
}
# An entry and its refresh are one transaction: no run left two of one view.
_DOUBLED = """
    SELECT count(*) FROM (SELECT run, subject FROM dbops.entries WHERE kind = 'MatviewRefreshed'
                           GROUP BY 1, 2 HAVING count(*) > 1) d"""


@pytest.fixture
def home(zygote: Zygote, folder: Path) -> Generator[Path]:
    place = folder / "sandbox"
    zygote.finished("sandbox", "up", "--fast", "--dir", place)
    zygote.finished("roles", "apply", "--yes", "--config", place / "dbops.toml")
    yield place
    zygote.finished("sandbox", "down", "--purge", "--yes", "--dir", place)


def test_killed_refreshes_are_finished_by_the_next_run(
    zygote: Zygote, home: Path, record_property: Callable[[str, object], None]
) -> None:
    admin = make_conninfo(environment(home)["DBOPS_SANDBOX_POSTGRES"], dbname="validation_db")
    asked = ("--target", TARGET, "--config", home / "dbops.toml")
    refresh = ("matview", "refresh", "--all", "--yes", *asked)
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute("SET ROLE validation_owner")
        connection.execute(TABLES)  # pyright: ignore[reportArgumentType]
        _flush(connection)
        clean = zygote.finished(*refresh)
        done = number = 0
        while done < kills(60):
            for _ in range(_CHAIN):
                number += 1
                connection.execute(
                    "INSERT INTO orders SELECT 50000 + %s * 100 + n, n FROM generate_series(1, 100) n", (number,)
                )
                _flush(connection)
                ended = zygote.run(*refresh, kill_after=moment(clean.seconds * 1.5))
                assert ended.killed or ended.code == 0, ended.err
                done += ended.killed
            zygote.finished(*refresh, "--lock-wait", "20s")
            _is_right(connection)
            second = zygote.finished("matview", "refresh", "--all", "--plan", *asked, "--output", "json")
            assert json.loads(second.out)["data"]["steps"] == []
    record_property("kills", f"matview refresh: {done} kills, a clean run takes {clean.seconds:.2f} s")


def _flush(connection: psycopg.Connection) -> None:
    connection.execute("SELECT pg_stat_force_next_flush()")


def _is_right(connection: psycopg.Connection) -> None:
    for view, query in _QUERIES.items():
        compared = sql.SQL(_SAME).format(view=sql.Identifier(view), query=sql.SQL(query))
        assert connection.execute(compared).fetchone() == (0,), view
    assert connection.execute(_DOUBLED).fetchone() == (0,)
