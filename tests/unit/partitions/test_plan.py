"""What is missing: the planner of partitions."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from dbops.engine.plan import Risk
from dbops.operations.partitions import check, plan, sql
from dbops.operations.partitions.bounds import Interval, Kind, Span
from dbops.operations.partitions.facts import Facts, Parent, Partition, Shape, Wish

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
EVENTS = ("public", "events")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def parent(*spans: Span, kind: Kind = Kind.TIMESTAMPTZ, pending: int = 0) -> Parent:
    parts = tuple(
        Partition(number, "public", f"events_{number}", span, detach_pending=number < pending)
        for number, span in enumerate(spans)
    )
    return Parent(1, *EVENTS, "range", "at", kind, "owner", partitions=parts, shape=Shape("owner"))


def months(*names: str) -> list[Span]:
    grid = Wish(EVENTS).grid(Kind.TIMESTAMPTZ)
    return [grid.cell(at(f"{name}-15")) for name in names]


def made(facts: Facts, wish: Wish, now: datetime = NOW) -> list[str]:
    steps = plan.plan(facts, [wish], now).steps
    return [step.action.name[1] for step in steps if isinstance(step.action, plan.Create)]


def after(facts: Facts, steps: int, wish: Wish, now: datetime) -> Facts:
    """The world after the first steps of its plan."""
    for step in plan.plan(facts, [wish], now).steps[:steps]:
        one = facts.parents[0]
        match step.action:
            case plan.Create(_, name, span):
                parts = (*one.partitions, Partition(99, *name, span))
                one = replace(one, partitions=parts, taken=one.taken | {name[1]})
            case plan.Finalize(_, name):
                one = replace(one, partitions=tuple(part for part in one.partitions if part.place != name))
            case _:
                pass
        facts = replace(facts, parents=(one,))
    return facts


EDGES = st.integers(0, 500 * 48).map(lambda half_hours: at("2026-01-01") + half_hours * timedelta(minutes=30))


@st.composite
def worlds(draw: st.DrawFn) -> tuple[Facts, Wish]:
    edges = sorted(draw(st.lists(EDGES, max_size=8, unique=True)))
    spans = [Span(one, two) for one, two in pairwise(edges)]
    kept = [span for span in spans if draw(st.booleans())]
    wish = Wish(
        EVENTS,
        draw(st.sampled_from([Interval.WEEK, Interval.MONTH, Interval.QUARTER, Interval.YEAR])),
        premake=draw(st.integers(1, 6)),
        zone=draw(st.sampled_from(["UTC", "Europe/Berlin", "America/New_York"])),
        retention=draw(st.none() | st.integers(10, 400).map(lambda days: timedelta(days=days))),
    )
    kind = draw(st.sampled_from([Kind.TIMESTAMPTZ, Kind.TIMESTAMP]))
    return Facts("shop", parents=(parent(*kept, kind=kind, pending=draw(st.integers(0, 2))),)), wish


@given(worlds())
def test_a_finished_plan_leaves_nothing_to_do(world: tuple[Facts, Wish]) -> None:
    facts, wish = world
    steps = len(plan.plan(facts, [wish], NOW).steps)
    assert plan.plan(after(facts, steps, wish, NOW), [wish], NOW).steps == ()


@given(worlds(), st.integers(0, 40))
def test_every_prefix_of_a_plan_can_be_continued(world: tuple[Facts, Wish], steps: int) -> None:
    facts, wish = world
    whole = after(facts, 1000, wish, NOW)
    halfway = after(facts, steps, wish, NOW)
    continued = after(halfway, 1000, wish, NOW)
    assert {part.span for part in continued.parents[0].partitions} == {
        part.span for part in whole.parents[0].partitions
    }


@given(worlds())
def test_no_two_partitions_meet_and_now_is_covered(world: tuple[Facts, Wish]) -> None:
    facts, wish = world
    ended = after(facts, 1000, wish, NOW).parents[0]
    spans = [part.span for part in ended.partitions]
    assert not any(one.meets(two) for n, one in enumerate(spans) for two in spans[n + 1 :])
    here = wish.grid(ended.kind or Kind.TIMESTAMPTZ).now(NOW)
    assert any(span.holds(here) for span in spans)


def test_now_comes_first_then_what_is_to_come() -> None:
    facts = Facts("shop", parents=(parent(*months("2026-08")),))
    assert made(facts, Wish(EVENTS)) == [
        *("events_2026_11", "events_2026_09", "events_2026_10"),
        *("events_2026_12", "events_2027_01", "events_2027_02"),
    ]


def test_a_gap_is_filled_but_not_what_retention_would_drop() -> None:
    facts = Facts("shop", parents=(parent(*months("2026-01", "2026-11", "2026-12", "2027-01", "2027-02")),))
    assert made(facts, Wish(EVENTS, retention=timedelta(days=90))) == [
        "events_2026_08",
        "events_2026_09",
        "events_2026_10",
    ]


def test_a_foreign_bound_is_respected_and_the_piece_named_by_its_day() -> None:
    odd = Span(at("2026-11-01"), at("2026-12-10"))
    facts = Facts("shop", parents=(parent(odd),))
    assert made(facts, Wish(EVENTS, premake=1)) == ["events_2026_12_10"]


def test_a_name_that_is_taken_gets_a_number() -> None:
    one = replace(parent(), taken=frozenset({"events_2026_11"}))
    assert made(Facts("shop", parents=(one,)), Wish(EVENTS, premake=1)) == ["events_2026_11_2", "events_2026_12"]


def test_a_standby_has_an_empty_plan() -> None:
    facts = Facts("shop", standby=True, parents=(parent(),))
    assert plan.plan(facts, [Wish(EVENTS)], NOW).steps == ()
    assert [finding.code for finding in check.while_ensuring(facts, [Wish(EVENTS)], NOW)] == ["DBP117"]


def test_locks_are_named_on_parent_default_and_peers() -> None:
    default = Partition(7, "public", "events_default", Span(None, None), default=True)
    one = replace(parent(), default=default, peers=(("public", "tenants"), ("sales", "orders")))
    step = plan.plan(Facts("shop", parents=(one,)), [Wish(EVENTS)], NOW).steps[0]
    told = "\n".join(step.notes)
    assert step.risk is Risk.BLOCKS
    assert "SHARE UPDATE EXCLUSIVE on events" in told
    assert "ACCESS EXCLUSIVE on the default events_default" in told
    assert "SHARE ROW EXCLUSIVE on tenants, sales.orders" in told


def test_columns_of_the_parent_become_those_of_the_partition_and_strings_stay() -> None:
    told = (
        """EXISTS (SELECT 1 FROM public.events events_1 WHERE events_1.id = events.id AND 'events.id' <> "Events".x)"""
    )
    assert sql.renamed(told, "events", "events_2026_11") == told.replace("= events.id", "= events_2026_11.id")
