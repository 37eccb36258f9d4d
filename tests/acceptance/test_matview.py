"""`dbops matview`, through the installed program, on a whole platform."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from dbops.config.load import load
from dbops.engine import run as runs
from dbops.sandbox.environment import environment
from dbops.stores import postgres

Dbops = Callable[..., CompletedProcess[str]]
TARGET = "notification"  # whose history is not run here: its database is empty

TABLES = """
    CREATE TABLE orders (id int PRIMARY KEY, buyer int);
    INSERT INTO orders SELECT n, n % 3 FROM generate_series(1, 9) n;
    CREATE MATERIALIZED VIEW sums AS SELECT buyer, count(*) AS many FROM orders GROUP BY buyer;
    CREATE UNIQUE INDEX ON sums (buyer);
    CREATE VIEW between_them AS SELECT * FROM sums;
    CREATE MATERIALIZED VIEW total AS SELECT sum(many) FROM between_them WITH NO DATA;
"""
DROPPED = "DROP MATERIALIZED VIEW IF EXISTS total, sums CASCADE; DROP TABLE IF EXISTS orders CASCADE"


def data(done: CompletedProcess[str]) -> dict[str, Any]:
    return json.loads(done.stdout)["data"]


@pytest.fixture
def connection(platform: Path) -> Generator[psycopg.Connection]:
    admin = make_conninfo(environment(platform)["DBOPS_SANDBOX_POSTGRES"], dbname="notification_db")
    with psycopg.connect(admin, autocommit=True) as one:
        one.execute(DROPPED)
        one.execute("SET ROLE notification_owner")
        one.execute(TABLES)  # pyright: ignore[reportArgumentType]
        one.execute("RESET ROLE")
        one.execute("SELECT pg_stat_force_next_flush()")
        yield one
        one.execute(DROPPED)


@pytest.fixture
def config(dbops: Dbops, platform: Path, connection: psycopg.Connection, folder: Path) -> Path:
    """The platform's configuration, and what is declared of two views."""
    assert connection
    done = dbops("roles", "apply", "--yes", "--config", platform / "dbops.toml")
    assert done.returncode == 0, done.stderr
    own = folder / "dbops.toml"
    text = (platform / "dbops.toml").read_text()
    views = ('schedule = "1s"\nstaleness = "1s"', 'schedule = "1h"')
    for name, told in zip(("sums", "total"), views, strict=True):
        text += f"\n[postgres.{TARGET}.view.{name}]\n{told}\n"
    own.write_text(text)
    return own


def test_a_view_goes_from_never_filled_to_fresh_to_stale(
    dbops: Dbops, config: Path, connection: psycopg.Connection
) -> None:
    asked = ("--target", TARGET, "--config", config)
    checked = dbops("matview", "check", *asked, "--output", "json")
    assert checked.returncode == 4
    assert {one["code"] for one in json.loads(checked.stdout)["findings"]} == {"DBW103", "DBW107", "DBW108"}
    plan = dbops("matview", "refresh", "--stale", "--plan", *asked, "--output", "json")
    assert [step["summary"] for step in data(plan)["steps"]] == [
        "refresh public.sums, concurrently",
        "refresh public.total, first fill",
    ]
    assert dbops("matview", "refresh", "--stale", *asked).returncode == 0
    assert dbops("matview", "check", *asked).returncode == 3  # total has no unique index
    told = data(dbops("matview", "list", *asked, "--output", "json"))["views"]
    assert [one["last_outcome"] for one in told] == ["refreshed", "refreshed"]
    assert told[0]["staleness_s"] == 0
    assert told[1]["reads"][0]["reads"][0]["name"] == "public.sums"
    connection.execute("INSERT INTO orders VALUES (10, 1)")
    connection.execute("SELECT pg_stat_force_next_flush(), pg_sleep(1.1)")
    missed = dbops("matview", "check", *asked)
    assert missed.returncode == 6
    assert "DBW104" in missed.stderr
    line = dbops("matview", "check", *asked, "--nagios")
    assert line.returncode == 2
    assert line.stdout.startswith("MATVIEW CRITICAL - ")
    assert len(line.stdout.splitlines()) == 1


def test_a_plain_refresh_that_readers_feel_needs_agreement(dbops: Dbops, config: Path) -> None:
    asked = ("matview", "refresh", "--all", "--target", TARGET, "--config", config)
    assert dbops(*asked).returncode == 0
    refused = dbops(*asked, "--force")
    assert refused.returncode == 7
    agreed = dbops(*asked, "--force", "--yes")
    assert agreed.returncode == 0
    assert "CREATE UNIQUE INDEX CONCURRENTLY ON public.total" in agreed.stderr


def test_what_to_refresh_has_to_be_said_once(dbops: Dbops, config: Path) -> None:
    for words in (
        (),
        ("--all", "--stale"),
        ("sums", "--all"),
        ("--all", "--every", "x"),
        ("nowhere",),
        ("--downstream-of", "orders"),
    ):
        assert dbops("matview", "refresh", *words, "--config", config).returncode == 2, words
    done = dbops("matview", "refresh", "sums", "--plan", "--config", config, "--output", "json")
    assert [plan["target"] for plan in data(done)["plans"]] == [TARGET]
    assert dbops("matview", "refresh", "nowhere", "--target", TARGET, "--config", config).returncode == 9


def test_a_view_that_is_being_refreshed_is_11_and_can_be_skipped(dbops: Dbops, config: Path, folder: Path) -> None:
    place = load(config).config.postgres[TARGET]
    asked = ("matview", "refresh", "sums", "--target", TARGET, "--config", config)
    mine = runs.new("a test", folder / "state")
    with postgres.only_run(place, mine, target=TARGET, subject="view:public.sums"):
        busy = dbops(*asked)
        assert busy.returncode == 11
        assert mine.id in busy.stderr
        assert dbops(*asked, "--skip-if-running").returncode == 0
    assert dbops(*asked).returncode == 0


def test_metrics_tell_the_age_that_was_measured_and_promised(dbops: Dbops, config: Path, folder: Path) -> None:
    metrics = folder / "dbops.prom"
    asked = ("--target", TARGET, "--config", config, "--metrics-file", metrics)
    assert dbops("matview", "refresh", "--all", *asked).returncode == 0
    dbops("matview", "check", *asked)
    text = metrics.read_text()
    assert 'objective="staleness of public.sums",target="notification"} 0' in text
    assert 'dbops_objective_seconds{command="matview check",objective="staleness of public.sums"' in text


def test_every_goes_on_until_it_is_told_to_stop(config: Path, connection: psycopg.Connection, base: Path) -> None:
    program = Path(sys.executable).with_name("dbops")
    words = ["matview", "refresh", "--stale", "--every", "200ms", "--target", TARGET, "--config", str(config)]
    process = subprocess.Popen(
        [program, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={"TMPDIR": str(base)}
    )

    def seen(many: int) -> bool:
        row = connection.execute("SELECT coalesce((SELECT sum(many) FROM sums), 0)").fetchone()
        return row is not None and row[0] >= many

    try:
        for number in (10, 11):
            connection.execute("INSERT INTO orders VALUES (%s, 1)", (number,))
            connection.execute("SELECT pg_stat_force_next_flush()")
            deadline = time.monotonic() + 30
            while not seen(number):
                assert time.monotonic() < deadline
    finally:
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 143
    assert "Traceback" not in err
