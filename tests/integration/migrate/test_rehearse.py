"""A rehearsal: the whole life of a change on a copy, and what is known of it afterwards."""

import os
import tempfile
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from dbops.engine.finding import Severity
from dbops.engine.plan import Ready
from dbops.errors import CouldNotVerify, Refused
from dbops.operations.migrate import checksum
from dbops.operations.migrate.backfill.facts import Firing
from dbops.operations.migrate.life import State
from dbops.operations.migrate.rehearse import ready
from dbops.operations.migrate.rehearse.facts import Phase
from dbops.operations.migrate.rehearse.watch import watching

import changing
import renaming

ALL = ["expand", "backfill", "verify", "switch", "contract"]


@pytest.fixture
def live(server: str, folder: Path) -> Generator[changing.Example]:
    with changing.example(server, folder) as example:
        yield example


def begin(live: changing.Example, rows: int = 300, **texts: str) -> None:
    """Bring it to where the change is about to begin, with rows in its table."""
    renaming.write(live, **texts)
    renaming.upgrade(live, "2026_01_01_0001")
    renaming.rows(live, rows)


def rehearse(live: changing.Example, **how: Any) -> tuple[list[Phase], Ready[Any]]:
    told: list[Phase] = []
    it = renaming.act(live, ready.rehearse, how=ready.How(**how), told=told)
    return told, it


def locked(phase: Phase) -> list[tuple[str, set[tuple[str, str]]]]:
    """Name what each statement was the first to lock; all of it was held for some time."""
    assert all(lock.held_ms > 0 for one in phase.statements for lock in one.locks)
    return [
        (" ".join(one.sql.split()[:2]), {(lock.relation, lock.mode) for lock in one.locks}) for one in phase.statements
    ]


def evidence(live: changing.Example) -> list[dict[str, Any]]:
    entries = renaming.known(live).entries
    return [dict(one.detail) for one in entries if one.kind == "rehearsed"]


def left_behind() -> list[Path]:
    """Name what is there of this very process."""
    return [*Path(tempfile.gettempdir()).glob(f"dbops-*-{os.getpid()}-*")]


def state_of(live: changing.Example) -> list[tuple[Any, ...]]:
    """Tell what a rehearsal must not touch."""
    columns = live.execute("SELECT attname FROM pg_attribute WHERE attrelid = 'users'::regclass AND attnum > 0")
    return [*columns, *live.execute("SELECT * FROM users ORDER BY id"), *live.execute("TABLE alembic_version")]


def test_the_whole_life_is_gone_through_on_a_copy_and_becomes_evidence(live: changing.Example) -> None:
    begin(live, 3000)
    before, files = state_of(live), sorted(live.history.iterdir())
    phases, it = rehearse(live, clients=2)
    assert [one.name for one in phases] == ALL
    assert [(one.error, dict(one.load.failures)) for one in phases] == [(None, {})] * len(ALL)
    assert all(one.load.transactions >= 8 for one in phases)
    assert not it.met
    assert (state_of(live), sorted(live.history.iterdir())) == (before, files)
    assert left_behind() == []
    [told] = evidence(live)
    shape = renaming.observed(live).shape
    assert shape is not None
    assert (told["plan"], told["ok"]) == (checksum.of(renaming.CHANGE, shape), True)
    assert {renaming.EXPAND, f"{renaming.EXPAND}_contract"} <= set(told["revisions"])
    assert renaming.known(live).state is State.PLANNED
    by_name = {one.name: one for one in phases}
    backfill, [size] = by_name["backfill"], by_name["backfill"].sizes
    assert (backfill.rows, by_name["verify"].rows, backfill.rows_per_s is not None) == (3000, 6000, True)
    assert locked(by_name["expand"]) == [
        ("ALTER TABLE", {("public.users", "ACCESS EXCLUSIVE")}),
        ("CREATE FUNCTION", set()),
        ("CREATE TRIGGER", {("public.users", "SHARE ROW EXCLUSIVE")}),
    ]
    assert locked(by_name["contract"])[:2] == [("DO", set()), ("DROP TRIGGER", {("public.users", "ACCESS EXCLUSIVE")})]
    assert (by_name["expand"].attempts, by_name["expand"].predicted_ms < by_name["expand"].took_ms) == (1, True)
    assert backfill.wal_bytes > 3000 * 20
    assert (size.table, size.after > size.before) == ("public.users", True)
    assert not any(one.rewritten for one in phases)


def test_strong_locks_of_the_run_are_seen_and_nobody_elses(live: changing.Example) -> None:
    live.execute("CREATE TABLE mine (); CREATE TABLE others (); CREATE TABLE weak ()")
    run = live.run()
    ours = make_conninfo(live.owner, application_name=f"dbops {run.id} here")
    deadline = time.monotonic() + 30
    with watching(live.admin, run) as watched, live.connect() as other, psycopg.connect(ours) as one:
        one.execute("LOCK TABLE mine IN ACCESS EXCLUSIVE MODE; LOCK TABLE weak IN ROW EXCLUSIVE MODE")
        with other.transaction():
            other.execute("LOCK TABLE others IN ACCESS EXCLUSIVE MODE")
            while not watched.times:
                assert time.monotonic() < deadline, "the lock is not seen"
                time.sleep(0.001)
    [held] = watched.locks()
    assert (held.relation, held.mode, held.awaited_ms) == ("public.mine", "ACCESS EXCLUSIVE", 0)
    assert held.held_ms > 0


def test_failures_of_the_load_make_it_bad_and_a_missing_choice_is_asked_for(live: changing.Example) -> None:
    """A swap that takes the primary key's name away is met by every client of before."""
    begin(live, swap="ALTER TABLE users RENAME id TO key", swap_back="ALTER TABLE users RENAME key TO id")
    live.execute(
        "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';"
        "CREATE TRIGGER note BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION note()"
    )
    with pytest.raises(Refused, match="fires triggers") as refused:
        rehearse(live, clients=0)
    assert "--triggers" in str(refused.value.hint)
    assert evidence(live) == []
    phases, it = rehearse(live, clients=2, firing=Firing.FIRE)
    assert {one.name: set(one.load.failures) for one in phases if one.load.failed} == {"switch": {"42703"}}
    assert [(one.code, one.severity) for one in it.met] == [("DBM602", Severity.BAD)]
    [told] = evidence(live)
    assert told["ok"] is False


def test_a_database_that_cannot_be_copied_is_told_as_not_verified(
    live: changing.Example, monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    begin(live)
    programs = folder / "programs"
    programs.mkdir()
    (programs / "pg_dump").write_text("#!/bin/sh\necho 'no such extension here' >&2\nexit 1\n")
    (programs / "pg_dump").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    with pytest.raises(CouldNotVerify, match="no such extension here"):
        rehearse(live)
    assert left_behind() == []
    assert evidence(live) == []
