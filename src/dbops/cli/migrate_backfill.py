"""`dbops migrate backfill`: fill what a change added for the rows of before, and control that from another terminal."""

import re
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from dbops import units
from dbops.cli import render
from dbops.cli.door import Result, command
from dbops.cli.flow import Opening, Target, change
from dbops.cli.options import AskedChange
from dbops.engine import clock
from dbops.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from dbops.config.load import Loaded
    from dbops.engine.run import Progress
    from dbops.operations.migrate.backfill.meter import OnProgress

Triggers = Annotated[
    str | None, typer.Option(metavar="fire|suppress", help="What becomes of the table's own triggers meanwhile.")
]
SetAside = Annotated[
    int,
    typer.Option(min=0, max=1_000_000, help="How many rows that cannot be filled may be set aside before it stops."),
]
Throttle = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME=LIMIT", help="What to give way to, such as replica-lag=5s; or NAME=off."),
]
ThrottleSql = Annotated[
    str | None, typer.Option(metavar="SELECT", help="Hold while it yields true, or a number above 0.")
]
Patience = Annotated[
    str, typer.Option(metavar="TIME", help="How long to try for a row that another transaction holds.")
]
Limit = Annotated[str | None, typer.Option(metavar="ROWS/s", help="Its rate, as 5000/s, heard while it runs; or off.")]
_TELL_EVERY_S = 1.0
_RATE = re.compile(r"(?P<rows>[1-9][0-9]*)(?P<thousand>k)?/s")
_MOST_RATE = 2**31 - 1


def verbs(app: typer.Typer) -> None:
    command(
        app,
        "backfill",
        "dbops migrate backfill users-full-name --target agent_studio",
        "dbops migrate backfill users-full-name -t agent_studio --triggers suppress --jobs 2",
        "dbops migrate backfill users-full-name -t agent_studio --pause",
        "dbops migrate backfill users-full-name -t agent_studio --limit 5000/s",
    )(backfill)


def backfill(
    asked: AskedChange,
    name: Annotated[str, typer.Argument(metavar="CHANGE", help="The change whose rows are filled.")],
    target: Annotated[str, typer.Option("--target", "-t", metavar="NAME", help="The database.")],
    *,
    triggers: Triggers = None,
    jobs: Annotated[int, typer.Option(min=1, max=32, help="How many parts of the table at a time.")] = 1,
    batch: Annotated[str, typer.Option(metavar="TIME", help="How long a batch may take.")] = "200ms",
    most_rows: Annotated[int, typer.Option(min=1, max=1_000_000, help="The most rows of a batch.")] = 20_000,
    most_set_aside: SetAside = 100,
    throttle: Throttle = None,
    throttle_sql: ThrottleSql = None,
    patience: Patience = "3m",
    again: Annotated[bool, typer.Option("--again", help="Begin at the first row, whatever was done.")] = False,
    pause: Annotated[bool, typer.Option("--pause", help="Hold a backfill that runs elsewhere.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Let it go on.")] = False,
    limit: Limit = None,
) -> Result:
    """Fill rows in small batches; go on where a run was killed. Lock: change:ID (--pause, --resume, --limit: none)."""
    from dbops.operations.migrate.backfill import check, ready
    from dbops.operations.migrate.backfill.facts import Firing, Wanted
    from dbops.stores import databases

    loaded = asked.load()
    databases.targets(loaded.config, (target,))
    about = {"now": clock.now(), "change": name}
    place = (loaded.config, loaded.path, target)
    wishes = pause or resume or limit is not None
    if wishes:
        wish = ready.Control(_either(pause=pause, resume=resume), None if limit is None else _rate(limit))
        return _changed(asked, loaded, target, partial(ready.control, *place, **about, wanted=wish))
    if triggers is not None and triggers not in set(Firing):
        raise UsageError(f"--triggers {triggers!r} is neither fire nor suppress")
    wanted = Wanted(
        Firing(triggers) if triggers is not None else None,
        jobs,
        _batch(batch),
        most_rows,
        most_set_aside,
        _time("--patience", patience),
        check.limits(throttle or ()),
        throttle_sql,
        again,
    )
    opening = partial(ready.backfill, *place, **about, wanted=wanted, on_progress=_seldom(render.progress))
    result = _changed(asked, loaded, target, opening)
    filled = result.exit_code in {ExitCode.OK, ExitCode.WARNINGS} and not asked.plan
    after = f"dbops migrate verify {name} --target {target}{asked.where}"
    return replace(result, next_actions=(after,) if filled else ())


def _seldom(tell: "OnProgress") -> "OnProgress":
    """Batches come many a second; nobody reads that, and a log keeps it."""
    last = [0.0]

    def told(event: "Progress") -> None:
        if clock.monotonic() - last[0] >= _TELL_EVERY_S:
            last[0] = clock.monotonic()
            tell(event)

    return told


def _changed(asked: AskedChange, loaded: "Loaded", target: str, opening: Opening) -> Result:
    return change(
        asked,
        asked.run(loaded.state_dir),
        [Target(target, opening)],
        environment=loaded.config.platform.environment,
        may_lose_data=False,
    )


def _either(*, pause: bool, resume: bool) -> bool | None:
    if pause and resume:
        raise UsageError("--pause and --resume do not go together")
    return pause if pause or resume else None


def _time(option: str, text: str) -> timedelta:
    try:
        return units.parse_duration(text)
    except ValueError as error:
        raise UsageError(f"{option}: {error}") from None


def _batch(text: str) -> timedelta:
    told = _time("--batch", text)
    if not timedelta(milliseconds=1) <= told <= timedelta(minutes=10):
        raise UsageError(
            f"--batch {text!r} is no time for a batch", hint="from 1ms to 10m; short ones hold rows briefly"
        )
    return told


def _rate(text: str) -> int:
    if text == "off":
        return 0
    told = _RATE.fullmatch(text)
    rows = int(told["rows"]) * (1000 if told["thousand"] else 1) if told else 0
    if not 0 < rows <= _MOST_RATE:
        raise UsageError(f"--limit {text!r} is no rate", hint="--limit 5000/s, or --limit off")
    return rows
