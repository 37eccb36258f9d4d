"""The planner of refreshes, without any server: order, reasons, what is left out."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from dbops.engine.finding import Finding, Severity
from dbops.engine.plan import Risk, Step
from dbops.operations.views import plan as plans
from dbops.operations.views.facts import Declared, Facts, Outcome, Past, Setting, Signature, View, Wanted
from dbops.operations.views.plan import Action, How, Refresh

ALL = Wanted()
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
OLD, NEW = Signature("s", "d", "old"), Signature("s", "d", "new")
DAY = timedelta(days=1)


def fresh(oid: int, *parents: int, age: timedelta = DAY) -> View:
    past = Past(NOW - age, Outcome.REFRESHED, read_at=NOW - age, signature=OLD, refreshes=1)
    return View(oid, "public", f"v{oid}", "o", key="k", parents=frozenset(parents), signature=OLD, past=past)


def names(planned: plans.Planned) -> list[str]:
    return [one.name for one in plans.refreshes_of(planned.plan)]


def planned(views: Iterable[View], wanted: Wanted = ALL, declared: Declared | None = None) -> plans.Planned:
    return plans.plan(Facts("t", NOW, tuple(views)), wanted, declared or {}, ())


@st.composite
def worlds(draw: st.DrawFn) -> tuple[View, ...]:
    views: list[View] = []
    for oid in range(draw(st.integers(1, 7))):
        below = draw(st.sets(st.integers(0, oid - 1))) if oid else set[int]()
        view = fresh(oid, *below)
        views.append(
            replace(
                view,
                populated=draw(st.booleans()),
                signature=draw(st.sampled_from([OLD, NEW])),
                key=draw(st.sampled_from(["k", None])),
                bound=draw(st.sampled_from([(), (), (), ("bound",)])),
                past=draw(st.sampled_from([view.past, view.past, Past()])),
            )
        )
    return tuple(views)


def after(views: tuple[View, ...], actions: Iterable[Action]) -> tuple[View, ...]:
    """What the world is like when some refreshes are done: theirs is the newest state, and who reads them sees it."""
    world = {view.oid: view for view in views}
    for one in actions:
        assert isinstance(one, Refresh)
        view = world[one.oid]
        past = Past(NOW, Outcome.REFRESHED, read_at=NOW, signature=view.signature, refreshes=1)
        world[one.oid] = replace(view, populated=True, past=past)
        for other in world.values():
            if one.oid in other.parents and other.signature is not None:
                moved = replace(other.signature, data=f"{other.signature.data} {one.oid}")
                world[other.oid] = replace(other, signature=moved)
    return tuple(world.values())


def undecorated(steps: Iterable[Step[Action]]) -> list[str]:
    return [step.id for step in steps]


@given(worlds())
def test_a_finished_plan_leaves_nothing_to_do(views: tuple[View, ...]) -> None:
    done = [step.action for step in planned(views).plan.steps]
    assert planned(after(views, done)).plan.steps == ()


@given(worlds())
def test_every_prefix_of_a_plan_can_be_continued(views: tuple[View, ...]) -> None:
    steps = planned(views).plan.steps
    for cut in range(len(steps)):
        rest = planned(after(views, [step.action for step in steps[:cut]])).plan.steps
        assert undecorated(rest) == undecorated(steps[cut:])


@given(worlds(), st.integers(1, 4))
def test_jobs_change_nothing_but_the_grouping(views: tuple[View, ...], jobs: int) -> None:
    one_by_one, grouped = planned(views), planned(views, Wanted(jobs=jobs))
    assert sorted(names(one_by_one)) == sorted(names(grouped))
    assert one_by_one.findings == grouped.findings
    done: set[int] = set()
    for step in grouped.plan.steps:
        together = plans.refreshes_of(replace(grouped.plan, steps=(step,)))
        assert all(one.after <= done for one in together)
        done |= {one.oid for one in together}


@given(worlds())
def test_what_row_security_binds_is_never_refreshed(views: tuple[View, ...]) -> None:
    told = planned(views, Wanted(force=True))
    bound = {view.name for view in views if view.bound}
    assert not bound & set(names(told))
    assert {view.shown for view in views} - {f"public.{name}" for name in names(told)} == {
        finding.message.split()[0] for finding in told.findings
    }


def test_a_view_is_due_a_little_before_its_schedule() -> None:
    """Cron does not come at the very second; a turn later would be too late."""
    declared = {"v1": Setting(schedule=timedelta(minutes=5))}
    for minutes, due in ((4, []), (4.6, ["v1"]), (6, ["v1"])):
        view = replace(fresh(1, age=timedelta(minutes=minutes)), signature=NEW)
        assert names(planned([view], Wanted(stale=True), declared)) == due


def test_what_is_not_declared_is_never_stale() -> None:
    view = replace(fresh(1, age=DAY), signature=NEW)
    assert names(planned([view], Wanted(stale=True))) == []
    assert names(planned([view], Wanted(stale=True), {"v1": Setting(staleness=timedelta(hours=1))})) == ["v1"]
    assert names(planned([view], Wanted(stale=True), {"v1": Setting()})) == []


def test_a_failed_or_empty_view_is_due_at_once() -> None:
    declared = {"v1": Setting(schedule=DAY)}
    failed = replace(fresh(1, age=timedelta(0)), signature=NEW)
    failed = replace(failed, past=replace(failed.past, outcome=Outcome.FAILED))
    empty = replace(fresh(1, age=timedelta(0)), populated=False)
    assert names(planned([failed], Wanted(stale=True), declared)) == ["v1"]
    [step] = planned([empty], Wanted(stale=True), declared).plan.steps
    assert isinstance(step.action, Refresh)
    assert step.action.how is How.FIRST_FILL
    assert step.action.timeout == DAY * 0.9


def test_only_a_plain_refresh_of_a_filled_view_needs_agreement() -> None:
    view = replace(fresh(1), signature=NEW)
    risks = [
        planned([replace(view, **other)]).plan.risk  # pyright: ignore[reportArgumentType]
        for other in ({}, {"key": None}, {"key": None, "populated": False})
    ]
    assert risks == [Risk.SAFE, Risk.BLOCKS, Risk.SAFE]
    assert planned([view], declared={"v1": Setting(mode="plain")}).plan.risk is Risk.BLOCKS


def test_a_standby_is_left_alone() -> None:
    facts = Facts("t", NOW, (replace(fresh(1), signature=NEW),), standby=True)
    told = plans.plan(facts, Wanted(), {}, ())
    assert told.plan.steps == ()
    assert [finding.severity for finding in told.findings] == [Severity.INFO]


def test_a_busy_view_takes_those_above_it_along() -> None:
    views = (replace(fresh(1), signature=NEW), fresh(2, 1), replace(fresh(3), signature=NEW))
    busy = {"view:public.v1": Finding(Severity.ERROR, "locked", "t", "public.v1 is busy")}
    told = plans.plan(Facts("t", NOW, views), Wanted(), {}, (), busy=busy)
    assert names(told) == ["v3"]
    assert [finding.code for finding in told.findings] == ["locked", "left-out"]


def test_a_view_is_at_least_as_old_as_what_it_reads() -> None:
    parent = replace(fresh(1, age=DAY), signature=NEW)
    child = fresh(2, 1, age=timedelta(minutes=1))
    assert Facts("t", NOW, (parent, child)).ages() == {1: DAY, 2: DAY}
    assert Facts("t", NOW, (fresh(1), child)).ages() == {1: timedelta(0), 2: timedelta(0)}
