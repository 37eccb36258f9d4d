"""What a scratch restore plans: it removes what nobody needs, never what somebody may, and refuses before it begins."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbops.errors import Refused
from dbops.operations.clusters.restore import check
from dbops.operations.clusters.restore.facts import Aim, Facts, Goal, Left, Truth, Wanted, options
from dbops.operations.clusters.restore.plan import RemoveScratch, clean, cleaning, plan, refuse

NOW = datetime(2026, 8, 1, tzinfo=UTC)
GOAL = Goal(Aim("20260801-020000F", "time", "2026-08-01 03:00:00+00"), "2026-08-01T03:00:00Z", 1 << 30, 12)

instants = st.timedeltas(timedelta(days=-9), timedelta(days=9)).map(lambda span: NOW + span)
lefts = st.builds(
    Left,
    name=st.uuids().map(str),
    target=st.just("main"),
    folder=st.just("/scratch"),
    run=st.just("run"),
    alive=st.booleans(),
    kept=st.booleans(),
    until=st.none() | instants,
    ours=st.booleans(),
)


def _facts(left: tuple[Left, ...] = (), **more: object) -> Facts:
    told = {"free": 1 << 40, "occupied": False} | more
    return Facts("main", GOAL, "/scratch", left=left, **told)  # pyright: ignore[reportArgumentType]


def _removed(left: list[Left], *, all_kept: bool = False) -> set[str]:
    found = cleaning(left, NOW, all_kept=all_kept)
    return {step.action.name for step in found if isinstance(step.action, RemoveScratch)}


@given(st.lists(lefts, unique_by=lambda one: one.name))
def test_only_what_is_ours_and_needed_by_nobody_is_removed(left: list[Left]) -> None:
    removed = _removed(left)
    for one in left:
        expired = one.until is not None and one.until <= NOW
        needless = not one.alive and (not one.kept or expired)
        assert (one.name in removed) == (one.ours and needless)


@given(st.lists(lefts, unique_by=lambda one: one.name))
def test_all_removes_what_is_kept_too_but_neither_what_is_at_work_nor_what_is_not_ours(left: list[Left]) -> None:
    assert _removed(left, all_kept=True) == {one.name for one in left if one.ours and not one.alive}


@given(st.lists(lefts, unique_by=lambda one: one.name))
def test_every_prefix_of_a_cleaning_can_be_continued_and_a_finished_one_leaves_nothing(left: list[Left]) -> None:
    steps = clean("scratch", left, NOW, all_kept=False).steps
    for cut in range(len(steps) + 1):
        gone = {step.action.name for step in steps[:cut] if isinstance(step.action, RemoveScratch)}
        rest = [one for one in left if one.name not in gone]
        assert clean("scratch", rest, NOW, all_kept=False).steps == steps[cut:]


@given(st.booleans(), st.booleans(), st.none() | st.timedeltas(timedelta(seconds=1), timedelta(days=1)))
def test_a_copy_always_ends_kept_or_removed_and_is_examined_only_when_asked(
    verify: bool, keep: bool, ttl: timedelta | None
) -> None:
    ids = [step.id for step in plan(_facts(), Wanted(verify, keep, ttl), NOW).steps]
    assert ids[:2] == ["restore", "start"]
    assert ("verify" in ids) == verify
    assert ids[-1] == ("keep" if keep or ttl else "remove")


def test_a_plan_is_the_same_whatever_run_it_belongs_to() -> None:
    assert plan(_facts(free=1 << 41), Wanted(), NOW).sha == plan(_facts(), Wanted(), NOW).sha


def test_a_folder_in_use_and_a_disk_that_is_too_small_are_refused() -> None:
    refuse(_facts())
    with pytest.raises(Refused, match="not empty"):
        refuse(_facts(occupied=True))
    with pytest.raises(Refused, match="are needed"):
        refuse(_facts(free=1 << 30))


def test_the_end_of_a_backup_is_never_told_with_a_timeline() -> None:
    told = options(Aim("L", "immediate", timeline="1"))
    assert told == ("--set=L", "--repo=1", "--type=immediate", "--target-action=promote")


def test_the_end_of_the_archive_has_no_target_action() -> None:
    assert options(Aim("L", timeline="latest")) == ("--set=L", "--repo=1", "--type=default", "--target-timeline=latest")


@pytest.mark.parametrize(("last", "codes"), [(0, ["DBB604"]), (10, []), (15, []), (20, ["DBB604"]), (None, [])])
def test_a_copy_has_to_hold_what_was_seen_around_its_target(last: int | None, codes: list[str]) -> None:
    goal = Goal(GOAL.aim, "x", 1, 1, before=NOW + timedelta(seconds=10), after=NOW + timedelta(seconds=20))
    commit = None if last is None else NOW + timedelta(seconds=last)
    truth = Truth(1.0, 1.0, promoted=True, timeline=2, lsn=None, last_commit=commit, stopped_at=None)
    assert [one.code for one in check.reached("main", goal, truth)] == codes
