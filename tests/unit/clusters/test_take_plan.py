"""Which backup is due, and the plan of a run, for any sets and any moment."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from dbops.operations.clusters.take.facts import Facts, Kind, Orphan, Repository, Schedule, Set, Take, Wanted
from dbops.operations.clusters.take.plan import plan
from dbops.operations.clusters.take.schedule import diff_slot, due, full_slot

NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
NIGHTLY = Schedule()
AUTO = Wanted()


def taken(kind: Kind, ago: timedelta, prior: Set | None = None, *, bad: bool = False, now: datetime = NOW) -> Set:
    stopped = now - ago
    letter = {Kind.FULL: "F", Kind.DIFF: "D", Kind.INCR: "I"}[kind]
    own = f"{stopped:%Y%m%d-%H%M%S}{letter}"
    label = own if prior is None else f"{prior.label.partition('_')[0]}_{own}"
    return Set(label, kind, stopped, None if prior is None else prior.label, bad=bad)


def test_without_any_backup_the_first_is_full() -> None:
    assert due((), NIGHTLY, NOW).kind is Kind.FULL


def test_a_full_backup_of_this_morning_is_enough_until_tomorrow() -> None:
    full = taken(Kind.FULL, timedelta(minutes=40))
    assert due([full], NIGHTLY, NOW).kind is Kind.INCR
    assert due([full], NIGHTLY, NOW.replace(hour=23)).kind is not Kind.FULL
    assert due([full], NIGHTLY, (NOW + DAY).replace(hour=2, minute=0)).kind is Kind.FULL


def test_a_full_backup_that_failed_at_two_is_made_up_for_by_the_next_run() -> None:
    yesterdays = taken(Kind.FULL, DAY)
    assert due([yesterdays], NIGHTLY, NOW).kind is Kind.FULL


def test_a_differential_backup_is_due_at_its_slot_however_early_the_last_one_was() -> None:
    full = taken(Kind.FULL, timedelta(hours=7, minutes=29))  # 02:01
    assert due([full], NIGHTLY, NOW.replace(hour=7, minute=59)).kind is Kind.INCR
    assert due([full], NIGHTLY, NOW.replace(hour=8, minute=0)).kind is Kind.DIFF
    diff = taken(Kind.DIFF, timedelta(hours=1), full)  # 08:30
    assert due([full, diff], NIGHTLY, NOW).kind is Kind.INCR
    # half a minute less than six hours after it
    assert due([full, diff], NIGHTLY, NOW.replace(hour=14, minute=0)).kind is Kind.DIFF


def test_damaged_pages_in_the_full_backup_demand_another_one() -> None:
    assert due([taken(Kind.FULL, HOUR, bad=True)], NIGHTLY, NOW).kind is Kind.FULL


def test_a_differential_backup_with_damaged_pages_covers_nothing() -> None:
    full = taken(Kind.FULL, timedelta(hours=7))
    diff = taken(Kind.DIFF, timedelta(hours=1), full, bad=True)
    assert due([full, diff], NIGHTLY, NOW).kind is Kind.DIFF


def test_a_chain_that_lacks_a_set_is_begun_anew() -> None:
    full = taken(Kind.FULL, timedelta(hours=7))
    diff = taken(Kind.DIFF, timedelta(hours=2), full)
    incr = taken(Kind.INCR, timedelta(hours=1), diff)
    decided = due([full, incr], NIGHTLY, NOW)
    assert decided.kind is Kind.FULL
    assert diff.label in decided.why


schedules = st.builds(
    Schedule,
    st.integers(0, 24 * 60 - 1).map(lambda minutes: timedelta(minutes=minutes)),
    st.integers(1, 48).map(lambda hours: timedelta(hours=hours)),
)
moments = st.datetimes(datetime(2026, 1, 1), datetime(2028, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@given(schedules, moments)
def test_slots_lie_in_the_past_and_are_the_last_ones(schedule: Schedule, now: datetime) -> None:
    full = full_slot(schedule, now)
    assert full <= now < full + DAY
    diff = diff_slot(schedule, now)
    assert full <= diff <= now < diff + schedule.diff


@st.composite
def histories(draw: st.DrawFn, now: datetime) -> tuple[Set, ...]:
    sets: list[Set] = []
    ages = sorted(draw(st.lists(st.integers(1, 60 * 72), max_size=8, unique=True)), reverse=True)
    for minutes in ages:
        fulls = [one for one in sets if one.kind is Kind.FULL]
        kind = draw(st.sampled_from(Kind if fulls else [Kind.FULL]))
        kind = Kind.FULL if kind is Kind.AUTO else kind
        prior = None if kind is Kind.FULL else fulls[-1] if kind is Kind.DIFF else sets[-1]
        sets.append(taken(kind, timedelta(minutes=minutes), prior, bad=draw(st.booleans()), now=now))
    return tuple(draw(st.permutations(sets)))


@given(schedules, moments, st.data())
def test_what_was_due_is_not_due_again_once_it_was_taken(
    schedule: Schedule, now: datetime, data: st.DataObject
) -> None:
    sets = data.draw(histories(now))
    decided = due(sets, schedule, now)
    if decided.kind is Kind.INCR:
        return
    fulls = [one for one in sets if one.kind is Kind.FULL]
    prior = None if decided.kind is Kind.FULL else max(fulls, key=lambda one: one.stopped)
    after = taken(decided.kind, -timedelta(minutes=1), prior, now=now)
    assert due((*sets, after), schedule, now + timedelta(minutes=1)).kind in {Kind.INCR, *_next_slot(schedule, now)}


def _next_slot(schedule: Schedule, now: datetime) -> set[Kind]:
    """A slot that begins within the minute makes something due again."""
    later = now + timedelta(minutes=1)
    full = {Kind.FULL} if full_slot(schedule, later) > now else set[Kind]()
    return full | ({Kind.DIFF} if diff_slot(schedule, later) > now else set[Kind]())


def repository(key: int, *sets: Set, status: int = 0) -> Repository:
    return Repository(key, status if sets or status else 2, "", None, sets)


def facts(*repositories: Repository, **more: object) -> Facts:
    return replace(Facts("main", "main", repositories), **more)  # pyright: ignore[reportArgumentType]


def kinds(of: Facts, wanted: Wanted = AUTO) -> list[tuple[int, Kind]]:
    steps = plan(of, wanted, NIGHTLY, NOW).steps
    return [(s.action.repository, s.action.kind) for s in steps if isinstance(s.action, Take)]


def test_each_repository_gets_what_it_needs_itself() -> None:
    full = taken(Kind.FULL, HOUR)
    assert kinds(facts(repository(1, full), repository(2))) == [(1, Kind.INCR), (2, Kind.FULL)]


def test_an_unreadable_repository_gets_nothing_and_the_others_do() -> None:
    assert kinds(facts(repository(1, status=99), repository(2))) == [(2, Kind.FULL)]


def test_a_kind_that_has_nothing_to_build_on_becomes_full() -> None:
    assert kinds(facts(repository(1)), Wanted(Kind.INCR)) == [(1, Kind.FULL)]
    assert kinds(facts(repository(1, taken(Kind.FULL, HOUR))), Wanted(Kind.DIFF)) == [(1, Kind.DIFF)]


def test_orphans_are_ended_before_anything_else_and_without_a_vault_no_configuration_is_kept() -> None:
    ids = [s.id for s in plan(facts(repository(1), orphans=(Orphan(7, "backup:local"),)), Wanted(), NIGHTLY, NOW).steps]
    assert ids == ["end orphans", "back up to repository 1", "keep configuration"]
    ids = [s.id for s in plan(facts(repository(1), vault=False), Wanted(), NIGHTLY, NOW).steps]
    assert ids == ["back up to repository 1"]


def test_the_configuration_alone_needs_no_backup() -> None:
    ids = [s.id for s in plan(facts(repository(1)), Wanted(configuration_only=True), NIGHTLY, NOW).steps]
    assert ids == ["keep configuration"]


def done(of: Facts, steps: Sequence[Take]) -> Facts:
    """Tell what is there after some steps: the world that the next run observes."""
    more = {step.repository: taken(step.kind, timedelta(0), _base(of, step)) for step in steps}
    return replace(
        of,
        repositories=tuple(
            replace(one, sets=(*one.sets, more[one.key])) if one.key in more else one for one in of.repositories
        ),
    )


def _base(of: Facts, step: Take) -> Set | None:
    if step.kind is Kind.FULL:
        return None
    sets = next(one.sets for one in of.repositories if one.key == step.repository)
    return max((one for one in sets if one.kind is Kind.FULL), key=lambda one: one.stopped)


@given(st.lists(histories(NOW), min_size=1, max_size=3), st.integers(0, 3))
def test_every_prefix_of_a_plan_leaves_the_rest_to_the_next_one(sets: list[tuple[Set, ...]], cut: int) -> None:
    before = facts(*(repository(n, *each) for n, each in enumerate(sets, start=1)))
    steps = [s.action for s in plan(before, Wanted(), NIGHTLY, NOW).steps if isinstance(s.action, Take)]
    after = dict(kinds(done(before, steps[:cut])))
    assert all(after[step.repository] is step.kind for step in steps[cut:])
    assert all(after[step.repository] is Kind.INCR for step in steps[:cut])


@given(st.lists(histories(NOW), min_size=1, max_size=3))
def test_a_finished_plan_leaves_nothing_that_was_due(sets: list[tuple[Set, ...]]) -> None:
    before = facts(*(repository(n, *each) for n, each in enumerate(sets, start=1)))
    steps = [s.action for s in plan(before, Wanted(), NIGHTLY, NOW).steps if isinstance(s.action, Take)]
    assert {kind for _, kind in kinds(done(before, steps))} == {Kind.INCR}
