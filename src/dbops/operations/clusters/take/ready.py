"""Taking backups, ready to be planned and run: one cluster, under the lock of its backups."""

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from dbops.config.model import Cluster, Config
from dbops.engine import clock, stop
from dbops.engine.plan import Ready
from dbops.engine.run import Progress, Run
from dbops.errors import ConfigInvalid, CouldNotVerify, Refused, Unreachable, UsageError, VerifiedBad
from dbops.operations.clusters import locks
from dbops.operations.clusters.take import check, plan
from dbops.operations.clusters.take.apply import Doing, apply
from dbops.operations.clusters.take.facts import Action, Schedule, Taken, Wanted
from dbops.operations.clusters.take.failures import BackupFailed, locked
from dbops.operations.clusters.take.observe import observe, running, settings
from dbops.stores.pgbackrest.program import refuse_wrong_account

_LOOK_AGAIN_S = 0.5


def targets(config: Config, names: Sequence[str]) -> list[str]:
    """Name the clusters that are backed up: those with a stanza, or of `names` only."""
    for name in names:
        if name not in config.cluster:
            known = ", ".join(config.cluster) or "none"
            raise UsageError(f"{name!r} is no cluster of the configuration", hint=f"one of: {known}")
        if config.cluster[name].stanza is None:
            raise ConfigInvalid(
                "the cluster has no stanza", hint=f'set [cluster.{name}] stanza = "{name}"', target=name
            )
    found = list(dict.fromkeys(names)) or [name for name, one in config.cluster.items() if one.stanza is not None]
    if not found:
        raise ConfigInvalid("the configuration names no cluster with a stanza", hint="dbops config schema")
    return found


def schedule(place: Cluster) -> Schedule:
    hours, _, minutes = place.backup.full.partition(":")
    return Schedule(timedelta(hours=int(hours), minutes=int(minutes)), place.backup.diff)


def _await_the_other(place: Cluster, run: Run, target: str) -> None:
    """Wait for a pgBackRest that somebody else has started, as long as --lock-wait allows."""
    deadline = clock.monotonic() + run.lock_wait.total_seconds()
    while running(place, target=target):
        if clock.monotonic() >= deadline:
            raise locked(settings(place).lock, target)
        stop.pause(_LOOK_AGAIN_S)


@contextmanager
def run(
    config: Config,
    target: str,
    run: Run,
    *,
    now: datetime,
    wanted: Wanted,
    taken: list[Taken],
    on_progress: Callable[[Progress], None],
    toml: Path | None = None,
) -> Generator[Ready[Action]]:
    """Plan the backups of one cluster; `taken` grows while the plan is run. Lock subject: backup."""
    place = config.cluster[target]
    refuse_wrong_account(place, target=target)
    if wanted.configuration_only and config.vault is None:
        raise ConfigInvalid("the configuration is kept in a vault, and there is none", hint="add [vault]")
    with locks.held(config, target, run) as guard:
        facts = observe(config, target, run)
        if facts.running and not facts.orphans and not run.plan_only:
            _await_the_other(place, run, target)
            facts = observe(config, target, run)
        if not any(one.readable for one in facts.repositories):
            raise Refused(
                f"no repository can be read: {'; '.join(one.message for one in facts.repositories)}",
                hint="is the path right, and the pass of its cipher?",
                target=target,
            )
        planned = plan.plan(facts, wanted, schedule(place), now)
        doing = Doing(config, run, facts, wanted, toml, on_progress, taken=taken)
        doing.places = {step.id: number for number, step in enumerate(planned.steps)}
        yield Ready(
            planned,
            partial(apply, doing),
            guard,
            (*guard.findings, *check.before(facts)),
            # one repository that fails is no reason to leave another without its backup
            goes_on_after=(BackupFailed, Unreachable, Refused, CouldNotVerify, VerifiedBad, ConfigInvalid),
            met=doing.told,
        )
