"""What retiring plans: nothing when it is done, and from any point of a run what is left of it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import assert_never

from hypothesis import assume, given
from hypothesis import strategies as st

from dbops.operations.partitions import retire_ledger as ledger
from dbops.operations.partitions.facts import Wish
from dbops.operations.partitions.retire_facts import (
    Action,
    Compare,
    Copied,
    Detach,
    Drop,
    Export,
    Finalize,
    InstallLedger,
    Part,
    Retired,
    Seal,
    Shelve,
    grace_schema,
)
from dbops.operations.partitions.retire_plan import due, findings, plan

NOW = datetime(2026, 6, 15, tzinfo=UTC)
_COPY = Copied("postgres/app/x-partition/", "digest", 7)


def month(number: int, **told: object) -> Part:
    begin = datetime(2025 + (number - 1) // 12, (number - 1) % 12 + 1, 1, tzinfo=UTC)
    end = datetime(2025 + number // 12, number % 12 + 1, 1, tzinfo=UTC)
    part = Part(number, "public", f"t_{number}", "public", "", begin, end, keep=timedelta(days=100))
    return replace(part, **told)  # pyright: ignore[reportArgumentType]


def _part(number: int, told: dict[str, object]) -> Part:
    return month(number, **told)


def _table(found: list[Part], default: str | None) -> Retired:
    pending = tuple((part.schema, part.name) for part in found if part.pending)
    return Retired("app", 1, "public", "t", "at", tuple(found), default, pending)


parts = st.builds(
    _part,
    st.integers(1, 20),
    st.fixed_dictionaries(
        {},
        optional={
            "grantees": st.just(("app",)),
            "foreign_keys": st.just(("t_fkey",)),
            "held": st.just("case 7"),
            "unknown": st.just(("strange",)),
            "referenced_by": st.just(("public.notes",)),
            "leaf": st.just(False),
            "empty": st.just(True),
            "pending": st.booleans(),
            "copied": st.sampled_from([_COPY, replace(_COPY, in_vault=False)]),
            "restored": st.sampled_from([NOW - timedelta(days=1), NOW - timedelta(days=30)]),
        },
    ),
)
tables = st.builds(
    _table,
    st.lists(parts, max_size=6, unique_by=lambda part: part.oid),
    st.sampled_from([None, "public.t_rest"]),
)
wishes = st.builds(
    Wish,
    st.just(("public", "t")),
    action=st.sampled_from(["archive", "detach", "drop"]),
    grace=st.sampled_from([timedelta(0), timedelta(days=7)]),
)


def after(table: Retired, actions: list[Action]) -> Retired:
    for action in actions:
        table = _after(table, action)
    return table


def _after(table: Retired, action: Action) -> Retired:
    """Do to a model what apply does to a server."""
    match action:
        case InstallLedger():
            return replace(table, ledger=())
        case Finalize(schema, name):
            left = tuple(part for part in table.parts if (part.schema, part.name) != (schema, name))
            return replace(table, parts=left, pending=tuple(one for one in table.pending if one != (schema, name)))
        case Export(part):
            return _with(table, part, copied=_COPY, agreed=False, grace_since=None)
        case Detach(part):
            pending = tuple(one for one in table.pending if one != (part.schema, part.name))
            return replace(_with(table, part, attached=False, pending=False), pending=pending)
        case Seal(part):
            return _with(table, part, sealed=True, grantees=(), foreign_keys=(), agreed=False)
        case Compare(part):
            return _with(table, part, agreed=True)
        case Shelve(part):
            return _with(table, part, schema=grace_schema(part.home), grace_since=NOW)
        case Drop(part):
            return replace(table, parts=tuple(one for one in table.parts if one.oid != part.oid))
        case _:
            assert_never(action)


def _with(table: Retired, part: Part, **told: object) -> Retired:
    changed = [replace(one, **told) if one.oid == part.oid else one for one in table.parts]  # pyright: ignore[reportArgumentType]
    return replace(table, parts=tuple(changed))


@given(tables, wishes)
def test_a_finished_plan_leaves_nothing_to_do(table: Retired, wish: Wish) -> None:
    actions = [step.action for step in plan(table, wish, NOW).steps]
    assert plan(after(table, actions), wish, NOW).steps == ()


@given(tables, wishes)
def test_every_prefix_of_a_plan_can_be_continued(table: Retired, wish: Wish) -> None:
    steps = plan(table, wish, NOW).steps
    for cut in range(len(steps)):
        left = plan(after(table, [step.action for step in steps[:cut]]), wish, NOW).steps
        assert sorted(step.id for step in left) == sorted(step.id for step in steps[cut:])


@given(tables, wishes)
def test_nothing_is_dropped_that_is_young_held_referred_to_or_unknown(table: Retired, wish: Wish) -> None:
    for step in plan(table, wish, NOW).steps:
        part = getattr(step.action, "part", None)
        if part is not None:
            assert part.held is None
            assert part.leaf
            assert not part.referenced_by
            assert part.end <= NOW
            if part.attached:
                assert not part.unknown
                assert part.end + part.keep <= NOW


@given(tables, wishes)
def test_what_is_archived_is_exported_compared_and_dropped_in_this_order(table: Retired, wish: Wish) -> None:
    assume(wish.action == "archive")
    order = [Export, Detach, Seal, Compare, Shelve, Drop]
    steps = plan(table, wish, NOW).steps
    for part in table.parts:
        mine = [type(step.action) for step in steps if getattr(step.action, "part", None) == part]
        started = [kind for kind in mine if kind is not Detach or not part.pending]  # a pending detach comes first
        assert started == [kind for kind in order if kind in started]
        if Drop in mine:
            assert Compare in mine


def test_the_last_partition_with_an_end_is_never_due() -> None:
    table = Retired("app", 1, "public", "t", "at", (month(1), month(2)))
    assert due(table, table.parts[0], NOW)
    assert not due(table, table.parts[1], NOW)


def test_an_empty_partition_stays_while_an_older_one_does_or_ensure_would_fill_the_gap_again() -> None:
    wish = Wish(("public", "t"))
    held, empty, last = month(1, held="case 7"), month(2, empty=True), month(3)
    assert plan(Retired("app", 1, "public", "t", "at", (held, empty, last)), wish, NOW).steps == ()
    assert plan(Retired("app", 1, "public", "t", "at", (empty, last)), wish, NOW).steps != ()
    assert plan(Retired("app", 1, "public", "t", "at", (month(1), empty, last)), wish, NOW).steps != ()


def test_on_a_standby_it_is_skipped_and_says_so() -> None:
    table = Retired("app", 1, "public", "t", "at", (month(1), month(2)), standby=True)
    wish = Wish(("public", "t"))
    assert plan(table, wish, NOW).steps == ()
    assert [one.code for one in findings(table, wish, NOW)] == ["partition_standby"]


def test_a_new_copy_makes_the_grace_begin_anew() -> None:
    past = {"oid": 1, "home": "public", "name": "t_1", "parent": "public.t", "bound": ""}
    copy = {"oid": 1, "folder": "f/", "digest": "d", "rows": 1}
    told = [(NOW, kind, past | copy) for kind in ("PartitionExported", "PartitionLeft", "PartitionSealed")]
    told += [(NOW, kind, past) for kind in ("PartitionAgreed", "PartitionShelved")]
    assert ledger.stories(told)[1].grace_since == NOW
    again = ledger.stories([*told, (NOW, "PartitionExported", copy | {"digest": "e"})])[1]
    assert (again.grace_since, again.agreed, again.copied) == (None, False, Copied("f/", "e", 1))


def test_what_another_family_writes_into_the_ledger_is_passed_over() -> None:
    assert ledger.stories([(NOW, "PartitionElse", {"oid": 1})])[1] == ledger.Story()


def test_the_grace_schema_of_a_long_name_is_a_name_still() -> None:
    assert grace_schema("public") == "dbops_grace"
    assert grace_schema("tenant") == "dbops_grace_tenant"
    assert len(grace_schema("ü" * 60).encode()) <= 63
