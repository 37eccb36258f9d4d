"""`dbops migrate switch`: let readers follow to the new."""

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from dbops import units
from dbops.cli.door import Result, command
from dbops.cli.flow import Target, change
from dbops.cli.options import AskedChange
from dbops.engine import clock
from dbops.engine.patience import Ramp
from dbops.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from dbops.operations.migrate.switch.facts import Override

Name = Annotated[str, typer.Argument(metavar="CHANGE", help="The change, as its revisions name it.")]
One = Annotated[str, typer.Option("--target", "-t", metavar="NAME", help="The database.")]
Patience = Annotated[
    str, typer.Option(metavar="DURATION", help="How long to try for locks that the application holds.")
]
Gates = Annotated[
    list[str] | None,
    typer.Option("--override", metavar="GATE", help="Go on without this proof: reverse (the way back)."),
]
Reason = Annotated[str | None, typer.Option("--reason", metavar="TEXT", help="Why; it stays in the ledger.")]
_ALL = 100


def verbs(app: typer.Typer) -> None:
    """Add the verb to its family."""
    command(
        app,
        "switch",
        "dbops migrate switch users-full-name --target agent_studio --percent 10",
        "dbops migrate switch users-full-name -t agent_studio --percent 100 --plan",
    )(switch)


def switch(
    asked: AskedChange,
    name: Name,
    target: One,
    *,
    percent: Annotated[int, typer.Option(min=0, max=100, help="How many of the keys read the new.")] = _ALL,
    override: Gates = None,
    reason: Reason = None,
    patience: Patience = "3m",
) -> Result:
    """Let readers follow, by and by; 100 starts the soak, and takes the baseline that contract is judged by.

    Applications ask dbops.read_new(change, key). Lock subjects: change:NAME, and schema where names are exchanged.
    """
    from dbops.operations.migrate.switch import ready
    from dbops.stores import databases

    loaded = asked.load()
    databases.targets(loaded.config, (target,))
    opening = partial(
        ready.switch,
        loaded.config,
        loaded.path,
        target,
        now=clock.now(),
        change=name,
        percent=percent,
        overrides=overrides(override, reason),
        ramp=ramp(patience),
    )
    result = change(
        asked,
        asked.run(loaded.state_dir),
        [Target(target, opening)],
        environment=loaded.config.platform.environment,
        may_lose_data=False,
    )
    if asked.plan or result.exit_code not in {ExitCode.OK, ExitCode.WARNINGS}:
        return result
    after = "contract {} --target {} --plan" if percent == _ALL else "switch {} --target {} --percent 100"
    return replace(result, next_actions=(f"dbops migrate {after.format(name, target)}{asked.where}",))


def overrides(gates: list[str] | None, reason: str | None) -> "tuple[Override, ...]":
    """Pair each gate that is overridden with the reason, without which none is."""
    from dbops.operations.migrate.switch.facts import Override

    if gates and not (reason or "").strip():
        raise UsageError("--override needs --reason", hint='--reason "what was checked by other means"')
    if reason is not None and not gates:
        raise UsageError("--reason is for --override GATE", hint='--override reverse --reason "..."')
    return tuple(Override(gate, (reason or "").strip()) for gate in gates or ())


def ramp(patience: str) -> Ramp:
    try:
        return Ramp(budget=units.parse_duration(patience))
    except ValueError as error:
        raise UsageError(f"--patience: {error}", hint="--patience 90s") from error
