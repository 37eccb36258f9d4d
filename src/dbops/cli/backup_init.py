"""`dbops backup init` and `audit`: a cluster is brought under backup, and what deviates from a good one is told."""

import shlex
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dbops.cli import render
from dbops.cli.door import Result, command
from dbops.cli.flow import Target, change
from dbops.cli.options import Asked, AskedChange
from dbops.cli.screen import Cell, Column, Line, Table, Tone
from dbops.engine.finding import Severity
from dbops.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from dbops.engine.plan import Ready
    from dbops.engine.run import Run
    from dbops.operations.clusters.init.ready import Audited

Targets = Annotated[
    list[str] | None, typer.Option("--target", "-t", metavar="NAME", help="Only this cluster (repeatable).")
]
_TONES = {Severity.BAD: Tone.BAD, Severity.MISSED: Tone.BAD, Severity.INFO: Tone.FAINT}


def verbs(app: typer.Typer) -> None:
    """Add them to the family."""
    command(
        app,
        "init",
        "dbops backup init --target main --plan",
        "dbops backup init --target main",
        "dbops backup init --target main --restart --yes",
    )(init)
    command(app, "audit", "dbops backup audit", "dbops backup audit --target main --output json")(audit)


def init(
    asked: AskedChange,
    *,
    target: Targets = None,
    restart: Annotated[
        bool, typer.Option("--restart", help="Restart the server where its settings need it; else tell how.")
    ] = False,
) -> Result:
    """Bring a cluster under backup: configuration, archiving, stanza, check, first full. Lock subject: backup."""
    from dbops.operations.clusters.init import ready

    loaded = asked.load()

    def opening(name: str, run: "Run") -> "AbstractContextManager[Ready[Any]]":
        return ready.init(loaded.config, name, run, restart=restart, toml=loaded.path, on_progress=render.progress)

    result = change(
        asked,
        asked.run(loaded.state_dir),
        [Target(name, partial(opening, name)) for name in ready.targets(loaded.config, tuple(target or ()))],
        environment=loaded.config.platform.environment,
        may_lose_data=False,
    )
    good = result.exit_code in {ExitCode.OK, ExitCode.WARNINGS}
    return replace(result, next_actions=tuple(_next(asked, result, restart=restart)) if good else ())


def _next(asked: AskedChange, result: Result, *, restart: bool) -> "Iterator[str]":
    """Write for each cluster that had something to do what comes next, ready to be typed."""
    waiting = {one.target: one.hint or "" for one in result.findings if one.code == "DBB101"}
    where = f" --config {shlex.quote(str(asked.config))}" if asked.config else ""
    for one in result.data.plans:
        if not one.steps and one.target not in waiting:
            continue
        again = asked.plan or one.target in waiting
        restarts = (asked.plan and restart) or "--restart" in waiting.get(one.target, "")
        words = f"{'init' if again else 'audit'} --target {shlex.quote(one.target)}"
        yield f"dbops backup {words}{' --restart' if restarts else ''}{where}"


def audit(asked: Asked, *, target: Targets = None) -> Result:
    """Judge archiving, configuration and repositories against good settings: what is, what should be, and how."""
    from dbops.operations.clusters.init import ready

    loaded = asked.load()
    names = ready.targets(loaded.config, tuple(target or ()))
    found, findings = ready.audit(loaded.config, names, asked.run(loaded.state_dir))
    asked.invocation.watch.judged(names, findings)
    screen = tuple(part for one in found for part in _told(one))
    return Result({"clusters": found}, screen, tuple(findings))


def _told(one: "Audited") -> tuple[Line | Table, ...]:
    count = len(one.deviations)
    head = f"{one.target}: {one.verdict.value}, {count} deviation{'' if count == 1 else 's'}"
    if not count:
        return (Line(head, Tone.GOOD),)
    columns = (
        Column("code"),
        Column("what", shrinks=True),
        Column("is", shrinks=True),
        Column("should be", shrinks=True),
    )
    rows = tuple(
        (
            Cell(each.code, _TONES.get(each.severity, Tone.WARN)),
            Cell(each.what),
            Cell(each.found),
            Cell(each.wanted),
        )
        for each in one.deviations
    )
    return Line(head, Tone.WARN), Table(columns, rows)
