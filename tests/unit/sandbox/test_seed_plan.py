"""The plan of a seed: what is missing, what is left alone, and what is refused."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from dbops.engine.plan import Statement
from dbops.sandbox.seed import plan
from dbops.sandbox.seed.facts import Facts, Part

SEED = "small until 2026-11-01"
names = st.sampled_from(["users", "agents", "audit_logs", "leases"])


@st.composite
def parts(draw: st.DrawFn, name: str) -> Part:
    """A part that no stranger has touched."""
    filled = draw(st.booleans())
    exists = filled or draw(st.booleans())
    begun = filled or (exists and draw(st.booleans()))
    return Part(
        name,
        0 if name == "leases" else draw(st.integers(1, 10**6)),
        exists=exists,
        holds=(filled and draw(st.booleans())) or (begun and draw(st.booleans())),
        begun=SEED if begun else None,
        filled=SEED if filled else None,
    )


@st.composite
def worlds(draw: st.DrawFn) -> Facts:
    found = tuple(draw(parts(name)) for name in draw(st.lists(names, unique=True)))
    made = {part.name: (Statement(f"CREATE TABLE {part.name}_2026_10"),) for part in found if draw(st.booleans())}
    return Facts("agent_studio", "rows", found, made)


def after(facts: Facts, action: plan.Action) -> Facts:
    """What the world is when an action is done."""

    def changed(name: str, **more: object) -> Facts:
        return replace(facts, parts=tuple(replace(p, **more) if p.name == name else p for p in facts.parts))

    match action:
        case plan.Create(name):
            return changed(name, exists=True)
        case plan.Partition(name, _):
            return replace(facts, partitions={k: v for k, v in facts.partitions.items() if k != name})
        case plan.Fill(name):
            return changed(name, holds=True, filled=SEED)
        case plan.Warm():
            return changed("keys", missing=0)


@given(worlds())
def test_a_finished_plan_leaves_nothing_to_do(facts: Facts) -> None:
    for step in plan.fill(facts, SEED).steps:
        facts = after(facts, step.action)
    assert plan.fill(facts, SEED).steps == ()


@given(worlds())
def test_every_prefix_of_a_plan_can_be_continued(facts: Facts) -> None:
    steps = plan.fill(facts, SEED).steps
    for cut, step in enumerate(steps):
        assert plan.fill(facts, SEED).steps == steps[cut:]
        facts = after(facts, step.action)


@given(worlds())
def test_what_is_the_seeds_own_is_never_refused(facts: Facts) -> None:
    assert list(plan.refusals(facts, SEED)) == []


def test_rows_of_somebody_else_are_refused() -> None:
    facts = Facts("audit", "rows", (Part("audit_events", 4000, holds=True), Part("reports", 3)))
    assert [message for message, _ in plan.refusals(facts, SEED)] == [
        "audit_events holds something already, and no seed has put it there"
    ]


def test_another_seed_is_refused_even_where_it_was_only_begun() -> None:
    other = "medium until 2026-11-01"
    for part in (Part("events", 720, holds=True, filled=other), Part("events", 720, holds=True, begun=other)):
        facts = Facts("workflows", "documents", (part,))
        assert "another seed: medium" in next(plan.refusals(facts, SEED))[0]


def test_what_was_filled_and_emptied_is_filled_again() -> None:
    facts = Facts("audit", "rows", (Part("audit_events", 4000, holds=False, filled=SEED),))
    assert [step.id for step in plan.fill(facts, SEED).steps] == ["fill audit_events"]


def test_a_cache_is_warmed_as_far_as_it_is_cold() -> None:
    facts = Facts("cache", "keys", (Part("keys", 700, missing=12),))
    assert [step.summary for step in plan.warm(facts, SEED).steps] == ["write 12 of 700 keys"]
    assert plan.warm(after(facts, plan.Warm()), SEED).steps == ()
