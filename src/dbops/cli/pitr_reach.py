"""The verbs of `dbops pitr` that only look: what is within reach, and the way to a moment."""

import shlex
import shutil
import sys
from typing import TYPE_CHECKING

import typer

from dbops.cli.door import Result, command
from dbops.cli.options import Asked
from dbops.cli.pitr_target import (
    At,
    Cluster,
    Exclusive,
    Immediate,
    Latest,
    Lsn,
    Name,
    Repo,
    Set,
    Timeline,
    Xid,
    target_of,
    zone_of,
)
from dbops.engine import clock, stop
from dbops.engine.ending import Measure
from dbops.errors import UsageError

if TYPE_CHECKING:
    from dbops.operations.clusters.reach.facts import Target

_WIDTH = 100  # where nobody watches


def verbs(app: typer.Typer) -> None:
    """Add them to the family."""
    command(app, "window", "dbops pitr window", "dbops pitr window --target main --output json")(window)
    command(
        app,
        "plan",
        "dbops pitr plan --at 2026-08-01T14:59:59Z",
        "dbops pitr plan --name before_release --output json",
        "dbops pitr plan --latest --timeline 1",
    )(plan)


def window(asked: Asked, *, target: Cluster = None) -> Result:
    """Show which moments can be brought back, what is missing between them, and the RPO as it is now."""
    from dbops.cli import pitr_told as told
    from dbops.operations.clusters.reach import ready
    from dbops.operations.clusters.reach.check import check

    loaded = asked.load()
    config = loaded.config
    name = _cluster(tuple(config.cluster), target)
    promised = config.cluster[name].objectives.rpo
    found = ready.window(config, name, asked.run(loaded.state_dir), clock.now())
    findings = tuple(check(found, promised))
    stop.check()  # who asked it to stop reads no answer
    asked.invocation.watch.judged((name,), findings)
    data = told.window(found, promised)
    width = shutil.get_terminal_size((_WIDTH, 24)).columns if sys.stdout.isatty() else _WIDTH
    screen = tuple(told.window_screen(data, found, width=width, unicode=_unicode()))
    return Result(data, screen, findings, measures=(Measure(name, "rpo", found.rpo.age, promised),))


def _unicode() -> bool:
    return (sys.stdout.encoding or "").lower().replace("_", "-") == "utf-8"


def plan(
    asked: Asked,
    *,
    target: Cluster = None,
    at: At = None,
    lsn: Lsn = None,
    xid: Xid = None,
    name: Name = None,
    latest: Latest = False,
    immediate: Immediate = False,
    set_: Set = None,
    timeline: Timeline = None,
    exclusive: Exclusive = False,
    repository: Repo = None,
) -> Result:
    """Show the way to a moment: set, timeline, WAL, what would be lost, how long it takes; or why there is none."""
    from dbops.cli import pitr_told as told
    from dbops.operations.clusters.reach import ready
    from dbops.operations.clusters.reach.check import check_plan

    loaded = asked.load()
    config = loaded.config
    cluster = _cluster(tuple(config.cluster), target)
    wanted = target_of(
        at=at,
        lsn=lsn,
        xid=xid,
        name=name,
        latest=latest,
        immediate=immediate,
        set_=set_,
        timeline=timeline,
        exclusive=exclusive,
        repository=repository,
        zone=zone_of(config.platform),
    )
    found = ready.planned(config, cluster, wanted, asked.run(loaded.state_dir), clock.now())
    stop.check()
    data = told.plan(found)
    where = f" --config {shlex.quote(str(asked.config))}" if asked.config else ""
    return Result(
        data,
        tuple(told.plan_screen(data, found.chosen)),
        tuple(check_plan(found)),
        next_actions=(f"dbops pitr restore --target {cluster} {_again(found.chosen.wanted, wanted)}{where}",),
        measures=(Measure(cluster, "rto", found.predicted, found.objective),) if found.objective else (),
    )


def _again(found: str, asked: "Target") -> str:
    """Write the same way once more; a moment that was found to be the end is asked for as such."""
    kind, _, value = (found if found.startswith("--") else f"--at {found}").partition(" ")
    words = [kind, value] if value else [kind]
    words += ["--exclusive"] if asked.exclusive and value else []
    words += ["--set", asked.label] if asked.label else []
    words += ["--timeline", str(asked.timeline)] if asked.timeline else []
    words += ["--repository", str(asked.repository)] if asked.repository else []
    return shlex.join(words)


def _cluster(known: tuple[str, ...], name: str | None) -> str:
    if name is None and len(known) == 1:
        return known[0]
    if name not in known:
        told = "say which cluster: --target NAME" if name is None else f"{name!r} is no cluster"
        raise UsageError(told, hint=f"one of: {', '.join(known) or 'none is configured'}")
    return name
