"""`dbops migrate backfill` as operators meet it: plans, refusals, wishes from another terminal, signals."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from conftest import Dbops
from dbops.operations.migrate.life import State

import filling
from changing import TARGET

ROWS = 3000
THINGS = """
    CREATE TABLE things (id int PRIMARY KEY, a text, b text) WITH (autovacuum_enabled = off); -- which analyzes, too
    CREATE TABLE busy (now bool);
    INSERT INTO things SELECT n, 'a' || n FROM generate_series(1, 3000) n;"""
TRIGGER = """
    CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
    CREATE TRIGGER stamp BEFORE UPDATE ON things FOR EACH ROW EXECUTE FUNCTION nothing()"""
FILL = ("migrate", "backfill", filling.CHANGE, "--target", TARGET)
_PATIENCE_S = 60.0


@pytest.fixture
def things(server: str, folder: Path) -> Iterator[filling.Change]:
    with filling.change(server, folder, THINGS) as change:
        yield change


def test_a_backfill_is_planned_done_and_then_nothing_is_left(things: filling.Change, dbops: Dbops) -> None:
    planned = dbops(*FILL, "--plan")
    assert planned.returncode == 0
    assert "UPDATE things AS r SET b = (upper(r.a)) WHERE {rows}" in planned.stdout
    assert things.life.state is State.EXPANDED
    done = dbops(*FILL, "--output", "json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert [step["id"] for step in told["data"]["steps"]] == ["analyze", "fill"]
    assert told["next_actions"] == [f"dbops migrate verify {filling.CHANGE} --target {TARGET}"]
    assert things.ask("SELECT count(b)::int FROM things") == ROWS
    again = json.loads(dbops(*FILL, "--output", "json").stdout)
    assert again["data"]["plans"][0]["outcome"] == "nothing to do"


def test_triggers_are_a_choice_and_a_refusal_until_it_is_made(things: filling.Change, dbops: Dbops) -> None:
    things.live.execute(TRIGGER)
    refused = dbops(*FILL)
    assert refused.returncode == 9
    assert "stamp on things calls nothing()" in refused.stderr
    assert dbops(*FILL, "--triggers", "often").returncode == 2
    done = dbops(*FILL, "--triggers", "suppress")
    assert done.returncode == 0, done.stderr


def test_wishes_are_heard_before_it_begins(things: filling.Change, dbops: Dbops) -> None:
    assert dbops(*FILL, "--pause").returncode == 0
    paused = dbops(*FILL)
    assert paused.returncode == 9
    assert "--resume" in paused.stderr
    assert dbops(*FILL, "--resume", "--limit", "2k/s").returncode == 0
    assert things.live.execute("SELECT paused, rows_per_s FROM dbops.controls") == [(False, 2000)]
    assert dbops(*FILL, "--limit", "fast").returncode == 2
    assert dbops("migrate", "backfill", "another", "-t", TARGET).returncode == 2


def test_rows_that_cannot_be_filled_fail_it_by_their_keys(things: filling.Change, dbops: Dbops) -> None:
    things.live.execute("ALTER TABLE things ADD CONSTRAINT not_the_seventh CHECK (b <> 'A7')")
    failed = dbops(*FILL)
    assert failed.returncode == 1
    assert '["7"]: 23514 CheckViolation, constraint not_the_seventh' in failed.stderr
    assert "Failing row" not in failed.stdout + failed.stderr
    assert things.ask("SELECT count(b)::int FROM things") == ROWS - 1


@contextmanager
def held(things: filling.Change) -> Generator[subprocess.Popen[str]]:
    """A backfill that runs, and is held by the operator's own query."""
    things.live.execute("INSERT INTO busy VALUES (true)")
    program = Path(sys.executable).with_name("dbops")
    argv = [str(program), *FILL, "--throttle-sql", "SELECT now FROM busy"]
    process = subprocess.Popen(argv, cwd=things.live.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + _PATIENCE_S
        while not things.ask("SELECT count(*) FROM dbops.jobs WHERE throttled_by = 'throttle-sql 1 > 0'"):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def test_a_second_one_finds_the_lock_taken(things: filling.Change, dbops: Dbops) -> None:
    with held(things):
        busy = dbops(*FILL)
        assert busy.returncode == 11
        assert f"change:{filling.CHANGE}" in busy.stderr
        assert dbops(*FILL, "--limit", "5000/s").returncode == 0  # wishes need no lock


def test_a_signal_ends_it_between_two_batches_and_the_next_run_goes_on(things: filling.Change, dbops: Dbops) -> None:
    with held(things) as process:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=_PATIENCE_S)
        assert process.returncode == 143
    assert things.life.state is State.BACKFILLING
    things.live.execute("DELETE FROM busy")
    done = dbops(*FILL, "--throttle-sql", "SELECT now FROM busy")
    assert done.returncode == 0, done.stderr
    assert things.ask("SELECT count(b)::int FROM things") == ROWS
