"""`dbops sandbox`: the embedded platform, in one folder."""

import os
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from dbops.cli.door import Result, command, family
from dbops.cli.flow import Target, change
from dbops.cli.options import Asked, AskedChange
from dbops.cli.screen import Cell, Column, Line, Table, Tone
from dbops.engine.finding import Finding, Severity
from dbops.errors import ExitCode, Refused

app = family("sandbox")

_ENVIRONMENT = "development"
Dir = Annotated[Path, typer.Option("--dir", metavar="DIR", help="The folder of the sandbox.")]
DEFAULT = Path(".sandbox")


@command(app, "up", "dbops sandbox up", "dbops sandbox up --dir /srv/sandbox", "dbops sandbox up --plan")
def up(
    asked: AskedChange,
    folder: Dir = DEFAULT,
    fast: Annotated[bool, typer.Option("--fast", help="No fsync: a crash of the machine may lose all.")] = False,
) -> Result:
    """Bring up PostgreSQL, pgBackRest, Redis, Cosmos DB and AI Search emulators, or repair them. Lock: DIR/.lock."""
    from dbops.sandbox import layout, ready

    place = layout.at(folder)
    target = Target("sandbox", partial(ready.up, folder, durable=not fast))
    told = _as_typed(folder)
    return change(
        asked,
        asked.run(place.state),
        [target],
        environment=_ENVIRONMENT,
        may_lose_data=False,
        next_actions=(
            f"dbops status --config {_shell(place.config)}",
            f"dbops sandbox exec{told} -- sh -c 'psql \"$DBOPS_SANDBOX_POSTGRES\"'",
            f"dbops sandbox down{told}",
        ),
    )


@command(app, "down", "dbops sandbox down", "dbops sandbox down --purge --yes")
def down(
    asked: AskedChange,
    folder: Dir = DEFAULT,
    purge: Annotated[bool, typer.Option("--purge", help="Remove its files too, with all data in them.")] = False,
) -> Result:
    """Stop every process of the sandbox; its data stay, unless --purge. Lock: DIR/.lock."""
    from dbops.sandbox import layout, ready

    target = Target("sandbox", partial(ready.down, folder, purge=purge))
    again = () if purge else (f"dbops sandbox up{_as_typed(folder)}",)
    return change(
        asked,
        asked.run(layout.at(folder).state),
        [target],
        environment=_ENVIRONMENT,
        may_lose_data=False,
        next_actions=again,
    )


class Size(StrEnum):
    """How much data."""

    SMALL = "small"
    MEDIUM = "medium"


@command(app, "seed", "dbops sandbox seed", "dbops sandbox seed --size medium", "dbops sandbox seed -t audit --plan")
def seed(
    asked: AskedChange,
    folder: Dir = DEFAULT,
    size: Annotated[Size, typer.Option("--size", help="A few seconds, or about 1 GB in PostgreSQL.")] = Size.SMALL,
    target: Annotated[
        list[str] | None, typer.Option("--target", "-t", metavar="NAME", help="Only this target (repeatable).")
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", metavar="DATE", help="The day before which all of it happened.")
    ] = None,
) -> Result:
    """Fill every store of the sandbox with the same plausible data every time. Lock subject: seed."""
    from dbops.sandbox import layout
    from dbops.sandbox.seed import ready

    known, place = ready.world(size, until), layout.at(folder)
    result = change(
        asked,
        asked.run(place.state),
        [Target(name, partial(ready.seed, folder, name, known)) for name in ready.named(folder, target or ())],
        environment=_ENVIRONMENT,
        jobs=2,  # one is generated while the server stores the other
        may_lose_data=False,
    )
    # New partitions have the rights of new tables: that some of them only grow comes with the roles.
    done = result.exit_code == ExitCode.OK and result.data.steps and not asked.plan
    return replace(result, next_actions=(f"dbops roles apply --config {_shell(place.config)}",) if done else ())


@dataclass(frozen=True, slots=True)
class Found:
    """What `status` tells machines."""

    dir: str
    config: str
    complete: bool
    cluster: str
    cache: str
    workflows: str
    search: str
    vault: bool
    archive: str
    databases: tuple[str, ...]


@command(app, "status", "dbops sandbox status", "dbops sandbox status --dir /srv/sandbox --output json")
def status(asked: Asked, folder: Dir = DEFAULT) -> Result:
    """Tell what of the sandbox is there and runs."""
    from dbops.sandbox import layout
    from dbops.sandbox.facts import CACHE, DATABASES, State
    from dbops.sandbox.observe import observe

    place = layout.at(folder)
    facts = observe(place, asked.run(place.state))
    if not facts.exists:
        raise Refused(f"there is no sandbox in {facts.home}", hint=f"dbops sandbox up{_as_typed(folder)}")
    tones = {State.RUNNING: Tone.GOOD, State.KILLED: Tone.BAD}
    there = tuple(sorted(DATABASES[target] for target in facts.databases or ()))
    counted = "" if facts.databases is None else f"{len(there)} of {len(DATABASES)} databases"
    others = {CACHE: facts.cache, **facts.emulators}
    rows = (
        (Cell("main"), Cell(facts.cluster.value, tones.get(facts.cluster, Tone.WARN)), Cell(counted)),
        (Cell("stanza"), Cell(facts.archive.value), Cell("")),
        *((Cell(name), Cell(state.value, tones.get(state, Tone.WARN)), Cell("")) for name, state in others.items()),
        (Cell("vault"), Cell("there" if facts.vault else "absent"), Cell("")),
    )
    stopped = {facts.cluster, *others.values()} <= {State.STOPPED, State.ABSENT}
    missing = Finding(
        Severity.INFO if stopped else Severity.WARNING,
        "sandbox-stopped" if stopped else "sandbox-incomplete",
        "sandbox",
        "the sandbox is stopped" if stopped else "not all of the sandbox is there and runs",
        f"dbops sandbox up{_as_typed(folder)}",
    )
    return Result(
        Found(
            facts.home,
            str(place.config),
            facts.complete,
            facts.cluster,
            facts.cache,
            facts.workflows,
            facts.search,
            facts.vault,
            facts.archive,
            there,
        ),
        (
            Table((Column("part"), Column("state"), Column("holds")), rows),
            Line(f"{place.config}", Tone.FAINT),
        ),
        findings=() if facts.complete else (missing,),
    )


@command(
    app,
    "exec",
    "dbops sandbox exec -- sh -c 'psql \"$DBOPS_SANDBOX_POSTGRES\"'",
    "dbops sandbox exec -- dbops status",
    context_settings={"allow_interspersed_args": False},
)
def execute(
    _asked: Asked,
    argv: Annotated[list[str], typer.Argument(metavar="CMD...", help="The command, after `--`.")],
    folder: Dir = DEFAULT,
) -> Result:
    """Run a command with DBOPS_CONFIG, DBOPS_SANDBOX_POSTGRES and the variables of the secrets set."""
    from dbops import process
    from dbops.sandbox.environment import environment

    return Result(exit_with=process.attend(argv, env={**os.environ, **environment(folder)}))


def _as_typed(folder: Path) -> str:
    return "" if folder == DEFAULT else f" --dir {_shell(folder)}"


def _shell(path: Path) -> str:
    import shlex

    return shlex.quote(str(path))
