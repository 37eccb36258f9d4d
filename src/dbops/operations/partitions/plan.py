"""What is missing between the partitions that are there and those that are wanted; pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from dbops.engine.plan import Plan, Risk, Statement, Step
from dbops.operations.partitions import sql
from dbops.operations.partitions.bounds import Grid, Span, suffix, without
from dbops.operations.partitions.facts import Facts, Name, Parent, Wish


@dataclass(frozen=True, slots=True)
class Finalize:
    """End a detach that was interrupted: until then no other one can begin, and no bound of it is free."""

    parent: Name
    name: Name
    again: bool = False  # at the end of the run, when what held it up at the beginning may be over


@dataclass(frozen=True, slots=True)
class Create:
    """Make one partition and attach it, in one transaction: killed, there is nothing of it."""

    parent: Name
    name: Name
    span: Span
    make: tuple[Statement, ...]
    attach: tuple[Statement, ...]
    for_now: bool = False
    identity_index: str | None = None


@dataclass(frozen=True, slots=True)
class Analyze:
    """Let the planner know that the new ones are empty."""

    names: tuple[Name, ...]


@dataclass(frozen=True, slots=True)
class DropDefault:
    parent: Name
    name: Name


Action = Finalize | Create | Analyze | DropDefault


@dataclass(frozen=True, slots=True)
class Missing:
    """A cell, or what foreign bounds leave of it."""

    span: Span
    whole: bool
    for_now: bool


def usable(parent: Parent | None, wish: Wish) -> bool:
    """Tell whether ensure can work on it; `check` says why not."""
    return (
        parent is not None
        and parent.strategy == "range"
        and parent.kind is not None
        and (wish.column is None or wish.column == parent.column)
        and (parent.shape is None or not any(child.divided for child in parent.shape.children))
    )


def missing(parent: Parent, wish: Wish, now: datetime, since: datetime | None = None) -> list[Missing]:
    """Return what is wanted and not there: gaps, the current cell, and `premake` cells after it.

    What retention would take at once is not made, and what is being detached counts as gone.
    """
    if parent.kind is None:
        return []
    grid = wish.grid(parent.kind)
    here = grid.now(now)
    taken = [one.span for one in parent.attached]
    begin = _begin(parent, wish, grid, here, since)
    found: list[Missing] = []
    for cell in grid.cells(begin, grid.ahead(here, wish.premake)):
        found += [Missing(piece, piece == cell, piece.holds(here)) for piece in without(cell, taken)]
    return sorted(found, key=lambda one: (not one.for_now,))  # now comes first, the rest in its order


def _begin(parent: Parent, wish: Wish, grid: Grid, here: datetime, since: datetime | None) -> datetime:
    ends = [one.span.end for one in parent.attached if one.span.end is not None]
    begin = min([here, *ends])  # the first partition's end: what is before it was never there, or is retired
    if since is not None:
        begin = min(begin, grid.now(since))
    if wish.retention is not None:
        begin = max(begin, _earlier(here, wish.retention))
    return begin


def _earlier(moment: datetime, span: timedelta) -> datetime:
    try:
        return moment - span
    except OverflowError:
        return datetime.min.replace(tzinfo=moment.tzinfo)


def blocked(parent: Parent, piece: Missing) -> int:
    """Count the rows of the default partition that keep this piece from being attached."""
    return sum(rows for span, rows in parent.default_rows if span.meets(piece.span))


def name_of(parent: Parent, grid: Grid, piece: Missing, taken: Sequence[str]) -> str:
    """Name a new partition after its cell; a name that something else bears gets a number."""
    assert piece.span.start is not None  # noqa: S101  # cells have one
    end = "_" + suffix(grid.interval, grid.day_of(piece.span.start), whole=piece.whole)
    first = sql.shortened(parent.name, end)
    number, name = 2, first
    while name in taken:
        name, number = sql.shortened(parent.name, f"{end}_{number}"), number + 1
    return name


def plan(facts: Facts, wishes: Sequence[Wish], now: datetime, since: datetime | None = None) -> Plan[Action]:
    steps: list[Step[Action]] = []
    made: list[Name] = []
    if not facts.standby:
        for wish in wishes:
            parent = facts.parent(wish.table)
            if parent is not None and usable(parent, wish):
                new = list(_of_table(parent, wish, now, since))
                steps += new
                made += [step.action.name for step in new if isinstance(step.action, Create)]
    if made:
        names = tuple(made)
        told = f"analyze {len(names)} new partition{'s' if len(names) > 1 else ''}"
        steps.append(Step("analyze", told, Analyze(names), statements=sql.analyze(names)))
    return Plan(facts.target, "partitions", tuple(steps))


def _of_table(parent: Parent, wish: Wish, now: datetime, since: datetime | None) -> Iterator[Step[Action]]:
    yield from (_finalize(parent, one.place, again=False) for one in parent.pending)
    kind, column = parent.kind, parent.column
    if kind is None or column is None:
        return
    grid = wish.grid(kind)
    taken = set(parent.taken)
    notes, risk = _locks(parent)
    for piece in missing(parent, wish, now, since):
        if blocked(parent, piece):
            continue
        name = (parent.schema, name_of(parent, grid, piece, tuple(taken)))
        taken.add(name[1])
        low, high = sql.bounds(piece.span, kind)
        make = sql.create(parent, name, piece.span, kind, column)
        attach = sql.attach(parent, name, piece.span, kind)
        index = parent.shape.identity_index if parent.shape and parent.shape.replica_identity == "i" else None
        action = Create(parent.place, name, piece.span, make, attach, piece.for_now, index)
        summary = f"{parent.told}: create {name[1]} from {low} to {high}{' (now)' if piece.for_now else ''}"
        yield Step(f"create {parent.told} {low}", summary, action, risk, (*make, *attach), notes)
    yield from (_finalize(parent, one.place, again=True) for one in parent.pending)


def _finalize(parent: Parent, name: Name, *, again: bool) -> Step[Action]:
    what = "make sure of" if again else "finish"
    return Step(
        f"finalize {parent.told} {name[1]}{' again' if again else ''}",
        f"{what} the interrupted detach of {name[1]} from {parent.told}",
        Finalize(parent.place, name, again),
        Risk.BLOCKS,
        sql.finalize(parent.place, name),
        (f"ACCESS EXCLUSIVE on {name[1]}, SHARE UPDATE EXCLUSIVE on {parent.told}; tried again and again",),
    )


def _locks(parent: Parent) -> tuple[tuple[str, ...], Risk]:
    """Name every lock that ATTACH takes, as measured on PostgreSQL 15."""
    notes = [f"SHARE UPDATE EXCLUSIVE on {parent.told}: readers and writers go on"]
    if parent.default is not None:
        notes.append(f"ACCESS EXCLUSIVE on the default {parent.default.name}, which is read for rows of the range")
    if parent.peers:
        peers = ", ".join(name if schema == "public" else f"{schema}.{name}" for schema, name in parent.peers)
        notes.append(f"SHARE ROW EXCLUSIVE on {peers} (foreign keys): their writers wait for an instant")
    if len(notes) > 1:
        notes.append("each attempt queues 0.3 s to 1 s at most, then lets the others pass")
    return tuple(notes), Risk.BLOCKS if len(notes) > 1 else Risk.SAFE


def plan_default(facts: Facts, wish: Wish) -> Plan[Action]:
    """Drop an empty default partition; with rows in it `ready` has refused."""
    parent = facts.parent(wish.table)
    if parent is None or parent.default is None or facts.standby:
        return Plan(facts.target, "default partition")
    name = parent.default.place
    step: Step[Action] = Step(
        f"drop default {parent.told}",
        f"{parent.told}: drop the empty default partition {name[1]}",
        DropDefault(parent.place, name),
        Risk.BLOCKS,
        sql.drop_default(name),
        (
            f"ACCESS EXCLUSIVE on {parent.told} and {name[1]} for an instant, after a count under the lock",
            "from then on a row without a partition is refused, so keep the runway",
        ),
    )
    return Plan(facts.target, "default partition", (step,))
