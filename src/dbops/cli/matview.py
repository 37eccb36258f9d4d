"""`dbops matview`: materialized views, how fresh they are, and their refreshes."""

import random
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from dbops import units
from dbops.cli import matview_told as told
from dbops.cli import nagios, render
from dbops.cli.door import Result, command, family
from dbops.cli.flow import Target, change
from dbops.cli.options import Asked, AskedChange, Invocation
from dbops.cli.screen import Line, Tone
from dbops.engine import clock, stop, watch
from dbops.engine.ending import Measure
from dbops.engine.finding import Finding, Severity, Verdict, failure, verdict
from dbops.engine.run import each
from dbops.errors import DbopsError, ExitCode, Stopped, UsageError

if TYPE_CHECKING:
    from dbops.operations.views.facts import Compared, Facts, Wanted

app = family("matview")

Targets = Annotated[
    list[str] | None, typer.Option("--target", "-t", metavar="NAME", help="Only this database (repeatable).")
]
Jobs = Annotated[int, typer.Option(min=1, max=64, help="How many views of a database at a time.")]
KeepGoing = Annotated[bool, typer.Option("--keep-going", help="Go on with other databases after a failure.")]
_LOOKS = 4  # databases that are looked at together
_JITTER = 0.1


@command(app, "list", "dbops matview list", "dbops matview list --target agent_studio --output json")
def list_(asked: Asked, target: Targets = None) -> Result:
    """List materialized views: size, index, last refresh, how long it takes, how fresh they are, what they read."""
    from dbops.operations.views import ready
    from dbops.stores import databases

    loaded = asked.load()
    names = databases.targets(loaded.config, tuple(target or ()))
    found, findings = _looked(names, lambda name: ready.looked(loaded.config, name, asked.run(loaded.state_dir)))
    asked.invocation.watch.judged(names, findings)
    views = [one for facts in found for one in told.told(facts, ready.declared_in(loaded.config, facts.target))]
    return Result(
        told.Listed(tuple(views)),
        (told.table(views, clock.now()), *told.trees(views)),
        tuple(findings),
        measures=tuple(_measures(views)),
    )


def _looked(
    names: list[str], look: Callable[[str], "Facts"], code: str | None = None
) -> tuple[list["Facts"], list[Finding]]:
    """Look at several databases; one that cannot be looked at is a finding, not the end."""
    found: list[Facts] = []
    findings: list[Finding] = []
    for one in each(names, look, jobs=min(_LOOKS, len(names)), stop_on_failure=False):
        match one.error:
            case None if one.result is not None:
                found.append(one.result)
            case DbopsError() as error if not isinstance(error, Stopped):
                told_as = failure(error, one.item)
                message = f"could not verify: {error.message}"
                findings.append(
                    told_as if code is None else replace(told_as, severity=Severity.UNKNOWN, code=code, message=message)
                )
            case BaseException() as error:
                raise error
            case _:
                pass
    stop.check()
    return found, findings


def _measures(views: list[told.ViewTold]) -> list[Measure]:
    return [
        Measure(one.target, f"staleness of {one.view}", one.staleness, one.objective)
        for one in views
        if one.objective is not None or one.staleness is not None
    ]


@command(
    app,
    "refresh",
    "dbops matview refresh --stale",
    "dbops matview refresh workspace_stats --target agent_studio",
    "dbops matview refresh --downstream-of agents -t agent_studio --plan",
    "dbops matview refresh --stale --every 1m --skip-if-running",
)
def refresh(
    asked: AskedChange,
    *,
    names: Annotated[list[str] | None, typer.Argument(metavar="[VIEW]...", help="Views, as schema.name.")] = None,
    stale: Annotated[bool, typer.Option("--stale", help="Those whose schedule says so.")] = False,
    all: Annotated[bool, typer.Option("--all", help="Every materialized view.")] = False,
    downstream_of: Annotated[
        str | None, typer.Option("--downstream-of", metavar="TABLE", help="Those that read it, through others too.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Also where nothing has changed.")] = False,
    every: Annotated[
        str | None, typer.Option("--every", metavar="TIME", help="Do it again and again, until a signal comes.")
    ] = None,
    target: Targets = None,
    jobs: Jobs = 1,
    keep_going: KeepGoing = False,
) -> Result:
    """Refresh views, each behind those that it reads; readers go on where an index allows it. Lock: view:NAME."""
    from dbops.operations.views.facts import Wanted

    if bool(names) + stale + all + (downstream_of is not None) != 1:
        raise UsageError(
            "say what to refresh: names, --stale, --all or --downstream-of TABLE", hint="dbops matview refresh --help"
        )
    wanted = Wanted(tuple(names or ()), stale, downstream_of, force, jobs)
    turn = partial(_refresh, wanted=wanted, target=tuple(target or ()), keep_going=keep_going)
    if every is None:
        return turn(asked)
    if asked.plan:
        raise UsageError("--every and --plan do not go together", hint="look at one turn: leave out --every")
    try:
        pause = units.parse_duration(every)
    except ValueError as error:
        raise UsageError(f"--every: {error}") from None
    return _again_and_again(asked, turn, pause)


