"""`dbops journal`: what was done, by whom, with what outcome."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from dbops.cli.door import Result, command, family
from dbops.cli.options import Asked
from dbops.cli.screen import Cell, Column, Line, Screen, Table, Tone
from dbops.config import find
from dbops.engine import journal
from dbops.engine.finding import Finding, Severity
from dbops.errors import Refused

app = family("journal")

_ALTERED_HINT = "compare it with your copies of the state directory"
_UNSAID = {"steps", "previous", "previous_held"}  # told in a form of their own, or of use to the chain alone
_TONES = {"done": Tone.GOOD, "failed": Tone.BAD, "unfinished": Tone.WARN}


@dataclass(frozen=True, slots=True)
class Entry:
    """One journal in the list."""

    name: str
    run_id: str
    target: str
    command: str
    actor: str
    began: str
    outcome: str
    exit_code: int | None
    steps_done: int


@command(app, "list", "dbops journal list", "dbops journal list --limit 5 --output json")
def list_(
    asked: Asked,
    limit: Annotated[int, typer.Option(min=1, help="How many, counted from the newest.")] = 20,
) -> Result:
    """List the journals, newest first."""
    state_dir = find.state_dir_of(asked.config)
    names = journal.names(state_dir)
    shown = _newest(state_dir, names, limit)
    entries = tuple(_entry(read) for read in shown)
    columns = (*(Column(t) for t in ("run", "target", "command", "outcome", "steps")), Column("actor", shrinks=True))
    rows = tuple(
        (
            Cell(e.run_id),
            Cell(e.target),
            Cell(e.command),
            Cell(e.outcome, _TONES.get(e.outcome, Tone.PLAIN)),
            Cell(str(e.steps_done)),
            Cell(e.actor),
        )
        for e in entries
    )
    screen: Screen = (Table(columns, rows),) if rows else (Line(f"no journals in {journal.folder(state_dir)}"),)
    return Result(
        {"journals": entries, "total": len(names)}, screen, tuple(f for r in shown for f in _wrong(state_dir, r))
    )


_RUN_ID = len("20261120T214550.123Z-4f2a")


def _newest(state_dir: Path, names: list[str], limit: int) -> list[journal.Read]:
    """Read the newest journals. Names sort by run, not by target: the moments within a run put those in order."""
    oldest = min(names[-limit:], default="")[:_RUN_ID]
    wanted = [name for name in names if name >= oldest]
    reads = [journal.read(state_dir, name) for name in wanted]
    return sorted(reads, key=lambda read: read.records[0].at if read.records else "", reverse=True)[:limit]


def _entry(read: journal.Read) -> Entry:
    first: dict[str, Any] = read.records[0].facts if read.records else {}
    last = read.records[-1].facts if read.records else {}
    return Entry(
        read.name,
        str(first.get("run", "?")),
        str(first.get("target", "?")),
        str(first.get("command", "?")),
        str(first.get("actor", "?")),
        read.records[0].at if read.records else "?",
        read.outcome,
        last.get("exit_code"),
        sum(record.event == "done" for record in read.records),
    )


def _wrong(state_dir: Path, read: journal.Read) -> Iterator[Finding]:
    if read.broken_at is not None:
        message = f"journal {read.name} was altered: line {read.broken_at} does not follow from the one before"
        yield Finding(Severity.BAD, "journal-altered", "-", message, _ALTERED_HINT)
    if read.torn:
        yield Finding(
            Severity.INFO, "journal-torn", "-", f"the last line of journal {read.name} is torn: the run was killed"
        )
    if (link := journal.missing_link(state_dir, read)) is not None:
        yield Finding(Severity.BAD, "journal-chain", "-", f"journal {read.name}: {link}", _ALTERED_HINT)


@command(app, "show", "dbops journal show 20261120T214550.123Z-4f2a")
def show(
    asked: Asked,
    run: Annotated[
        str, typer.Argument(metavar="RUN", help="A run, or the name of one journal; a unique beginning will do.")
    ],
) -> Result:
    """Show every record of a run, and verify its chain of hashes."""
    state_dir = find.state_dir_of(asked.config)
    wanted = [name for name in journal.names(state_dir) if name.startswith(run)]
    if not wanted:
        raise Refused(f"there is no journal that begins with {run!r}", hint="dbops journal list")
    reads = [journal.read(state_dir, name) for name in wanted]
    if len({_entry(read).run_id for read in reads}) > 1:
        raise Refused(f"{run!r} begins {len(reads)} journals", hint="type more of it: dbops journal list")
    findings = [f for read in reads for f in _wrong(state_dir, read)]
    screen = tuple(line for read in reads for line in _records(read))
    return Result({"journals": [{**_plain(read), "records": read.records} for read in reads]}, screen, tuple(findings))


def _plain(read: journal.Read) -> dict[str, Any]:
    return {"name": read.name, "outcome": read.outcome, "torn": read.torn, "broken_at": read.broken_at}


def _records(read: journal.Read) -> Iterator[Line]:
    yield Line(f"{read.name}: {read.outcome}", _TONES.get(read.outcome, Tone.STRONG))
    for record in read.records:
        facts = "  ".join(f"{key}={value}" for key, value in record.facts.items() if key not in _UNSAID)
        yield Line(f"{record.at}  {record.event:<6} {facts}", indent=2)
        steps = record.facts.get("steps")
        for step in cast("list[Any]", steps) if isinstance(steps, list) else ():
            told = (
                cast("dict[str, Any]", step) if isinstance(step, dict) else {}
            )  # an altered journal may hold anything
            yield Line(f"- {told.get('id')} [{told.get('risk')}] {told.get('summary')}", Tone.FAINT, indent=6)
