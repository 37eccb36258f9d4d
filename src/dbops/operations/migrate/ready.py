"""Migrations, ready to be planned and run: one database at a time, under the lock of its schema."""

from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path

from dbops.config.model import Config
from dbops.engine.patience import Ramp
from dbops.engine.plan import Plan, Ready
from dbops.engine.run import Run
from dbops.errors import Refused, UsageError
from dbops.operations.migrate import asking, check, history, plan
from dbops.operations.migrate.apply import SUBJECT, Doing, apply, phases
from dbops.operations.migrate.facts import BASE, Database, History
from dbops.operations.migrate.observe import observe
from dbops.stores import databases, ledger, postgres
from dbops.stores.postgres import Connection

_RAMP = Ramp()

Planner = Callable[[History, Database, Connection], Plan[plan.Action]]


@contextmanager
def up(
    config: Config, path: Path, target: str, run: Run, now: datetime, *, to: str | None = None, ramp: Ramp = _RAMP
) -> Generator[Ready[plan.Action]]:
    """Plan what is left of the history. Lock subject: schema."""
    del now

    def planner(known: History, database: Database, connection: Connection) -> Plan[plan.Action]:
        _known_revision(known, to)
        _refuse(known, database, going_up=True)
        return plan.up(known, database, ledger.install(database.ledger, owner=connection.info.user), to)

    with _ready(config, path, target, run, planner, ramp=ramp) as ready:
        yield ready


@contextmanager
def down(
    config: Config, path: Path, target: str, run: Run, now: datetime, *, to: str, ramp: Ramp = _RAMP
) -> Generator[Ready[plan.Action]]:
    """Plan to take revisions back; what they made goes to the attic with its rows. Lock subject: schema."""
    del now
    place, name = history.folder(config, path), history.section(config, target)

    def planner(known: History, database: Database, connection: Connection) -> Plan[plan.Action]:
        del connection
        _known_revision(known, None if to == BASE else to)
        _refuse(known, database, going_up=False)
        return plan.down(known, database, to, history.downgrades(place, name, known))

    with _ready(config, path, target, run, planner, ramp=ramp) as ready:
        yield ready


def _known_revision(known: History, to: str | None) -> None:
    if to is not None and to not in known.ids:
        raise UsageError(
            f"{to!r} is no revision of {known.target}", hint=f"dbops migrate history --target {known.target}"
        )


def _refuse(known: History, database: Database, *, going_up: bool) -> None:
    for message, hint in check.refusals(known, database, going_up=going_up):
        raise Refused(message, hint=hint, target=known.target)


@contextmanager
def _ready(
    config: Config, path: Path, target: str, run: Run, planner: Planner, *, ramp: Ramp
) -> Generator[Ready[plan.Action]]:
    folder, name = history.folder(config, path), history.section(config, target)
    known = history.read(folder, name, target)
    place = config.postgres[target]
    with postgres.connect(place, run, target=target) as connection, ExitStack() as stack:
        guard: Callable[[], None] = lambda: None  # noqa: E731
        if not run.plan_only:
            postgres.reap_dead_runs(connection, target)
            guard = stack.enter_context(postgres.only_run(place, run, target=target, subject=SUBJECT))
        planned = planner(known, observe(connection, known, target=target), connection)
        doing: list[Doing] = []

        def do(step: plan.Step[plan.Action]) -> None:
            if not doing:  # the worker is only started when there is something to do
                told = asking.about(folder, name, target, run, config=path)
                ask, backend = stack.enter_context(asking.worker(told))
                administrator = partial(databases.administrator, config, target, run)
                doing.append(Doing(target, connection, administrator, ask, backend, ramp, run, phases(known)))
            apply(doing[0], step)

        yield Ready(planned, do, guard)
