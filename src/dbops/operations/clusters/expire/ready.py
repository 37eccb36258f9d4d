"""Expiring, ready to be planned and run: one cluster, under the lock of its backups."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from datetime import datetime

from dbops.config.model import Cluster, Config
from dbops.engine.finding import Finding
from dbops.engine.plan import Ready, Step
from dbops.engine.run import Run
from dbops.errors import DbopsError, LockBusy, UsageError
from dbops.operations.clusters import locks, remembered
from dbops.operations.clusters.expire import check, sizes
from dbops.operations.clusters.expire import plan as planning
from dbops.operations.clusters.expire.apply import Doing, apply, ask
from dbops.operations.clusters.expire.facts import Action, Holding, Promise, Simulated, Sized
from dbops.operations.clusters.expire.observe import observe
from dbops.operations.clusters.take import orphans
from dbops.operations.clusters.take.failures import explained
from dbops.stores.pgbackrest.program import refuse_wrong_account
from dbops.stores.vault import Store


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
    refuse_wrong_account(place, target=target)
    with locks.held(config, target, run) as guard, locks.unread(run, target):
        memory = remembered.memory(config, run.state_dir)
        known = remembered.recall(memory.store, target)  # without it the last verified set could not be told
        seen = observe(place, known, target=target)
        freed = () if run.plan_only else _alone(place, target, run)
        wanted = planning.plan(target, seen.holdings, promised, now)
        told[target] = [planning.simulated(each, promised, now) for each in seen.holdings]
        findings = [
            *guard.findings,
            *seen.findings,
            *freed,
            *_sizes(memory.store, target, run, seen.holdings, now),
            *check.judged(target, seen.holdings, promised, now),
        ]
        doing = Doing(place, target, {each.repository: each for each in seen.holdings})
        wished = {each.repository: planning.left_of(each, promised, now) for each in seen.holdings}
        last = wanted.steps[-1].id if wanted.steps else None

        def do(step: Step[Action]) -> None:
            with _telling_who(place, target, run):
                apply(doing, step.action)
            if step.id == last:  # look again: what is left has to be what was simulated
                met.extend(check.compared(target, wished, observe(place, known, target=target).holdings, doing.removed))

        yield Ready(wanted, do, guard, tuple(findings))


def _alone(place: Cluster, target: str, run: Run) -> Sequence[Finding]:
    """End what a killed backup left behind; whoever else holds the lock of pgBackRest is at work, and is named."""
    dead = orphans.find(place)
    orphans.end(dead)
    with _telling_who(place, target, run):
        ask(place, target)
    return tuple(check.freed(target, one.pid) for one in dead)


@contextmanager
def _telling_who(place: Cluster, target: str, run: Run) -> Generator[None]:
    try:
        yield
    except LockBusy as error:
        raise explained(error, place, run, target=target, repository=0) from error


def _sizes(store: Store, target: str, run: Run, holdings: Sequence[Holding], now: datetime) -> Sequence[Finding]:
    """Hold the sizes against earlier ones, and remember them; a vault that is full is no reason to expire nothing."""
    fresh = [Sized(each.repository, now, planning.reachable(each).size_bytes) for each in holdings]
    earlier = sizes.recall(store, target)
    found = tuple(check.grown(target, earlier, holdings, now))
    if run.plan_only:
        return found
    try:
        sizes.remember(store, target, run, earlier, fresh)
    except DbopsError as error:
        return (*found, check.forgotten(target, error))
    return found
