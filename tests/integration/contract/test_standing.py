"""What one look at a database tells of its open changes."""

from collections.abc import Generator
from datetime import timedelta
from pathlib import Path

import pytest

from dbops.engine import clock
from dbops.operations.migrate.life import State
from dbops.operations.migrate.standing import ready
from dbops.operations.migrate.standing.facts import Open, Standing

import changing
import contracting
import renaming

_JOB = """
    INSERT INTO dbops.jobs (change, kind, part, parts, work, run, rows_total, rows_seen, batch_rows, throttled_by,
                            finished, system_identifier, database_oid, timeline)
    SELECT '{change}', 'backfill', {part}, 2, 'w', 'r', 1000, {seen}, 100, {held}, {finished},
           system_identifier + {elsewhere}, (SELECT oid FROM pg_database WHERE datname = current_database()), 1
      FROM pg_control_system() RETURNING id"""
_CHUNK = "INSERT INTO dbops.chunks (job, high, rows_seen, rows_changed, ms) VALUES ({job}, '[1]', 50, 50, 1000)"


@pytest.fixture
def live(server: str, folder: Path) -> Generator[changing.Example]:
    with changing.example(server, folder) as example:
        contracting.expanded(example, rows=3)
        yield example


def looked(live: changing.Example) -> Standing:
    known = ready.histories(live.config, live.toml, [changing.TARGET])
    return ready.look(live.config, live.run(), clock.now(), known, changing.TARGET).standing


def only(live: changing.Example) -> Open:
    [change] = looked(live).changes
    return change


def job(live: changing.Example, part: int, seen: int, *, held: str = "NULL", done: bool = False, away: int = 0) -> int:
    values = {"part": part, "seen": seen, "held": held, "elsewhere": away}
    finished = "clock_timestamp()" if done else "NULL"
    [(identity,)] = live.execute(_JOB.format(change=contracting.CHANGE, finished=finished, **values))
    live.execute(_CHUNK.format(job=identity))
    return int(identity)


def test_a_backfill_that_runs_is_told_with_how_far_it_is_what_is_left_and_what_it_waits_for(
    live: changing.Example,
) -> None:
    renaming.move(live, State.BACKFILLING)
    job(live, 1, 400, held="'replica lag 12 s, limit 5 s'")
    job(live, 2, 200)
    change = only(live)
    assert change.phase == "backfilling"
    assert change.walk is not None
    assert (change.walk.percent, change.walk.throttled_by) == (30, "replica lag 12 s, limit 5 s")
    assert change.walk.eta_likely == timedelta(seconds=14), "1400 rows are left, for two that do 50 a second"


def test_what_is_finished_is_all_of_it_and_what_ran_elsewhere_is_nothing(live: changing.Example) -> None:
    job(live, 1, 500, away=1)
    assert only(live).walk is None
    live.execute("DELETE FROM dbops.jobs")
    job(live, 1, 990, done=True)
    job(live, 2, 1010, done=True)
    walk = only(live).walk
    assert walk is not None
    assert (walk.percent, walk.eta_likely) == (100, None)


def test_a_wish_from_another_terminal_is_told(live: changing.Example) -> None:
    live.execute(f"INSERT INTO dbops.controls (change, paused, actor) VALUES ('{contracting.CHANGE}', true, 'ann')")
    assert only(live).paused


def test_what_only_adds_is_open_no_longer_than_it_is_made(server: str, folder: Path) -> None:
    (folder / "adds").mkdir(mode=0o711)
    with changing.example(server, folder / "adds") as live:
        live.revision(
            1,
            "def upgrade() -> None:\n    op.execute('CREATE TABLE t (id int)')\n\n\n"
            "def downgrade() -> None:\n    op.execute('DROP TABLE t')\n",
        )
        head = (
            "from dbops.operations.migrate import changes\n"
            "from dbops.operations.migrate.shapes.index import Index\n"
            "change = 't-id'\nphase = 'expand'\nimpact = 'none'\nshape = Index('public.t', 't_by_id', '(id)')\n"
        )
        up = "def upgrade() -> None:\n    changes.expand(change, shape)\n\n\n"
        live.revision(2, up + "def downgrade() -> None:\n    changes.undo(change, shape)\n", head=head)
        renaming.upgrade(live)
        assert looked(live).changes == ()
        assert looked(live).problems == ()
