"""What `dbops matview` tells: views as data for machines, tables and trees for people."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from dbops import units
from dbops.cli.screen import Cell, Column, Line, Table, Tone
from dbops.engine.finding import Verdict

if TYPE_CHECKING:
    from dbops.operations.views.facts import Compared, Declared, Facts, Node, Setting, View


@dataclass(frozen=True, slots=True)
class ViewTold:
    """One materialized view, as `list` and `check` tell it."""

    target: str
    view: str
    owner: str
    populated: bool
    size_bytes: int
    rows: int | None
    key: str | None
    invalid_indexes: tuple[str, ...]
    last_at: datetime | None
    last_outcome: str | None
    last_error: str | None
    refreshes: int
    p50: timedelta | None
    p95: timedelta | None
    staleness: timedelta | None
    objective: timedelta | None
    schedule: timedelta | None
    changed: str  # why the next run refreshes it; empty when it leaves it alone
    refused: tuple[str, ...]  # why no run refreshes it
    reads: "tuple[Node, ...]"


@dataclass(frozen=True, slots=True)
class Listed:
    """The data of `list`."""

    views: tuple[ViewTold, ...]


@dataclass(frozen=True, slots=True)
class Checked:
    """The data of `check`."""

    verdict: Verdict
    findings: int
    views: tuple[ViewTold, ...]
    compared: "tuple[Compared, ...]"


def told(facts: "Facts", declared: "Declared") -> Iterable[ViewTold]:
    """Put what is known and what is declared of each view together."""
    from dbops.operations.views.plan import declaration

    ages = facts.ages()
    for view in facts.views:
        setting = declaration(declared, view)
        yield _told(facts.target, view, setting, ages[view.oid])


def _told(target: str, view: "View", setting: "Setting | None", age: timedelta | None) -> ViewTold:
    past = view.past
    return ViewTold(
        target=target,
        view=view.shown,
        owner=view.owner,
        populated=view.populated,
        size_bytes=view.size,
        rows=view.rows,
        key=view.key,
        invalid_indexes=view.invalid,
        last_at=past.last_at,
        last_outcome=past.outcome.value if past.outcome is not None else None,
        last_error=past.error,
        refreshes=past.refreshes,
        p50=past.p50,
        p95=past.p95,
        staleness=age,
        objective=setting.staleness if setting is not None else None,
        schedule=setting.schedule if setting is not None else None,
        changed=view.changed,
        refused=view.bound,
        reads=view.reads,
    )


def table(views: Sequence[ViewTold], now: datetime) -> Table:
    titles = ("size", "rows", "p50/p95", "old, of")
    columns = (Column("view"), *(Column(title, right=True) for title in titles), Column("last refresh"))
    return Table(columns, tuple(_row(one, now) for one in views))


def _row(one: ViewTold, now: datetime) -> tuple[Cell, ...]:
    late = one.objective is not None and (one.staleness is None or one.staleness > one.objective)
    tone = Tone.BAD if late else Tone.GOOD if one.objective is not None else Tone.PLAIN
    failed = one.last_outcome == "failed"
    last = f"{units.duration(max(timedelta(0), now - one.last_at))} ago" if one.last_at is not None else "not by dbops"
    promised = f", {units.duration(one.objective)}" if one.objective is not None else ""
    return (
        Cell(f"{one.target}: {one.view}"),
        Cell(units.size(one.size_bytes)),
        Cell("?" if one.rows is None else str(one.rows)),
        Cell(f"{_duration(one.p50)}/{_duration(one.p95)}" if one.p50 is not None else "-"),
        Cell("not filled", Tone.BAD) if not one.populated else Cell(f"{_duration(one.staleness)}{promised}", tone),
        Cell(f"failed {last}" if failed else last, Tone.BAD if failed else Tone.PLAIN),
    )


def _duration(span: timedelta | None) -> str:
    return "-" if span is None else units.duration(span)


def trees(views: Sequence[ViewTold]) -> Iterable[Line]:
    """Draw what each view reads, and what that reads."""
    for one in views:
        yield Line("")
        yield Line(f"{one.target}: {one.view}", Tone.STRONG)
        readers = f"readers go on ({one.key})" if one.key is not None else "readers wait: no usable unique index"
        yield Line(f"owner {one.owner}; {readers}", Tone.PLAIN if one.key is not None else Tone.WARN, indent=2)
        for why in one.refused:
            yield Line(f"never refreshed: {why}", Tone.BAD, indent=2)
        yield from _branches(one.reads, 1)


def _branches(nodes: "Sequence[Node]", depth: int) -> Iterable[Line]:
    for node in nodes:
        yield Line(f"{node.name} ({node.kind})", Tone.FAINT if not node.reads else Tone.PLAIN, indent=2 * depth)
        yield from _branches(node.reads, depth + 1)
