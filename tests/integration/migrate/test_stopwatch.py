"""What a phase of statements took: its locks, and what it waited for, kept in the ledger when it is done."""

import threading
import time
from collections.abc import Callable, Generator
from functools import partial
from pathlib import Path

import pytest

from dbops.engine import clock
from dbops.operations.migrate import history, open_changes, ready
from dbops.operations.migrate.standing import foretold
from dbops.operations.migrate.stopwatch import Stopwatch, attended

import changing
import contracting
import renaming

_WAITING = "SELECT count(*)::int FROM pg_locks WHERE NOT granted AND relation = 'users'::regclass"
_PATIENCE_S = 60.0
_INDEX = """
from dbops.operations.migrate import changes
from dbops.operations.migrate.shapes.index import Index

change = "users-name-index"
phase = "expand"
impact = "none"
shape = Index("public.users", "users_name", "(name)")
"""
_EXPAND = """def upgrade() -> None:
    changes.expand(change, shape)


def downgrade() -> None:
    changes.undo(change, shape)
"""


@pytest.fixture
def live(server: str, folder: Path) -> Generator[changing.Example]:
    with changing.example(server, folder) as example:
        renaming.write(example)
        renaming.upgrade(example, "2026_01_01_0001")
        yield example


def until(seen: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while not seen():
        assert time.monotonic() < deadline, "it does not come about"
        time.sleep(0.005)


def up(live: changing.Example) -> None:
    with ready.up(live.config, live.toml, changing.TARGET, live.run(), clock.now()) as one:
        for step in one.plan.steps:
            one.apply(step)


def beside(work: Callable[[], None], meanwhile: Callable[[], None]) -> None:
    """Do something in a thread while something else is done here."""
    errors: list[BaseException] = []

    def tried() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001  # raised below
            errors.append(error)

    thread = threading.Thread(target=tried)
    thread.start()
    try:
        meanwhile()
    finally:
        thread.join(_PATIENCE_S)
    assert errors == []


def test_attempts_that_were_given_up_count_as_waiting(live: changing.Example) -> None:
    with live.connect() as holder, live.connect(live.admin) as eye:

        def waiting() -> bool:
            return eye.execute(_WAITING).fetchone() == (1,)

        def held() -> None:
            with holder.transaction():
                holder.execute("LOCK TABLE users IN ACCESS SHARE MODE")
                started.set()
                until(waiting)
                until(lambda: not waiting())  # the first attempt is over

        started = threading.Event()
        holding = threading.Thread(target=held)
        holding.start()
        assert started.wait(_PATIENCE_S)
        up(live)
        holding.join()
    [took] = contracting.entries(live, "took")
    assert (took["phase"], took["revision"], took["attempts"] >= 2) == ("expand", renaming.EXPAND, True)
    assert took["waited_ms"] >= 500, "that is the first timeout of the ramp"
    assert took["statements"][0]["sql"] == "ALTER TABLE public.users ADD COLUMN full_name text"


def test_a_switch_that_changes_the_catalog_tells_its_locks(live: changing.Example) -> None:
    renaming.write(live, swap="ALTER TABLE users RENAME id TO key", swap_back="ALTER TABLE users RENAME key TO id")
    renaming.upgrade(live)
    renaming.fill(live)
    renaming.verify(live)
    renaming.switch(live)
    [took] = contracting.entries(live, "took")
    assert (took["phase"], took["attempts"], took["revision"]) == ("switch", 1, None)
    [swap] = took["statements"]
    assert swap["sql"] == "ALTER TABLE users RENAME id TO key"
    assert [(one["relation"], one["mode"]) for one in swap["locks"]] == [("public.users", "ACCESS EXCLUSIVE")]


def test_an_index_that_is_built_in_pieces_is_told_by_itself(live: changing.Example) -> None:
    (live.history / f"{renaming.EXPAND}_revision.py").unlink()
    live.revision(2, _EXPAND, head=_INDEX)
    up(live)
    with live.connect() as connection:
        known = history.read(live.folder / "migrations", changing.TARGET, changing.TARGET)
        [one] = foretold.besides(open_changes.read(connection, known))
    assert (one.change, one.phase, one.unforetold) == ("users-name-index", "expand", "never rehearsed before")
    [built] = one.statements
    assert (built.sql.startswith("CREATE INDEX CONCURRENTLY"), built.builds, one.locks) == (True, True, ())


def test_a_lock_counts_as_held_from_when_it_was_granted_to_the_end_of_the_transaction(live: changing.Example) -> None:
    watch = Stopwatch()
    text = "LOCK TABLE users IN ACCESS EXCLUSIVE MODE"
    with live.connect() as holder, live.connect() as worker, live.connect() as other:

        def locks() -> None:
            with attended(watch, partial(live.connect, live.admin), worker.info.backend_pid), worker.transaction():
                watch.start(worker)
                run("CREATE TABLE mine ()")
                run(text)
                run("SELECT 'of rows'")
            run("COMMENT ON TABLE users IS 'later'")

        def run(text: str) -> None:
            watch.begin(text)
            worker.execute(text.encode())
            watch.end(worker)
            if text.startswith("SELECT"):
                watch.commit()

        def freed() -> None:
            until(lambda: bool(watch.waits))
            holder.execute("COMMIT")

        holder.execute("BEGIN; LOCK TABLE users IN SHARE MODE")
        beside(locks, freed)
        assert other.execute("SELECT count(*) FROM users").fetchone() == (0,)
    mine, lock, comment = watch.finish()
    assert (mine.locks, mine.sql) == ((), "CREATE TABLE mine ()")
    assert 0 < lock.waited_ms <= lock.ms
    [held] = lock.locks
    assert (held.relation, held.mode) == ("public.users", "ACCESS EXCLUSIVE")
    assert held.held_ms > 0
    assert (comment.sql, comment.locks) == ("COMMENT ON TABLE users IS", ())


def test_who_cannot_look_takes_no_harm(live: changing.Example) -> None:
    watch = Stopwatch()
    nowhere = partial(live.connect, "host=/nowhere")
    with live.connect() as worker:
        with attended(watch, nowhere, worker.info.backend_pid), worker.transaction():
            watch.start(worker)
            watch.begin("LOCK TABLE users IN SHARE MODE")
            worker.execute("LOCK TABLE users IN SHARE MODE")
            watch.end(worker)
        [one] = watch.finish()
    assert (one.waited_ms, [(held.relation, held.mode) for held in one.locks]) == (0, [("public.users", "SHARE")])
