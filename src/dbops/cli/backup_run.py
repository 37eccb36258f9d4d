"""`dbops backup run`: one backup of each cluster into each of its repositories, and the configuration beside it."""

import gc
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from dbops import units
from dbops.cli import render
from dbops.cli.door import Result, command
from dbops.cli.flow import Changed, Target, change
from dbops.cli.options import AskedChange
from dbops.cli.screen import Line, Tone
from dbops.engine import clock
from dbops.engine.ending import Measure
from dbops.errors import UsageError

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from dbops.config.model import Config
    from dbops.engine.finding import Finding
    from dbops.engine.plan import Ready
    from dbops.engine.run import Run
    from dbops.operations.clusters.take.facts import Action, Taken

_LONGEST_REASON = 500


class Type(StrEnum):
    AUTO = "auto"
    FULL = "full"
    DIFF = "diff"
    INCR = "incr"


@dataclass(frozen=True, slots=True)
class Backed(Changed):
    """The data of `backup run`: the plans, and what was taken."""

    backups: "tuple[Taken, ...]" = ()


def verbs(app: typer.Typer) -> None:
    """Add it to the family."""
    command(
        app,
        "run",
        "dbops backup run",
        "dbops backup run --plan",
        "dbops backup run --type full --reason 'before the upgrade' --target main",
        "dbops backup run --skip-if-running --quiet --metrics-file /var/lib/node_exporter/backup.prom",
    )(run)


def run(
    asked: AskedChange,
    *,
    target: Annotated[
        list[str] | None, typer.Option("--target", "-t", metavar="NAME", help="Only this cluster (repeatable).")
    ] = None,
    type_: Annotated[Type, typer.Option("--type", help="auto: as the schedule and what exists demand.")] = Type.AUTO,
    reason: Annotated[
        str | None, typer.Option("--reason", metavar="TEXT", help="Kept with the backup, beside the run's id.")
    ] = None,
    configuration_only: Annotated[
        bool, typer.Option("--configuration-only", help="Only keep the configuration, beside the newest backup.")
    ] = False,
) -> Result:
    """Take a backup into each repository and keep the configuration in the vault. Lock subject: backup."""
    gc.freeze()  # whatever was imported by now stays: each look through it for garbage takes 10 ms
    from dbops.operations.clusters.take import ready
    from dbops.operations.clusters.take.facts import Kind, Taken, Wanted

    loaded = asked.load()
    config = loaded.config
    names = ready.targets(config, tuple(target or ()))
    wanted = Wanted(Kind(type_.value), _one_line(reason), configuration_only)
    taken: list[Taken] = []
    now = clock.now()

    def opened(name: str, run: "Run") -> "AbstractContextManager[Ready[Action]]":
        return ready.run(
            config, name, run, now=now, wanted=wanted, taken=taken, on_progress=render.progress, toml=loaded.path
        )

    this = asked.run(loaded.state_dir)
    result = change(
        asked,
        this,
        [Target(name, partial(opened, name)) for name in names],
        environment=config.platform.environment,
        keep_going=True,  # a cluster that is away is no reason to leave another without its backup
        may_lose_data=False,
    )
    data = Backed(result.data.environment, result.data.plans, result.data.steps, tuple(taken))
    measures = tuple(
        measure
        for one in taken
        if not one.page_errors
        for measure in (
            Measure(one.target, "backup_age", clock.now() - one.stopped, _promised(config, one.target)),
            Measure(one.target, "backup_duration", one.took),
        )
    )
    lines = tuple(Line(_told(one), Tone.WARN if one.page_errors else Tone.PLAIN, indent=2) for one in taken)
    findings = (*result.findings, *_swept(this))
    return replace(result, data=data, screen=(*result.screen, *lines), findings=findings, measures=measures)


def _swept(run: "Run") -> "tuple[Finding, ...]":
    """Remove expired scratch copies; a host that has none does not even import what removes them."""
    from dbops.operations.clusters.restore.room import room

    if not room(run.state_dir).is_dir():
        return ()
    from dbops.operations.clusters.restore.sweeping import swept

    return swept(run, clock.now())


def _promised(config: "Config", target: str) -> timedelta | None:
    return config.cluster[target].objectives.backup_age


def _one_line(reason: str | None) -> str | None:
    if reason is None:
        return None
    told = reason.strip()
    if not told or len(told) > _LONGEST_REASON or not told.isprintable():
        raise UsageError(f"--reason: one line of 1 to {_LONGEST_REASON} printable characters is kept")
    return told


def _told(one: "Taken") -> str:
    sizes = f"{units.size(one.size_bytes)} of data, {units.size(one.repository_bytes)} added"
    return f"repository {one.repository}: {one.label} ({one.kind}), {sizes}, in {units.duration(one.took)}"