def _refresh(asked: AskedChange, *, wanted: "Wanted", target: tuple[str, ...], keep_going: bool) -> Result:
    from dbops.operations.views import ready

    loaded = asked.load()
    names = ready.declaring(loaded.config, target, wanted.names)
    if wanted.downstream_of is not None and len(names) > 1:
        raise UsageError("--downstream-of is for one database", hint="say where the table is: --target NAME")
    now = clock.now()
    opening = partial(ready.refresh, wanted=wanted, skip_busy=asked.skip_if_running)
    result = change(
        asked,
        asked.run(loaded.state_dir),
        [Target(name, partial(opening, loaded.config, name, now=now)) for name in names],
        environment=loaded.config.platform.environment,
        keep_going=keep_going,
        may_lose_data=False,
    )
    done = result.exit_code in {ExitCode.OK, ExitCode.WARNINGS} and result.data.steps
    return replace(result, next_actions=(f"dbops matview list{asked.where}",) if done and not asked.plan else ())


def _again_and_again(asked: AskedChange, turn: Callable[[AskedChange], Result], pause: timedelta) -> Result:
    """Take turns until a signal comes. Several machines that began together do not stay together."""
    while True:
        _one_turn(replace(asked, invocation=Invocation(asked.invocation.command)), turn)
        stop.pause(pause.total_seconds() * random.uniform(1 - _JITTER, 1 + _JITTER))  # noqa: S311  # jitter


def _one_turn(asked: AskedChange, turn: Callable[[AskedChange], Result]) -> None:
    """Do it once, and tell its end as if it were a run of its own; only what the operator got wrong ends the loop."""
    telling = asked.invocation.watch
    telling.aim(asked.ping_url_env, asked.invocation.run_id)
    if not asked.skip_if_running:
        telling.working()
    result, code = Result(), int(ExitCode.OK)
    try:
        result = turn(asked)
        code = result.exit_code
    except DbopsError as error:
        if isinstance(error, Stopped) or error.exit_code in {ExitCode.USAGE, ExitCode.CONFIG, ExitCode.CONFIRM}:
            raise
        result, code = Result(findings=(failure(error, "-"),)), watch.code_of(error)
    for line in result.screen:
        if isinstance(line, Line):
            render.err_text(f"{units.instant(clock.now())} {line.text}")
    told_too = telling.close(
        asked.metrics_file,
        command=asked.invocation.command,
        run_id=asked.invocation.run_id,
        code=code,
        findings=result.findings,
        measures=result.measures,
    )
    render.findings([*result.findings, *told_too], ())


@command(app, "check", "dbops matview check", "dbops matview check --nagios", "dbops matview check --content -t audit")
def check(
    asked: Asked,
    target: Targets = None,
    content: Annotated[bool, typer.Option("--content", help="Also compare views with their own queries.")] = False,
    view: Annotated[
        list[str] | None, typer.Option("--view", metavar="NAME", help="Compare only this one (repeatable).")
    ] = None,
    one_line: Annotated[bool, typer.Option("--nagios", help="One line, and exit codes 0 to 3.")] = False,
) -> Result:
    """Check freshness, failures, indexes, bloat and row security; with --content also what the views hold."""
    from dbops.operations.views import check as checks
    from dbops.operations.views import ready

    loaded = asked.load()
    names = ready.declaring(loaded.config, tuple(target or ()), tuple(view or ()))
    run = asked.run(loaded.state_dir)
    compared: dict[str, tuple[Compared, ...]] = {}

    def look(name: str) -> "Facts":
        if not content and not view:
            return ready.looked(loaded.config, name, run)
        facts, compared[name] = ready.compared(loaded.config, name, run, tuple(view or ()))
        return facts

    found, findings = _looked(names, look, code="DBW100")
    for facts in found:
        declared = ready.declared_in(loaded.config, facts.target)
        findings += checks.check(facts, declared, compared.get(facts.target, ()))
    asked.invocation.watch.judged(names, findings)
    views = [one for facts in found for one in told.told(facts, ready.declared_in(loaded.config, facts.target))]
    judged = verdict(findings)
    data = told.Checked(judged, len(findings), tuple(views), tuple(one for told in compared.values() for one in told))
    count = f"{len(views)} views in {len(found)} databases"
    measures = tuple(_measures(views))
    if one_line:
        line, code = nagios.line("MATVIEW", f"{count} are as declared", findings)
        return Result(data, (Line(line),), tuple(findings), measures=measures, exit_with=code)
    tone = Tone.GOOD if judged is Verdict.GOOD and not findings else Tone.WARN
    summary = Line(f"matview: {judged.value}, {len(findings)} findings, {count}", tone)
    return Result(data, (summary,), tuple(findings), measures=measures)
