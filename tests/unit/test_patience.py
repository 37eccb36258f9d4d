"""Lock timeouts grow, pauses drain the queue behind us, and there is an end to both. Nobody sleeps here."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbops.engine import clock
from dbops.engine.patience import Ramp, patiently
from dbops.errors import ExitCode, LockBusy


class TimedOut(Exception):
    """What a store raises when its lock timeout is over."""


USUAL = Ramp()


class World:
    """Counts attempts and pauses, and lets time pass only through them."""

    def __init__(self, granted_at: int) -> None:
        self.granted_at = granted_at
        self.timeouts: list[timedelta] = []
        self.pauses: list[float] = []
        self.now = 1000.0

    def attempt(self, timeout: timedelta) -> str:
        self.timeouts.append(timeout)
        if len(self.timeouts) < self.granted_at:
            self.now += timeout.total_seconds()
            raise TimedOut
        return "done"

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], World]:
    def made(granted_at: int) -> World:
        one = World(granted_at)
        monkeypatch.setattr(clock, "monotonic", lambda: one.now)
        return one

    return made


def ask(world: World, ramp: Ramp = USUAL) -> str:
    return patiently(
        world.attempt,
        timed_out=(TimedOut,),
        what="GRANT on orders",
        target="audit",
        ramp=ramp,
        blockers=lambda: "pid 42 holds it",
        pause=world.pause,
    )


def test_a_lock_that_is_granted_at_once_is_not_waited_for(world: Callable[[int], World]) -> None:
    one = world(1)
    assert ask(one) == "done"
    assert (len(one.timeouts), one.pauses) == (1, [])


def test_timeouts_and_pauses_grow_up_to_their_limits(world: Callable[[int], World]) -> None:
    one = world(10)
    assert ask(one) == "done"
    assert one.timeouts == sorted(one.timeouts)
    assert one.timeouts[0] == timedelta(milliseconds=500)
    assert one.timeouts[-1] == timedelta(seconds=2)
    for number, pause in enumerate(one.pauses):
        assert min(30.0, 0.5 * 2**number) / 2 <= pause <= min(30.0, 0.5 * 2**number)


def test_pauses_differ_so_that_two_runs_do_not_meet_for_ever(world: Callable[[int], World]) -> None:
    first, second = world(8), world(8)
    ask(first)
    ask(second)
    assert first.pauses != second.pauses


def test_attempts_are_capped_and_the_error_names_who_is_in_the_way(world: Callable[[int], World]) -> None:
    one = world(100)
    with pytest.raises(LockBusy) as busy:
        ask(one, Ramp(attempts=4))
    assert len(one.timeouts) == 4
    assert len(one.pauses) == 3
    assert busy.value.message == "GRANT on orders: the lock was not granted in 4 attempts; pid 42 holds it"
    assert (busy.value.exit_code, busy.value.target) == (ExitCode.LOCKED, "audit")


@given(attempts=st.integers(1, 50), budget=st.integers(0, 300))
def test_the_whole_never_takes_longer_than_its_budget_and_one_last_attempt(attempts: int, budget: int) -> None:
    one = World(1000)
    ramp = Ramp(attempts=attempts, budget=timedelta(seconds=budget))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(clock, "monotonic", lambda: one.now)
        with pytest.raises(LockBusy):
            ask(one, ramp)
    assert one.now - 1000.0 <= budget + ramp.longest_timeout.total_seconds()
    assert 1 <= len(one.timeouts) <= attempts


def test_another_error_is_not_tried_again() -> None:
    calls: list[timedelta] = []

    def attempt(timeout: timedelta) -> None:
        calls.append(timeout)
        raise ValueError("no such table")

    with pytest.raises(ValueError, match="no such table"):
        patiently(attempt, timed_out=(TimedOut,), what="x", target="t", pause=lambda _: pytest.fail("waited"))
    assert len(calls) == 1
