"""The plan of a sandbox: what is missing is planned, whatever was killed when."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from dbops.engine.plan import Risk
from dbops.sandbox import plan
from dbops.sandbox.facts import DATABASES, SECRETS, Archive, Facts, ScratchCopy, State

COPIES = st.builds(
    ScratchCopy, st.sampled_from(["a", "b", "c"]), st.just("/srv/copy"), at_work=st.booleans(), elsewhere=st.booleans()
)
TARGETS = st.frozensets(st.sampled_from(sorted(DATABASES)))


@st.composite
def worlds(draw: st.DrawFn) -> Facts:
    cluster = draw(st.sampled_from(State))
    seen = draw(TARGETS), draw(TARGETS)
    if cluster is State.ABSENT:
        seen = frozenset[str](), frozenset[str]()
    return Facts(
        home="/srv/sandbox",
        exists=True,
        secrets=draw(st.frozensets(st.sampled_from(SECRETS))),
        cluster=cluster,
        owners=seen[0] if cluster in (State.RUNNING, State.ABSENT) else None,
        databases=seen[1] if cluster in (State.RUNNING, State.ABSENT) else None,
        archive=draw(st.sampled_from(Archive)),
        cache=draw(st.sampled_from(State)),
        workflows=draw(st.sampled_from(State)),
        search=draw(st.sampled_from(State)),
        vault=draw(st.booleans()),
        configured=draw(st.booleans()),
        copies=tuple(draw(st.lists(COPIES, max_size=3, unique_by=lambda copy: copy.name))),
    )


def after(facts: Facts, action: plan.Action) -> Facts:
    """Tell what is seen once an action was done: a model of the world in a few lines."""
    match action:
        case plan.WriteSecrets(names):
            return replace(facts, secrets=facts.secrets | set(names))
        case plan.Initialise():
            return replace(facts, cluster=State.STOPPED, owners=None, databases=None)
        case plan.StartCluster():
            return replace(
                facts,
                cluster=State.RUNNING,
                owners=facts.owners or frozenset(),
                databases=facts.databases or frozenset(),
            )
        case plan.EnsureOwner(target):
            return replace(facts, owners=(facts.owners or frozenset()) | {target})
        case plan.EnsureDatabase(target):
            return replace(facts, databases=(facts.databases or frozenset()) | {target})
        case plan.CreateStanza():
            return replace(facts, archive=Archive.CREATED)
        case plan.CheckArchiving():
            return replace(facts, archive=Archive.ARCHIVING)
        case plan.StartCache():
            return replace(facts, cache=State.RUNNING)
        case plan.StartEmulator(target):
            return replace(facts, **{target: State.RUNNING}, configured=False)  # its port may be another one now
        case plan.StopEmulator(target):
            return replace(facts, **{target: State.STOPPED})
        case plan.MakeVault():
            return replace(facts, vault=True)
        case plan.WriteConfig():
            return replace(facts, configured=True)
        case plan.StopCache():
            return replace(facts, cache=State.STOPPED)
        case plan.StopCluster():
            return replace(facts, cluster=State.STOPPED, owners=None, databases=None)
        case plan.StopCopy(name):
            kept = (replace(copy, at_work=False) if copy.name == name else copy for copy in facts.copies)
            return replace(facts, copies=tuple(kept))
        case plan.RemoveCopy(name):
            return replace(facts, copies=tuple(copy for copy in facts.copies if copy.name != name))
        case plan.RemoveFiles():
            return Facts(facts.home)


def carried_out(facts: Facts, steps: int | None = None, **way: bool) -> Facts:
    wanted = plan.down(facts, purge=way["purge"]) if way else plan.up(facts)
    for step in wanted.steps[:steps]:
        facts = after(facts, step.action)
    return facts


@given(worlds())
def test_a_finished_up_leaves_nothing_to_do(facts: Facts) -> None:
    done = carried_out(facts)
    assert plan.up(done).steps == ()
    assert done.complete


@given(worlds(), st.booleans())
def test_a_finished_down_leaves_nothing_to_do(facts: Facts, purge: bool) -> None:
    done = carried_out(facts, purge=purge)
    assert plan.down(done, purge=purge).steps == ()
    assert done.exists is not purge


@given(worlds(), st.integers(0, 30))
def test_every_prefix_of_an_up_can_be_continued(facts: Facts, cut: int) -> None:
    left = [step.action for step in plan.up(facts).steps[cut:]]
    found = [step.action for step in plan.up(carried_out(facts, cut)).steps]
    assert set(left) <= set(found) or facts.cluster is not State.RUNNING
    assert carried_out(carried_out(facts, cut)).complete


@given(worlds(), st.integers(0, 5))
def test_every_prefix_of_a_purge_can_be_continued(facts: Facts, cut: int) -> None:
    steps = plan.down(facts, purge=True).steps
    assert plan.down(carried_out(facts, cut, purge=True), purge=True).steps == steps[cut:]


@given(worlds())
def test_bringing_up_is_safe_and_only_a_purge_asks(facts: Facts) -> None:
    assert plan.up(facts).risk is Risk.SAFE
    assert plan.down(facts, purge=False).risk is Risk.SAFE
    assert plan.down(facts, purge=True).risk is Risk.BLOCKS


def test_ids_of_steps_are_unique() -> None:
    ids = [step.id for step in plan.up(Facts("/srv/sandbox")).steps]
    assert len(ids) == len(set(ids))
