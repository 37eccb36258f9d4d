"""Many targets in order, several at a time, and what a journal says of a plan that ran or failed."""

import os
import re
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbops.engine import journal, stop
from dbops.engine.plan import Plan, Ready, Risk, Statement, Step
from dbops.engine.run import Progress, application_name, each, execute, new, new_id
from dbops.errors import Refused, Stopped, VerifiedBad

# ── each ─────────────────────────────────────────────────────────────────────────────────────────


def failing_at(*numbers: int, error: BaseException | None = None) -> Callable[[int], int]:
    def work(number: int) -> int:
        if number in numbers:
            raise error or Refused(f"{number} failed")
        return number * 10

    return work


@given(count=st.integers(0, 20), jobs=st.integers(1, 5))
def test_results_come_in_the_order_of_the_items(count: int, jobs: int) -> None:
    assert [one.result for one in each(range(count), failing_at(), jobs=jobs)] == [n * 10 for n in range(count)]


@pytest.mark.parametrize("jobs", [1, 3])
def test_nothing_is_begun_after_a_failure(jobs: int) -> None:
    ended = each(range(50), failing_at(2), jobs=jobs)
    begun = [one.item for one in ended if one.begun]
    assert begun == list(range(len(begun)))
    assert len(begun) == 3 if jobs == 1 else len(begun) < 50
    assert [one.item for one in ended if one.error is not None] == [2]
    assert all(one.result is None and one.error is None for one in ended if not one.begun)


@pytest.mark.parametrize("jobs", [1, 3])
def test_a_failure_does_not_end_the_others_when_told_to_keep_going(jobs: int) -> None:
    ended = each(range(6), failing_at(1, 4), jobs=jobs, stop_on_failure=False)
    assert [one.item for one in ended if one.error is not None] == [1, 4]
    assert [one.result for one in ended if one.error is None] == [0, 20, 30, 50]


@pytest.mark.parametrize("jobs", [1, 2])
def test_nothing_is_begun_after_a_signal_even_when_told_to_keep_going(
    jobs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def work(number: int) -> None:
        if number == 1:
            monkeypatch.setattr(stop, "_signal_number", 15)

    ended = each(range(10), work, jobs=jobs, stop_on_failure=False)
    assert sum(one.begun for one in ended) <= 1 + jobs
    assert not ended[-1].begun


def test_as_many_as_jobs_are_at_work_and_never_more() -> None:
    together = threading.Barrier(3, timeout=10)  # three meet here, or the test fails
    at_work: list[int] = []
    most: list[int] = []

    def work(number: int) -> None:
        at_work.append(number)
        most.append(len(at_work))
        together.wait()
        at_work.remove(number)

    assert [one.error for one in each(range(9), work, jobs=3)] == [None] * 9
    assert max(most) <= 3


def test_a_second_signal_does_not_wait_for_who_is_at_work() -> None:
    release = threading.Event()
    waited: list[bool] = []

    class Rude(list[int]):
        """The signal's exception comes while the second item is handed out."""

        def __getitem__(self, index: object) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]
            if index == 1:
                raise Stopped(2)
            return 0

    try:
        with pytest.raises(Stopped):
            each(Rude([0, 0]), lambda _: waited.append(release.wait(10)), jobs=2)
        assert waited == []
    finally:
        release.set()


# ── execute ──────────────────────────────────────────────────────────────────────────────────────

STEPS = tuple(Step(f"step {n}", f"do {n}", n, Risk.SAFE, (Statement("SELECT %s", (), (str(n),)),)) for n in range(3))
PLAN = Plan("audit", "three steps", STEPS)


def carried_out(state: Path, ready: Ready[int]) -> list[Progress]:
    seen: list[Progress] = []
    with journal.opened(state, "run", "audit") as log:
        execute(ready, log, seen.append)
    return seen


def story(state: Path) -> list[str]:
    records = journal.read(state, "run-audit").records
    return [f"{r.event} {r.facts['step']}" if "step" in r.facts else r.event for r in records]


def test_every_step_is_on_record_before_and_after_it_ran(tmp_path: Path) -> None:
    applied: list[int] = []

    def apply(step: Step[int]) -> None:
        assert story(tmp_path)[-1] == f"start {step.id}"
        applied.append(step.action)

    seen = carried_out(tmp_path, Ready(PLAN, apply))
    assert applied == [0, 1, 2]
    whole = [
        "begin",
        "plan",
        "start step 0",
        "done step 0",
        "start step 1",
        "done step 1",
        "start step 2",
        "done step 2",
    ]
    assert story(tmp_path) == [*whole, "end"]
    assert [(one.done, one.total) for one in seen] == [(0, 3), (1, 3), (2, 3), (3, 3)]
    told = journal.read(tmp_path, "run-audit").records[1].facts
    assert told["sha"] == PLAN.sha
    assert told["steps"][0] == {"id": "step 0", "summary": "do 0", "risk": "safe", "sql": ["SELECT '0'"]}


