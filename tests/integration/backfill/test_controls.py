"""A backfill hears what is wished at another terminal, and gives way to the signals that it is told to."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dbops.engine.run import Progress
from dbops.errors import Refused, UsageError
from dbops.operations.migrate.life import State

import filling

ROWS = 5000
THINGS = """
    CREATE TABLE things (id int PRIMARY KEY, a text, b text);
    INSERT INTO things SELECT n, 'a' || n, NULL FROM generate_series(1, 5000) n;"""
FILLED = "SELECT count(*) FROM things WHERE b = upper(a)"

_PATIENCE_S = 60.0


@pytest.fixture
def things(server: str, folder: Path) -> Iterator[filling.Change]:
    with filling.change(server, folder, THINGS) as change:
        yield change


class After:
    """Does something once, when the first batch was done; then another thing, when the ledger tells of a wait."""

    def __init__(
        self, things: filling.Change, first: Callable[[], object], then: Callable[[], object], by: str
    ) -> None:
        self._things, self._first, self._then, self._by = things, first, then, by
        self._done = False
        self._waiting = threading.Thread(target=self._wait)
        self.errors: list[BaseException] = []
        self.seen = 0

    def __call__(self, _event: Progress) -> None:
        if not self._done and self._things.ask("SELECT count(*) FROM dbops.chunks"):
            self.begin()

    def begin(self) -> None:
        self._done = True
        self._first()
        self._waiting.start()

    def _wait(self) -> None:
        try:
            deadline = time.monotonic() + _PATIENCE_S
            while not self._things.ask("SELECT count(*) FROM dbops.jobs WHERE throttled_by LIKE '" + self._by + "'"):
                assert time.monotonic() < deadline, "the backfill does not wait"
                time.sleep(0.02)
            self.seen = self._things.ask("SELECT sum(rows_seen)::int FROM dbops.jobs")
        except BaseException as error:  # noqa: BLE001  # told by over()
            self.errors.append(error)
        finally:
            self._then()

    def over(self, at_least: int = 1) -> None:
        assert self._done
        self._waiting.join()
        assert not self.errors, self.errors
        assert at_least <= self.seen < ROWS  # it was held before the end, and went on


def test_a_backfill_is_paused_and_resumed_from_another_terminal(things: filling.Change) -> None:
    after = After(things, lambda: things.control(paused=True), lambda: things.control(paused=False), "paused")
    things.fill(on_progress=after, most_rows=500)
    after.over()
    assert things.ask(FILLED) == ROWS
    assert things.jobs("throttled_ms > 0, throttled_by") == [(True, None)]
    assert things.life.entries[-1].detail["throttled_s"] > 0


def test_a_paused_backfill_does_not_begin(things: filling.Change) -> None:
    things.control(paused=True)
    with pytest.raises(Refused, match="is paused by"):
        things.fill()
    things.control(paused=False)
    things.fill()
    assert things.life.state is State.BACKFILLED


def test_a_rate_is_heard_while_it_runs_and_makes_batches_small(things: filling.Change) -> None:
    after = After(things, lambda: things.control(rows_per_s=100), lambda: things.control(rows_per_s=0), "its limit")
    things.fill(on_progress=after, most_rows=500)
    after.over()
    assert things.ask("SELECT count(*) FROM dbops.chunks WHERE rows_seen = 100") > 0
    assert things.ask(FILLED) == ROWS


def held_at_first(things: filling.Change, by: str, release: Callable[[], object], **wanted: Any) -> None:
    """Begin while something holds it; release that once the ledger tells of it."""
    after = After(things, lambda: None, release, by)
    after.begin()
    things.fill(**wanted)
    after.over(at_least=0)
    assert things.ask(FILLED) == ROWS


def test_the_operators_own_query_holds_it(things: filling.Change) -> None:
    things.live.execute("CREATE TABLE busy (now bool); INSERT INTO busy VALUES (true)")

    def release() -> None:
        things.live.execute("UPDATE busy SET now = false")

    held_at_first(things, "throttle-sql 1 > 0", release, throttle_sql="SELECT now FROM busy")


def test_a_query_that_yields_no_number_is_refused_before_anything_is_done(things: filling.Change) -> None:
    for text in ("SELECT 'much'", "SELECT nothing", "DELETE FROM things", "SELECT '{}'::jsonb"):
        with pytest.raises(UsageError, match="yields no number"):
            things.fill(throttle_sql=text)
    assert things.life.state is State.EXPANDED
    assert things.ask("SELECT count(*) FROM things WHERE b IS NULL") == ROWS


def test_a_signal_over_its_limit_is_told_with_its_value(things: filling.Change) -> None:
    admin = things.live.admin
    things.live.execute("SELECT pg_create_physical_replication_slot('behind', true)", dsn=admin)

    def release() -> None:
        things.live.execute("SELECT pg_drop_replication_slot('behind')", dsn=admin)

    held_at_first(things, "slot-wal % > 0 B", release, limits={"slot-wal": 0.0})
