"""The options that every command shares, as two frozen dataclasses; `door.command` appends them to signatures."""

import shlex
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dbops.engine import clock
from dbops.engine.run import Run, new_id
from dbops.engine.watch import Watch
from dbops.errors import UsageError
from dbops.units import parse_duration

if TYPE_CHECKING:
    from dbops.config.load import Loaded  # brings pydantic: imported when a command needs it

_COMMON = "Common options"
_CHANGE = "Before it changes something"


class Output(StrEnum):
    TEXT = "text"
    JSON = "json"


@dataclass(frozen=True)
class Invocation:
    """One call of dbops: its name is in journals, locks, and every connection."""

    command: str
    started: datetime = field(default_factory=clock.now)
    run_id: str = ""
    watch: Watch = field(default_factory=Watch, compare=False)

    def __post_init__(self) -> None:
        if not self.run_id:
            object.__setattr__(self, "run_id", new_id(self.started))


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What every command is told."""

    config: Annotated[
        Path | None,
        typer.Option("--config", help="The configuration; else $DBOPS_CONFIG, else upwards.", rich_help_panel=_COMMON),
    ] = None
    output: Annotated[
        Output,
        typer.Option("--output", "-o", envvar="DBOPS_OUTPUT", help="How to print the result.", rich_help_panel=_COMMON),
    ] = Output.TEXT
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no hints.", rich_help_panel=_COMMON)] = (
        False
    )
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Tell more.", rich_help_panel=_COMMON)] = False
    no_color: Annotated[
        bool, typer.Option("--no-color", help="Plain text; so does $NO_COLOR.", rich_help_panel=_COMMON)
    ] = False
    metrics_file: Annotated[
        Path | None,
        typer.Option(
            "--metrics-file",
            metavar="PATH",
            envvar="DBOPS_METRICS_FILE",
            help="Merge how it ended into this textfile for node_exporter (NAME.prom).",
            rich_help_panel=_COMMON,
        ),
    ] = None
    ping_url_env: Annotated[
        str | None,
        typer.Option(
            "--ping-url-env",
            metavar="NAME",
            help="Tell start and end to the monitor whose URL $NAME holds.",
            rich_help_panel=_COMMON,
        ),
    ] = None
    invocation: Invocation = field(default_factory=lambda: Invocation("dbops"), metadata={"option": False})

    @property
    def where(self) -> str:
        """The end of a command line that is to speak of the same configuration."""
        return "" if self.config is None else f" --config {shlex.quote(str(self.config))}"

    def load(self) -> "Loaded":
        from dbops.config.load import load

        return load(self.config)

    def run(self, state_dir: Path) -> Run:
        call = self.invocation
        return Run(call.run_id, call.command, call.started, state_dir, plan_only=True)


@dataclass(frozen=True, kw_only=True)
class AskedChange(Asked):
    """What every command that changes something is told."""

    plan: Annotated[
        bool, typer.Option("--plan", help="Show what would be done; do nothing.", rich_help_panel=_CHANGE)
    ] = False
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Agree to steps that block or remove.", rich_help_panel=_CHANGE)
    ] = False
    confirm: Annotated[
        list[str] | None,
        typer.Option("--confirm", metavar="TARGET", help="Agree to data loss on TARGET.", rich_help_panel=_CHANGE),
    ] = None
    lock_wait: Annotated[
        str, typer.Option("--lock-wait", metavar="TIME", help="How long to wait for the lock.", rich_help_panel=_CHANGE)
    ] = "0s"
    expect_plan: Annotated[
        list[str] | None,
        typer.Option("--expect-plan", metavar="SHA", help="Refuse any other plan.", rich_help_panel=_CHANGE),
    ] = None
    skip_if_running: Annotated[
        bool, typer.Option("--skip-if-running", help="Exit 0 when another run is at it.", rich_help_panel=_CHANGE)
    ] = False

    def load(self) -> "Loaded":
        from dbops.config.load import load

        return load(self.config, changing=not self.plan)

    def run(self, state_dir: Path) -> Run:
        call = self.invocation
        return Run(call.run_id, call.command, call.started, state_dir, self.wait, plan_only=self.plan)

    @property
    def wait(self) -> timedelta:
        try:
            return parse_duration(self.lock_wait)
        except ValueError as error:
            raise UsageError(f"--lock-wait: {error}") from None