@pytest.mark.parametrize(
    "error", [Refused("no"), ValueError("no"), KeyboardInterrupt()], ids=["refused", "bug", "ctrl-c"]
)
def test_a_step_that_fails_is_on_record_and_the_rest_is_not_begun(tmp_path: Path, error: BaseException) -> None:
    def apply(step: Step[int]) -> None:
        if step.action == 1:
            raise error

    with pytest.raises(type(error)):
        carried_out(tmp_path, Ready(PLAN, apply))
    assert story(tmp_path)[-4:] == ["done step 0", "start step 1", "fail step 1", "end"]


def test_a_secret_in_an_error_is_not_on_record(tmp_path: Path) -> None:
    def apply(_: Step[int]) -> None:
        raise Refused("cannot log in with password='hunter22'")

    with pytest.raises(Refused):
        carried_out(tmp_path, Ready(PLAN, apply))
    assert "hunter22" not in (journal.folder(tmp_path) / "run-audit.jsonl").read_text()


def test_a_request_to_stop_is_heard_between_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Stopped):
        carried_out(tmp_path, Ready(PLAN, lambda _: monkeypatch.setattr(stop, "_signal_number", 15)))
    assert story(tmp_path) == ["begin", "plan", "start step 0", "done step 0", "end"]
    assert journal.read(tmp_path, "run-audit").records[-1].facts["exit_code"] == 143


def test_the_guard_is_asked_before_each_step_and_a_lost_lock_ends_the_plan(tmp_path: Path) -> None:
    asked: list[int] = []

    def guard() -> None:
        asked.append(1)
        if len(asked) == 2:
            raise Refused("the lock was lost")

    with pytest.raises(Refused, match="lost"):
        carried_out(tmp_path, Ready(PLAN, lambda _: None, guard))
    assert story(tmp_path) == ["begin", "plan", "start step 0", "done step 0", "end"]


# ── who we are ───────────────────────────────────────────────────────────────────────────────────


def test_names_of_runs_sort_by_time_and_differ() -> None:
    early, late = datetime(2026, 11, 20, 21, 45, 50, 123_000, UTC), datetime(2026, 11, 20, 21, 45, 50, 124_000, UTC)
    assert re.fullmatch(r"20261120T214550\.123Z-[0-9a-f]{4}", new_id(early))
    assert new_id(early) < new_id(late)


@pytest.mark.parametrize("host", ["db", "x" * 200, "ünïcode", ""])
def test_a_connection_carries_run_host_and_pid_in_the_63_bytes_that_others_see(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: host)
    monkeypatch.setattr(os, "getpid", lambda: 4_194_303)
    run = new("x", tmp_path)
    name = application_name(run)
    assert name.startswith(f"dbops {run.id} ")
    assert name.endswith(" 4194303")
    assert len(name.encode()) <= 63


@pytest.mark.parametrize(("sudo", "told"), [(None, r"\S+"), ("alice", r"alice as \S+")])
def test_a_run_names_the_person_behind_sudo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sudo: str | None, told: str
) -> None:
    monkeypatch.delenv("SUDO_USER", raising=False)
    if sudo:
        monkeypatch.setenv("SUDO_USER", sudo)
    assert re.fullmatch(told, new("x", tmp_path).actor)


def test_a_failure_that_the_plan_goes_on_after_leaves_the_other_steps_their_turn(tmp_path: Path) -> None:
    def apply(step: Step[int]) -> None:
        if step.action == 0:
            raise Refused("0 was refused")
        if step.action == 1:
            raise VerifiedBad("1 is bad", hint="look at it")

    with pytest.raises(VerifiedBad, match="1 is bad\n0 was refused") as told:
        carried_out(tmp_path, Ready(PLAN, apply, goes_on_after=(Refused, VerifiedBad)))
    assert told.value.hint == "look at it"
    records = story(tmp_path)
    assert [r for r in records if r.startswith(("fail", "done"))] == ["fail step 0", "fail step 1", "done step 2"]
    assert journal.read(tmp_path, "run-audit").records[-1].facts["exit_code"] == 4


def test_any_other_failure_ends_such_a_plan_at_once(tmp_path: Path) -> None:
    def apply(step: Step[int]) -> None:
        raise Stopped(15) if step.action == 1 else Refused("0 was refused")

    with pytest.raises(Stopped):
        carried_out(tmp_path, Ready(PLAN, apply, goes_on_after=(Refused,)))
    assert "start step 2" not in story(tmp_path)
