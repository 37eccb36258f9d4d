"""`dbops partition`: tables partitioned by time, always with a partition for now and for what comes."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dbops.cli import nagios
from dbops.cli import partition_told as told
from dbops.cli.door import Result, command, family
from dbops.cli.flow import Target, change
from dbops.cli.options import Asked, AskedChange
from dbops.cli.partition_retire import verbs
from dbops.cli.screen import Line, Table, Tone
from dbops.engine import clock
from dbops.engine.ending import Measure
from dbops.engine.finding import Finding, Severity, verdict
from dbops.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from dbops.operations.partitions.ready import Runway

app = family("partition")

Targets = Annotated[
    list[str] | None, typer.Option("--target", "-t", metavar="NAME", help="Only this database (repeatable).")
]
Tables = Annotated[
    list[str] | None, typer.Option("--table", metavar="TABLE", help="Only this table, or schema.table (repeatable).")
]


@command(app, "list", "dbops partition list", "dbops partition list --target audit --exact --output json")
def list_(
    asked: Asked,
    target: Targets = None,
    exact: Annotated[bool, typer.Option("--exact", help="Count the rows; else the server's estimates.")] = False,
) -> Result:
    """Show partitions with their bounds, rows, sizes, gaps and runway. Bounds come from the catalog."""
    from dbops.operations.partitions import ready

    loaded = asked.load()
    names = ready.targets(loaded.config, tuple(target or ()), configured=False)
    found, findings = ready.listed(loaded.config, names, asked.run(loaded.state_dir), clock.now(), exact=exact)
    screen: list[Table | Line] = []
    for one in found:
        screen += told.listing(one, verbose=asked.verbose)
    if not screen:
        screen = [Line("no partitioned tables", Tone.FAINT)]
    return Result({"databases": found}, tuple(screen), tuple(findings))


@command(
    app, "ensure", "dbops partition ensure --yes", "dbops partition ensure --plan", "dbops partition ensure -t audit"
)
def ensure(
    asked: AskedChange,
    target: Targets = None,
    table: Tables = None,
    since: Annotated[
        str | None, typer.Option("--since", metavar="DATE", help="Also the past from there, as far as it is kept.")
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, max=64, help="How many databases at a time.")] = 1,
) -> Result:
    """Create the partitions that are missing, finish detaches that were interrupted. Lock subject: partition-ensure."""
    from dbops.operations.partitions import ready

    loaded = asked.load()
    config, tables, begin = loaded.config, tuple(table or ()), _since(since)
    names = ready.targets(config, tuple(target or ()))
    ready.refuse_unknown(config, names, tables)
    opening = partial(ready.ensure, config, now=clock.now(), tables=tables, since=begin)
    result = change(
        asked,
        asked.run(loaded.state_dir),
        [Target(name, partial(_opened, opening, name)) for name in names],
        environment=config.platform.environment,
        jobs=jobs,
        keep_going=True,  # a table that waits for a lock is no reason to leave another without a partition
        may_lose_data=False,
    )
    done = result.exit_code in {ExitCode.OK, ExitCode.WARNINGS} and result.data.steps
    return replace(
        result, next_actions=(f"dbops partition {'ensure' if asked.plan else 'check'}{asked.where}",) if done else ()
    )


def _opened(opening: Any, name: str, run: Any) -> Any:
    return opening(target=name, run=run)


def _since(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise UsageError(f"--since: {text!r} is not a date such as 2026-01-01") from None


@dataclass(frozen=True, slots=True)
class Held:
    """Rows of one range in a default partition."""

    target: str
    table: str
    start: datetime | None
    end: datetime | None
    rows: int


@command(
    app, "default", "dbops partition default", "dbops partition default drop cost_data --target policycortex --plan"
)
def default(
    asked: AskedChange,
    words: Annotated[
        list[str] | None, typer.Argument(metavar="[drop TABLE]", help="Drop this table's, if empty.")
    ] = None,
    target: Targets = None,
) -> Result:
    """Report the rows of default partitions by range, or drop an empty one. Lock subject: partition-ensure."""
    match words or []:
        case []:
            return _report(asked, target)
        case ["drop", table]:
            return _drop(asked, target, table)
        case _:
            raise UsageError("what is wanted?", hint="dbops partition default, or dbops partition default drop TABLE")


def _report(asked: AskedChange, target: list[str] | None) -> Result:
    from dbops.operations.partitions import check, ready

    loaded = replace(asked, plan=True).load()
    names = ready.targets(loaded.config, tuple(target or ()))
    findings, seen = ready.checked(loaded.config, names, asked.run(loaded.state_dir), clock.now())
    rows = [
        Held(facts.target, parent.told, span.start, span.end, count)
        for facts in seen
        for parent in facts.parents
        for span, count in parent.default_rows
    ]
    wanted = {"DBP100", "DBP105", "DBP106"}
    lines = tuple(
        Line(
            f"{one.target}: {one.table}: {one.rows} rows of {check.span_told(check.Span(one.start, one.end))}",
            Tone.WARN,
        )
        for one in rows
    )
    clean = (Line("no rows in default partitions", Tone.GOOD),)
    return Result({"rows": rows}, lines or clean, tuple(f for f in findings if f.code in wanted))


def _drop(asked: AskedChange, target: list[str] | None, table: str) -> Result:
    from dbops.operations.partitions import ready

    loaded = asked.load()
    names = ready.having(loaded.config, tuple(target or ()), table)
    if len(names) != 1:
        raise UsageError(f"{table} is in several databases: {', '.join(names)}", hint="name one: --target NAME")
    opening = partial(ready.drop_default, loaded.config, names[0], now=clock.now(), table=table)
    return change(
        asked,
        asked.run(loaded.state_dir),
        [Target(names[0], opening)],
        environment=loaded.config.platform.environment,
        may_lose_data=False,
    )


@command(app, "check", "dbops partition check", "dbops partition check --nagios", "dbops partition check --output json")
def check(
    asked: Asked,
    target: Targets = None,
    one_line: Annotated[
        bool, typer.Option("--nagios", help="One line, and exit codes 0, 1, 2, 3 as Nagios reads.")
    ] = False,
) -> Result:
    """Check runway, gaps, default rows, row security, grants, bounds, retention, pending detaches, pruning."""
    from dbops.operations.partitions import ready

    loaded = asked.load()
    names = ready.targets(loaded.config, tuple(target or ()))
    now = clock.now()
    findings, seen = ready.checked(loaded.config, names, asked.run(loaded.state_dir), now)
    asked.invocation.watch.judged(names, findings)
    runways = ready.runways(loaded.config, seen, now)
    measures = tuple(Measure(one.target, f"runway_{one.table}", one.runway, one.promised) for one in runways)
    outcome = verdict(findings)
    data = {"verdict": outcome, "findings": len(findings), "tables": runways}
    if one_line:
        if not runways and not findings:
            findings.append(Finding(Severity.UNKNOWN, "DBP100", ", ".join(names), "no partitioned table was checked"))
        line, code = nagios.line("PARTITIONS", f"{len(runways)} tables", findings, _days_left(runways))
        return Result(data, (Line(line),), tuple(findings), measures=measures, exit_with=code)
    lines = tuple(told.runway(one) for one in runways)
    head = Line(f"partitions: {outcome.value}, {len(findings)} findings", Tone.GOOD if not findings else Tone.WARN)
    return Result(data, (head, *lines), findings=tuple(findings), measures=measures)


def _days_left(runways: "Sequence[Runway]") -> str:
    left = ((f"'{one.target}.{one.table}'", one.runway) for one in runways)
    return " ".join(f"{name}={runway.total_seconds() / 86_400:.1f}d" for name, runway in left if runway)


verbs(app)  # retire and restore
