"""`dbops backup expire`: what is past its retention goes; what would bring a promised moment back stays."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from dbops import units
from dbops.cli.door import Result, command
from dbops.cli.flow import PlanTold, StepTold, Target, change
from dbops.cli.options import AskedChange
from dbops.cli.screen import Cell, Column, Line, Table, Tone
from dbops.engine import clock
from dbops.engine.finding import Finding

if TYPE_CHECKING:
    from dbops.operations.clusters.expire.facts import Reachable, Simulated

Targets = Annotated[
    list[str] | None, typer.Option("--target", "-t", metavar="NAME", help="Only this cluster (repeatable).")
]


@dataclass(frozen=True, slots=True)
class Repositories:
    """What one cluster's repositories hold, before and after."""

    target: str
    repositories: tuple["Simulated", ...]


@dataclass(frozen=True, slots=True)
class Expired:
    """The data of `backup expire`: what every change tells, and what stays recoverable."""

    environment: str
    plans: tuple[PlanTold, ...]
    steps: tuple[StepTold, ...]
    clusters: tuple[Repositories, ...]


def verbs(app: typer.Typer) -> None:
    """Add it to the family."""
    command(
        app,
        "expire",
        "dbops backup expire --plan",
        "dbops backup expire --target main --yes",
        "dbops backup expire --yes --skip-if-running --output json",
    )(expire)


def expire(asked: AskedChange, *, target: Targets = None) -> Result:
    """Remove sets and WAL past their retention. Kept: the last good, the last verified, held ones. Lock: backup."""
    from dbops.operations.clusters.expire import ready

    loaded = asked.load()
    config = loaded.config
    now = clock.now()
    met: list[Finding] = []
    told: dict[str, Sequence[Simulated]] = {}
    targets = [
        Target(name, partial(ready.expire, config, name, now=now, met=met, told=told))
        for name in ready.targets(config, tuple(target or ()))
    ]
    result = change(
        asked,
        asked.run(loaded.state_dir),
        targets,
        environment=config.platform.environment,
        keep_going=True,  # a cluster that is away must not let another's disk fill up
    )
    clusters = tuple(Repositories(name, tuple(each)) for name, each in told.items())
    data = Expired(result.data.environment, result.data.plans, result.data.steps, clusters)
    screen = [part for one in clusters for part in _screen(one, verbose=asked.verbose)]
    return replace(result, data=data, screen=(*result.screen, *screen), findings=(*result.findings, *met))


def _screen(one: Repositories, *, verbose: bool) -> list[Table | Line]:
    columns = (
        Column("repo", right=True),
        Column(""),
        *(Column(name, right=True) for name in ("sets", "good", "WAL", "size")),
        Column("any moment from"),
        Column("until the end of"),
    )
    rows = [row for each in one.repositories for row in _rows(each)]
    screen: list[Table | Line] = [Table(columns, tuple(rows), title=f"{one.target}: what can be brought back")]
    if verbose:
        for each in one.repositories:
            number = each.after.repository
            screen += [
                Line(f"repository {number}: {kept.label} stays: {'; '.join(kept.reasons)}") for kept in each.kept
            ]
    return screen


def _rows(each: "Simulated") -> list[tuple[Cell, ...]]:
    if each.before == each.after:
        return [_row(each.before, "as it is")]
    return [_row(each.before, "before"), _row(each.after, "after", Tone.STRONG)]


def _row(told: "Reachable", when: str, tone: Tone = Tone.PLAIN) -> tuple[Cell, ...]:
    ends = ", ".join(dict.fromkeys(end.segment for end in told.until))
    return (
        Cell(str(told.repository), tone),
        Cell(when, tone),
        Cell(str(told.sets), tone),
        Cell(str(told.good), tone),
        Cell(str(told.segments), tone),
        Cell(units.size(told.size_bytes), tone),
        Cell(f"{told.first:%Y-%m-%d %H:%M:%S}Z" if told.first else "none", tone if told.first else Tone.BAD),
        Cell(ends, tone),
    )
