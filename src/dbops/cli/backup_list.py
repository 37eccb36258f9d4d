"""`dbops backup list`: the sets of each cluster as a tree, with what each takes, reaches, and has proven."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from dbops import units
from dbops.cli.door import Result, command
from dbops.cli.options import Asked
from dbops.cli.screen import Cell, Column, Line, Screen, Table, Tone
from dbops.engine import clock
from dbops.engine.ending import Measure
from dbops.engine.finding import Verdict

if TYPE_CHECKING:
    from dbops.operations.clusters.take.listing import ClusterTold, Listed

_COLUMNS = (
    Column("backup"),
    Column("taken (UTC)", shrinks=True),
    *(Column(name, right=True) for name in ("took", "cluster", "added")),
    Column("verified", shrinks=True),
    Column("restorable to", shrinks=True),
)


def verbs(app: typer.Typer) -> None:
    """Add it to the family."""
    command(app, "list", "dbops backup list", "dbops backup list --target main --output json")(list_)


def list_(
    asked: Asked,
    *,
    target: Annotated[
        list[str] | None, typer.Option("--target", "-t", metavar="NAME", help="Only this cluster (repeatable).")
    ] = None,
) -> Result:
    """Show the backup sets as a tree: moment, sizes, last verification, how far each can be restored."""
    from dbops.operations.clusters.take import listing, ready

    loaded = asked.load()
    names = ready.targets(loaded.config, tuple(target or ()))
    now = clock.now()
    clusters, findings = listing.listed(loaded.config, names, asked.run(loaded.state_dir), loaded.state_dir, now)
    asked.invocation.watch.judged(names, findings)
    measures = tuple(Measure(one.target, "backup_age", one.newest_age, one.promised_age) for one in clusters)
    screen = tuple(part for one in clusters for part in _screen(one, now))
    return Result({"clusters": clusters}, screen, tuple(findings), measures=measures)


def _screen(one: "ClusterTold", now: datetime) -> Screen:
    running = ", a backup or expire is at work" if one.running else ""
    newest = "no backup" if one.newest_age is None else f"the newest ended {units.duration(one.newest_age)} ago"
    head = Line(
        f"{one.target}: stanza {one.stanza}, {units.counted(len(one.sets), 'backup')}, {newest}{running}", Tone.STRONG
    )
    parts: list[Line | Table] = [head]
    for place in one.repositories:
        sets = [each for each in one.sets if each.repository == place.key]
        cipher = "not encrypted" if place.cipher == "none" else place.cipher
        state = "" if place.status in (0, 2) else f": {place.message}"
        tone = Tone.FAINT if place.status in (0, 2) else Tone.BAD
        parts.append(Line(f"repository {place.key} ({cipher}){state}", tone, indent=1))
        if sets:
            parts.append(Table(_COLUMNS, tuple(_row(each, sets, now) for each in sets)))
            parts += [line for each in sets for line in _notes(each)]
    return tuple(parts)


def _row(one: "Listed", sets: "list[Listed]", now: datetime) -> tuple[Cell, ...]:
    return (
        Cell(f"{'  ' * _depth(one, sets)}{one.label.rpartition('_')[2]}"),
        Cell(f"{one.stopped:%Y-%m-%d %H:%M}"),
        Cell(units.duration(one.took) if one.took >= timedelta(seconds=1) else "<1 s"),
        Cell(units.size(one.size_bytes)),
        Cell(units.size(one.repository_added_bytes)),
        _verified(one, now),
        _until(one),
    )


def _depth(one: "Listed", sets: "list[Listed]") -> int:
    """Count what a set builds on, as far as it is there."""
    known = {each.label: each for each in sets}
    depth, at = 0, one
    while at.prior in known and depth < len(sets):
        depth, at = depth + 1, known[at.prior]
    return depth


def _verified(one: "Listed", now: datetime) -> Cell:
    if one.verified is None:
        return Cell("never", Tone.FAINT)
    told = f"{one.verified.depth} {units.duration(now - one.verified.at)} ago"
    match one.verified.verdict:
        case Verdict.GOOD:
            return Cell(told, Tone.GOOD)
        case Verdict.BAD:
            return Cell(f"BAD: {told}", Tone.BAD)
        case Verdict.COULD_NOT_VERIFY:
            return Cell(f"could not: {told}", Tone.WARN)


def _until(one: "Listed") -> Cell:
    if not one.complete or one.restorable is None:
        return Cell("not at all", Tone.BAD)
    at = one.restorable.until
    told = "its own end" if at is None else f"~{at:%m-%d %H:%M}"
    return Cell(told, Tone.WARN if one.restorable.missing_segment else Tone.PLAIN)


def _notes(one: "Listed") -> list[Line]:
    """Tell below the table what has no column: few sets have any of it."""
    notes: list[tuple[str, Tone]] = []
    if one.page_errors:
        notes.append(("holds damaged pages", Tone.BAD))
    if not one.complete:
        notes.append((f"cannot be restored: WAL from {one.wal_start} on is missing", Tone.BAD))
    elif one.restorable is not None and one.restorable.missing_segment:
        notes.append((f"not beyond {one.restorable.missing_segment}, which is missing", Tone.WARN))
    if one.held:
        notes.append((f"held: {one.held}", Tone.PLAIN))
    if reason := one.annotations.get("reason"):
        notes.append((f"taken because: {reason}", Tone.FAINT))
    return [Line(f"{one.label}: {note}", tone, indent=2) for note, tone in notes]
