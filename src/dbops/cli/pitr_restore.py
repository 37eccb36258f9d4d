"""The verbs of `dbops pitr` that bring a moment back beside the cluster, and remove what was brought."""

from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dbops import units
from dbops.cli import pitr_in_place
from dbops.cli.door import Result, command
from dbops.cli.flow import Changed, PlanTold, StepTold, Target, change
from dbops.cli.options import AskedChange
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
from dbops.cli.screen import Line, Screen, Tone
from dbops.engine import clock
from dbops.engine.ending import Measure
from dbops.engine.plan import Ready
from dbops.engine.run import Run
from dbops.errors import UsageError

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from dbops.operations.clusters.reach.facts import Target as Moment
    from dbops.operations.clusters.restore.facts import Restored, Wanted


@dataclass(frozen=True, slots=True)
class RestoreTold:
    """The data of `pitr restore`."""

    environment: str
    plans: tuple[PlanTold, ...]
    steps: tuple[StepTold, ...]
    restored: tuple["Restored", ...]


def verbs(app: typer.Typer) -> None:
    """Add them to the family."""
    command(
        app,
        "restore",
        "dbops pitr restore --target main --at 2026-08-01T14:59:59Z --verify",
        "dbops pitr restore --target main --latest --ttl 2h",
        "dbops pitr restore --target main --name before_release --to /restore/main --keep",
        "dbops pitr restore --target main --at 2026-08-01T14:59:59Z --in-place --confirm main",
    )(restore)
    command(app, "clean", "dbops pitr clean", "dbops pitr clean --all --plan")(clean)


def restore(
    asked: AskedChange,
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
    to: Annotated[
        Path | None,
        typer.Option("--to", metavar="FOLDER", help="A new or empty folder; else below the state directory."),
    ] = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Count every row, check every index, compare roles and row security.")
    ] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Leave it running, until 'dbops pitr clean --all'.")] = False,
    ttl: Annotated[
        str | None, typer.Option("--ttl", metavar="TIME", help="Leave it running; later runs remove it after TIME.")
    ] = None,
    in_place: Annotated[
        bool, typer.Option("--in-place", help="The cluster itself goes back; needs --confirm NAME. Lock: backup.")
    ] = False,
    delta: Annotated[
        bool, typer.Option("--delta", help="With --in-place: over the files of now, without a way back.")
    ] = False,
    read_only: Annotated[
        bool, typer.Option("--read-only", help="Stay in recovery at the target instead of taking writes.")
    ] = False,
) -> Result:
    """Bring a moment back in a scratch folder: no TCP, no archiving, nothing of the cluster is touched."""
    moment = target_of(
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
        zone=zone_of(asked.load().config.platform),
    )
    if read_only and (verify or moment.kind == "latest"):
        raise UsageError(
            "--read-only goes neither with --verify, which adds amcheck, nor with --latest, which ends recovery"
        )
    if in_place or delta:
        if to or verify or keep or ttl or read_only or not in_place:
            raise UsageError("--in-place goes alone, or with --delta; the other options are those of a scratch copy")
        return pitr_in_place.in_place(asked, target, moment, delta=delta)
    from dbops.operations.clusters.restore.facts import Wanted

    return _beside(asked, target, moment, Wanted(verify, keep, _ttl(ttl)), to=to, promote=not read_only)


def _beside(
    asked: AskedChange, target: str | None, moment: "Moment", wanted: "Wanted", *, to: Path | None, promote: bool
) -> Result:
    from dbops.operations.clusters.reach import ready as reaching
    from dbops.operations.clusters.restore import goals, ready
    from dbops.operations.clusters.restore.apply import Told

    loaded = asked.load()
    config = loaded.config
    cluster = ready.cluster(config, target)
    run = asked.run(loaded.state_dir)
    told = Told()

    def choose() -> goals.Goal:
        return goals.goal(reaching.plan_target(config, cluster, moment, run, clock.now()), promote=promote)

    def opening(run: Run) -> "AbstractContextManager[Ready[Any]]":
        return ready.scratch(config, cluster, run, choose, wanted=wanted, now=clock.now(), told=told, to=to)

    result = change(
        asked, run, [Target(cluster, opening)], environment=config.platform.environment, may_lose_data=False
    )
    done: Changed = result.data
    screen = result.screen if asked.plan else tuple(line for one in told.restored for line in _screen(one))
    return replace(
        result,
        data=RestoreTold(done.environment, done.plans, done.steps, tuple(told.restored)),
        screen=screen,
        measures=tuple(
            Measure(one.target, "rto", one.writable, config.cluster[one.target].objectives.rto) for one in told.restored
        ),
    )


def clean(
    asked: AskedChange,
    *,
    all: Annotated[bool, typer.Option("--all", help="Also those that are kept.")] = False,
) -> Result:
    """Remove scratch copies that expired, and what a killed run has left; only what carries our mark."""
    from dbops.operations.clusters.restore import ready

    loaded = asked.load()
    opening = partial(ready.clean, now=clock.now(), all_kept=all)
    environment = loaded.config.platform.environment
    run = asked.run(loaded.state_dir)
    return change(asked, run, [Target("scratch", opening)], environment=environment, may_lose_data=False)


def _ttl(text: str | None) -> timedelta | None:
    if text is None:
        return None
    try:
        return units.parse_duration(text)
    except ValueError as error:
        raise UsageError(f"--ttl: {error}") from None


def _screen(one: "Restored") -> Screen:
    """Tell what was reached, how long it took, and how to get in."""
    last = (
        "no commit was replayed" if one.last_commit is None else f"the last commit is of {one.last_commit.isoformat()}"
    )
    took = [f"files {units.duration(one.restored)}", f"consistent {units.duration(one.consistent)}"]
    took += [f"writable {units.duration(one.writable)}"] if one.writable is not None else ["read-only"]
    lines = [
        Line(f"{one.target}: restored {one.wanted} from set {one.label}: {last}", Tone.GOOD),
        Line(
            f"timeline {one.timeline}, {one.lsn or 'no position'}, {one.stopped_at or 'end of the archive'}", indent=2
        ),
        Line(f"{units.size(one.size_bytes)}: {', '.join(took)}", indent=2),
    ]
    if one.verdict is not None and one.looked is not None:
        seen = one.looked
        told = f"{seen.rows:,} rows in {seen.tables} tables of {seen.databases} databases, {seen.indexes} indexes"
        lines.append(Line(f"verified {one.verdict.value}: {told}, {units.duration(seen.took)}", indent=2))
    if one.connect is not None:
        until = f"until {units.instant(one.kept_until)}" if one.kept_until else "until 'dbops pitr clean --all'"
        lines += [Line(f"it runs {until}:", indent=2), Line(one.connect.psql, Tone.STRONG, indent=4)]
    return tuple(lines)
