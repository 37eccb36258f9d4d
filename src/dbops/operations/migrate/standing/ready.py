"""Where a database and its open changes stand, and what has happened to them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from dbops.config.model import Config
from dbops.engine.finding import Finding, Severity
from dbops.engine.run import Run
from dbops.operations.migrate import check as refusing
from dbops.operations.migrate import checksum, drift, history, open_changes, record
from dbops.operations.migrate.compare import reading, triggers
from dbops.operations.migrate.compare.facts import COMPARED
from dbops.operations.migrate.complete import is_complete
from dbops.operations.migrate.contract import check, clients
from dbops.operations.migrate.contract.facts import LOOKED, OVERRIDE, REHEARSED, Facts, Passed, Proof
from dbops.operations.migrate.contract.uses import Old
from dbops.operations.migrate.facts import Entry, History, Revision
from dbops.operations.migrate.life import Life, Place, State
from dbops.operations.migrate.observe import entries
from dbops.operations.migrate.shapes import retiring
from dbops.operations.migrate.shapes.shape import Shape
from dbops.operations.migrate.standing import foretold, said
from dbops.operations.migrate.standing.facts import Beside, Event, Looked, Open, Standing
from dbops.operations.migrate.standing.observe import Seen, observe, walk
from dbops.stores import postgres
from dbops.stores.postgres import Connection

_PATIENCE = timedelta(seconds=5)
_FRESH = ("verified", "soak", "clients", "rehearsal")  # the ledger tells these; the others are looked at by contract
_DONE = frozenset({State.PLANNED, State.CONTRACTED, State.ROLLED_BACK})
_PHASES = {State.SWITCHED: "soak", State.CONTRACTED: "put away"}
_AWAITING = frozenset({State.VERIFIED, State.SWITCHED})

Histories = Mapping[str, History | Exception]


def histories(config: Config, path: Path, names: Sequence[str]) -> Histories:
    """Read each folder once, however many databases have it in common."""
    place = history.folder(config, path)
    read: dict[str, History | Exception] = {}
    for name in names:
        section = history.section(config, name)
        if section not in read:
            try:
                read[section] = history.read(place, section, name)
            except Exception as error:  # noqa: BLE001  # raised again where that database is looked at
                read[section] = error
    return {name: _named(read[history.section(config, name)], name) for name in names}


def _named(known: History | Exception, target: str) -> History | Exception:
    return known if isinstance(known, Exception) else replace(known, target=target)


@dataclass(frozen=True, slots=True)
class _Look:
    """One database while it is looked at."""

    config: Config
    run: Run
    now: datetime
    target: str
    history: History
    connection: Connection
    seen: Seen


def look(config: Config, run: Run, now: datetime, known: Histories, target: str) -> Looked:
    """Look at one database. Who is connected while a change soaks is kept as evidence."""
    mine = known[target]
    if isinstance(mine, Exception):
        raise mine
    with postgres.connect(
        config.postgres[target], run, target=target, statement_timeout=_PATIENCE, connect_timeout=_PATIENCE
    ) as connection:
        seen = observe(connection, target=target)
        one = _Look(config, run, now, target, mine, connection, seen)
        told = [_told(one, name, revisions) for name, revisions in _open(mine, seen)]
    problems = tuple(message for message, _ in refusing.refusals(mine, seen.database, going_up=True))
    findings = [Finding(Severity.WARNING, "schema-differs", target, problem) for problem in problems]
    findings += [finding for _, drifted in told for finding in drifted]
    left = mine.after(seen.database.stamp)
    standing = Standing(
        target,
        seen.database.stamp,
        mine.head,
        tuple(revision.id for revision in left),
        problems,
        tuple(change for change, _ in told),
        left[0].change if left and left[0].phase == "contract" else None,
    )
    return Looked(standing, tuple(findings))


def _open(known: History, seen: Seen) -> Iterator[tuple[str, tuple[Revision, ...]]]:
    """Name the changes that are begun and not ended, with their revisions."""
    done = {revision.id for revision in known.until(seen.database.stamp)}
    names = dict.fromkeys([*(one.change for one in known.revisions if one.change is not None), *seen.lives])
    for name in names:
        revisions = tuple(one for one in known.revisions if one.change == name)
        if _is_open(name, revisions, done, seen.lives.get(name, Life()).state):
            yield name, revisions


def _is_open(name: str, revisions: Sequence[Revision], done: set[str], state: State) -> bool:
    last = max((number for number, one in enumerate(revisions) if one.phase == "expand"), default=None)
    if last is None:
        return state not in _DONE  # only the ledger knows it
    phases, shape = {one.phase for one in revisions[last:] if one.id in done}, revisions[last].shape
    if retiring.retires(shape) and "contract" in phases:
        return "remove" not in phases  # what is out of the way is still there
    if phases & {"contract", "rollback"} or (shape is not None and is_complete(name, shape, state)):
        return False
    return "expand" in phases or state not in _DONE


def _told(one: _Look, name: str, revisions: Sequence[Revision]) -> tuple[Open, tuple[Finding, ...]]:
    seen, life = one.seen, one.seen.lives.get(name, Life())
    expand = next((each for each in reversed(revisions) if each.phase == "expand"), None)
    shape = expand.shape if expand is not None else None
    going = seen.walks.get(name)
    change = Open(
        one.target,
        name,
        (expand.impact if expand is not None else None) or "",
        _PHASES.get(life.state, str(life.state)),
        life.since,
        life.elsewhere,
        name in seen.paused,
        seen.percents.get(name, 0),
        walk(one.connection, going, name, _walked(shape, going.kind)) if going is not None else None,
    )
    if shape is None or seen.here is None or life.elsewhere or life.state in _DONE:
        return change, ()
    before = drift.expected(life, seen.here)
    now = drift.fingerprint(one.connection, name, shape) if before else {}
    drifted = drift.findings(one.target, name, before, now)
    return (_gated(one, change, life, shape, seen.here) if life.state in _AWAITING else change), drifted


def _walked(shape: Shape | None, kind: str) -> tuple[str, ...]:
    """Name the tables that a walk may be over."""
    if shape is None:
        return ()
    filling = shape.filling()
    if kind == "backfill":
        return (filling.table,) if filling is not None else ()
    return tuple({each.table for each in shape.comparisons()})


def _gated(one: _Look, change: Open, life: Life, shape: Shape, here: Place) -> Open:
    """Add the gates: those that the ledger tells are judged anew, of the others what the last look has found."""
    facts = _facts(one, change.change, life, shape, here)
    fresh = [check.JUDGES[name](facts) for name in _FRESH]
    last = life.evidence(LOOKED, here)
    found = {} if last is None or (facts.switched and last.at < facts.switched) else said.gates(last.detail)
    closed = [gate.name for gate in fresh if gate.passed is not Passed.YES]
    closed += [name for name, passed in found.items() if name not in _FRESH and passed != Passed.YES]
    unlooked = tuple(name for name in check.JUDGES if name not in _FRESH and name not in found)
    through = dict.fromkeys(
        str(each.detail["gate"]) for each in life.entries if each.kind == OVERRIDE and each.place == here
    )
    missing = tuple(name for name in check.JUDGES if name in closed)
    looked = last.at if last is not None and found else None
    return replace(change, missing=missing, unlooked=unlooked, looked=looked, overridden=tuple(through))


def _facts(one: _Look, name: str, life: Life, shape: Shape, here: Place) -> Facts:
    place = one.config.postgres[one.target]
    switched = life.since_state(State.SWITCHED, here)
    looks = clients.known(life, here)
    elsewhere = clients.NOWHERE
    if switched is not None:
        elsewhere = clients.on_replicas(one.config, one.target, one.run, here)
    sample = clients.look(one.connection, place.old_clients or (), one.now, elsewhere=elsewhere)
    if switched is not None:
        clients.keep(one.connection, one.run, sample, looks, target=one.target, change=name)
    tables = tuple({shape.table, *(each.table for each in shape.comparisons())})
    return Facts(
        one.target,
        name,
        one.now,
        here,
        life.state,
        switched,
        place.soak,
        checksum.of(name, shape),
        Old(("", "")) if shape.old_names() is not None else None,
        compares=bool(shape.comparisons()),
        compared=_proof(life, COMPARED, here),
        triggers=triggers.digest(one.connection, name, tables),
        patterns=place.old_clients,
        samples=(*(each for each in looks if switched is not None and each.at >= switched), sample),
        servers=reading.servers(place),
        rehearsed=_proof(life, REHEARSED, here),
    )


def _proof(life: Life, kind: str, here: Place) -> Proof | None:
    found = life.evidence(kind, here)
    return None if found is None else Proof(found.at, found.detail)


@dataclass(frozen=True, slots=True)
class Past:
    """The history of a database, what of it was done when, and what happened to its changes."""

    history: History
    stamp: str | None
    entries: tuple[Entry, ...]
    events: tuple[Event, ...]
    foretold: tuple[Beside, ...] = ()


def past(config: Config, path: Path, target: str, run: Run, now: datetime) -> Past:
    """Tell the history of a database."""
    known = history.read(history.folder(config, path), history.section(config, target), target)
    with postgres.connect(config.postgres[target], run, target=target) as connection:
        stamp = observe(connection, target=target).database.stamp
        lives = record.read(connection, target=target)
        besides = tuple(foretold.besides(open_changes.read(connection, known))) if lives else ()
        events = tuple(_events(known, lives, record.here(connection), besides, now)) if lives else ()
        return Past(known, stamp, tuple(entries(connection, target=target)), events, besides)


def _events(
    known: History, lives: Mapping[str, Life], here: Place, besides: Sequence[Beside], now: datetime
) -> list[Event]:
    """Tell what has happened to the changes of a database, oldest first: steps, evidence, overrides."""
    impacts = {one.change: one.impact for one in known.revisions if one.change is not None and one.impact}
    found: list[Event] = []
    for change, life in lives.items():
        for one in life.entries:
            if (text := said.event(one.kind, one.detail)) is None:
                continue
            age = max(timedelta(0), now - one.at)
            where = (known.target, change, impacts.get(change) or "")
            happened = (one.kind, text, one.at, age, one.run, one.actor, one.place == here)
            found.append(Event(*where, *happened, said.detail(one.detail)))
    found += [foretold.event(one, impacts.get(one.change) or "", now) for one in besides]
    return sorted(found, key=lambda one: one.at)
