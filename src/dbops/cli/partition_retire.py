"""The verbs of `dbops partition` that take rows away, and bring them back."""

from dataclasses import replace
from functools import partial
from typing import Annotated

import typer

from dbops.cli.door import Result, command
from dbops.cli.flow import Target, change
from dbops.cli.options import AskedChange
from dbops.engine import clock
from dbops.engine.finding import Finding

Targets = Annotated[
    list[str] | None, typer.Option("--target", "-t", metavar="NAME", help="Only this database (repeatable).")
]
Tables = Annotated[
    list[str] | None, typer.Option("--table", metavar="TABLE", help="Only this table, as configured (repeatable).")
]


def verbs(app: typer.Typer) -> None:
    """Add them to the family."""
    command(
        app,
        "retire",
        "dbops partition retire --plan",
        "dbops partition retire --yes --skip-if-running",
        "dbops partition retire --target audit --table audit_events --yes",
    )(retire)
    command(
        app,
        "restore",
        "dbops partition restore audit_events_2019_01 --target audit --plan",
        "dbops partition restore audit_events_2019_01 --target audit --detached",
    )(restore)


def retire(asked: AskedChange, *, target: Targets = None, table: Tables = None) -> Result:
    """Copy, compare, detach, and after a grace drop what is past its retention. Lock subject: partition."""
    from dbops.operations.partitions import ready
    from dbops.operations.partitions.retire_ready import retire as opened
    from dbops.operations.partitions.wish import place, wishes

    loaded = asked.load()
    config = loaded.config
    names = ready.targets(config, tuple(target or ()))
    ready.refuse_unknown(config, names, tuple(table or ()))
    wanted = {place(one) for one in table or ()}
    now = clock.now()
    met: list[Finding] = []  # what the steps came upon
    targets = [
        Target(name, partial(opened, config, name, chosen, now=now, told=met))
        for name in names
        if (chosen := [wish for wish in wishes(config, name) if not wanted or wish.table in wanted])
    ]
    result = change(
        asked,
        asked.run(loaded.state_dir),
        targets,
        environment=config.platform.environment,
        keep_going=True,  # one database that is away must not keep the others full
    )
    return replace(result, findings=(*result.findings, *met))


def restore(
    asked: AskedChange,
    *,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The partition, or a part of its artifact's name.")],
    target: Annotated[str, typer.Option("--target", "-t", metavar="NAME", help="The database.")],
    detached: Annotated[
        bool, typer.Option("--detached", help="Beside its table, in the grace schema: to be looked at.")
    ] = False,
) -> Result:
    """Bring a retired partition back from its grace or its copy, compared row by row. Lock subject: partition."""
    from dbops.operations.partitions import ready
    from dbops.operations.partitions.restore_ready import restore as opened

    loaded = asked.load()
    config = loaded.config
    ready.targets(config, (target,))
    opening = partial(opened, config, target, name, now=clock.now(), attached=not detached)
    return change(
        asked,
        asked.run(loaded.state_dir),
        [Target(target, opening)],
        environment=config.platform.environment,
        may_lose_data=False,
    )
