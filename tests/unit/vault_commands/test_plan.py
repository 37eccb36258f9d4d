"""A plan for a second copy brings what is missing, in any number of runs, and never touches what is there."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import assert_never

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbops.engine.plan import Step
from dbops.errors import CouldNotVerify
from dbops.operations.vault.facts import Action, CopyArtifact, CopyRemembered, Held, Seen, State
from dbops.operations.vault.plan import chosen, lacking, newest_first, plan_copy, readings

NOW = datetime(2026, 8, 1, 12, tzinfo=UTC)


def seen(
    name: str, state: State = State.COMPLETE, *, manifest: str | None = "m", hours: int = 1, size: int = 10
) -> Seen:
    instant = NOW - timedelta(hours=hours)
    target = name.split("-", maxsplit=1)[0]
    return Seen(name, "postgres", target, "dump", instant, state, 2, size, manifest, instant)


@st.composite
def places(draw: st.DrawFn) -> Held:
    names = draw(st.sets(st.sampled_from([f"{target}-{n}" for target in "abc" for n in range(4)])))
    return Held(
        "any",
        tuple(
            seen(
                name,
                draw(st.sampled_from(State)),
                manifest=draw(st.sampled_from(["m", "n"])),
                hours=draw(st.integers(0, 5)),
            )
            for name in sorted(names)
        ),
        remembered=tuple(sorted(draw(st.sets(st.sampled_from(["remembered/a", "remembered/b", "remembered/c"]))))),
    )


def after(vault: Held, copy: Held, steps: tuple[Step[Action], ...]) -> Held:
    """A model of the world: what a step copies is there, as the vault has it."""
    ours = {one.name: one for one in vault.seen}
    there = {one.name: one for one in copy.seen}
    remembered = copy.remembered
    for step in steps:
        match step.action:
            case CopyArtifact(name):
                there[name] = ours[name]
            case CopyRemembered(names):
                remembered += names
            case _:
                assert_never(step.action)
    return replace(copy, seen=tuple(there.values()), remembered=remembered)


@given(places(), places())
def test_a_finished_plan_leaves_nothing_to_do(vault: Held, copy: Held) -> None:
    steps = plan_copy(vault, copy).steps
    assert plan_copy(vault, after(vault, copy, steps)).steps == ()


@given(places(), places())
def test_every_prefix_of_a_plan_can_be_continued(vault: Held, copy: Held) -> None:
    steps = plan_copy(vault, copy).steps
    for cut in range(len(steps)):
        assert plan_copy(vault, after(vault, copy, steps[:cut])).steps == steps[cut:]


@given(places(), places())
def test_what_the_copy_has_whole_or_broken_is_never_planned(vault: Held, copy: Held) -> None:
    kept = {one.name for one in copy.seen if one.state in {State.COMPLETE, State.BROKEN, State.UNKNOWN}}
    whole = {one.name for one in vault.seen if one.state is State.COMPLETE}
    actions = [step.action for step in plan_copy(vault, copy).steps]
    planned = {action.name for action in actions if isinstance(action, CopyArtifact)}
    assert planned == whole - kept


def test_the_newest_artifact_is_copied_first() -> None:
    vault = Held("vault", (seen("a-1", hours=9), seen("b-1", hours=1), seen("c-1", hours=5)))
    assert [one.name for one in lacking(vault, Held("far"))] == ["b-1", "c-1", "a-1"]


def test_another_content_under_the_same_name_is_another_plan() -> None:
    plans = [plan_copy(Held("vault", (seen("a-1", manifest=m),)), Held("far")).sha for m in ("m", "n")]
    assert plans[0] != plans[1]


def test_an_artifact_is_found_by_a_part_of_its_name_that_no_other_has() -> None:
    held = Held("vault", (seen("a-1"), seen("a-11"), seen("b-2")))
    assert [one.name for one in chosen(held, held.seen, "b", newest=False)] == ["b-2"]
    assert [one.name for one in chosen(held, held.seen, "a-1", newest=False)] == ["a-1"]


@pytest.mark.parametrize(("name", "told"), [("a", "a part of 2 names"), ("nobody", "there is no artifact 'nobody'")])
def test_a_name_that_leads_to_no_one_artifact_is_told(name: str, told: str) -> None:
    held = Held("vault", (seen("a-1"), seen("a-2")))
    with pytest.raises(CouldNotVerify, match=told):
        chosen(held, held.seen, name, newest=False)


def test_nothing_to_verify_is_not_a_pass() -> None:
    held = Held("vault", (seen("a-1", State.BUILDING), seen("b-1", State.ABANDONED)))
    with pytest.raises(CouldNotVerify, match="no artifact to verify"):
        chosen(held, held.seen, None, newest=False)


def test_the_newest_of_each_target_is_chosen() -> None:
    held = Held("vault", tuple(seen(f"{target}-{n}", hours=n) for target in "ab" for n in (1, 2, 3)))
    assert {one.name for one in chosen(held, held.seen, None, newest=True)} == {"a-1", "b-1"}


def test_a_broken_artifact_is_verified_too_and_not_left_out() -> None:
    held = Held("vault", (seen("a-1", State.BROKEN),))
    assert chosen(held, held.seen, None, newest=False) == list(held.seen)


def test_a_slice_reads_its_share_and_a_listing_nothing() -> None:
    some = newest_first([seen("a-1", size=100)])
    assert [one.read_bytes for one in readings(some, reads=True, subset=(2, 7))] == [15]
    assert [one.read_bytes for one in readings(some, reads=False, subset=(1, 1))] == [0]
