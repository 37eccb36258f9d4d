"""Remove scratch copies that nobody needs any more, on the way of a run that has other work to do."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime

from dbops.engine import journal
from dbops.engine.finding import Finding
from dbops.engine.plan import Step
from dbops.engine.run import Run
from dbops.errors import DbopsError, LockBusy, Stopped
from dbops.operations.clusters.restore import check, places, plan
from dbops.operations.clusters.restore.room import room


def swept(run: Run, now: datetime) -> tuple[Finding, ...]:
    """Remove what expired and what dead runs left. What cannot be removed is told, and keeps nobody from his work."""
    if run.plan_only or not room(run.state_dir).is_dir():
        return ()
    try:
        places.sweep(run)
        steps = plan.cleaning(places.left(run), now)
        return tuple(_swept(run, steps)) if steps else ()
    except Stopped:
        raise
    except (DbopsError, OSError) as error:
        return (check.unremoved("scratch", "scratch copies", error),)


def _swept(run: Run, steps: list[Step[plan.Action]]) -> Iterator[Finding]:
    facts = {"command": run.command, "actor": run.actor, "host": run.holder["host"], "pid": run.holder["pid"]}
    with journal.opened(run.state_dir, run.id, "scratch", **facts) as log:
        for step in steps:
            if isinstance(step.action, plan.RemoveScratch):
                log.write("start", step=step.id)
                name = step.action.name
                failed = tuple(trying(name, lambda name=name: remove(run, name)))
                log.write("fail" if failed else "done", step=step.id)
                yield from failed or (check.removed("scratch", step.summary),)


def remove(run: Run, name: str) -> None:
    """Remove the copy of another run, unless that run has come back to life or is faster than we."""
    for one in places.recorded(run.state_dir):
        if one.name == name:
            with places.held(run, one):
                places.remove(run.state_dir, one)


def trying(name: str, work: Callable[[], None], target: str = "scratch") -> Iterator[Finding]:
    """Try to remove; tell what kept us from it. Whoever else is at it does the same."""
    try:
        with suppress(LockBusy):
            work()
    except Stopped:
        raise
    except (DbopsError, OSError) as error:
        yield check.unremoved(target, f"scratch copy {name}", error)
