"""What stands against a switch and against the way back, and what is planned: by facts alone."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbops.errors import CouldNotVerify, ExitCode, Refused
from dbops.operations.migrate.compare import check as comparing
from dbops.operations.migrate.compare.facts import COMPARED, Outcome, work_of
from dbops.operations.migrate.life import STATE, Life, Place, State, Told, may_follow
from dbops.operations.migrate.rollback import check as back_check
from dbops.operations.migrate.rollback import facts as back_facts
from dbops.operations.migrate.rollback import plan as back_plan
from dbops.operations.migrate.shapes.shape import Comparison
from dbops.operations.migrate.switch import check, plan
from dbops.operations.migrate.switch.facts import Facts, Override

HERE = Place(1, 2, 3)
BEGIN = datetime(2026, 11, 21, tzinfo=UTC)
BOTH = frozenset({"forward", "back"})
states = st.sampled_from(list(State))


def way(name: str, *, differ: int = 0, unreadable: int = 0) -> dict[str, Any]:
    return {"way": name, "differ": differ, "unreadable": unreadable}


def proof(*ways: dict[str, Any], triggers: str = "t") -> Told:
    clean = not any(one["differ"] or one["unreadable"] for one in ways)
    return Told(BEGIN, "run", "actor", COMPARED, {"clean": clean, "triggers": triggers, "ways": ways}, HERE)


GOOD = proof(way("forward"), way("back"))


def facts(state: State, wanted: int = 100, **more: Any) -> Facts:
    base = Facts("db", "c", Life(state), 10, wanted, GOOD, "t", BOTH, baseline_due="due")
    return replace(base, **more)


@given(states, st.integers(0, 100), st.booleans())
def test_more_readers_follow_only_to_what_is_verified(state: State, wanted: int, elsewhere: bool) -> None:
    told = facts(state, wanted, life=Life(state, elsewhere=elsewhere))
    error = check.refusal(told)
    if elsewhere:
        assert isinstance(error, CouldNotVerify)
    elif state is State.VERIFIED or (state is State.SWITCHED and wanted == 100):
        assert error is None
    elif state is not State.SWITCHED and wanted <= told.percent:
        assert error is None, "fewer than now is always possible"
    else:
        assert isinstance(error, Refused)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"proof": None}, "not verified"),
        ({"triggers": "others"}, "other triggers"),
        ({"proof": proof(way("forward"), way("back", differ=1))}, "differs on the way back"),
        ({"proof": proof(way("forward"), way("back", unreadable=1))}, "differs on the way back"),
        ({"ways": frozenset({"forward"}), "proof": proof(way("forward"))}, "no comparison for the way back"),
        ({"proof": proof(way("forward", differ=1), way("back"))}, "found to differ"),
    ],
)
def test_a_switch_without_proof_is_refused_with_what_is_missing(more: dict[str, Any], said: str) -> None:
    error = check.refusal(facts(State.VERIFIED, **more))
    assert isinstance(error, Refused)
    assert said in error.message


def test_only_the_way_back_can_be_overridden() -> None:
    said = (Override("reverse", "because"),)
    one_way = proof(way("forward"), way("back", differ=1))
    assert check.refusal(facts(State.BACKFILLED, proof=one_way, overrides=said)) is None
    neither = proof(way("forward", differ=1), way("back", differ=1))
    assert check.refusal(facts(State.BACKFILLED, proof=neither, overrides=said)) is not None
    assert check.refusal(facts(State.BACKFILLED, proof=one_way, triggers="others", overrides=said)) is not None
    assert check.refusal(facts(State.BACKFILLING, overrides=said)) is not None


def test_a_change_that_copies_nothing_is_switched_as_it_is() -> None:
    assert check.refusal(facts(State.EXPANDED, ways=frozenset[str](), proof=None)) is None
    assert check.refusal(facts(State.FAILED, ways=frozenset[str](), proof=None)) is not None


@given(st.sampled_from([State.VERIFIED, State.SWITCHED]), st.integers(0, 100), st.integers(0, 100))
def test_a_finished_switch_leaves_nothing_to_do(state: State, percent: int, wanted: int) -> None:
    told = facts(state, wanted, percent=100 if state is State.SWITCHED else percent)
    if check.refusal(told) is not None:
        return
    for step in plan.plan(told).steps:
        match step.action:
            case plan.Follow(now):
                told = replace(told, percent=now)
            case plan.Switch():
                told = replace(told, percent=100, life=Life(State.SWITCHED))
            case plan.TakeBaseline():
                told = replace(told, baseline_due=None)
            case plan.MakeReady():
                pass
    assert told.percent == wanted
    assert plan.plan(told).steps == ()


def outcome(direction: str, *, differ: int = 0, unreadable: int = 0) -> Outcome:
    return Outcome("t", direction, "w", 10, differ, unreadable)


@given(states, st.booleans(), st.integers(0, 1), st.integers(0, 1), st.booleans())
def test_a_comparison_moves_a_change_only_as_its_life_allows(
    state: State,
    elsewhere: bool,
    differ: int,
    unreadable: int,
    same: bool,
) -> None:
    if state not in comparing.MAY_VERIFY:
        return
    life = Life(state, elsewhere=elsewhere)
    found = [outcome("forward"), outcome("back", differ=differ, unreadable=unreadable)]
    to = comparing.state_after(life, found, same_triggers=same)
    assert to is None or elsewhere or may_follow(state, to)
    if to in {State.VERIFIED, State.SWITCHED}:
        assert (differ, unreadable, same) == (0, 0, True)
    told = comparing.findings("db", "c", found, same_triggers=same)
    codes = {one.code: one.exit_code for one in told}
    assert (codes.get("DBM401") == ExitCode.BAD) == bool(differ)
    assert (codes.get("DBM402") == ExitCode.UNVERIFIED) == bool(unreadable)
    assert (codes.get("DBM403") == ExitCode.UNVERIFIED) == (not same)


def test_other_triggers_make_another_comparison() -> None:
    one = Comparison("t", "q")
    assert work_of(one, "a") == work_of(one, "a")
    assert len({work_of(one, "a"), work_of(one, "b"), work_of(replace(one, way="back"), "a")}) == 3


def entry(minutes: int, kind: str, **detail: Any) -> Told:
    return Told(BEGIN + timedelta(minutes=minutes), "run", "actor", kind, detail, HERE)


def back(state: State, *entries: Told, **more: Any) -> back_facts.Facts:
    base = back_facts.Facts("db", "c", Life(state, entries=entries), HERE, 10, True, True, (), "e")
    return replace(base, **more)


LED_BACK = entry(1, STATE, state="backfilled", **{back_facts.BACK_FROM: "switched"})


def ids(told: back_facts.Facts) -> list[str]:
    return [step.id for step in back_plan.plan(told).steps]


def test_the_way_back_goes_one_phase_at_a_time() -> None:
    assert ids(back(State.SWITCHED)) == ["lead back", "verify"]
    assert ids(back(State.BACKFILLED, LED_BACK)) == ["verify"], "it was cut off: the proof is still to come"
    assert ids(back(State.BACKFILLED, LED_BACK, entry(2, COMPARED))) == ["readers", "compare back"]
    assert ids(back(State.VERIFIED, percent=0)) == ["compare back"]
    assert ids(back(State.BACKFILLING)) == ["readers"], "what is not filled cannot be compared"
    assert ids(back(State.VERIFIED, compares_back=False, percent=0)) == []


def test_what_came_later_asks_for_a_revision() -> None:
    later = back(State.VERIFIED, later=("f",))
    error = back_check.refusal(later)
    assert isinstance(error, Refused)
    assert "--write" in str(error.hint)
    assert back_check.refusal(replace(later, write=True)) is None
    assert back_check.refusal(replace(later, pending="g")) is None
    assert back_check.refusal(back(State.SWITCHED, later=("f",))) is None, "readers go back whatever came later"
    assert isinstance(back_check.refusal(replace(later, life=Life(State.VERIFIED, elsewhere=True))), CouldNotVerify)
