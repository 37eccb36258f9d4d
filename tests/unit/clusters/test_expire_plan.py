"""What `backup expire` plans, over sets, chains and timelines that chance makes."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from dbops.engine.plan import Risk
from dbops.operations.clusters.expire import check
from dbops.operations.clusters.expire.facts import (
    Action,
    Backup,
    ExpireSet,
    ExpireWal,
    Holding,
    Promise,
    Sized,
    Until,
    Wal,
)
from dbops.operations.clusters.expire.plan import expired, left_of, plan, reasons, simulated, unusable, wal_of

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
HOURS = 96
NOW = BEGIN + timedelta(hours=HOURS)
DEPTHS = ("full", "quick", "restore")


def at(hour: int) -> datetime:
    return BEGIN + timedelta(hours=hour)


def segment(hour: int, timeline: int = 1) -> str:
    return f"{timeline:08X}{0:08X}{hour:08X}"


def stamp(hour: int) -> str:
    return f"{at(hour):%Y%m%d-%H%M%S}"


def full(hour: int, *, bad: str | None = None, verified: frozenset[str] = frozenset(), until: int = HOURS) -> Backup:
    ends = (Until(1, segment(until), at(until)),)
    label = f"{stamp(hour)}F"
    return Backup(
        label, "full", at(hour), at(hour), "15-1", segment(hour), size=100, bad=bad, verified=verified, until=ends
    )


def held_by(*backups: Backup) -> Holding:
    return Holding(1, backups, (Wal("15-1", tuple(segment(hour) for hour in range(HOURS))),))


@st.composite
def holdings(draw: st.DrawFn) -> Holding:
    """A few chains over four days; WAL may have gaps, and may lead on along a second timeline."""
    hours = sorted(draw(st.sets(st.integers(1, HOURS - 1), max_size=12)))
    backups: list[Backup] = []
    for hour in hours:
        chain = [one for one in backups if one.root == backups[-1].root] if backups else []
        kind = draw(st.sampled_from(("full", "diff", "incr"))) if chain else "full"
        prior = {"full": [], "diff": chain[:1], "incr": chain[-1:]}[kind]
        needs = frozenset(name for one in prior for name in (one.label, *one.needs))
        label = f"{prior[0].root}_{stamp(hour)}{kind[0].upper()}" if prior else f"{stamp(hour)}F"
        ends = {timeline: draw(st.integers(hour, HOURS)) for timeline in draw(st.sets(st.integers(1, 2), min_size=1))}
        backups.append(
            Backup(
                label,
                kind,
                at(hour),
                at(hour),
                "15-1",
                segment(hour),
                needs,
                100,
                draw(st.sampled_from((None, None, None, "pages"))),
                draw(st.sets(st.sampled_from(DEPTHS), max_size=1).map(frozenset)),
                tuple(Until(timeline, segment(end, timeline), at(end)) for timeline, end in ends.items()),
            )
        )
    wal = Wal("15-1", tuple(segment(hour, timeline) for timeline in (1, 2) for hour in range(HOURS + 1)))
    old = Wal("15-0", (segment(1),), current=False)
    leftovers = draw(st.sets(st.just("20200101-000000F")))
    return Holding(1, tuple(backups), (wal, *draw(st.sets(st.just(old)))), tuple(leftovers))


@st.composite
def promises(draw: st.DrawFn, holding: Holding) -> Promise:
    span = draw(st.none() | st.integers(1, HOURS).map(lambda hours: timedelta(hours=hours)))
    labels = [one.label for one in holding.backups] or ["20200101-000000F"]
    hold = draw(st.sets(st.sampled_from(labels), max_size=2))
    return Promise(draw(st.integers(1, 4)), span, dict.fromkeys(hold, "evidence"))


worlds = holdings().flatmap(lambda holding: st.tuples(st.just(holding), promises(holding)))


def after(holding: Holding, actions: list[Action]) -> Holding:
    """What pgBackRest does, in a few lines: a set takes along whatever needs it."""
    for action in actions:
        match action:
            case ExpireSet(_, label):
                left = tuple(one for one in holding.backups if one.label != label and label not in one.needs)
                holding = replace(holding, backups=left)
            case ExpireWal(_, fulls, below, whole):
                assert fulls == sum(one.kind == "full" for one in holding.backups)
                bounds = dict(below)
                kept = [each for each in holding.wal if each.id not in whole]
                wal = [
                    replace(each, segments=tuple(n for n in each.segments if n >= bounds.get(each.id, "")))
                    for each in kept
                ]
                holding = replace(holding, wal=tuple(wal), leftovers=())
    return holding


def actions(holding: Holding, promise: Promise) -> list[Action]:
    return [step.action for step in plan("main", [holding], promise, NOW).steps]


@given(worlds)
def test_a_finished_plan_leaves_nothing_to_do(world: tuple[Holding, Promise]) -> None:
    holding, promise = world
    done = after(holding, actions(holding, promise))
    assert actions(done, promise) == []
    assert done == left_of(holding, promise, NOW)


@given(worlds)
def test_every_prefix_of_a_plan_can_be_continued(world: tuple[Holding, Promise]) -> None:
    holding, promise = world
    steps = plan("main", [holding], promise, NOW).steps
    for cut in range(len(steps)):
        done = after(holding, [step.action for step in steps[:cut]])
        assert plan("main", [done], promise, NOW).steps == steps[cut:]


@given(worlds)
def test_what_is_the_last_of_its_kind_or_held_or_needed_stays(world: tuple[Holding, Promise]) -> None:
    holding, promise = world
    left = {one.label for one in after(holding, actions(holding, promise)).backups}
    good = [one for one in holding.backups if one.bad is None]
    if not good:
        assert left == {one.label for one in holding.backups}
        return
    assert max(good, key=lambda one: one.stopped).label in left
    for depth in DEPTHS:
        if verified := [one for one in holding.backups if depth in one.verified]:
            assert max(verified, key=lambda one: one.stopped).label in left
    assert set(promise.hold) & {one.label for one in holding.backups} <= left
    for one in holding.backups:
        assert one.label not in left or one.needs <= left
    fulls = [one.label for one in good if one.kind == "full"]
    assert set(fulls[-promise.keep :]) <= left


@given(worlds)
def test_every_moment_of_the_promised_span_that_was_within_reach_stays_so(world: tuple[Holding, Promise]) -> None:
    holding, promise = world
    if promise.keep_for is None:
        return
    done = after(holding, actions(holding, promise))
    segments = {name for wal in done.wal for name in wal.segments}

    def within(those: Holding, moment: datetime, timeline: int) -> bool:
        return any(
            one.bad is None and one.stopped <= moment and end.timeline == timeline and (end.archived or NOW) >= moment
            for one in those.backups
            for end in one.until
        )

    hours = [BEGIN + timedelta(minutes=30 * n) for n in range(2 * HOURS + 1)]
    for moment in (each for each in hours if each >= NOW - promise.keep_for):
        for timeline in (1, 2):
            assert within(done, moment, timeline) or not within(holding, moment, timeline)
    for one in done.backups:
        for end in one.until:
            assert {name for name in (one.wal_start or "", end.segment) if name[:8] == end.segment[:8]} <= segments


@given(worlds)
def test_a_set_goes_before_those_that_it_needs(world: tuple[Holding, Promise]) -> None:
    gone: set[str] = set()
    for one in expired(world[0], world[1], NOW):
        assert not one.needs & gone
        gone.add(one.label)


def test_without_a_newer_verified_set_it_loses_data() -> None:
    sets = [full(hour) for hour in (10, 20, 30)]
    steps = plan("main", [held_by(*sets)], Promise(1), NOW).steps
    assert [step.risk for step in steps] == [Risk.LOSES_DATA, Risk.LOSES_DATA, Risk.BLOCKS]
    sets[2] = replace(sets[2], verified=frozenset({"full"}))
    assert plan("main", [held_by(*sets)], Promise(1), NOW).risk is Risk.BLOCKS


def test_an_older_verified_set_is_no_reason_to_remove_a_newer_one_lightly() -> None:
    sets = [full(10, verified=frozenset({"restore"})), full(20), full(30)]
    [step, *_] = plan("main", [held_by(*sets)], Promise(1), NOW).steps
    assert (step.action, step.risk) == (ExpireSet(1, sets[1].label), Risk.LOSES_DATA)


def test_broken_full_backups_do_not_count() -> None:
    sets = [full(10), full(20), full(30, bad="pages"), full(40, bad="pages")]
    assert expired(held_by(*sets), Promise(2), NOW) == ()
    assert [one.label for one in expired(held_by(*sets), Promise(1), NOW)] == [sets[0].label]


def test_where_no_set_is_good_nothing_goes_not_even_wal() -> None:
    holding = held_by(full(10, bad="pages"), full(20, bad="pages"))
    assert plan("main", [holding], Promise(1), NOW).steps == ()
    assert [one.code for one in check.judged("main", [holding], Promise(1), NOW)] == ["DBB401"]


def test_wal_goes_before_the_oldest_set_that_stays_and_nowhere_else() -> None:
    holding = held_by(full(10), full(20), full(30))
    left = left_of(holding, Promise(2), NOW)
    assert left.wal[0].segments == tuple(segment(hour) for hour in range(20, HOURS))
    action = wal_of(left)
    assert action is not None
    assert (action.fulls, action.below) == (2, (("15-1", segment(20)),))


def test_a_set_whose_wal_is_unknown_keeps_all_wal() -> None:
    holding = held_by(full(10), replace(full(20), wal_start=None), full(30))
    assert unusable(holding) == {}


def test_the_span_keeps_the_set_before_it_and_lets_older_ones_go() -> None:
    sets = [full(hour) for hour in (10, 20, 30, 40)]
    promise = Promise(1, timedelta(hours=HOURS - 25))
    why = reasons(held_by(*sets), promise, NOW)
    assert [one.label for one in expired(held_by(*sets), promise, NOW)] == [sets[0].label]
    assert "moments of the last" in why[sets[1].label][0]


def test_a_set_whose_wal_ends_before_the_span_is_not_kept_for_it() -> None:
    sets = [full(10, until=15), full(40)]
    promise = Promise(1, timedelta(hours=HOURS - 25))
    assert [one.label for one in expired(held_by(*sets), promise, NOW)] == [sets[0].label]


def test_what_is_left_is_told_before_and_after() -> None:
    told = simulated(held_by(full(10), full(20)), Promise(1), NOW)
    assert (told.before.first, told.after.first) == (at(10), at(20))
    assert (told.before.segments, told.after.segments) == (HOURS, HOURS - 20)
    assert told.expired == (full(10).label,)


def test_a_held_set_that_is_nowhere_is_told() -> None:
    promise = Promise(1, hold={"20200101-000000F": "gone"})
    assert "DBB406" in {one.code for one in check.judged("main", [held_by(full(10))], promise, NOW)}


def test_a_held_set_tells_the_wal_that_it_costs() -> None:
    sets = [full(10), full(50), full(60)]
    promise = Promise(1, hold={sets[0].label: "an incident"})
    [found] = [one for one in check.judged("main", [held_by(*sets)], promise, NOW) if one.code == "DBB404"]
    assert "50 segments" in found.message


def test_a_repository_that_doubled_within_a_week_is_told() -> None:
    holding = held_by(full(10), full(20), full(30))
    small = Sized(1, NOW - timedelta(days=3), 120)
    assert [one.code for one in check.grown("main", [small], [holding], NOW)] == ["DBB403"]
    assert not list(check.grown("main", [replace(small, size=200)], [holding], NOW))
    assert not list(check.grown("main", [replace(small, at=NOW - timedelta(days=8))], [holding], NOW))


def test_what_differs_from_the_simulation_is_bad() -> None:
    before, gone = held_by(full(10), full(20), full(30)), {(1, full(10).label)}
    wanted = left_of(before, Promise(2), NOW)
    assert not list(check.compared("main", {1: wanted}, [wanted], gone))

    def told(found: Holding) -> list[str]:
        return [one.message for one in check.compared("main", {1: wanted}, [found], gone)]

    assert "still there" in told(replace(wanted, backups=before.backups))[0]
    assert "should have stayed" in told(replace(wanted, backups=wanted.backups[:1]))[0]
    assert "segments of WAL are gone" in told(replace(wanted, wal=(Wal("15-1", wanted.wal[0].segments[1:]),)))[0]
    broken = replace(wanted.backups[0], bad="WAL is missing")
    assert "is not any more" in told(replace(wanted, backups=(broken, *wanted.backups[1:])))[0]
    assert "nothing is known" in next(iter(check.compared("main", {1: wanted}, [], gone))).message


def test_the_last_good_set_stays_although_its_full_backup_is_not_counted() -> None:
    broken, newer = full(10, bad="WAL is missing"), full(20)
    label = f"{broken.label}_{stamp(30)}I"
    last = replace(full(30), label=label, kind="incr", needs=frozenset({broken.label}))
    older = full(5)
    why = reasons(held_by(older, broken, last, newer), Promise(1), NOW)
    assert why[last.label] == ("the last good one",)
    assert why[broken.label] == (f"{last.label} needs it",)
    assert older.label not in why


def test_each_timeline_keeps_its_own_way_into_the_span() -> None:
    left = full(10)  # its timeline was left for another one, in the middle of the span
    taken = replace(full(20), until=(Until(2, segment(HOURS, 2), at(HOURS)),))
    promise = Promise(1, timedelta(hours=HOURS - 25))
    assert expired(held_by(left, taken, full(40)), promise, NOW) == ()


def test_the_archive_of_an_earlier_incarnation_goes_with_its_last_set() -> None:
    earlier = Wal("14-1", (segment(3),), current=False)
    holding = held_by(full(10))
    action = wal_of(replace(holding, wal=(*holding.wal, earlier)))
    assert action is not None
    assert action.whole == ("14-1",)
    fresh = wal_of(replace(holding, wal=(*holding.wal, replace(earlier, current=True))))
    assert fresh is not None
    assert fresh.whole == ()  # the cluster writes there, and its first backup is still to come


def test_a_backup_that_may_be_resumed_is_no_leftover() -> None:
    resumable = f"{stamp(90)}F"
    holding = replace(held_by(full(0)), leftovers=(resumable,), newest=resumable)
    assert plan("main", [holding], Promise(1), NOW).steps == ()
    old = replace(holding, leftovers=("20200101-000000F", resumable))
    [step] = plan("main", [old], Promise(1), NOW).steps
    assert "20200101-000000F" in step.summary
    assert resumable not in step.summary
