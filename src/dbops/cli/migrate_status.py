"""`dbops migrate status` and `history`: where databases and their open changes stand, and what was done to them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from dbops import units
from dbops.cli.door import Result, command
from dbops.cli.options import Asked
from dbops.cli.screen import Cell, Column, Line, Screen, Table, Tone, Verbatim
from dbops.engine import clock, stop
from dbops.engine.finding import Finding, failure
from dbops.engine.run import each
from dbops.errors import DbopsError, Stopped

if TYPE_CHECKING:
    from dbops.operations.migrate.standing.facts import Beside, Event, Looked, Open, Standing

Targets = Annotated[
    list[str] | None, typer.Option("--target", "-t", metavar="NAME", help="Only this database (repeatable).")
]
_AT_ONCE = 16
_WHOLE = 100
_TWICE = 2
_MOMENT_MS = 1000


def verbs(app: typer.Typer) -> None:
    """Add the verbs to their family."""
    command(app, "status", "dbops migrate status", "dbops migrate status --target agent_studio --output json")(status)
    command(app, "history", "dbops migrate history --target audit", "dbops migrate history -t audit --output json")(
        history
    )


def status(asked: Asked, target: Targets = None) -> Result:
    """Tell where each database is in its history, and each open change: phase, progress, gates that are missing.

    Looks who is connected while a change soaks, and keeps that as evidence.
    """
    from dbops.operations.migrate.standing import ready
    from dbops.stores import databases

    loaded = asked.load()
    run, now = asked.run(loaded.state_dir), clock.now()
    names = databases.targets(loaded.config, tuple(target or ()))
    known = ready.histories(loaded.config, loaded.path, names)
    ended = each(names, partial(ready.look, loaded.config, run, now, known), jobs=_AT_ONCE, stop_on_failure=False)
    stop.check()
    found: list[Looked] = []
    findings: list[Finding] = []
    for one in ended:
        if isinstance(one.error, DbopsError) and not isinstance(one.error, Stopped):
            findings.append(failure(one.error, one.item))
        elif one.error is not None:
            raise one.error
        if one.result is not None:
            found.append(one.result)
            findings += one.result.findings
    standing = [one.standing for one in found]
    again = _next(asked, standing) if not findings else ()
    return Result({"databases": standing}, _screen(standing, now), tuple(findings), again)


def _next(asked: Asked, standing: "list[Standing]") -> tuple[str, ...]:
    """Name what is left to run; a contraction is run by a verb of its own."""
    told = [
        f"dbops migrate contract {one.contracts} --target {one.target} --plan{asked.where}"
        for one in standing
        if one.contracts is not None
    ]
    behind = any(one.pending and one.contracts is None for one in standing)
    return (*((f"dbops migrate up{asked.where}",) if behind else ()), *told)


def _screen(standing: "list[Standing]", now: datetime) -> Screen:
    rows = tuple(
        (
            Cell(one.target),
            Cell(one.stamp or "base"),
            Cell(one.head or "-"),
            Cell(f"{len(one.pending)} to run", Tone.WARN) if one.pending else Cell("at head", Tone.GOOD),
        )
        for one in standing
    )
    table = Table((Column("database"), Column("stamped"), Column("head"), Column("state")), rows)
    changes = tuple(_line(change, now) for one in standing for change in one.changes)
    if not changes:
        return (table,)
    columns = (Column("open change"), Column("phase"), Column("progress", shrinks=True), Column("gates"))
    gates = tuple(Line(text, Tone.FAINT) for one in standing for change in one.changes for text in _missing(change))
    return (table, Line(""), Table(columns, changes), *gates)


def _line(one: "Open", now: datetime) -> tuple[Cell, ...]:
    since = f", {units.duration(now - one.since)}" if one.since is not None else ""
    missing = len(one.missing) + len(one.unlooked)
    return (
        Cell(f"{one.target}: {one.change}"),
        Cell(
            "unknown: re-verify" if one.elsewhere else f"{one.phase}{since}{', paused' if one.paused else ''}",
            Tone.WARN if one.elsewhere or one.paused else Tone.PLAIN,
        ),
        Cell("; ".join(_progress(one)), Tone.WARN if one.walk is not None and one.walk.throttled_by else Tone.PLAIN),
        Cell(f"{missing} missing" if missing else "", Tone.WARN),
    )


def _progress(one: "Open") -> Iterator[str]:
    walk = one.walk
    if walk is not None and walk.percent < _WHOLE:
        yield f"{walk.kind} {walk.percent} %"
        if walk.eta_likely is not None and walk.eta_late is not None:
            yield f"{units.duration(walk.eta_likely)} to {units.duration(walk.eta_late)} left"
        if walk.throttled_by and not one.paused:
            yield f"waits for {walk.throttled_by}"
        if walk.throttled_ms >= _MOMENT_MS:
            yield f"throttled for {_ms(walk.throttled_ms)}"
    if one.readers:
        yield f"{one.readers} % of the readers follow"


def _missing(one: "Open") -> Iterator[str]:
    groups = (("gates missing", one.missing), ("gates not looked at", one.unlooked), ("overridden", one.overridden))
    for what, names in groups:
        if names:
            yield f"{one.change}: {what}: {', '.join(names)}"


@dataclass(frozen=True, slots=True)
class Past:
    """A revision, and when it was done last, as the ledger tells it."""

    target: str
    revision: str
    summary: str
    done: bool
    at: datetime | None = None
    run: str | None = None
    actor: str | None = None
    change: str | None = None
    phase: str | None = None
    impact: str | None = None


def history(asked: Asked, target: Targets = None) -> Result:
    """List the revisions of a database: what they are, and who ran them when; and what happened to its changes."""
    from dbops.operations.migrate.standing import ready
    from dbops.stores import databases

    loaded = asked.load()
    run = asked.run(loaded.state_dir)
    found: list[Past] = []
    events: list[Event] = []
    foretold: list[Beside] = []
    for name in databases.targets(loaded.config, tuple(target or ())):
        past = ready.past(loaded.config, loaded.path, name, run, clock.now())
        events += past.events
        foretold += past.foretold
        last = {entry.revision: entry for entry in past.entries if entry.what == "migrated"}
        done = {revision.id for revision in past.history.until(past.stamp)}
        for one in past.history.revisions:
            entry = last.get(one.id) if one.id in done else None
            told = (entry.at, entry.run, entry.actor) if entry else (None, None, None)
            found.append(Past(name, one.id, one.summary, one.id in done, *told, one.change, one.phase, one.impact))
    screen: Screen = (_pasts(found), *_happened(events, foretold))
    return Result({"revisions": found, "changes": events, "foretold": foretold}, screen)


def _pasts(found: list[Past]) -> Table:
    """Draw revisions; a column that says the same in each line takes room from what they do."""
    several = len({one.target for one in found}) > 1
    summary = Column("what it does", shrinks=True)
    columns = (Column("database"), Column("revision"), summary, Column("done"), Column("by"))
    rows = (
        (
            Cell(one.target),
            Cell(one.revision, Tone.PLAIN if one.done else Tone.WARN),
            Cell(one.summary),
            Cell(_second(one.at) if one.at else "by other means" if one.done else "to run"),
            Cell(one.actor or ""),
        )
        for one in found
    )
    left_out = 0 if several else 1
    return Table(columns[left_out:], tuple(row[left_out:] for row in rows))


def _second(moment: datetime) -> str:
    """Write an instant for somebody who reads a list."""
    return f"{units.instant(moment).partition('.')[0]}Z"


def _happened(events: "list[Event]", foretold: "list[Beside]") -> Screen:
    """Draw each change with its impact, and what happened to it."""
    parts: list[Line | Table | Verbatim] = []
    columns = (Column("when"), Column("age", right=True), Column("what", shrinks=True), Column("by"))
    for key in dict.fromkeys((one.target, one.change, one.impact) for one in events):
        mine = [one for one in events if (one.target, one.change, one.impact) == key]
        parts += [Line(""), Line(f"{key[0]}: change {key[1]}{f': {key[2]}' if key[2] else ''}", Tone.STRONG)]
        rows = tuple(
            (
                Cell(_second(one.at)),
                Cell(units.duration(one.age)),
                Cell(one.said + ("" if one.here else " (in another database)"), _tone(one)),
                Cell(one.actor),
            )
            for one in mine
        )
        parts.append(Table(columns, rows))
        if besides := [one for one in foretold if (one.target, one.change) == key[:2]]:
            parts += [Line(""), *_besides(besides)]
    return tuple(parts)


def _besides(besides: "list[Beside]") -> Screen:
    """Draw each figure, and behind it in brackets what had been foretold."""
    amounts = (Column("rows/s (foretold)", right=True), Column("WAL (foretold)", right=True))
    columns = (Column("phase"), Column("took (foretold)", right=True), Column("waited", right=True), *amounts)
    table = Table(columns, tuple(_beside(one) for one in besides))
    more = dict.fromkeys(text for one in besides for text in _more(one))  # a switch has several steps
    return (table, *(Line(text, Tone.FAINT, indent=2) for text in more))


def _beside(one: "Beside") -> tuple[Cell, ...]:
    waited = one.waited_ms + one.throttled_ms
    tries = f" in {one.attempts} attempts" if one.attempts > 1 else ""
    return (
        Cell(one.phase),
        Cell(_both(_ms, one.ms, one.predicted_ms), Tone.WARN if _is_off(one.ms, one.predicted_ms) else Tone.PLAIN),
        Cell(f"{_ms(waited)}{tries}" if waited or tries else ""),
        Cell(_both(lambda rate: f"{rate:,.0f}", one.rows_per_s, one.predicted_rows_per_s)),
        Cell(_both(lambda count: units.size(round(count)), one.wal_bytes, one.predicted_wal_bytes)),
    )


def _more(one: "Beside") -> Iterator[str]:
    """Tell of the locks that a phase held, and of what it built."""
    if one.unforetold is not None:
        yield f"{one.phase}: {one.unforetold}"
    for held in one.locks:
        yield f"{one.phase} held {held.mode} on {held.relation} for {_both(_ms, held.held_ms, held.predicted_held_ms)}"
    for built in one.statements:
        if built.builds:
            yield f"{one.phase}: {_both(_ms, built.ms, built.predicted_ms)} for {built.sql}"


def _both(write: "Callable[[float], str]", value: float | None, foretold: float | None) -> str:
    return "" if value is None else write(value) if foretold is None else f"{write(value)} ({write(foretold)})"


def _ms(milliseconds: float) -> str:
    return units.duration(timedelta(milliseconds=round(milliseconds)))


def _is_off(ms: float, foretold: float | None) -> bool:
    """Say whether a foretelling was of little use: more than twice as long, and not only by some moments."""
    return foretold is not None and ms > _TWICE * foretold and ms - foretold > _MOMENT_MS


def _tone(one: "Event") -> Tone:
    return Tone.WARN if one.what == "override" else Tone.PLAIN if one.here else Tone.FAINT
