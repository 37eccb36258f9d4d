"""Restoring, ready to be planned and run: one partition of one database, under the lock of its partitions."""

from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from functools import partial

from dbops.config.model import Config
from dbops.engine.finding import Finding, Severity
from dbops.engine.plan import Ready, Step
from dbops.engine.run import Run
from dbops.errors import Refused
from dbops.operations.partitions import restore_plan as planning
from dbops.operations.partitions.observe import parse
from dbops.operations.partitions.restore_apply import SUBJECT, Doing, apply
from dbops.operations.partitions.restore_facts import Action, Wanted
from dbops.operations.partitions.restore_observe import find, observe
from dbops.operations.partitions.retire_ready import vaulted_by
from dbops.stores import databases, postgres


@contextmanager
def restore(
    config: Config, target: str, name: str, run: Run, now: datetime, *, attached: bool
) -> Generator[Ready[Action]]:
    """Plan to bring a retired partition back. Lock subject: partition."""
    del now
    place, vaulted = config.postgres[target], vaulted_by(config)
    kept = find(vaulted.store(), target, name)
    with postgres.connect(place, run, target=target) as connection, ExitStack() as stack:
        guard: Callable[[], None] = lambda: None  # noqa: E731
        if not run.plan_only:
            postgres.reap_dead_runs(connection, target)
            guard = stack.enter_context(postgres.only_run(place, run, target=target, subject=SUBJECT))
        wanted = observe(connection, kept, target=target, attached=attached)
        span, _ = parse(kept.bound)
        refused = planning.refusal(wanted, span)
        if refused is not None:
            raise Refused(refused[0], hint=refused[1], target=target)
        doing = Doing(connection, run, target, vaulted, partial(databases.administrator, config, target, run))

        def do(step: Step[Action]) -> None:
            with postgres.translated(target):
                apply(doing, step)

        yield Ready(planning.plan(wanted, span), do, guard, tuple(_told(wanted)))


def _told(wanted: Wanted) -> Generator[Finding]:
    label = wanted.kept.label
    if wanted.is_attached:
        yield Finding(Severity.INFO, "partition_attached", wanted.target, f"{label} is a part of its table already")
    elif wanted.there is not None and not wanted.attached:
        told = f"{label} is there already: {wanted.there.schema}.{wanted.there.name}"
        yield Finding(Severity.INFO, "partition_there", wanted.target, told)
