"""What a rehearsal plans, and what its figures mean."""

import pytest

from dbops.engine.finding import Severity
from dbops.operations.migrate.life import State
from dbops.operations.migrate.rehearse import check, plan
from dbops.operations.migrate.rehearse.facts import Held, Phase, Traffic, evidence
from dbops.operations.migrate.rehearse.watch import Watched
from dbops.operations.migrate.shapes.columns import Columns, New
from dbops.operations.migrate.shapes.index import Index
from dbops.operations.migrate.shapes.shape import Shape

RENAME = Columns(
    table="users",
    old=("name",),
    new=(New("full_name", "text"),),
    up={"full_name": "r.name"},
    down={"name": "r.full_name"},
)
INDEX = Index("users", "users_name", "(name)")


def facts(shape: Shape, state: State = State.PLANNED, *, expanded: bool = False) -> plan.Facts:
    return plan.Facts("main", "c", shape, state, expanded, "f" * 64, 8192, "by a test", 4)


@pytest.mark.parametrize(
    ("asked", "phases"),
    [
        (facts(RENAME), ("expand", "backfill", "verify", "switch", "contract")),
        (facts(RENAME, State.EXPANDED, expanded=True), ("backfill", "verify", "switch", "contract")),
        (facts(RENAME, State.VERIFIED, expanded=True), ("backfill", "verify", "switch", "contract")),
        (facts(RENAME, State.SWITCHED, expanded=True), ("verify", "contract")),
        (facts(INDEX), ("expand", "verify")),
    ],
)
def test_what_is_left_of_the_life_is_rehearsed(asked: plan.Facts, phases: tuple[str, ...]) -> None:
    assert plan.phases(asked) == phases
    assert [step.id for step in plan.plan(asked).steps] == ["copy", *phases, "prove"]


def test_what_failed_is_bad_and_a_rewrite_is_warned_of() -> None:
    good, broken = Phase("expand", 5, 5, rewritten=("public.users",)), Phase("switch", 1, 1, error="no")
    met = Phase("backfill", 5, 5, load=Traffic(7, {"42703": 2, "40P01": 1}))
    assert (check.good([good]), check.good([good, broken]), check.good([met])) == (True, False, False)
    found = list(check.findings("main", [good, met, broken]))
    assert [(one.code, one.severity) for one in found] == [
        ("DBM603", Severity.WARNING),
        ("DBM602", Severity.BAD),
        ("DBM601", Severity.BAD),
    ]
    assert "3 transactions" in found[1].message


def test_the_evidence_is_what_the_gate_and_the_contraction_read() -> None:
    phases = (Phase("expand", 5.4, 5.4, revisions={"a": 4.6}), Phase("contract", 3.2, 3.2, revisions={"b": 3.1}))
    told = evidence("sum", phases, ok=True, copied="here")
    assert (told["plan"], told["ok"], told["took_ms"], told["revisions"]) == ("sum", True, 9, {"a": 5, "b": 3})


def test_samples_add_up_to_what_was_held_and_awaited() -> None:
    watched = Watched()
    watched.add({("public.t", "AccessExclusiveLock", False)}, 5)
    watched.add({("public.t", "AccessExclusiveLock", True), ("public.u", "ShareLock", True)}, 7)
    watched.add({("public.t", "AccessExclusiveLock", True)}, 2)
    assert watched.locks() == (
        Held("public.t", "ACCESS EXCLUSIVE", 9, 5),
        Held("public.u", "SHARE", 7, 0),
    )
