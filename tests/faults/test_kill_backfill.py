"""kill -9 anywhere in `migrate backfill`: each row is written once, and the end is that of a run without kills."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dbops.operations.migrate.backfill.facts import Firing
from dbops.operations.migrate.life import State

import filling
from changing import TARGET
from killing import Zygote, kills, moment

ROWS = 30_000
# How often a row was written is counted by the table itself.
THINGS = """
    CREATE TABLE things (id int PRIMARY KEY, a text, b text);
    CREATE TABLE writes (id int NOT NULL, at xid8 DEFAULT pg_current_xact_id());
    INSERT INTO things SELECT n, 'a' || n FROM generate_series(1, 30000) n;
    ANALYZE things;
    CREATE FUNCTION count_it() RETURNS trigger LANGUAGE plpgsql AS
        $$BEGIN INSERT INTO public.writes VALUES (NEW.id); RETURN NULL; END$$;
    CREATE TRIGGER count_it AFTER UPDATE ON things FOR EACH ROW EXECUTE FUNCTION count_it()"""
ANEW = "DELETE FROM dbops.jobs; SET session_replication_role = replica; UPDATE things SET b = NULL; TRUNCATE writes"
WRITTEN_TWICE = "SELECT count(*)::int FROM (SELECT id FROM writes GROUP BY id HAVING count(*) > 1) w"
COUNTED = "sum(rows_seen)::int, sum(rows_changed)::int, bool_and(finished IS NOT NULL)"


@pytest.fixture
def things(server: str, folder: Path) -> Iterator[filling.Change]:
    with filling.change(server, folder, THINGS) as change:
        yield change


def test_killed_backfills_write_each_row_once(
    zygote: Zygote, things: filling.Change, record_property: Callable[[str, object], None]
) -> None:
    fill = ("migrate", "backfill", filling.CHANGE, "-t", TARGET, "--triggers", "fire", "--most-rows", "500")
    fill = (*fill, "--config", str(things.live.toml))
    clean = zygote.finished(*fill, "--jobs", "2")
    done = chains = 0
    while done < kills(40):
        chains += 1
        things.live.execute(ANEW, dsn=things.live.admin)  # several statements at once are one transaction
        things.live.execute("VACUUM ANALYZE things", dsn=things.live.admin)
        jobs = ("--jobs", "2") if chains % 2 else ()
        for _ in range(4):
            ended = zygote.run(*fill, *jobs, "--lock-wait", "20s", kill_after=moment(clean.seconds))
            assert ended.killed or ended.code == 0, ended.err
            done += ended.killed
        zygote.finished(*fill, "--lock-wait", "20s")
        assert things.ask("SELECT count(*)::int FROM things WHERE b = upper(a)") == ROWS
        assert things.ask(WRITTEN_TWICE) == 0
        assert things.ask("SELECT count(*)::int FROM writes") == ROWS
        assert things.jobs(COUNTED) == [(ROWS, ROWS, True)]
        assert things.ask("SELECT sum(rows_changed)::int FROM dbops.chunks") == ROWS
        assert things.life.state is State.BACKFILLED
        assert things.steps(firing=Firing.FIRE) == []
    record_property("kills", f"migrate backfill: {done} kills, a clean run takes {clean.seconds:.2f} s")
