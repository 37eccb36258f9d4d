"""What statements took, and what of it is told beside a rehearsal."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dbops.operations.migrate import checksum, figures
from dbops.operations.migrate.facts import History
from dbops.operations.migrate.figures import Lock, Statement, Timed
from dbops.operations.migrate.life import Life, Place, State, Told
from dbops.operations.migrate.open_changes import Change, Job, Known
from dbops.operations.migrate.shapes.columns import Columns, New
from dbops.operations.migrate.standing import foretold

HERE, ELSEWHERE = Place(1, 2, 1), Place(1, 3, 1)
NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
SHAPE = Columns(
    table="users",
    old=("name",),
    new=(New("full_name", "text"),),
    up={"full_name": "r.name"},
    down={"name": "r.full_name"},
)
LOCK = ("public.users", "ACCESS EXCLUSIVE")


def test_the_time_of_waiting_is_taken_out_of_the_time_that_a_lock_was_held() -> None:
    timed = [Timed("ALTER", (10.0, 12.0), (LOCK,), 13.0), Timed("CREATE", (12.0, 12.5), (), None)]
    one, two = figures.statements(timed, [(9.0, 11.0), (11.5, 11.75)])
    assert (one.ms, one.waited_ms, one.locks) == (2000, 1250, (Lock(*LOCK, 1750),))
    assert (two.ms, two.waited_ms, two.locks) == (500, 0, ())


def test_of_many_statements_those_that_took_longest_are_kept_in_their_order() -> None:
    kept = figures.statements([Timed(f"s{n}", (0.0, float(n % 50))) for n in range(100)], ())
    assert len(kept) == 40
    assert min(one.ms for one in kept) == 30_000
    assert [one.sql for one in kept] == [f"s{n}" for n in range(100) if n % 50 >= 30]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("ALTER TABLE t\n  ALTER c SET DEFAULT 'secret'", "ALTER TABLE t ALTER c SET DEFAULT"),
        ("COMMENT ON TABLE t IS E'it\\'s'", "COMMENT ON TABLE t IS"),
        ("DO $gate$ BEGIN 'x' END $gate$", "DO"),
        ("INSERT INTO t VALUES ('a')", "INSERT INTO t VALUES"),
        ("SELECT 1 -- who", "SELECT 1"),
        ("x" * 500, "x" * 120),
    ],
)
def test_no_literal_of_a_statement_is_kept(text: str, shown: str) -> None:
    assert figures.shown(text) == shown


def test_what_the_ledger_keeps_is_read_as_it_was() -> None:
    told = (Statement("ALTER", 3.0, 1.0, (Lock(*LOCK, 2.5),)), Statement("CREATE", 1.0))
    kept = figures.evidence("expand", 4.4, told, attempts=2, waited_ms=500, revision="a")
    assert figures.read(kept["statements"]) == told
    assert {name: kept[name] for name in ("phase", "revision", "ms", "attempts", "waited_ms")} == {
        "phase": "expand",
        "revision": "a",
        "ms": 4,
        "attempts": 2,
        "waited_ms": 501,
    }


# ── Beside a rehearsal ───────────────────────────────────────────────────────────────────────────


def entry(minutes: int, kind: str, detail: dict[str, Any], place: Place = HERE) -> Told:
    return Told(NOW + timedelta(minutes=minutes), f"run {minutes}", "me", kind, detail, place)


def rehearsed(minutes: int, *, failed: bool = False, plan: str | None = None, place: Place = HERE) -> Told:
    build = Statement("CREATE INDEX CONCURRENTLY i ON users", 100.0)
    phases = [
        {"name": "expand", "failed": failed, "predicted_ms": 30, "statements": figures.written([statement(7), build])},
        {"name": "backfill", "failed": failed, "predicted_ms": 9, "rows": 100, "walk_ms": 50, "wal_bytes": 1000},
    ]
    plan = plan or checksum.of("c", SHAPE)
    return entry(minutes, "rehearsed", {"plan": plan, "ok": not failed, "scale": 3.0, "phases": phases}, place)


def statement(held: float) -> Statement:
    return Statement("ALTER TABLE users ADD COLUMN full_name text", 9.0, 0.0, (Lock(*LOCK, held),))


def took(minutes: int, place: Place = HERE) -> Told:
    went = [statement(5), Statement("CREATE INDEX CONCURRENTLY i ON users", 290.0)]
    return entry(minutes, "took", figures.evidence("expand", 300, went, revision="r"), place)


def known(*entries: Told, jobs: tuple[Job, ...] = ()) -> Known:
    life = Life(State.EXPANDED, NOW, entries=entries)
    change = Change("c", "", SHAPE, None, None, None, True, False, False, life, None, jobs)
    return Known("main", History("main", "nowhere"), "r", HERE, (change,))


def test_a_phase_is_told_beside_the_last_rehearsal_of_the_same_plan_before_it() -> None:
    [one] = foretold.besides(known(rehearsed(0), took(5), rehearsed(9)))
    assert (one.phase, one.ms, one.predicted_ms, one.rehearsed, one.unforetold) == ("expand", 300, 30, NOW, None)
    [lock] = one.locks
    assert (lock.held_ms, lock.predicted_held_ms) == (5, 7)
    assert [(each.predicted_ms, each.builds) for each in one.statements] == [(9.0, False), (300.0, True)]
    assert foretold.event(one, "", NOW).said == "revision r took 300 ms, 30 ms were predicted"


@pytest.mark.parametrize(
    ("before", "why"),
    [
        ((), "never rehearsed before"),
        ((rehearsed(0, place=ELSEWHERE),), "never rehearsed before"),
        ((rehearsed(9),), "never rehearsed before"),
        ((rehearsed(0, plan="other"),), "rehearsed before with another plan only"),
        ((rehearsed(0, failed=True),), "expand failed when it was rehearsed"),
    ],
)
def test_where_nothing_was_foretold_it_is_told_why(before: tuple[Told, ...], why: str) -> None:
    [one] = foretold.besides(known(*before, took(5)))
    assert (one.predicted_ms, one.unforetold) == (None, why)
    assert foretold.event(one, "", NOW).said == f"revision r took 300 ms, {why}"


def test_what_is_built_behind_a_backfill_is_foretold_by_the_rehearsal_of_the_backfill() -> None:
    build = Statement("index users_name on users", 50.0)
    rehearsal = rehearsed(0)
    rehearsal.detail["phases"][1]["statements"] = figures.written([build])
    there = entry(5, "took", figures.evidence("build", 200, [replace(build, ms=200.0)]))
    [one] = foretold.besides(known(rehearsal, there))
    assert (one.predicted_ms, one.statements[0].builds) == (150, True)
    assert foretold.event(one, "", NOW).said == "index users_name on users took 200 ms, 150 ms were predicted"


def test_what_was_done_in_another_database_is_not_told_of_this_one() -> None:
    assert list(foretold.besides(known(rehearsed(0), took(5, ELSEWHERE)))) == []


def test_a_walk_is_foretold_for_as_many_rows_as_there_were() -> None:
    begun = NOW + timedelta(minutes=1)
    job = Job(
        1,
        "backfill",
        0,
        1,
        "w",
        "run 3",
        begun,
        begun,
        begun + timedelta(seconds=1),
        None,
        500,
        500,
        0,
        9,
        5,
        250,
        None,
        HERE,
    )
    done = entry(3, "state", {"state": "backfilled", "wal_bytes": 7000})
    [one] = foretold.besides(known(rehearsed(0), done, jobs=(job,)))
    assert (one.rows, one.ms, one.predicted_ms) == (500, 1000, 250)
    assert (one.rows_per_s, one.predicted_rows_per_s) == (500, 2000)
    assert (one.wal_bytes, one.predicted_wal_bytes, one.throttled_ms) == (7000, 5000, 250)
    assert list(foretold.besides(known(rehearsed(0), jobs=(replace(job, finished=None),)))) == []
