"""`dbops migrate verify`: whether old and new of a change are alike."""

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dbops.cli import render
from dbops.cli.door import Result, command
from dbops.cli.flow import Target, change
from dbops.cli.options import AskedChange
from dbops.cli.screen import Line, Screen, Tone
from dbops.engine import clock
from dbops.errors import ExitCode

if TYPE_CHECKING:
    from dbops.operations.migrate.compare.facts import Outcome

_FIRST, _ALL = 10, 100  # percent of the readers
Name = Annotated[str, typer.Argument(metavar="CHANGE", help="The change, as its revisions name it.")]
One = Annotated[str, typer.Option("--target", "-t", metavar="NAME", help="The database.")]


@dataclass(frozen=True, slots=True)
class Verified:
    """What a verification found, comparison by comparison."""

    environment: str
    plans: tuple[Any, ...]
    steps: tuple[Any, ...]
    comparisons: tuple["Outcome", ...]


def verbs(app: typer.Typer) -> None:
    """Add the verb to its family."""
    command(
        app,
        "verify",
        "dbops migrate verify users-full-name --target agent_studio",
        "dbops migrate verify users-full-name -t agent_studio --limit 20000",
        "dbops migrate verify users-full-name -t agent_studio --on primary --output json",
    )(verify)


def verify(
    asked: AskedChange,
    name: Name,
    target: One,
    *,
    limit: Annotated[int | None, typer.Option(min=1, metavar="ROWS", help="Read no more rows a second.")] = None,
    on: Annotated[
        str | None, typer.Option("--on", metavar="SERVER", help="primary, replica, replica 2; default: a replica.")
    ] = None,
) -> Result:
    """Compare old with new, both ways, row by row: 0 alike, 4 they differ, 5 not all could be compared.

    Goes on where an earlier run was cut off; one that a signal ends has no verdict, but 130 or 143.
    Tells keys, never what is in a row. Lock subject: change:NAME.
    """
    from dbops.operations.migrate.compare import ready
    from dbops.operations.migrate.compare.facts import Outcome
    from dbops.stores import databases

    loaded = asked.load()
    databases.targets(loaded.config, (target,))
    told: list[Outcome] = []
    following: list[int] = []
    how = ready.How(limit=limit, on=on, on_progress=render.progress)
    looking = partial(ready.verify, loaded.config, loaded.path, target, now=clock.now(), change=name, how=how)
    opening = partial(looking, told=told, following=following)
    result = change(
        asked,
        asked.run(loaded.state_dir),
        [Target(target, opening)],
        environment=loaded.config.platform.environment,
        may_lose_data=False,
    )
    data = Verified(result.data.environment, result.data.plans, result.data.steps, tuple(told))
    good = told and result.exit_code == ExitCode.OK
    both_ways = any(one.way == "back" for one in told)  # else there is no other place for readers to go to
    after = f"dbops migrate {_next(sum(following), both_ways=both_ways).format(name, target)}{asked.where}"
    return replace(result, data=data, screen=(*result.screen, *_screen(told)), next_actions=(after,) if good else ())


def _next(percent: int, *, both_ways: bool) -> str:
    """Tell what comes then; no reader that follows already is led back."""
    if not both_ways:
        return "contract {} --target {} --write"
    if percent == _ALL:
        return "contract {} --target {} --plan"
    return f"switch {{}} --target {{}} --percent {_ALL if percent else _FIRST}"


def _screen(told: "list[Outcome]") -> Screen:
    return tuple(
        Line(
            f"{one.table} ({one.way}): {one.rows:,} rows, {one.differ:,} differ"
            + (f", {one.unreadable:,} could not be compared" if one.unreadable else ""),
            Tone.BAD if one.differ else Tone.WARN if one.unreadable else Tone.GOOD,
            indent=2,
        )
        for one in told
    )
