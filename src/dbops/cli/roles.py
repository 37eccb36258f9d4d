"""`dbops roles`: the roles, memberships, grants and owners that the configuration declares."""

from dataclasses import replace
from functools import partial
from typing import Annotated

import typer

from dbops.cli.door import Result, command, family
from dbops.cli.flow import Target, change
from dbops.cli.options import Asked, AskedChange
from dbops.cli.screen import Line, Tone
from dbops.engine import clock
from dbops.engine.finding import verdict
from dbops.errors import ExitCode

app = family("roles")

Targets = Annotated[
    list[str] | None, typer.Option("--target", "-t", metavar="NAME", help="Only this target (repeatable).")
]


@command(app, "plan", "dbops roles plan", "dbops roles plan --target agent_studio --output json")
def plan(asked: AskedChange, target: Targets = None) -> Result:
    """Show what differs from the configuration: roles of each cluster, then grants of each database."""
    return _change(replace(asked, plan=True), target, jobs=1, keep_going=False)


@command(app, "apply", "dbops roles apply", "dbops roles apply --yes --target audit", "dbops roles apply --plan")
def apply(
    asked: AskedChange,
    target: Targets = None,
    jobs: Annotated[int, typer.Option(min=1, max=64, help="How many databases at a time.")] = 1,
    keep_going: Annotated[bool, typer.Option("--keep-going", help="Go on with other targets after a failure.")] = False,
) -> Result:
    """Bring roles, memberships, grants and owners to what is configured. Lock subject: roles."""
    return _change(asked, target, jobs=jobs, keep_going=keep_going)


def _change(asked: AskedChange, names: list[str] | None, *, jobs: int, keep_going: bool) -> Result:
    from dbops.operations.roles import ready

    loaded = asked.load()
    config = loaded.config
    run = asked.run(loaded.state_dir)
    clusters, databases = ready.targets(config, tuple(names or ()))
    now = clock.now()
    # Grants need their roles: the clusters come first, one after the other, then the databases.
    targets = [
        *(Target(name, partial(ready.ready_cluster, config, name, now=now)) for name in clusters),
        *(Target(name, partial(ready.ready_database, config, name, now=now)) for name in databases),
    ]
    result = change(
        asked,
        run,
        targets,
        environment=config.platform.environment,
        first_alone=len(clusters),
        jobs=jobs,
        keep_going=keep_going,
        may_lose_data=False,
    )
    return replace(result, next_actions=_next(asked, result))


def _next(asked: AskedChange, result: Result) -> tuple[str, ...]:
    if result.exit_code not in {ExitCode.OK, ExitCode.WARNINGS} or not result.data.steps:
        return ()
    return (f"dbops roles {'apply' if asked.plan else 'check'}{asked.where}",)


@command(app, "check", "dbops roles check", "dbops roles check --output json")
def check(asked: Asked, target: Targets = None) -> Result:
    """Check the posture: superusers, PUBLIC, unsafe functions, undeclared logins, drift."""
    from dbops.operations.roles import ready

    loaded = asked.load()
    names = tuple(target or ())
    findings = ready.checked(loaded.config, names, asked.run(loaded.state_dir))
    clusters, databases = ready.targets(loaded.config, names)
    asked.invocation.watch.judged((*clusters, *databases), findings)
    told = verdict(findings)
    return Result(
        {"verdict": told, "findings": len(findings)},
        (Line(f"roles: {told.value}, {len(findings)} findings", Tone.GOOD if not findings else Tone.WARN),),
        findings=tuple(findings),
    )
