"""A verification, ready to be planned and walked, under the lock of its change."""

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from dbops.config.model import Config
from dbops.engine.plan import Ready
from dbops.engine.run import Progress, Run
from dbops.errors import Refused
from dbops.operations.migrate import carrying, open_changes
from dbops.operations.migrate.compare import jobs, plan, triggers
from dbops.operations.migrate.compare.apply import Doing, apply
from dbops.operations.migrate.compare.check import MAY_VERIFY
from dbops.operations.migrate.compare.facts import COMPARED, Facts, Outcome, Way, work_of
from dbops.operations.migrate.compare.jobs import Book, Job
from dbops.operations.migrate.compare.reading import reading, where
from dbops.operations.migrate.compare.walk import Walking
from dbops.operations.migrate.open_changes import Work
from dbops.operations.migrate.shapes.shape import Comparison

Tell = Callable[[Progress], None]
_PATIENCE = timedelta(seconds=30)  # with a replica that is behind


def _silent(_progress: Progress) -> None: ...


@dataclass(frozen=True, slots=True)
class How:
    """What may be chosen of a verification."""

    limit: int | None = None  # rows a second
    on: str | None = None  # primary, replica, replica 2
    patience: timedelta = _PATIENCE
    on_progress: Tell = _silent


_HOW = How()


@contextmanager
def verify(
    config: Config,
    path: Path,
    target: str,
    run: Run,
    now: datetime,
    *,
    change: str,
    how: How = _HOW,
    told: list[Outcome] | None = None,
    following: list[int] | None = None,
) -> Generator[Ready[plan.Action]]:
    """Plan what is left to compare. Lock subject: change:NAME. What was found is added to `told`.

    To `following` is added how many percent of the readers follow.
    """
    del now  # the server's clock counts
    with open_changes.at_work(config, path, target, run, change) as work:
        _refuse(work)
        with opened(config, run, work, work.comparisons, how) as doing:
            facts = Facts(target, change, work.change.life.state, doing.ways, doing.where)
            doing.outcomes = told if told is not None else []
            if following is not None:
                following.append(work.change.percent)
            yield Ready(plan.plan(facts), partial(apply, doing), work.guard, met=doing.findings)


def _refuse(work: Work) -> None:
    state = work.change.life.state
    if state not in MAY_VERIFY:
        raise Refused(
            f"change {work.change.id} is {state}: only what is filled can be verified",
            hint=f"dbops migrate backfill {work.change.id} --target {work.known.target}",
            target=work.known.target,
        )
    carrying.refuse(work.connection, target=work.known.target, change=work.change.id, shape=work.shape)


@contextmanager
def opened(
    config: Config, run: Run, work: Work, comparisons: Sequence[Comparison], how: How = _HOW
) -> Generator[Doing]:
    """Open what the walks of these comparisons need."""
    target = work.known.target
    server = where(config.postgres[target], how.on)
    book = Book(work.connection, run, target, work.change.id, work.known.here)
    tables = tuple({work.shape.table, *(one.table for one in work.comparisons)})
    digest = triggers.digest(work.connection, work.change.id, tables)
    ways = _ways(book, comparisons, digest, work)
    opening = reading(config, target, run, server, primary=work.connection, here=work.known.here, patience=how.patience)
    with opening as (rows, lsn):
        walking = Walking(book, rows, how.limit, partial(_tell, how.on_progress, target))
        yield Doing(walking, work.change.life, ways, tables, digest, server, lsn)


def _ways(book: Book, comparisons: Sequence[Comparison], digest: str, work: Work) -> tuple[Way, ...]:
    last = work.change.life.evidence(COMPARED, work.known.here)
    found: list[Way] = []
    for number, one in enumerate(comparisons, 1):
        way = Way(number, one, work_of(one, digest))
        known = jobs.progress(book, way)
        if known is not None and known.finished is None:
            way = Way(number, one, way.work, known.seen, begun=known.seen > 0)
        elif known is not None and known.finished is not None and (last is None or last.at < known.finished):
            way = Way(number, one, way.work, known.seen, done=True)
        found.append(way)
    return tuple(found)


def _tell(on_progress: Tell, target: str, way: Way, job: Job) -> None:
    on_progress(Progress(target, f"compare {way.comparison.table}", job.seen, max(job.total, job.seen)))
