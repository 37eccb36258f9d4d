"""A backfill, ready to be run; and its controls, for whoever sits at another terminal."""

from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

from dbops import units
from dbops.config.model import Config
from dbops.engine.plan import Plan, Ready, Statement, Step
from dbops.engine.run import Run
from dbops.operations.migrate import open_changes
from dbops.operations.migrate.apply import SUBJECT
from dbops.operations.migrate.backfill import apply, check
from dbops.operations.migrate.backfill import plan as plans
from dbops.operations.migrate.backfill.facts import Wanted
from dbops.operations.migrate.backfill.meter import OnProgress
from dbops.operations.migrate.backfill.observe import observe
from dbops.stores import databases, ledger, postgres


@contextmanager
def backfill(
    config: Config,
    path: Path,
    target: str,
    run: Run,
    now: datetime,
    *,
    change: str,
    wanted: Wanted,
    on_progress: OnProgress,
) -> Generator[Ready[plans.Action]]:
    """Plan what is left to fill. Lock subject: change:ID."""
    del now
    place = config.postgres[target]
    with open_changes.connected(config, path, target, run) as (known, connection), ExitStack() as stack:
        found, shape = open_changes.expanded(known, change)
        guard: Callable[[], None] = lambda: None  # noqa: E731
        if not run.plan_only:
            postgres.reap_dead_runs(connection, target)
            guard = stack.enter_context(postgres.only_run(place, run, target=target, subject=f"change:{change}"))
            found, shape = open_changes.expanded(open_changes.read(connection, known.history), change)
        filling = shape.filling()
        if filling is None:
            title = f"backfill {change}: it fills no rows"
            yield Ready(Plan[plans.Action](target, title), _nothing, guard)
            return
        administrator = partial(databases.administrator, config, target, run)
        facts = observe(connection, found, filling, wanted, administrator=administrator, target=target)
        planned = plans.plan(facts, wanted)
        if planned.steps and (refused := check.refusal(facts, wanted)) is not None:
            raise refused
        own = partial(postgres.connect, place, run, target=target)
        schema = partial(postgres.only_run, place, run, target=target, subject=SUBJECT)
        filler = apply.Filler(run, connection, own, administrator, facts, wanted, guard, on_progress, schema)
        yield Ready(planned, partial(apply.apply, filler), guard, met=filler.met)


def _nothing(step: Step[plans.Action]) -> None:
    raise AssertionError(f"an empty plan has no step {step.id}")


@dataclass(frozen=True, slots=True)
class Control:
    """What to tell a backfill: each that is None stays as it is; a rate of 0 is no limit."""

    paused: bool | None = None
    rows_per_s: int | None = None


_SET = """
    INSERT INTO dbops.controls AS c (change, paused, rows_per_s, actor)
    VALUES (%s, coalesce(nullif(%s, '')::bool, false), nullif(nullif(%s, ''), '0')::int, %s)
    ON CONFLICT (change) DO UPDATE
       SET paused = coalesce(nullif(%s, '')::bool, c.paused), actor = excluded.actor, at = clock_timestamp(),
           rows_per_s = CASE %s WHEN '' THEN c.rows_per_s ELSE excluded.rows_per_s END"""


@contextmanager
def control(
    config: Config, path: Path, target: str, run: Run, now: datetime, *, change: str, wanted: Control
) -> Generator[Ready[Control]]:
    """Plan to pause, to resume, or to set a rate. Takes no lock: it is heard by the run that holds it."""
    del now
    with open_changes.connected(config, path, target, run) as (known, connection):
        found, _ = open_changes.expanded(known, change)
        before = found.control
        paused = wanted.paused if wanted.paused is not None else before is not None and before.paused
        rate = wanted.rows_per_s if wanted.rows_per_s is not None else (before.rows_per_s if before else None) or 0
        statement = Statement(_SET, values=_values(change, wanted, run.actor))
        same = before is not None and (before.paused, before.rows_per_s or 0) == (paused, rate)
        told = "pause" if wanted.paused else "resume" if wanted.paused is not None else f"set {_rate(rate)} for"
        installing = ledger.install(ledger.observe(connection, target=target), owner=connection.info.user)
        steps = [Step("control", f"{told} the backfill of {change}", wanted, statements=(statement,))]
        if installing:
            steps.insert(0, Step("ledger", "install the ledger of dbops, schema dbops", wanted, statements=installing))

        def do(step: Step[Control]) -> None:
            if step.id == "ledger":
                with databases.administrator(config, target, run) as administrator:
                    ledger.apply(administrator, step.statements, target=target)
                return
            with postgres.translated(target):
                postgres.execute(connection, statement)

        yield Ready(Plan(target, f"{told} the backfill of {change}", () if same else tuple(steps)), do)


def _values(change: str, wanted: Control, actor: str) -> tuple[str, ...]:
    """Say only what is wanted: what another terminal sets meanwhile stays."""
    paused = "" if wanted.paused is None else str(wanted.paused).lower()
    rate = "" if wanted.rows_per_s is None else str(wanted.rows_per_s)
    return (change, paused, rate, actor, paused, rate)


def _rate(rows_per_s: int) -> str:
    return f"at most {units.counted(rows_per_s, 'row')} a second" if rows_per_s else "no limit"
