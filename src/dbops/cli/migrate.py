"""`dbops migrate`: the schemas of the platform's databases, revision by revision."""

import os
from collections.abc import Callable, Generator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dbops import units
from dbops.cli import (
    migrate_backfill,
    migrate_contract,
    migrate_lint,
    migrate_new,
    migrate_rehearse,
    migrate_rollback,
    migrate_status,
    migrate_switch,
    migrate_verify,
)
from dbops.cli.door import Result, command, family
from dbops.cli.flow import Opening, Target, change
from dbops.cli.options import Asked, AskedChange
from dbops.cli.screen import Line
from dbops.engine import clock
from dbops.engine.patience import Ramp
from dbops.engine.plan import Ready
from dbops.engine.run import Run
from dbops.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from dbops.config.load import Loaded

app = family("migrate")

Targets = Annotated[
    list[str] | None, typer.Option("--target", "-t", metavar="NAME", help="Only this database (repeatable).")
]
One = Annotated[str, typer.Option("--target", "-t", metavar="NAME", help="The database.")]
Jobs = Annotated[int, typer.Option(min=1, max=64, help="How many databases at a time.")]
KeepGoing = Annotated[bool, typer.Option("--keep-going", help="Go on with other databases after a failure.")]
Patience = Annotated[
    str, typer.Option(metavar="DURATION", help="How long to try for locks that the application holds.")
]
_PATIENCE = "3m"
_JOBS = min(4, os.cpu_count() or 1)


@command(
    app,
    "up",
    "dbops migrate up",
    "dbops migrate up --target audit --plan",
    "dbops migrate up -t audit --to 2026_11_20_0200",
)
def up(
    asked: AskedChange,
    target: Targets = None,
    *,
    to: Annotated[str | None, typer.Option("--to", metavar="REVISION", help="Stop there; for one database.")] = None,
    jobs: Jobs = _JOBS,
    keep_going: KeepGoing = False,
    patience: Patience = _PATIENCE,
) -> Result:
    """Run the revisions that are left, one process for each database. Lock subject: schema."""
    return _up(asked, target, to, jobs=jobs, keep_going=keep_going, ramp=_ramp(patience))


@command(app, "plan", "dbops migrate plan", "dbops migrate plan --target audit --forecast")
def plan(
    asked: AskedChange,
    target: Targets = None,
    *,
    forecast: Annotated[
        bool, typer.Option("--forecast", help="Try each statement on a copy of the schema: locks, rewrites, how long.")
    ] = False,
) -> Result:
    """Show what `up` would run, SQL included."""
    return _up(replace(asked, plan=True), target, None, jobs=1, keep_going=False, ramp=Ramp(), forecast=forecast)


def _up(
    asked: AskedChange,
    target: list[str] | None,
    to: str | None,
    *,
    jobs: int,
    keep_going: bool,
    ramp: Ramp,
    forecast: bool = False,
) -> Result:
    from dbops.operations.migrate import ready
    from dbops.stores import databases

    loaded = asked.load()
    names = databases.targets(loaded.config, tuple(target or ()))
    if to is not None and len(names) != 1:
        raise UsageError("--to is for one database", hint="name it: --target NAME")
    opening = partial(ready.up, loaded.config, loaded.path, now=clock.now(), to=to, ramp=ramp)
    run = asked.run(loaded.state_dir)
    with _foretelling(loaded, run) if forecast else nullcontext(_as_it_is) as told:
        result = change(
            asked,
            run,
            [Target(name, told(name, partial(opening, name))) for name in names],
            environment=loaded.config.platform.environment,
            jobs=jobs,
            keep_going=keep_going,
            may_lose_data=False,
        )
    done = result.exit_code == ExitCode.OK and result.data.steps
    only = "".join(f" --target {name}" for name in target or ()) + (f" --to {to}" if to is not None else "")
    after = f"dbops migrate up{only}{asked.where}" if asked.plan else f"dbops roles apply{asked.where}"
    return replace(result, next_actions=(after,) if done else ())


def _as_it_is(_name: str, opening: Opening) -> Opening:
    return opening


@contextmanager
def _foretelling(loaded: "Loaded", run: Run) -> Generator[Callable[[str, Opening], Opening]]:
    """Yield what puts beside each revision of a database's plan what is to be expected of it."""
    from dbops.operations.migrate.forecast import ready as forecasts

    with forecasts.noting(loaded.config, loaded.path, run) as notes:

        @contextmanager
        def foretold(name: str, opening: Opening, run: Run) -> Generator[Ready[Any]]:
            with opening(run) as ready:
                yield replace(ready, plan=forecasts.annotated(ready.plan, notes(name)))

        yield lambda name, opening: partial(foretold, name, opening)


@command(app, "down", "dbops migrate down --target audit --to 2026_11_20_0200 --plan")
def down(
    asked: AskedChange,
    target: One,
    to: Annotated[str, typer.Option("--to", metavar="REVISION", help="What is stamped afterwards; or `base`.")],
    patience: Patience = _PATIENCE,
) -> Result:
    """Take revisions back; tables go to schema dbops_attic with all rows, `up` brings them back. Lock: schema."""
    from dbops.operations.migrate import ready
    from dbops.stores import databases

    loaded = asked.load()
    databases.targets(loaded.config, (target,))
    opening = partial(ready.down, loaded.config, loaded.path, target, now=clock.now(), to=to, ramp=_ramp(patience))
    return change(
        asked,
        asked.run(loaded.state_dir),
        [Target(target, opening)],
        environment=loaded.config.platform.environment,
        may_lose_data=False,
    )


def _ramp(patience: str) -> Ramp:
    try:
        return Ramp(budget=units.parse_duration(patience))
    except ValueError as error:
        raise UsageError(f"--patience: {error}", hint="--patience 90s") from error


@command(
    app, "sql", "dbops migrate sql --target audit > audit.sql", "dbops migrate sql -t audit --from 2026_11_20_0200"
)
def sql(
    asked: Asked,
    target: One,
    first: Annotated[str | None, typer.Option("--from", metavar="REVISION", help="What is there already.")] = None,
    to: Annotated[str, typer.Option("--to", metavar="REVISION", help="Where to stop.")] = "head",
) -> Result:
    """Print the revisions as one script for psql. Touches no database."""
    from dbops.operations.migrate import history as histories
    from dbops.stores import databases

    loaded = asked.load()
    databases.targets(loaded.config, (target,))
    folder = histories.folder(loaded.config, loaded.path)
    script = histories.script(folder, histories.section(loaded.config, target), first=first, last=to, target=target)
    return Result({"target": target, "script": script}, tuple(Line(line) for line in script.splitlines()))


migrate_status.verbs(app)
migrate_lint.verbs(app)
migrate_verify.verbs(app)
migrate_new.verbs(app)
migrate_backfill.verbs(app)
migrate_switch.verbs(app)
migrate_rollback.verbs(app)
migrate_contract.verbs(app)
migrate_rehearse.verbs(app)
