"""A switch, ready to be planned and done, under the locks of its change and of the schema."""

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path

from dbops.config.model import Config
from dbops.engine.patience import Ramp
from dbops.engine.plan import Ready
from dbops.engine.run import Run
from dbops.errors import UsageError
from dbops.operations.migrate import carrying, drift, open_changes
from dbops.operations.migrate.apply import SUBJECT
from dbops.operations.migrate.compare import triggers
from dbops.operations.migrate.compare.facts import COMPARED, work_of
from dbops.operations.migrate.contract.facts import Counted
from dbops.operations.migrate.life import State
from dbops.operations.migrate.open_changes import Work
from dbops.operations.migrate.shapes import exchanging
from dbops.operations.migrate.shapes.shape import Do
from dbops.operations.migrate.switch import baseline, check, plan
from dbops.operations.migrate.switch.apply import Doing, apply
from dbops.operations.migrate.switch.facts import ALL, BASELINE, REVERSE, Facts, Override
from dbops.stores import databases, postgres

_RAMP = Ramp()


@contextmanager
def switch(
    config: Config,
    path: Path,
    target: str,
    run: Run,
    now: datetime,
    *,
    change: str,
    percent: int,
    overrides: Sequence[Override] = (),
    ramp: Ramp = _RAMP,
) -> Generator[Ready[plan.Action]]:
    """Plan who follows. Lock subjects: change:NAME, and schema where the catalog changes with it."""
    del now  # the server's clock counts
    for one in overrides:
        if one.gate != REVERSE:
            raise UsageError(f"--override {one.gate}: a switch has no such gate", hint=f"--override {REVERSE}")
    look = partial(baseline.look_at, config, target, run)
    with open_changes.at_work(config, path, target, run, change) as work, ExitStack() as stack:
        facts = _facts(work, percent, overrides, look)
        if (error := check.refusal(facts)) is not None:
            raise error
        if percent > work.change.percent:
            life, here = work.change.life, work.known.here
            drift.refuse(work.connection, target=target, change=change, shape=work.shape, life=life, here=here)
            carrying.refuse(work.connection, target=target, change=change, shape=work.shape)
        planned = plan.plan(facts)
        guard = work.guard
        if facts.swap and planned.steps and not run.plan_only:
            place = config.postgres[target]
            held = stack.enter_context(postgres.only_run(place, run, target=target, subject=SUBJECT))
            guard = both(work.guard, held)
        administrator = partial(databases.administrator, config, target, run)
        doing = Doing(facts, run, work.connection, administrator, look, ramp)
        yield Ready(planned, partial(apply, doing), guard, met=doing.met)


def both(first: Callable[[], None], second: Callable[[], None]) -> Callable[[], None]:
    def guard() -> None:
        first()
        second()

    return guard


def texts(statements: Sequence[Do]) -> tuple[str, ...]:
    """Return statements that have to happen in one transaction."""
    if any(one.alone or one.asks for one in statements):
        raise ValueError("what cannot run in a transaction has no place in a swap")
    return tuple(one.sql for one in statements)


def _facts(work: Work, percent: int, overrides: Sequence[Override], look: Callable[[], Mapping[str, Counted]]) -> Facts:
    change, shape, here = work.change, work.shape, work.known.here
    comparisons = work.comparisons
    tables = tuple({shape.table, *(one.table for one in comparisons)})
    digest = triggers.digest(work.connection, change.id, tables)
    due: str | None = None
    if percent == ALL:
        due = "what is called from here on is a use after the switch"
        if change.life.state is State.SWITCHED:
            known = change.life.evidence(BASELINE, here)
            since = change.life.since
            fresh = known is not None and since is not None and known.at >= since
            due = baseline.due(known.detail if known is not None and fresh else None, look())
    return Facts(
        work.known.target,
        change.id,
        change.life,
        change.percent,
        percent,
        change.life.evidence(COMPARED, here),
        digest,
        frozenset(one.way for one in comparisons),
        texts(shape.swap(change.id)),
        exchanging.before_swap(shape, change.id),
        tuple(overrides),
        due,
        frozenset(work_of(one, digest) for one in comparisons),
    )
