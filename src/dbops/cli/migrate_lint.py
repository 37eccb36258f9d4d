"""`dbops migrate lint`: schemas and revisions, judged before anybody runs them."""

import os
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from dbops.cli.door import Result, command
from dbops.cli.options import Asked
from dbops.cli.screen import Cell, Column, Line, Screen, Table, Tone, Verbatim
from dbops.engine import stop
from dbops.engine.run import each
from dbops.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dbops.operations.migrate.forecast.facts import Line as Forecast
    from dbops.operations.migrate.lint.ready import Judged

_JOBS = min(4, os.cpu_count() or 1)


class Format(StrEnum):
    TEXT = "text"
    JSON = "json"
    GITHUB = "github"
    JUNIT = "junit"


def verbs(app: typer.Typer) -> None:
    """Add it to the family."""
    command(
        app,
        "lint",
        "dbops migrate lint",
        "dbops migrate lint --target audit --verbose",
        "dbops migrate lint --on-target",
        "dbops migrate lint --format github",
        "dbops migrate lint --explain DBM122",
    )(lint)


def lint(
    asked: Asked,
    *,
    target: Annotated[
        list[str] | None, typer.Option("--target", "-t", metavar="NAME", help="Only this database (repeatable).")
    ] = None,
    on_target: Annotated[
        bool, typer.Option("--on-target", help="Judge the live databases and what is pending on them, by their sizes.")
    ] = False,
    jobs: Annotated[int, typer.Option(min=1, max=64, help="How many databases at a time.")] = _JOBS,
    format_: Annotated[Format, typer.Option("--format", help="How to print what was found.")] = Format.TEXT,
    explain: Annotated[
        str | None, typer.Option("--explain", metavar="CODE", help="Only tell what a code means, and the way around.")
    ] = None,
) -> Result:
    """Judge schemas (DBM2xx), and what each statement does to a running application (DBM1xx), seen on a clone."""
    if explain is not None:
        return _explained(explain, as_json=format_ is Format.JSON)
    found = _judged(asked, target, on_target=on_target, jobs=jobs)
    return Result(
        {"databases": [one.told for one in found], "squawk": all(one.asked_squawk for one in found)},
        _shown(found, format_, verbose=asked.verbose),
        tuple(finding for one in found for finding in one.findings),
        as_json=format_ is Format.JSON,
    )


def _judged(asked: Asked, target: list[str] | None, *, on_target: bool, jobs: int) -> "list[Judged]":
    from dbops.operations.migrate.lint import ready
    from dbops.stores import databases

    loaded = asked.load()
    run = asked.run(loaded.state_dir)
    names = databases.targets(loaded.config, tuple(target or ()))
    opening = ready.on_databases if on_target else ready.on_history
    with opening(loaded.config, loaded.path, run) as judge:
        ended = each(names, judge, jobs=jobs)
    for one in ended:
        if one.error is not None:
            raise one.error
    stop.check()
    return [one.result for one in ended if one.result is not None]


def _explained(asked_for: str, *, as_json: bool) -> Result:
    from dbops.operations.migrate.lint import explain

    told = explain.code(asked_for.upper())
    if told is None:
        raise UsageError(f"{asked_for!r} is no code of lint", hint=f"one of {explain.RANGES}")
    lines = [Line(f"{told.code} ({told.severity}): {told.says}", Tone.STRONG), Line(f"do: {told.recipe}", indent=2)]
    if told.squawk:
        lines.append(Line(f"squawk calls it {', '.join(told.squawk)}", Tone.FAINT, indent=2))
    return Result(told, tuple(lines), as_json=as_json)


def _shown(found: "Sequence[Judged]", format_: Format, *, verbose: bool) -> Screen:
    from dbops.cli import lint_told

    match format_:
        case Format.GITHUB:
            return tuple(Verbatim(f"{line}\n") for line in lint_told.github(found))
        case Format.JUNIT:
            return (Verbatim(lint_told.junit(found)),)
        case Format.TEXT | Format.JSON:
            return _screen(found, verbose=verbose)


def _felt(one: "Judged") -> "list[Forecast]":
    """Leave out the statements that nobody notices, and those that only go on under a lock that was told."""
    return [
        line
        for line in one.told.forecast
        if line.codes or not line.number or (line.blocks != "nothing" and not _goes_on(line))
    ]


def _goes_on(line: "Forecast") -> bool:
    held = all(lock.endswith("(held)") for lock in line.locks)
    return held and not (line.rewrites or line.scans or line.notes)


def _screen(found: "Sequence[Judged]", *, verbose: bool) -> Screen:
    from dbops.operations.migrate.forecast import told

    rows = tuple(
        (
            Cell(one.told.target),
            Cell(one.told.against),
            Cell(str(one.told.tables)),
            Cell(str(one.told.found), Tone.WARN if one.findings else Tone.GOOD),
            Cell(str(len(one.told.silenced)), Tone.FAINT),
        )
        for one in found
    )
    columns = (Column("database"), Column("judged"), *(Column(n, right=True) for n in ("tables", "found", "allowed")))
    screen: list[Table | Line] = [Table(columns, rows)]
    for one in found:
        for line in one.told.forecast if verbose else _felt(one):
            tone = Tone.PLAIN if line.codes else Tone.FAINT
            screen.append(Line(f"{one.told.target} {line.revision} {told.text(line)}", tone))
        if not verbose and _felt(one) and (more := len(one.told.forecast) - len(_felt(one))):
            what = "1 more statement takes" if more == 1 else f"{more} more statements take"
            screen.append(Line(f"{one.told.target}: {what} no further lock that others feel (--verbose)", Tone.FAINT))
    if any(one.told.forecast and not one.asked_squawk for one in found):
        screen.append(Line("no second opinion: squawk is not installed (pip install squawk-cli)", Tone.FAINT))
    for one in found if verbose else ():
        screen += [
            Line(f"{silent.target} [{silent.rule}] {silent.message}: {silent.reason}", Tone.FAINT)
            for silent in one.told.silenced
        ]
        for said in one.told.squawk:
            seen = "as PostgreSQL showed" if said.agreed else f"PostgreSQL showed none of {', '.join(said.codes)}"
            text = f"{one.told.target} {said.revision} {said.number}. squawk says {said.rule}: {seen}"
            screen.append(Line(text, Tone.FAINT))
    return tuple(screen)
