"""What goes wrong beside a backfill ends it before harm, and the next run goes on: each row is written once."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from dbops.engine.run import Progress
from dbops.errors import DbopsError, Unreachable
from dbops.operations.migrate.backfill.facts import Firing
from dbops.operations.migrate.life import State
from dbops.servers import postgres as pg

import filling
from faulting import Rows
from standing_by import standby

ROWS = 10_000
# How often a row was written is counted by the table itself.
THINGS = """
    CREATE TABLE things (id int PRIMARY KEY, a text, b text);
    CREATE TABLE writes (id int NOT NULL);
    INSERT INTO things SELECT n, 'a' || n FROM generate_series(1, 10000) n;
    CREATE FUNCTION count_it() RETURNS trigger LANGUAGE plpgsql AS
        $$BEGIN INSERT INTO public.writes VALUES (NEW.id); RETURN NULL; END$$;
    CREATE TRIGGER count_it AFTER UPDATE ON things FOR EACH ROW EXECUTE FUNCTION count_it()"""
COUNTED = "sum(rows_seen)::int, sum(rows_changed)::int, bool_and(finished IS NOT NULL)"


@pytest.fixture
def things(server: str, folder: Path) -> Iterator[filling.Change]:
    with filling.change(server, folder, THINGS) as change:
        yield change


def once(things: filling.Change, fault: Callable[[], object]) -> Callable[[Progress], None]:
    """Do it when a part of the rows is filled, one time."""
    done: list[int] = []

    def on_progress(_event: Progress) -> None:
        if not done and (seen := things.ask("SELECT coalesce(sum(rows_seen), 0)::int FROM dbops.jobs")) >= 3000:
            done.append(seen)
            fault()

    return on_progress


def is_filled_once(things: filling.Change) -> None:
    assert things.ask("SELECT count(*)::int FROM things WHERE b = upper(a)") == ROWS
    assert things.ask("SELECT count(DISTINCT id)::int FROM writes") == ROWS
    assert things.ask("SELECT count(*)::int FROM writes") == ROWS
    assert things.jobs(COUNTED) == [(ROWS, ROWS, True)]
    assert things.life.state is State.BACKFILLED


def test_a_server_that_crashes_loses_cursor_and_rows_together(folder: Path) -> None:
    """Batches are not waited for until they are on disk: what a crash takes away, it takes away as a whole."""
    home = folder / "crashing"
    with (
        pg.running(pg.Server(home), "a test") as live,
        filling.change(pg.conninfo(live, password="a test"), folder, THINGS) as things,
    ):
        running = pg.pid(live)
        assert running is not None
        with pytest.raises(Unreachable):
            things.fill(
                on_progress=once(things, lambda: os.kill(running, signal.SIGQUIT)), firing=Firing.FIRE, most_rows=500
            )
        pg.start(live)
        ((seen, changed, done),) = things.jobs(COUNTED)
        assert seen == changed == things.ask("SELECT count(*)::int FROM writes")
        assert not done
        things.fill(firing=Firing.FIRE)
        is_filled_once(things)


def test_a_connection_that_is_lost_ends_it_where_it_was(things: filling.Change) -> None:
    def lose() -> None:
        ours = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'dbops %'"
        things.live.execute(f"{ours} AND datname = current_database()", dsn=things.live.admin)

    with pytest.raises(Unreachable):
        things.fill(on_progress=once(things, lose), firing=Firing.FIRE, most_rows=500)
    assert things.life.state is State.BACKFILLING
    things.fill(firing=Firing.FIRE)
    is_filled_once(things)


def test_a_full_disk_ends_it_and_is_no_fault_of_a_row(things: filling.Change) -> None:
    """The server's own words for it, at row 4000: nothing is set aside, and nothing is halved down to it."""
    things.live.execute("""
        CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS
            $$BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full'; END$$;
        CREATE TRIGGER full_disk BEFORE UPDATE ON things FOR EACH ROW WHEN (NEW.id = 4000)
            EXECUTE FUNCTION full_disk()""")
    with pytest.raises(DbopsError, match="could not extend file") as failed:
        things.fill(firing=Firing.FIRE, most_rows=500)
    assert "make room" in (failed.value.hint or "")
    assert things.ask("SELECT count(*)::int FROM dbops.set_aside") == 0
    assert things.life.state is State.FAILED
    things.live.execute("DROP TRIGGER full_disk ON things")
    things.fill(firing=Firing.FIRE)
    is_filled_once(things)


def test_ddl_by_hand_in_between_is_told_and_can_be_taken_back(things: filling.Change) -> None:
    rename = "ALTER TABLE things RENAME b TO c"
    with pytest.raises(DbopsError, match="b does not exist"):
        things.fill(on_progress=once(things, lambda: things.live.execute(rename)), firing=Firing.FIRE, most_rows=500)
    assert things.life.state is State.FAILED
    things.live.execute("ALTER TABLE things RENAME c TO b")
    things.fill(firing=Firing.FIRE)
    is_filled_once(things)


def test_a_replica_that_falls_behind_holds_it(
    things: filling.Change, server: str, folder: Path, record_property: Callable[[str, object], None]
) -> None:
    """A standby that does not replay is behind with every batch; it replays again once the ledger tells of it."""
    with (
        standby(server, folder / "standby", "it's a \\ test") as live,
        psycopg.connect(pg.conninfo(live, password="it's a \\ test"), autocommit=True) as replica,
    ):
        follows(things)
        replica.execute("SELECT pg_wal_replay_pause()")
        released: list[int] = []

        def release(_event: Progress) -> None:
            by = things.ask("SELECT max(throttled_by) FROM dbops.jobs")
            if by is not None and by.startswith("replica-behind") and not released:
                released.append(things.ask("SELECT sum(rows_seen)::int FROM dbops.jobs"))
                replica.execute("SELECT pg_wal_replay_resume()")

        things.live.execute("CREATE TABLE noise AS SELECT n FROM generate_series(1, 10000) n")
        things.fill(on_progress=release, firing=Firing.FIRE, most_rows=500, limits={"replica-behind": 16_384.0})
    assert released == [0]
    is_filled_once(things)
    Rows(record_property).add_row("replica behind", "migrate backfill: waits, replica-behind", "it goes on by itself")


def follows(things: filling.Change) -> None:
    """Wait until the primary knows its standby."""
    deadline = time.monotonic() + 60
    with psycopg.connect(things.live.admin, autocommit=True) as admin:
        while admin.execute("SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'").fetchone() != (1,):
            assert time.monotonic() < deadline, "the standby does not stream"
            time.sleep(0.05)
