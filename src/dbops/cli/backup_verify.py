"""`dbops backup verify`: whether the backups would bring the cluster back."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from dbops import units
from dbops.cli import render
from dbops.cli.door import Result, command
from dbops.cli.options import Asked
from dbops.cli.screen import Cell, Column, Line, Screen, Table, Tone
from dbops.engine import clock, stop
from dbops.engine.finding import Finding, Severity, Verdict, verdict
from dbops.errors import ConfigInvalid, DbopsError, Stopped, UsageError

if TYPE_CHECKING:
    from dbops.config.model import Config
    from dbops.engine.run import Run
    from dbops.operations.clusters.prove.facts import Outcome, Wanted

_MOST_SLICES = 10_000
_DEPTHS = ("quick", "full", "restore")
_TONES = {Verdict.GOOD: Tone.GOOD, Verdict.BAD: Tone.BAD, Verdict.COULD_NOT_VERIFY: Tone.WARN}


@dataclass(frozen=True, slots=True)
class Verified:
    """What a verification found, cluster by cluster."""

    verdict: Verdict
    clusters: tuple["Outcome", ...]


def verbs(app: typer.Typer) -> None:
    """Add the verb to its family."""
    command(
        app,
        "verify",
        "dbops backup verify --target main",
        "dbops backup verify --target main --subset 3/7",
        "dbops backup verify --target main --since-last",
        "dbops backup verify --target main --depth quick --output json",
    )(verify)


def verify(
    asked: Asked,
    *,
    target: Annotated[
        list[str] | None, typer.Option("--target", "-t", metavar="NAME", help="Only this cluster (repeatable).")
    ] = None,
    depth: Annotated[
        str,
        typer.Option(
            metavar="DEPTH",
            help="quick: lists, info files, manifests, chains, WAL without gaps; full: also every file's content; "
            "restore: also restores into scratch and looks at the data.",
        ),
    ] = "full",
    subset: Annotated[
        str | None,
        typer.Option(metavar="N/T", help="Read slice N of T; after all T slices every file was read."),
    ] = None,
    since_last: Annotated[bool, typer.Option("--since-last", help="Read only what was not found good before.")] = False,
    set: Annotated[
        str | None, typer.Option("--set", metavar="LABEL", help="Only this set, what it is built on, and its WAL.")
    ] = None,
) -> Result:
    """Verify backups: 0 good, 4 bad, 5 could not be verified. Results are remembered in the vault.

    Needs no server, and changes nothing in any repository. Meanwhile `backup expire` is refused with 11.
    """
    wanted = _wanted(depth, subset, set, since_last=since_last)
    loaded = asked.load()
    config = loaded.config
    run = asked.run(loaded.state_dir)
    outcomes = tuple(_one(config, name, run, wanted) for name in _clusters(config, target))
    findings = tuple(finding for one in outcomes for finding in one.findings)
    asked.invocation.watch.judged(tuple(one.target for one in outcomes), findings)
    return Result(Verified(verdict(findings), outcomes), tuple(_screen(outcomes)), findings)


def _wanted(depth: str, subset: str | None, label: str | None, *, since_last: bool) -> "Wanted":
    from dbops.operations.clusters.proofs import Depth
    from dbops.operations.clusters.prove.facts import Wanted

    if depth not in _DEPTHS:
        raise UsageError(f"--depth: {depth!r} is none of: {', '.join(_DEPTHS)}")
    if depth != "full" and (subset or since_last):
        raise UsageError("--subset and --since-last choose what --depth full reads", hint="leave --depth out")
    if since_last and (subset or label):
        raise UsageError("--since-last goes with neither --subset nor --set: each chooses what is read")
    return Wanted(Depth(depth), _slices(subset), since_last, label)


def _slices(text: str | None) -> tuple[int, int] | None:
    """Read `3/7`."""
    if text is None:
        return None
    parts = text.split("/")
    if len(parts) != 2 or not all(part.isascii() and part.isdigit() and len(part) <= 5 for part in parts):
        raise UsageError(f"--subset: {text!r} is no slice such as 3/7")
    nth, of = map(int, parts)
    if not 1 <= nth <= of <= _MOST_SLICES:
        raise UsageError(f"--subset: {text!r} is no slice: the first number is 1 to the second, at most {_MOST_SLICES}")
    return nth, of


def _clusters(config: "Config", names: list[str] | None) -> list[str]:
    for name in names or ():
        if name not in config.cluster:
            known = ", ".join(config.cluster) or "none"
            raise UsageError(f"{name!r} is no cluster of the configuration", hint=f"one of: {known}")
    chosen = list(dict.fromkeys(names or ())) or [name for name, one in config.cluster.items() if one.stanza]
    if not chosen:
        raise ConfigInvalid("no cluster has a stanza", hint="dbops backup init --target NAME")
    return chosen


def _one(config: "Config", target: str, run: "Run", wanted: "Wanted") -> "Outcome":
    """Verify one cluster; what keeps us from looking at it is no pass, and does not keep us from the others."""
    from dbops.operations.clusters.prove import ready
    from dbops.operations.clusters.prove.facts import Outcome

    stop.check()
    try:
        return ready.verified(config, target, run, wanted, now=clock.now(), on_progress=render.progress)
    except (Stopped, ConfigInvalid, UsageError):
        raise
    except DbopsError as error:
        finding = Finding(Severity.UNKNOWN, "DBB326", target, f"could not verify: {error.message}", error.hint)
        return Outcome(target, wanted.depth, wanted.slice_name, Verdict.COULD_NOT_VERIFY, findings=(finding,))


def _screen(outcomes: tuple["Outcome", ...]) -> Screen:
    parts: list[Table | Line] = []
    for one in outcomes:
        read = f"{one.read_files} files, {one.segments} WAL segments, {units.size(one.read_bytes)} read by dbops"
        of = f", slice {one.subset}" if one.subset else ""
        parts.append(Line(f"{one.target}: {one.verdict} ({one.depth}{of}; {read})", _TONES[one.verdict]))
        if one.sets:
            rows = tuple(
                (
                    Cell(str(each.repository)),
                    Cell(each.label),
                    Cell("good, as before" if each.skipped else each.verdict.value, _TONES[each.verdict]),
                    Cell(", ".join(each.codes)),
                )
                for each in one.sets
            )
            columns = (Column("repository", right=True), Column("set"), Column("verdict"), Column("findings"))
            parts.append(Table(columns, rows))
        for each in one.restored:
            seen = each.looked
            rows = f", {seen.rows:,} rows in {seen.tables} tables" if seen is not None else ""
            last = "" if each.last_commit is None else f", last commit {units.instant(each.last_commit)}"
            parts.append(Line(f"restored {each.wanted} from set {each.label}{rows}{last}", indent=2))
    return tuple(parts)
