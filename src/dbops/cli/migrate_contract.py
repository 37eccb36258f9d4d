"""`dbops migrate contract`: the old goes away when every gate is open."""

import shlex
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dbops import units
from dbops.cli.door import Result, command
from dbops.cli.flow import Target, change
from dbops.cli.options import AskedChange
from dbops.cli.screen import Cell, Column, Screen, Table, Tone
from dbops.engine import clock
from dbops.engine.finding import Finding, Severity
from dbops.engine.patience import Ramp
from dbops.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from dbops.operations.migrate.contract.facts import Gate
    from dbops.operations.migrate.contract.looking import GatesClosed, Override

Name = Annotated[str, typer.Argument(metavar="CHANGE", help="The change, as its revisions name it.")]
One = Annotated[str, typer.Option("--target", "-t", metavar="NAME", help="The database.")]


@dataclass(frozen=True, slots=True)
class Contracted:
    """What was planned or done, and what each gate said."""

    environment: str
    plans: tuple[Any, ...]
    steps: tuple[Any, ...]
    gates: tuple["Gate", ...]


def verbs(app: typer.Typer) -> None:
    """Add the verb to its family."""
    command(
        app,
        "contract",
        "dbops migrate contract users-full-name --target agent_studio --plan",
        "dbops migrate contract users-full-name -t agent_studio --write",
        'dbops migrate contract users-full-name -t agent_studio --override clients --reason "they all end on Friday"',
    )(contract)


def contract(
    asked: AskedChange,
    name: Name,
    target: One,
    *,
    write: Annotated[bool, typer.Option("--write", help="Write the revision that contracts, for commit.")] = False,
    override: Annotated[
        list[str] | None,
        typer.Option("--override", metavar="GATE", help="Go through a closed gate (repeatable); stays on record."),
    ] = None,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why, with --override.")] = "",
    patience: Annotated[
        str, typer.Option(metavar="DURATION", help="How long to try for locks that the application holds.")
    ] = "3m",
) -> Result:
    """Remove what a change has replaced, when all its gates are open; else 9, and each gate tells why.

    With --write, writes the revision that does so; without, runs the committed one. Lock subjects: change:NAME, schema.
    """
    from dbops.across import gates as across
    from dbops.operations.migrate.contract import looking, ready
    from dbops.operations.migrate.contract import write as writing
    from dbops.stores import databases

    loaded = asked.load()
    config = loaded.config
    databases.targets(config, (target,))
    run = asked.run(loaded.state_dir)
    told: list[Gate] = []
    asking: dict[str, Any] = {
        "now": clock.now(),
        "change": name,
        "backups": across.backups(config, target, run),
        "override": looking.Override(tuple(override or ()), reason),
        "told": told,
    }
    if not write:
        asking["ramp"] = _ramp(patience)
    opening = partial(writing.write if write else ready.contract, config, loaded.path, target, **asking)
    try:
        result = change(asked, run, [Target(target, opening)], environment=config.platform.environment)
    except looking.GatesClosed as closed:
        return _closed(closed, config.platform.environment)
    data = Contracted(config.platform.environment, result.data.plans, result.data.steps, tuple(told))
    shown = (_table(told, asking["now"]),) if told else ()
    done = result.exit_code in {ExitCode.OK, ExitCode.WARNINGS} and result.data.steps
    after = _next(asked, f"{name} --target {target}", asking["override"], write=write, gates=bool(told)) if done else ()
    return replace(result, data=data, screen=(*shown, *result.screen), next_actions=after)


def _ramp(patience: str) -> Ramp:
    try:
        return Ramp(budget=units.parse_duration(patience))
    except ValueError as error:
        raise UsageError(f"--patience: {error}", hint="--patience 90s") from error


def _next(asked: AskedChange, of: str, override: "Override", *, write: bool, gates: bool) -> tuple[str, ...]:
    """Tell what comes then; a gate that was overridden is as closed as it was."""
    only = f"--target {of.rpartition(' ')[2]}"
    again = "".join(f" --override {gate}" for gate in override.gates)
    again += f" --reason {shlex.quote(override.reason)}" if again else ""
    if asked.plan:
        return (f"dbops migrate contract {of}{' --write' if write else ''}{again}{asked.where}",)
    if write and gates:
        return (f"dbops migrate contract {of}{again} --plan{asked.where}",)
    if write:  # what drops for good is a revision as any other
        return (f"dbops migrate up {only} --plan{asked.where}",)
    return (f"dbops migrate history {only}{asked.where}",)


def _closed(closed: "GatesClosed", environment: str) -> Result:
    """Tell each gate; the code is that of a refusal."""
    from dbops.operations.migrate.contract import check

    target = closed.target or "-"
    refused = Finding(Severity.ERROR, ExitCode.REFUSED.name.lower(), target, closed.message, closed.hint)
    found = (*check.findings(target, closed.gates, closed.now), refused)
    screen: Screen = (_table(closed.gates, closed.now),)
    return Result(Contracted(environment, (), (), closed.gates), screen, found)


def _table(gates: "Sequence[Gate]", now: "datetime") -> Table:
    tones = {"yes": Tone.GOOD, "no": Tone.BAD, "unknown": Tone.WARN}
    rows = tuple(
        (
            Cell(one.name),
            Cell(f"{one.passed}{', overridden' if one.overridden is not None else ''}", tones[one.passed]),
            Cell(one.evidence),
            Cell(units.duration(now - one.at) if one.at is not None else ""),
            Cell("" if one.open else one.todo or ""),
        )
        for one in gates
    )
    titles = (Column("gate"), Column("open"), Column("evidence", shrinks=True), Column("age", right=True))
    return Table((*titles, Column("what to do", shrinks=True)), rows)
