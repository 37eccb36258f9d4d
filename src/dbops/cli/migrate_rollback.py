"""`dbops migrate rollback`: one phase back, keeping what new writers wrote."""

from dataclasses import replace
from functools import partial
from typing import Annotated

import typer

from dbops.cli import render
from dbops.cli.door import Result, command
from dbops.cli.flow import Target, change
from dbops.cli.migrate_switch import Gates, Name, One, Patience, Reason, overrides, ramp
from dbops.cli.options import AskedChange
from dbops.engine import clock


def verbs(app: typer.Typer) -> None:
    """Add the verb to its family."""
    command(
        app,
        "rollback",
        "dbops migrate rollback users-full-name --target agent_studio --plan",
        "dbops migrate rollback users-full-name -t agent_studio --write",
    )(rollback)


def rollback(
    asked: AskedChange,
    name: Name,
    target: One,
    *,
    write: Annotated[
        bool, typer.Option("--write", help="Write a revision that takes it back, where others came after it.")
    ] = False,
    override: Gates = None,
    reason: Reason = None,
    limit: Annotated[int | None, typer.Option(min=1, metavar="ROWS", help="Read no more rows a second.")] = None,
    on: Annotated[
        str | None, typer.Option("--on", metavar="SERVER", help="primary, replica, replica 2; default: a replica.")
    ] = None,
    patience: Patience = "3m",
) -> Result:
    """Go one phase back: from switched to verified, from there to before expand. What new writers wrote stays.

    What was contracted comes back by `migrate down`, until it is dropped for good. Lock subjects: change:NAME, schema.
    """
    from dbops.operations.migrate.compare.ready import How
    from dbops.operations.migrate.rollback import ready
    from dbops.stores import databases

    loaded = asked.load()
    databases.targets(loaded.config, (target,))
    opening = partial(
        ready.rollback,
        loaded.config,
        loaded.path,
        target,
        now=clock.now(),
        change=name,
        write=write,
        overrides=overrides(override, reason),
        how=How(limit=limit, on=on, on_progress=render.progress),
        ramp=ramp(patience),
    )
    result = change(
        asked,
        asked.run(loaded.state_dir),
        [Target(target, opening)],
        environment=loaded.config.platform.environment,
    )
    done = () if asked.plan else tuple(step.id for step in result.data.steps)
    where = f"--target {target}{asked.where}"
    if "write" in done:
        return replace(result, next_actions=(f"dbops migrate up {where}",))
    return replace(result, next_actions=(f"dbops migrate switch {name} {where}",) if "verify" in done else ())
