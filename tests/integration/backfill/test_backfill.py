"""A backfill fills each row once, whatever the table is, and tells the ledger what it did."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from dbops.errors import LockBusy, Refused
from dbops.operations.migrate import record
from dbops.operations.migrate.backfill.facts import LIMITS
from dbops.operations.migrate.life import State
from dbops.stores import postgres

import filling
from changing import TARGET

ROWS = 5000
THINGS = """
    CREATE TABLE things (id int PRIMARY KEY, a text, b text) WITH (autovacuum_enabled = off); -- which analyzes, too
    INSERT INTO things SELECT n, nullif('a' || n % 1000, 'a0'), NULL FROM generate_series(1, 5000) n;"""
FILLED = "SELECT count(*) FROM things WHERE b IS NOT DISTINCT FROM upper(a)"
COUNTED = "sum(rows_seen)::int, sum(rows_changed)::int, bool_and(finished IS NOT NULL)"
KINDS = {
    "a key of two columns": "CREATE TABLE things (x text, id int, a text, b text, PRIMARY KEY (x, id));"
    " INSERT INTO things SELECT 'k' || n % 3, n, 'a' || n FROM generate_series(1, 5000) n",
    "texts in an order of their own": "CREATE COLLATION odd (provider = icu, locale = 'en-u-kn-true');"
    " CREATE TABLE things (k text COLLATE odd PRIMARY KEY, a text, b text);"
    " INSERT INTO things SELECT CASE n % 2 WHEN 0 THEN 'Ä' ELSE '\\''' END || n, 'a' || n"
    " FROM generate_series(1, 5000) n",
    "uuids": "CREATE TABLE things (k uuid PRIMARY KEY DEFAULT gen_random_uuid(), a text, b text);"
    " INSERT INTO things (a) SELECT 'a' || n FROM generate_series(1, 5000) n",
    "no key": "CREATE TABLE things (a text, b text);"
    " INSERT INTO things SELECT 'a' || n FROM generate_series(1, 5000) n",
    "parts with a key": "CREATE TABLE things (id int PRIMARY KEY, a text, b text) PARTITION BY RANGE (id);"
    " CREATE TABLE t1 PARTITION OF things FOR VALUES FROM (0) TO (1000);"
    " CREATE TABLE t2 PARTITION OF things DEFAULT;"
    " INSERT INTO things SELECT n, 'a' || n FROM generate_series(1, 5000) n",
    "parts without a key": "CREATE TABLE things (id int, a text, b text) PARTITION BY HASH (id);"
    " CREATE TABLE t1 PARTITION OF things FOR VALUES WITH (MODULUS 2, REMAINDER 0);"
    " CREATE TABLE t2 PARTITION OF things FOR VALUES WITH (MODULUS 2, REMAINDER 1);"
    " INSERT INTO things SELECT n, 'a' || n FROM generate_series(1, 5000) n",
}


@pytest.fixture
def things(server: str, folder: Path) -> Iterator[filling.Change]:
    with filling.change(server, folder, THINGS) as change:
        yield change


def test_every_row_is_filled_and_counted_once(things: filling.Change) -> None:
    assert things.steps() == ["analyze", "fill"]
    assert things.fill() == []
    assert things.ask(FILLED) == ROWS
    assert things.jobs(COUNTED) == [(ROWS, ROWS - 5, True)]  # where a is null, nothing is to do
    assert things.ask("SELECT sum(rows_changed)::int FROM dbops.chunks") == ROWS - 5
    life = things.life
    assert [entry.detail["state"] for entry in life.entries] == ["expanded", "backfilling", "backfilled"]
    assert (life.entries[-1].detail["rows"], life.entries[-1].detail["changed"]) == (ROWS, ROWS - 5)
    assert things.steps() == []
    assert things.steps(again=True)[-1] == "fill"


@pytest.mark.parametrize("kind", KINDS)
def test_tables_of_every_kind_are_filled(server: str, folder: Path, kind: str) -> None:
    with filling.change(server, folder, KINDS[kind]) as change:
        assert change.fill(most_rows=700, jobs=2) == []
        assert change.ask(FILLED) == ROWS
        ((seen, changed, done),) = change.jobs(COUNTED)
        assert (changed, done) == (ROWS, True)
        assert seen >= ROWS  # by places, rows that were written meanwhile may be seen a second time
        assert change.life.state is State.BACKFILLED


def test_parts_are_walked_at_the_same_time_and_hold_each_row_once(things: filling.Change) -> None:
    things.fill(jobs=3, most_rows=300)
    assert things.ask(FILLED) == ROWS
    assert things.jobs(COUNTED) == [(ROWS, ROWS - 5, True)]
    assert things.jobs("count(*)::int > 3, min(rows_seen) > 0") == [(True, True)]


class Crash(Exception):
    """Stands for whatever ends a run between two batches."""


def test_a_run_goes_on_where_the_one_before_it_ended(things: filling.Change) -> None:
    def end(_: object) -> None:
        if things.ask("SELECT coalesce(sum(rows_seen), 0)::int FROM dbops.jobs") >= 2000:
            raise Crash

    with pytest.raises(Crash):
        things.fill(on_progress=end, most_rows=500)
    assert things.life.state is State.BACKFILLING
    ((seen, _, done),) = things.jobs(COUNTED)
    assert 2000 <= seen < ROWS
    assert not done
    assert things.steps()[-1] == "fill"  # perhaps with new statistics before
    assert things.fill() == []
    assert things.ask(FILLED) == ROWS
    assert things.jobs(COUNTED) == [(ROWS, ROWS - 5, True)]  # nothing was done twice


def test_cursors_of_another_server_mean_nothing(things: filling.Change) -> None:
    things.fill()
    things.live.execute("UPDATE dbops.jobs SET system_identifier = 1; UPDATE things SET b = NULL")
    assert things.steps()[-1] == "fill"  # perhaps with new statistics before
    assert things.fill() == []
    assert things.ask(FILLED) == ROWS


def test_another_statement_begins_anew(things: filling.Change) -> None:
    things.fill()
    file = next(things.live.history.glob("*_revision.py"))
    file.write_text(file.read_text().replace("upper(", "lower("))
    assert things.steps()[-1] == "fill"  # perhaps with new statistics before
    things.fill()
    assert things.ask("SELECT count(*) FROM things WHERE b IS NOT DISTINCT FROM lower(a)") == ROWS


def test_a_statement_that_changes_its_rows_again_is_refused_before_it_has_done_harm(server: str, folder: Path) -> None:
    fill = "UPDATE things AS r SET b = (random()::text) WHERE {rows} AND r.b IS DISTINCT FROM (random()::text)"
    with filling.change(server, folder, THINGS, statement=fill) as change:
        with pytest.raises(Refused, match="changes the same rows again"):
            change.fill()
        assert change.ask("SELECT count(*) FROM things WHERE b IS NOT NULL") == 0
        assert change.life.state is State.FAILED


def test_two_runs_at_once_are_one(things: filling.Change) -> None:
    config, run = things.live.config, things.live.run()
    subject = f"change:{filling.CHANGE}"
    with (
        postgres.only_run(config.postgres[TARGET], run, target=TARGET, subject=subject),
        pytest.raises(LockBusy, match="another dbops is at work"),
    ):
        things.fill()
    assert things.life.state is State.EXPANDED


def test_a_run_that_lost_its_parts_to_another_commits_nothing_more(things: filling.Change) -> None:
    def taken(_: object) -> None:
        things.live.execute("UPDATE dbops.jobs SET run = 'another'")

    with pytest.raises(LockBusy, match="another run has taken over"):
        things.fill(on_progress=taken, most_rows=500)
    assert things.ask("SELECT count(*)::int FROM things WHERE b IS NOT NULL") < ROWS
    assert things.jobs("sum(rows_changed)::int")[0][0] == things.ask("SELECT count(b)::int FROM things")


def test_a_row_that_another_transaction_holds_is_waited_for_and_told(things: filling.Change) -> None:
    with things.live.connect() as other, other.transaction():
        other.execute("UPDATE things SET a = 'held' WHERE id = 1500")
        with pytest.raises(LockBusy, match="has been locked for long"):
            things.fill(patience=filling.NONE)
        assert things.ask("SELECT count(*)::int FROM things WHERE b IS NULL AND id < 1500 AND a IS NOT NULL") == 0
    assert things.life.state is State.BACKFILLING
    things.fill()
    assert things.ask(FILLED) == ROWS
    assert things.jobs(COUNTED)[0][0] == ROWS


def test_a_table_that_is_locked_is_waited_for_and_told(things: filling.Change) -> None:
    """Also while somebody changes the table itself: neither the look at it nor a batch waits for ever."""
    with things.live.connect() as other, other.transaction():
        other.execute("LOCK TABLE things")
        with pytest.raises(LockBusy):
            things.fill(patience=filling.NONE)
    assert things.life.state is State.EXPANDED

    def lock(_: object) -> None:
        if things.ask("SELECT count(*) FROM dbops.chunks") and not other.pgconn.transaction_status:
            other.execute("BEGIN; LOCK TABLE things")

    with things.live.connect() as other, pytest.raises(LockBusy, match="or its next row, has been locked for long"):
        things.fill(on_progress=lock, patience=filling.NONE, most_rows=500)
    assert things.life.state is State.BACKFILLING
    things.fill()
    assert things.ask(FILLED) == ROWS


def test_a_batch_plan_that_reads_the_whole_table_is_told(server: str, folder: Path) -> None:
    wide = "CREATE TABLE things (id int PRIMARY KEY, a text, b text) WITH (fillfactor = 10);"
    with filling.change(
        server, folder, wide + THINGS.partition(";")[2].replace("'a' ||", "repeat('a', 400) ||")
    ) as one:
        owner = one.ask("SELECT quote_ident(current_user)")
        one.live.execute(
            f"ALTER ROLE {owner} SET enable_indexscan = off; ALTER ROLE {owner} SET enable_bitmapscan = off"
        )
        assert [finding.code for finding in one.fill()] == ["DBM301"]


def test_a_change_that_was_expanded_by_other_means_can_be_filled(things: filling.Change) -> None:
    things.live.execute("DROP SCHEMA dbops CASCADE", dsn=things.live.admin)
    assert things.steps() == ["ledger", "analyze", "fill"]
    things.fill()
    assert things.ask(FILLED) == ROWS
    assert things.life.state is State.BACKFILLED


def test_readers_that_use_the_new_already_are_not_overwritten(things: filling.Change) -> None:
    things.fill()
    with things.live.connect() as connection:
        for state in (State.VERIFIED, State.SWITCHED):
            run = things.live.run()
            record.write(connection, run, target=TARGET, change=filling.CHANGE, state=state, evidence={})
    assert things.steps() == []
    with pytest.raises(Refused, match="use the new already"):
        things.fill(again=True)


def test_what_cannot_be_seen_is_told(things: filling.Change) -> None:
    text = things.live.toml.read_text()
    things.live.toml.write_text(text.replace("admin", "owner").replace("user=postgres", "user=nobody"))
    (finding,) = things.fill()
    assert finding.code == "DBM302"
    assert "replica-lag" in finding.message
    assert set(LIMITS) > {"replica-lag"}
