"""The end of a change, ready to be planned and run: under the lock of the change, and that of the schema."""

from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

from dbops.config.model import Config
from dbops.engine.patience import Ramp
from dbops.engine.plan import Plan, Ready, Step
from dbops.engine.run import Run
from dbops.errors import CouldNotVerify, Refused, UsageError
from dbops.operations.migrate import apply as revising
from dbops.operations.migrate import asking, checksum, complete, drift, history, open_changes
from dbops.operations.migrate import check as refusing
from dbops.operations.migrate import plan as revisions
from dbops.operations.migrate.contract import check, committed, plan, written
from dbops.operations.migrate.contract.apply import Doing, apply, prove_looked, prove_overrides
from dbops.operations.migrate.contract.facts import Backups, Facts, Gate
from dbops.operations.migrate.contract.observe import observe
from dbops.operations.migrate.facts import History, Revision
from dbops.operations.migrate.life import State
from dbops.operations.migrate.observe import observe as look_at
from dbops.operations.migrate.open_changes import Work
from dbops.stores import databases, postgres

_RAMP = Ramp()


class GatesClosed(Refused):
    """Some gate is closed, or could not be looked at."""

    def __init__(self, facts: Facts, gates: Sequence[Gate]) -> None:
        closed = [gate for gate in gates if not gate.open]
        names = ", ".join(f"{gate.name} ({gate.passed})" for gate in closed)
        super().__init__(
            f"change {facts.change} may not be contracted: {names}",
            hint='each gate says what opens it; --override GATE --reason "..." goes through all the same, on record',
            target=facts.target,
        )
        self.gates, self.now = tuple(gates), facts.now


@dataclass(frozen=True, slots=True)
class Override:
    """The gates that an operator goes through all the same, and why."""

    gates: tuple[str, ...] = ()
    reason: str = ""

    def __post_init__(self) -> None:
        for name in self.gates:
            if name not in check.JUDGES:
                raise UsageError(f"there is no gate {name!r}", hint=f"one of: {', '.join(check.JUDGES)}")
        if self.gates and not self.reason.strip():
            raise UsageError("--override wants a reason", hint='--reason "...": it is shown for ever')
        if self.reason and not self.gates:
            raise UsageError("--reason is for --override GATE", hint=f"one of: {', '.join(check.JUDGES)}")


_NONE = Override()


@contextmanager
def contract(
    config: Config,
    path: Path,
    target: str,
    run: Run,
    now: datetime,
    *,
    change: str,
    backups: Backups,
    override: Override = _NONE,
    told: list[Gate] | None = None,
    ramp: Ramp = _RAMP,
) -> Generator[Ready[plan.Action]]:
    """Plan the contraction of a change whose gates are open. Lock subjects: change:NAME, schema."""
    if (why := _nothing_left(config, path, target, run, change)) is not None:
        yield Ready(Plan(target, f"contract {change}: {why}"), _nothing)
        return
    with open_changes.at_work(config, path, target, run, change) as work, ExitStack() as stack:
        guards = [work.guard]
        if not run.plan_only:
            place = config.postgres[target]
            guards.append(stack.enter_context(postgres.only_run(place, run, target=target, subject=revising.SUBJECT)))
        _refuse(work)
        revision = _revision(config, path, work)
        facts, gates = _gates(config, work, run, now, backups=backups, override=override)
        if told is not None:
            told += gates
        left = _left(work, revision)
        doing: list[Doing] = []

        def do(step: Step[plan.Action]) -> None:
            if not doing:
                revise = _worker(stack, config, path, work, run=run, ramp=ramp)
                doing.append(Doing(config, target, change, run, work.connection, revise, _predicted(facts)))
            apply(doing[0], step)

        def guard() -> None:
            for one in guards:
                one()

        yield Ready(plan.contract(facts, gates, left), do, guard, findings=tuple(check.findings(target, gates, now)))


@contextmanager
def write(
    config: Config,
    path: Path,
    target: str,
    run: Run,
    now: datetime,
    *,
    change: str,
    backups: Backups,
    override: Override = _NONE,
    told: list[Gate] | None = None,
) -> Generator[Ready[plan.Action]]:
    """Plan to write the revision that contracts, behind the head. Lock subject: change:NAME."""
    if (why := _nothing_left(config, path, target, run, change)) is not None:
        yield Ready(Plan(target, f"write the revision that contracts {change}: {why}"), _nothing)
        return
    with open_changes.at_work(config, path, target, run, change) as work:
        _refuse(work)
        if work.change.contract is not None:
            yield Ready(Plan(target, f"write the revision that contracts {change}: it is there"), _nothing)
            return
        facts, gates = _gates(config, work, run, now, backups=backups, override=override)
        if told is not None:
            told += gates
        file, text = _text(config, path, work)
        planned = plan.write(facts, gates, path=str(file), text=text)

        def do(step: Step[plan.Action]) -> None:
            prove_overrides(work.connection, run, gates, target=target, change=change)
            apply(Doing(config, target, change, run, work.connection, _no_revision), step)

        yield Ready(planned, do, work.guard, findings=tuple(check.findings(target, gates, now)))


def _nothing(step: Step[plan.Action]) -> None:
    raise AssertionError(f"there is nothing to do: {step.id}")


