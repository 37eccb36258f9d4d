"""Expiring, ready to be planned and run: one cluster, under the lock of its backups."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from datetime import datetime

from dbops.config.model import Config
from dbops.engine.finding import Finding
from dbops.engine.plan import Ready, Step
from dbops.engine.run import Run
from dbops.errors import LockBusy, UsageError
from dbops.operations.clusters import locks
from dbops.operations.clusters.expire import check
from dbops.operations.clusters.expire import plan as planning
from dbops.operations.clusters.expire.apply import Doing, apply
from dbops.operations.clusters.expire.facts import Action, Promise, Simulated
from dbops.operations.clusters.expire.observe import observe


def targets(config: Config, names: Sequence[str]) -> list[str]:
    """List the clusters that have a stanza, or those that are asked for."""
    for name in names:
        if name not in config.cluster:
            raise UsageError(f"{name!r} is no cluster", hint=f"one of: {', '.join(config.cluster)}")
    return [name for name, place in config.cluster.items() if (name in names if names else place.stanza is not None)]


def promise(config: Config, target: str) -> Promise:
    told = config.cluster[target].backup
    return Promise(told.keep, told.keep_for, {one.label: one.reason for one in told.hold})


@contextmanager
def expire(
    config: Config, target: str, run: Run, *, now: datetime, met: list[Finding], told: dict[str, Sequence[Simulated]]
) -> Generator[Ready[Action]]:
    """Plan what is past its retention; `met` grows with what is found when the plan was run."""
    place, promised = config.cluster[target], promise(config, target)
    with locks.held(config, target, run) as guard:
        seen = observe(place, (), target=target)
        if seen.backup_running and not run.plan_only:
            raise LockBusy(
                "a backup is running, and nothing is expired beside it",
                hint="run it again when that is done: dbops backup list",
                target=target,
            )
        wanted = planning.plan(target, seen.holdings, promised, now)
        told[target] = [planning.simulated(each, promised, now) for each in seen.holdings]
        findings = [
            *guard.findings,
            *seen.findings,
            *check.judged(target, seen.holdings, promised, now),
        ]
        doing = Doing(place, target, {each.repository: each for each in seen.holdings})
        wished = {each.repository: planning.left_of(each, promised, now) for each in seen.holdings}
        last = wanted.steps[-1].id if wanted.steps else None

        def do(step: Step[Action]) -> None:
            apply(doing, step.action)
            if step.id == last:  # look again: what is left has to be what was simulated
                met.extend(check.compared(target, wished, observe(place, (), target=target).holdings, doing.removed))

        yield Ready(wanted, do, guard, tuple(findings))
