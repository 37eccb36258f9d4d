"""How partitions are drawn: a line for each table, a map of its time, a row for each partition."""

from datetime import datetime
from typing import TYPE_CHECKING

from dbops import units
from dbops.cli.screen import Cell, Column, Line, Table, Tone

if TYPE_CHECKING:  # brings psycopg, which help does not need
    from dbops.operations.partitions.ready import Runway
    from dbops.operations.partitions.told import Listed, Part
    from dbops.operations.partitions.told import Table as Told

_WIDE = 60
_FEW = 12  # rows that are shown where nobody asked for more


def listing(one: "Listed", *, verbose: bool) -> list[Table | Line]:
    screen: list[Table | Line] = []
    for table in one.tables:
        screen += [_head(one, table), *_map(table)]
        if (earlier := len(table.parts) + bool(table.default) - _FEW) > 0 and not verbose:
            screen.append(Line(f"{earlier} earlier ones: --verbose", Tone.FAINT, indent=2))
        if table.parts or table.default:
            screen.append(_rows(table, verbose=verbose))
    screen += [Line(f"{one.target}: {name}: a hypertable, left to TimescaleDB", Tone.FAINT) for name in one.hypertables]
    return screen


def _head(one: "Listed", table: "Told") -> Line:
    name = f"{one.target}: {table.name if table.schema == 'public' else f'{table.schema}.{table.name}'}"
    if table.strategy != "range":
        return Line(f"{name}: by {table.strategy}, left alone", Tone.FAINT)
    facts = [f"{len(table.parts)} partitions by {table.column}"]
    facts.append("not configured" if not table.configured else "")
    if not table.now_covered:
        facts.append("NO PARTITION FOR NOW")
    elif table.runway is not None:
        facts.append(f"runway {units.duration(table.runway)}")
    else:
        facts.append("runway without end")
    facts.append(f"{len(table.gaps)} gaps" if table.gaps else "")
    facts.append(f"{table.default_rows} rows in the default" if table.default_rows else "")
    facts.append(f"{table.rows_per_day:.0f} rows a day" if table.rows_per_day else "")
    tone = Tone.BAD if not table.now_covered else Tone.WARN if table.gaps or table.default_rows else Tone.STRONG
    return Line(f"{name}: {', '.join(fact for fact in facts if fact)}", tone)


def _map(table: "Told") -> list[Line]:
    """Draw the time between the first and the last bound: # rows, = empty, - a gap, | where now is."""
    edges = [edge for part in table.parts for edge in (part.start, part.end) if edge is not None]
    if len(edges) < 2 or table.strategy != "range":
        return []
    first, last = min(edges), max(edges)
    step = (last - first) / _WIDE
    cells = "".join(_cell(table, first + step * (n + 0.5)) for n in range(_WIDE))
    return [Line(f"{first:%Y-%m-%d} {cells} {last:%Y-%m-%d}", Tone.FAINT, indent=2)]


def _cell(table: "Told", moment: datetime) -> str:
    for part in table.parts:
        if (part.start is None or part.start <= moment) and (part.end is None or moment < part.end):
            if part.detach_pending:
                return "?"
            return "|" if part.current else "#" if part.rows else "="
    return "-"


def _rows(table: "Told", *, verbose: bool) -> Table:
    columns = (
        Column("partition"),
        Column("from"),
        Column("to"),
        *(Column(name, right=True) for name in ("rows", "size", "indexes")),
        Column("row security"),
        Column("state"),
    )
    parts = [*table.parts, *([table.default] if table.default else [])]
    shown = parts if verbose else parts[-_FEW:]
    return Table(columns, tuple(_row(part, table, is_default=part is table.default) for part in shown))


def _row(part: "Part", table: "Told", *, is_default: bool) -> tuple[Cell, ...]:
    from dbops.operations.partitions import bounds

    about = "" if table.exact else "~"
    lacking = f" (lacks {len(part.lacking_indexes)})" if part.lacking_indexes else ""
    secured = "forced" if part.forced else "on" if part.row_security else "off"
    state = "detach pending" if part.detach_pending else "default" if is_default else "now" if part.current else ""
    return (
        Cell(part.name),
        Cell("" if is_default else bounds.edge(part.start)),
        Cell("" if is_default else bounds.edge(part.end)),
        Cell("?" if part.rows is None else f"{about}{part.rows}"),
        Cell(units.size(part.size_bytes) if part.size_bytes is not None else "?"),
        Cell(f"{part.indexes}{lacking}", Tone.WARN if lacking else Tone.PLAIN),
        Cell(secured, Tone.PLAIN if part.row_security else Tone.FAINT),
        Cell(state, Tone.WARN if part.detach_pending else Tone.GOOD),
    )


def runway(one: "Runway") -> Line:
    if not one.now_covered:
        return Line(f"{one.target}: {one.table}: no partition for now", Tone.BAD)
    left = units.duration(one.runway) if one.runway is not None else "without end"
    short = one.runway is not None and one.runway < one.promised
    text = f"{one.target}: {one.table}: runway {left}, {units.duration(one.promised)} promised"
    return Line(text, Tone.WARN if short else Tone.GOOD)
