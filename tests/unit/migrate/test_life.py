"""From the entries of a change to its state: the newest transition counts, and proof of another database does not."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbops.operations.migrate.life import STATE, Life, Place, State, Told, life, may_follow

HERE = Place(1, 2, 1)
CLONE, RESTORED = replace(HERE, database_oid=3), replace(HERE, timeline=2)
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
STATES = st.sampled_from(State)
PLACES = st.sampled_from([HERE, CLONE, RESTORED])


def told(number: int, state: State | None, place: Place = HERE, kind: str = "compared") -> Told:
    detail = {} if state is None else {"state": str(state)}
    return Told(BEGAN + timedelta(hours=number), "run", "me", STATE if state is not None else kind, detail, place)


@given(st.lists(st.tuples(STATES, PLACES), min_size=1))
def test_the_newest_transition_is_the_state_and_its_place_tells_whether_it_counts(
    moves: list[tuple[State, Place]],
) -> None:
    found = life([told(number, *move) for number, move in enumerate(moves)], HERE)
    state, place = moves[-1]
    assert (found.state, found.elsewhere) == (state, place != HERE)
    assert found.since == BEGAN + timedelta(hours=len(moves) - 1)


def test_a_change_without_transitions_is_planned_whatever_else_is_told() -> None:
    assert life([], HERE) == Life()
    assert life([told(0, None)], HERE).state is State.PLANNED


def test_evidence_of_a_clone_or_a_restored_copy_is_none() -> None:
    entries = [told(0, None), told(1, None, CLONE), told(2, None, RESTORED)]
    assert life(entries, HERE).evidence("compared", HERE) == entries[0]
    assert life(entries[1:], HERE).evidence("compared", HERE) is None
    assert life(entries, HERE).evidence("baseline", HERE) is None


def test_a_soak_counts_from_the_first_of_the_switches_that_nothing_came_between() -> None:
    moves = [State.SWITCHED, State.VERIFIED, State.SWITCHED, State.SWITCHED]
    entries = [told(number, state) for number, state in enumerate(moves)]
    assert life(entries, HERE).since_state(State.SWITCHED, HERE) == entries[2].at
    assert life(entries, HERE).since_state(State.VERIFIED, HERE) is None
    ended_elsewhere = [*entries[:3], replace(entries[3], place=CLONE)]
    assert life(ended_elsewhere, HERE).since_state(State.SWITCHED, HERE) is None
    begun_elsewhere = [*entries[:2], replace(entries[2], place=CLONE), entries[3]]
    assert life(begun_elsewhere, HERE).since_state(State.SWITCHED, HERE) == entries[3].at


@given(STATES)
def test_to_stay_is_allowed_and_nothing_follows_a_contraction(state: State) -> None:
    assert may_follow(state, state)
    assert may_follow(State.CONTRACTED, state) is (state is State.CONTRACTED)


@pytest.mark.parametrize("skipped", [State.EXPANDED, State.BACKFILLING, State.BACKFILLED, State.FAILED])
def test_nothing_is_switched_that_was_not_verified(skipped: State) -> None:
    assert not may_follow(skipped, State.SWITCHED)
    assert may_follow(State.VERIFIED, State.SWITCHED)
