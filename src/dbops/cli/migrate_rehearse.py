"""`dbops migrate rehearse`: the whole life of a change on a throw-away copy, measured."""

from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dbops import units
from dbops.cli import render
from dbops.cli.door import Result, command
from dbops.cli.flow import Target, change
from dbops.cli.options import AskedChange
from dbops.cli.screen import Cell, Column, Screen, Table, Tone
from dbops.engine import clock
from dbops.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dbops.operations.migrate.rehearse.facts import Phase

Name = Annotated[str, typer.Argument(metavar="CHANGE", help="The change, as its revisions name it.")]
_RESTORED = "by a restore of the cluster's newest backup and the WAL behind it"
One = Annotated[str, typer.Option("--target", "-t", metavar="NAME", help="The database.")]


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """What was planned or done, and what was measured phase by phase."""

    environment: str
    plans: tuple[Any, ...]
    steps: tuple[Any, ...]
    phases: tuple["Phase", ...]


def verbs(app: typer.Typer) -> None:
    """Add the verb to its family."""
    command(
        app,
        "rehearse",
        "dbops migrate rehearse users-full-name --target agent_studio",
        "dbops migrate rehearse users-full-name -t agent_studio --triggers suppress --clients 8",
        "dbops migrate rehearse users-full-name -t agent_studio --from-backup --plan",
    )(rehearse)


def rehearse(
    asked: AskedChange,
    name: Name,
    target: One,
    *,
    triggers: Annotated[
        str | None,
        typer.Option(metavar="fire|suppress", help="What becomes of the table's own triggers in the backfill."),
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, max=32, help="How many parts of the table it fills at a time.")] = 1,
    clients: Annotated[int, typer.Option(min=0, max=64, help="How many read and write beside it.")] = 4,
    from_backup: Annotated[
        bool, typer.Option("--from-backup", help="Restore the cluster's newest backup; else the database is dumped.")
    ] = False,
) -> Result:
    """Go through all phases on a copy of the database, rows included: 0 good, 4 something failed there, 5 no copy.

    Measures locks, rewrites, WAL, sizes and latencies; kept in the ledger under the plan's checksum. Takes no lock.
    """
    from dbops.across.rehearse import from_backup as restored
    from dbops.operations.migrate.backfill.facts import Firing
    from dbops.operations.migrate.rehearse import check, ready
    from dbops.stores import databases

    loaded = asked.load()
    databases.targets(loaded.config, (target,))
    if triggers is not None and triggers not in set(Firing):
        raise UsageError(f"--triggers {triggers!r} is neither fire nor suppress")
    told: list[Phase] = []
    how = ready.How(Firing(triggers) if triggers is not None else None, jobs, clients, render.progress)
    run = asked.run(loaded.state_dir)
    source = ready.Brought(_RESTORED, partial(restored, loaded.config, target, run)) if from_backup else None
    asking: dict[str, Any] = {"now": clock.now(), "change": name, "how": how, "told": told, "source": source}
    opening = partial(ready.rehearse, loaded.config, loaded.path, target, **asking)
    environment = loaded.config.platform.environment
    try:
        result = change(asked, run, [Target(target, opening)], environment=environment, may_lose_data=False)
    except ready.Failed as failed:
        found = tuple(check.findings(failed.target or target, told))
        return Result(Rehearsed(environment, (), (), tuple(told)), _screen(told), found)
    data = Rehearsed(environment, result.data.plans, result.data.steps, tuple(told))
    good = told and result.exit_code in {ExitCode.OK, ExitCode.WARNINGS}
    after = f"dbops migrate status --target {target}{asked.where}"
    return replace(result, data=data, screen=(*result.screen, *_screen(told)), next_actions=(after,) if good else ())


def _screen(phases: "Sequence[Phase]") -> Screen:
    if not phases:
        return ()
    figures = (Column("wal", right=True), Column("rows/s", right=True), Column("p99", right=True))
    titles = (Column("phase"), Column("took", right=True), Column("predicted", right=True), *figures)
    more = (Column("longest", right=True), Column("load"), Column("strong locks", shrinks=True))
    return (Table((*titles, *more), tuple(_row(one) for one in phases)),)


def _row(one: "Phase") -> tuple[Cell, ...]:
    load = one.load
    failed = Cell(f"{load.failed:,} of {load.transactions + load.failed:,} failed", Tone.BAD)
    return (
        Cell(one.name, Tone.BAD if one.error is not None else Tone.GOOD),
        Cell(_span(one.took_ms)),
        Cell(_span(one.predicted_ms)),
        Cell(units.size(one.wal_bytes)),
        Cell(f"{one.rows_per_s:,.0f}" if one.rows_per_s is not None else ""),
        Cell(f"{load.p99_ms:.1f} ms" if load.transactions else ""),
        Cell(f"{load.longest_ms:.0f} ms" if load.transactions else ""),
        failed if load.failed else Cell(f"{load.transactions:,} done"),
        Cell("; ".join(_locks(one)), Tone.WARN if one.rewritten else Tone.PLAIN),
    )


def _locks(one: "Phase") -> "list[str]":
    told = [
        f"{held.mode} on {held.relation} {held.held_ms:.0f} ms"
        + (f", awaited {held.awaited_ms:.0f} ms" if held.awaited_ms else "")
        for held in one.locks
    ]
    return [*told, *(f"rewrites {table}" for table in one.rewritten)]


def _span(milliseconds: float) -> str:
    return units.duration(timedelta(milliseconds=round(milliseconds)))
