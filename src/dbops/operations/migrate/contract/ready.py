"""The end of a change, ready to be planned and run: under the lock of the change, and that of the schema."""

from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path

from dbops.config.model import Config
from dbops.engine.patience import Ramp
from dbops.engine.plan import Plan, Ready, Step
from dbops.engine.run import Run
from dbops.errors import Refused
from dbops.operations.migrate import apply as revising
from dbops.operations.migrate import asking, checksum, history, open_changes
from dbops.operations.migrate import check as refusing
from dbops.operations.migrate import plan as revisions
from dbops.operations.migrate.contract import check, committed, looking, plan
from dbops.operations.migrate.contract.apply import Doing, apply
from dbops.operations.migrate.contract.facts import Backups, Gate
from dbops.operations.migrate.facts import History, Revision
from dbops.operations.migrate.observe import observe as look_at
from dbops.operations.migrate.open_changes import Work
from dbops.stores import databases, postgres

_RAMP = Ramp()


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
    override: looking.Override = looking.NONE,
    told: list[Gate] | None = None,
    ramp: Ramp = _RAMP,
) -> Generator[Ready[plan.Action]]:
    """Plan the contraction of a change whose gates are open. Lock subjects: change:NAME, schema."""
    if (why := looking.nothing_left(config, path, target, run, change)) is not None:
        yield Ready(Plan(target, f"contract {change}: {why}"), _nothing)
        return
    with open_changes.at_work(config, path, target, run, change) as work, ExitStack() as stack:
        guards = [work.guard]
        if not run.plan_only:
            place = config.postgres[target]
            guards.append(stack.enter_context(postgres.only_run(place, run, target=target, subject=revising.SUBJECT)))
        looking.refuse(work)
        facts, gates = looking.through_gates(config, work, run, now, backups=backups, override=override)
        if told is not None:
            told += gates
        revision = _revision(config, path, work)
        left = _left(work, revision)
        doing: list[Doing] = []

        def do(step: Step[plan.Action]) -> None:
            if not doing:
                revise = _worker(stack, config, path, work, run=run, ramp=ramp)
                doing.append(Doing(config, target, change, run, work.connection, revise))
            apply(doing[0], step)

        def guard() -> None:
            for one in guards:
                one()

        yield Ready(plan.contract(facts, gates, left), do, guard, findings=tuple(check.findings(target, gates, now)))


def _nothing(step: Step[plan.Action]) -> None:
    raise AssertionError(f"there is nothing to do: {step.id}")


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
            shared.append(
                revising.Doing(
                    target, work.connection, administrator, ask, backend, ramp, run, revising.phases(work.known.history)
                )
            )
        revising.apply(shared[0], step)

    return revise
