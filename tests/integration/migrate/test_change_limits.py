"""How long a change may hold the application up: all locks of a transaction together, and below deadlock_timeout."""

from collections.abc import Generator
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from dbops.engine import clock
from dbops.engine.patience import Ramp
from dbops.engine.plan import Ready
from dbops.errors import LockBusy
from dbops.operations.migrate import ready as migrate
from dbops.operations.migrate.exchange import exchange
from dbops.operations.migrate.plan import Action

import adding
import changing

_SEEN = "INSERT INTO public.seen SELECT setting::int FROM pg_settings WHERE name = 'statement_timeout'"
_LONG = Ramp(timeout=timedelta(seconds=20), longest_timeout=timedelta(seconds=20))


@pytest.fixture
def live(server: str, folder: Path) -> Generator[changing.Example]:
    with changing.example(server, folder) as example:
        adding.first(example, "CREATE TABLE seen (ms int)")
        adding.run(example)
        set_ = "format('ALTER DATABASE %I SET deadlock_timeout = 3000', current_database())"
        example.execute(f"DO $$ BEGIN EXECUTE {set_}; END $$", dsn=example.admin)
        yield example


def test_a_statement_has_what_the_ones_before_have_left_of_the_limit(live: changing.Example) -> None:
    adding.shape(live, 2, "plain", f'Plain("seen", ("{_SEEN}", "SELECT pg_sleep(0.3)", "{_SEEN}"), ())')
    adding.run(live)
    (first,), (second,) = live.execute("SELECT ms FROM seen ORDER BY ms DESC")
    assert 0 < first <= 2700, "nine tenths of deadlock_timeout, for lock_timeout is longer"
    assert 0 < second <= first - 300


def test_a_shape_of_one_table_has_all_of_lock_timeout(live: changing.Example) -> None:
    note = f"CREATE FUNCTION note() RETURNS int LANGUAGE sql AS $$ {_SEEN} RETURNING ms $$"
    live.execute(f"CREATE TABLE things (id int); INSERT INTO things VALUES (1); {note}")
    adding.shape(live, 2, "columns", 'Columns("things", (New("more", "int", default="note()"),))')
    adding.run(live)
    ((limit,),) = live.execute("SELECT ms FROM seen")
    assert 2700 < limit <= 4000


def test_an_exchange_ends_before_anybody_looks_for_a_deadlock(live: changing.Example) -> None:
    with live.connect() as connection:
        exchange(
            connection,
            (_SEEN,),
            lambda: None,
            what="a test",
            target=changing.TARGET,
            administrator=lambda: psycopg.connect(live.admin, autocommit=True),
            ramp=_LONG,
        )
    ((limit,),) = live.execute("SELECT ms FROM seen")
    assert 0 < limit <= 2700


def test_what_an_exchange_tells_the_ledger_has_what_is_left_of_its_limit(live: changing.Example) -> None:
    with live.connect() as connection:

        def told() -> None:
            connection.execute(_SEEN)

        exchange(
            connection,
            (_SEEN, "SELECT pg_sleep(0.3)", _SEEN, "SELECT pg_sleep(0.3)"),
            told,
            what="a test",
            target=changing.TARGET,
            administrator=lambda: psycopg.connect(live.admin, autocommit=True),
            ramp=_LONG,
        )
    (first,), (second,), (third,) = live.execute("SELECT ms FROM seen ORDER BY ms DESC")
    assert 0 < first <= 2700
    assert 0 < second <= first - 300
    assert 0 < third <= second - 300


def test_a_ledger_that_is_not_to_be_had_is_tried_again_as_any_lock(live: changing.Example) -> None:
    adding.shape(live, 2, "plain", 'Plain("seen", ("SELECT 1",), ())', change="first")
    adding.up(live)
    adding.shape(live, 3, "plain", 'Plain("seen", ("SELECT 1",), ())', change="second")
    with live.connect(live.admin) as other, other.transaction(), _up(live) as ready:
        other.execute("LOCK TABLE dbops.entries IN SHARE MODE")
        (step,) = ready.plan.steps
        with pytest.raises(LockBusy, match="2026_01_01_0003"):
            ready.apply(step)


def _up(live: changing.Example) -> AbstractContextManager[Ready[Action]]:
    ramp = replace(_LONG, attempts=1)  # longer than deadlock_timeout: it is the statement that ends
    return migrate.up(live.config, live.toml, changing.TARGET, live.run(), clock.now(), ramp=ramp)