def _no_revision(step: Step[revisions.Action]) -> None:
    raise AssertionError(f"no revision is run: {step.id}")


def _nothing_left(config: Config, path: Path, target: str, run: Run, change: str) -> str | None:
    with open_changes.connected(config, path, target, run) as (known, _):
        found = open_changes.one(known, change)
    if found.contracted:
        return "it is contracted"
    if found.shape is not None and complete.nothing_goes_away(change, found.shape):
        return "nothing of it goes away"
    return None


def _refuse(work: Work) -> None:
    """Refuse before any gate: what is known must be of this database, and what was made must still be there."""
    change, target = work.change, work.known.target
    if change.life.elsewhere:
        raise CouldNotVerify(
            f"what is known of change {change.id} was found in another database: unknown here, re-verify",
            hint=f"dbops migrate verify {change.id} --target {target}, then switch",
            target=target,
        )
    if change.life.state not in {State.VERIFIED, State.SWITCHED}:
        raise Refused(
            f"change {change.id} is {change.life.state}: only what is verified or switched can be contracted",
            hint=f"dbops migrate status --target {target}",
            target=target,
        )
    life, here = change.life, work.known.here
    drift.refuse(work.connection, target=target, change=change.id, shape=work.shape, life=life, here=here)


def _predicted(facts: Facts) -> dict[str, float]:
    """Tell what each revision took when this very plan was rehearsed."""
    proof = facts.rehearsed
    if proof is None or proof.detail.get("plan") != facts.checksum:
        return {}
    return dict(proof.detail.get("revisions", {}))


def _revision(config: Config, path: Path, work: Work) -> Revision:
    """Find the revision that contracts: written, committed, of the same shape, and next in turn."""
    known, change, target = work.known, work.change, work.known.target
    found = change.contract
    if found is None:
        raise Refused(
            f"there is no revision that contracts {change.id}",
            hint=f"dbops migrate contract {change.id} --target {target} --write",
            target=target,
        )
    if found.shape is None or checksum.of(change.id, found.shape) != checksum.of(change.id, work.shape):
        raise Refused(
            f"revision {found.id} has another shape than {change.expand.id if change.expand else 'its expand'}",
            hint="a contraction repeats the shape of its expand revision; write it anew: --write",
            target=target,
        )
    before = [one.id for one in known.history.after(known.stamp)]
    if before[0] != found.id:
        raise Refused(
            f"revision {before[0]} is to run before {found.id}",
            hint=f"dbops migrate up --target {target} --to {before[before.index(found.id) - 1]}",
            target=target,
        )
    folder, section = history.folder(config, path), history.section(config, target)
    committed.refuse_uncommitted(history.files(folder, section, target)[found.id], target=target)
    return found


def _gates(
    config: Config, work: Work, run: Run, now: datetime, *, backups: Backups, override: Override
) -> tuple[Facts, tuple[Gate, ...]]:
    """Look through all gates; go on only when each of them is open."""
    facts = observe(config, work, run, now, backups)
    gates = check.overridden(check.gates(facts), override.gates, override.reason)
    where = {"target": facts.target, "change": facts.change}
    prove_looked(work.connection, run, gates, facts.checksum, **where)
    if not all(gate.open for gate in gates):
        raise GatesClosed(facts, gates)
    return facts, gates


def _left(work: Work, revision: Revision) -> Sequence[Step[revisions.Action]]:
    """Plan the one revision as `up` would."""
    known = work.known.history
    database = look_at(work.connection, known, target=known.target)
    until = History(known.target, known.folder, known.until(revision.id), known.roles, known.extensions)
    for message, hint in refusing.refusals(until, database, going_up=True):
        raise Refused(message, hint=hint, target=known.target)
    return revisions.up(until, database, (), revision.id).steps


def _worker(
    stack: ExitStack, config: Config, path: Path, work: Work, *, run: Run, ramp: Ramp
) -> Callable[[Step[revisions.Action]], None]:
    target = work.known.target
    administrator = partial(databases.administrator, config, target, run)
    shared: list[revising.Doing] = []

    def revise(step: Step[revisions.Action]) -> None:
        if not shared:
            folder, section = history.folder(config, path), history.section(config, target)
            about = asking.about(folder, section, target, run, config=path)
            ask, backend = stack.enter_context(asking.worker(about))
            shared.append(revising.Doing(target, work.connection, administrator, ask, backend, ramp))
        revising.apply(shared[0], step)

    return revise


def _text(config: Config, path: Path, work: Work) -> tuple[Path, str]:
    known, change = work.known, work.change
    folder, section = history.folder(config, path), history.section(config, known.target)
    files = history.files(folder, section, known.target)
    assert change.expand is not None  # noqa: S101  # at_work has seen it
    assert known.history.head is not None  # noqa: S101
    source = files[change.expand.id]
    identity = written.revision_id(change.expand.id, "contract")
    text = written.text(
        source.read_text(encoding="utf-8"),
        change=change.id,
        expand=change.expand.id,
        behind=known.history.head,
        phase="contract",
        about=f"Contract {change.id}: {change.expand.summary}",
        impact=change.impact,
    )
    return source.with_name(written.file_name(identity, change.id)), text
