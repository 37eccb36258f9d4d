"""A backfill beside whatever else is said of a table and of its owner: policies, rules, settings, other terminals."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict

from dbops.engine import clock
from dbops.errors import Refused
from dbops.operations.migrate.backfill import ready
from dbops.operations.migrate.backfill.facts import Firing
from dbops.operations.migrate.backfill.walk import BackfillFailed
from dbops.operations.migrate.life import State

import changing
import filling

THINGS = """
    CREATE TABLE things (id int PRIMARY KEY, a text, b text);
    INSERT INTO things SELECT n, 'a' || n FROM generate_series(1, 1000) n;"""
LEFT = "SELECT count(*)::int FROM things WHERE b IS DISTINCT FROM upper(a)"


@pytest.fixture
def things(server: str, folder: Path) -> Iterator[filling.Change]:
    with filling.change(server, folder, THINGS) as change:
        yield change


def test_rows_that_a_policy_hides_from_the_owner_are_a_refusal(things: filling.Change) -> None:
    owner = conninfo_to_dict(things.live.owner)["user"]
    things.live.execute(f"ALTER ROLE {owner} NOBYPASSRLS", dsn=things.live.admin)
    things.live.execute("ALTER TABLE things ENABLE ROW LEVEL SECURITY; CREATE POLICY few ON things USING (id < 10)")
    assert things.steps()[-1] == "fill", "policies do not hold for an owner"
    things.live.execute("ALTER TABLE things FORCE ROW LEVEL SECURITY")
    with pytest.raises(Refused, match=r"policies of .*things may hide rows"):
        things.fill()
    assert things.life.state is State.EXPANDED


def test_rules_have_to_be_chosen_for_as_triggers_have(things: filling.Change) -> None:
    things.live.execute("CREATE TABLE audit (id int)")
    things.live.execute("CREATE RULE told AS ON UPDATE TO things DO ALSO INSERT INTO audit VALUES (NEW.id)")
    with pytest.raises(Refused, match="told on things calls what its rule says"):
        things.fill()
    assert things.fill(firing=Firing.SUPPRESS) == []
    assert (things.ask(LEFT), things.ask("SELECT count(*)::int FROM audit")) == (0, 0)


def test_settings_of_the_owner_have_no_say(server: str, folder: Path) -> None:
    tables = """
        CREATE TABLE things (k float8, i interval, v bytea, a text, b text, PRIMARY KEY (k, i, v));
        INSERT INTO things SELECT n / 7.0, make_interval(hours => -n, secs => n), decode(md5(n::text), 'hex'), 'a' || n
          FROM generate_series(1, 1000) n"""
    with filling.change(server, folder, tables) as change:
        owner = conninfo_to_dict(change.live.owner)["user"]
        for setting in (
            "extra_float_digits = 0",
            "IntervalStyle = 'sql_standard'",
            "bytea_output = 'escape'",
            "default_transaction_isolation = 'serializable'",
        ):
            change.live.execute(f"ALTER ROLE {owner} SET {setting}", dsn=change.live.admin)
        assert change.fill(most_rows=100, jobs=2) == []
        assert change.jobs("sum(rows_seen)::int") == [(1000,)]
        assert change.live.execute(LEFT, dsn=change.live.admin) == [(0,)]


def test_what_another_terminal_sets_meanwhile_stays(things: filling.Change) -> None:
    live = things.live
    pause = ready.Control(paused=True)
    opened = ready.control(
        live.config, live.toml, changing.TARGET, live.run(), clock.now(), change=things.id, wanted=pause
    )
    with opened as one:
        things.control(rows_per_s=70)
        for step in one.plan.steps:
            one.apply(step)
    assert live.execute("SELECT paused, rows_per_s FROM dbops.controls") == [(True, 70)]
    things.control(paused=False)
    things.control(rows_per_s=0)
    assert live.execute("SELECT paused, rows_per_s FROM dbops.controls") == [(False, None)]


def test_braces_in_an_expression_are_left_as_they_are(server: str, folder: Path) -> None:
    tables = """CREATE TABLE things (id int PRIMARY KEY, a text, b text); INSERT INTO things VALUES (1, '{"key": 5}')"""
    fill = "UPDATE things AS r SET b = (r.a::jsonb #>> '{key}') || '{rows}' WHERE {rows} AND r.b IS NULL"
    with filling.change(server, folder, tables, statement=fill) as change:
        assert change.fill() == []
        assert change.ask("SELECT b FROM things") == "5{rows}"


def test_a_table_without_a_key_that_was_written_anew_meanwhile_is_walked_again(server: str, folder: Path) -> None:
    tables = """CREATE TABLE things (a text, b text);
        INSERT INTO things SELECT 'a' || n FROM generate_series(1, 5000) n; DELETE FROM things WHERE length(a) < 5"""
    with filling.change(server, folder, tables) as change:

        def written(_: object) -> None:
            if change.ask("SELECT pg_relation_filenode('things') = 'things'::regclass::oid"):
                change.live.execute("VACUUM FULL things")

        with pytest.raises(BackfillFailed, match="was written anew while it was filled"):
            change.fill(most_rows=200, on_progress=written)
        assert change.life.state is State.FAILED
        assert change.fill() == []
        assert change.ask(LEFT) == 0


def test_a_row_that_an_index_cannot_hold_is_set_aside(things: filling.Change) -> None:
    things.live.execute("CREATE INDEX ON things (b)")
    things.live.execute(
        "UPDATE things SET a = (SELECT string_agg(md5(n::text), '') FROM generate_series(1, 400) n) WHERE id = 77"
    )
    with pytest.raises(BackfillFailed, match=r'\["77"\]: 54000 ProgramLimitExceeded'):
        things.fill()
    assert things.ask(LEFT) == 1
