"""Scratch restores, ready to be carried out; and the removal of what is no longer needed."""

from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from functools import partial
from importlib import import_module
from pathlib import Path
from threading import Thread

from dbops.config.model import Config
from dbops.engine.plan import Ready
from dbops.engine.run import Run
from dbops.errors import LockBusy, Refused, UsageError
from dbops.operations.clusters import locks
from dbops.operations.clusters.restore import places, plan, sweeping
from dbops.operations.clusters.restore.apply import Doing, Told, apply, give_up
from dbops.operations.clusters.restore.facts import Facts, Goal, Wanted
from dbops.servers import account
from dbops.stores import pgbackrest

Choose = Callable[[], Goal]


def cluster(config: Config, name: str | None) -> str:
    """Name the cluster that is meant: with one of them there is no question."""
    known = tuple(config.cluster)
    if name is None and len(known) == 1:
        return known[0]
    if name not in known:
        told = "say which cluster: --target NAME" if name is None else f"{name!r} is no cluster"
        raise UsageError(told, hint=f"one of: {', '.join(known) or 'none is configured'}")
    return name


@contextmanager
def scratch(
    config: Config,
    target: str,
    run: Run,
    choose: Choose,
    *,
    wanted: Wanted,
    now: datetime,
    told: Told,
    to: Path | None = None,
) -> Generator[Ready[plan.Action]]:
    """Plan a restore beside the cluster: nothing of it is touched, only its backups have to stay."""
    _refuse_another_account(config, target)
    with ExitStack() as stack:
        if not run.plan_only:
            stack.enter_context(locks.reading(run, target))
        yield from _scratch(config, target, run, choose, wanted=wanted, now=now, told=told, to=to)


def _scratch(
    config: Config,
    target: str,
    run: Run,
    choose: Choose,
    *,
    wanted: Wanted,
    now: datetime,
    told: Told,
    to: Path | None,
) -> Generator[Ready[plan.Action]]:
    place = places.describe(run, target, to)
    # What talks to PostgreSQL is loaded while pgBackRest is asked: it costs as much as half of dbops.
    Thread(target=import_module, args=("dbops.stores.postgres",), daemon=True).start()
    goal = choose()
    from dbops.operations.clusters.restore import guarding

    guarding.refuse_production(config, place.home, target=target)
    if not run.plan_only:
        account.refuse_closed(place.home)
    facts = Facts(
        target,
        goal,
        str(place.home if to is not None else places.room(run.state_dir)),
        places.free(place.home),
        places.occupied(place),
        places.left(run),
    )
    plan.refuse(facts)
    with ExitStack() as stack:
        if not run.plan_only:
            places.sweep(run)
            stack.enter_context(places.working(run, place))
        doing = Doing(config, facts, wanted, run, place, told)
        try:
            planned = plan.plan(facts, wanted, now)
            yield Ready(planned, partial(apply, doing), met=told.findings)
        finally:
            if not doing.kept:
                give_up(doing)


@contextmanager
def clean(run: Run, now: datetime, *, all_kept: bool) -> Generator[Ready[plan.Action]]:
    """Plan the removal of scratch copies: expired, left by a dead run, or with `all_kept` every one."""

    def act(step: plan.Step[plan.Action]) -> None:
        if isinstance(step.action, plan.RemoveScratch):
            sweeping.remove(run, step.action.name)

    if not run.plan_only:
        places.sweep(run)
    planned = plan.clean("scratch", places.left(run), now, all_kept=all_kept)
    yield Ready(planned, act, goes_on_after=(LockBusy,))


def _refuse_another_account(config: Config, target: str) -> None:
    owner = pgbackrest.run_as(config.cluster[target], target=target)
    if owner is not None and owner != account.name():
        raise Refused(
            f"cluster {target} belongs to {owner}, and scratch copies here run as {account.name()}",
            hint=f"run dbops as {owner}, or as root with {account.VARIABLE}={owner}",
            target=target,
        )
