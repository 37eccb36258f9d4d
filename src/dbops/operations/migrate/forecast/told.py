"""One line for each statement: its locks, what they block, how long, and what else to know before it runs."""

from collections.abc import Iterable, Iterator, Sequence

from dbops.operations.migrate.forecast import estimate
from dbops.operations.migrate.forecast.check import strongest
from dbops.operations.migrate.forecast.codes import Cost
from dbops.operations.migrate.forecast.facts import AEL, SHARE, SUE, Hazard, Line, Seen, Sizes, strength
from dbops.operations.migrate.forecast.text import head, short

_PREPARED = {"column added", "column dropped", "column renamed", "type changed"}
_FINAL = {"column dropped", "dropped"}


def lines(seen: Sequence[Seen], hazards: Sequence[Hazard], sizes: Sizes) -> tuple[Line, ...]:
    return tuple(_line(one, hazards, sizes) for one in seen)


def _line(one: Seen, hazards: Iterable[Hazard], sizes: Sizes) -> Line:
    low, high = _seconds(one, sizes)
    return Line(
        one.revision,
        one.number,
        short(one.text),
        tuple(_locks(one)),
        _blocks(one, sizes),
        one.rewritten,
        one.scanned,
        _reversible(one),
        low,
        high,
        tuple(_notes(one)),
        tuple(h.code for h in hazards if (h.revision, h.number) == (one.revision, one.number)),
    )


def _locks(one: Seen) -> Iterator[str]:
    """Tell the strongest lock on each table; what every reader and writer takes is none worth telling."""
    tables = [lock.relation for lock in one.locks if lock.kind in "rpmv"]
    for table in dict.fromkeys(tables):
        mode = strongest(one, table)
        if strength(mode) >= strength(SUE):
            held = all(lock.held for lock in one.locks if (lock.relation, lock.mode) == (table, mode))
            yield f"{mode} on {table}{' (held)' if held else ''}"


def _blocks(one: Seen, sizes: Sizes) -> str:
    """Whom the locks stop, on tables that hold rows; those without rows have nobody who waits."""
    modes = [
        lock.mode
        for lock in one.locks
        if lock.kind in "rpmv" and ((size := sizes.of(lock.relation, one.revision)) is None or size.rows)
    ]
    most = max((strength(mode) for mode in modes), default=0)
    if most == strength(AEL):
        return "reads and writes"
    return "writes" if most >= strength(SHARE) else "nothing"


def _seconds(one: Seen, sizes: Sizes) -> tuple[float | None, float | None]:
    low = high = 0.0
    for table in dict.fromkeys((*one.rewritten, *one.scanned)):
        size = sizes.of(table, one.revision)
        if size is None:
            return None, None
        each = estimate.seconds(_cost(one, table), size)
        low, high = low + each[0], high + each[1]
    return round(low, 3), round(max(high, estimate.BRIEF_S), 3)


def _cost(one: Seen, table: str) -> Cost:
    if table in one.rewritten:
        return "rewrite"
    if head(one.text) in {"UPDATE", "DELETE"}:
        return "change"
    builds = any(change.what == "index added" and change.table == table for change in one.changes)
    return "build" if builds else "scan"


def _reversible(one: Seen) -> bool:
    """Tell whether a later statement could bring back what was; rows that are gone, or were converted, it cannot."""
    gone = any(change.what in _FINAL and not change.about & {"v", "i", "I"} for change in one.changes)
    converted = bool(one.rewritten) and any(change.what == "type changed" for change in one.changes)
    rows = head(one.text) in {"UPDATE", "DELETE", "TRUNCATE"} and bool(one.locks)
    enum = head(one.text) == "ALTER" and "ADD VALUE" in one.text.upper()
    return not (gone or converted or rows or enum)


def _notes(one: Seen) -> Iterator[str]:
    if one.failed is not None:
        yield f"fails: {one.failed.message}"
    tables = dict.fromkeys(change.table for change in one.changes if change.what in _PREPARED)
    if tables:
        yield f"each prepared SELECT * of {', '.join(tables)} fails once"
    if one.transaction is None:
        yield "runs outside of a transaction"
    if (
        any(change.what == "type changed" and "time zone" in change.told for change in one.changes)
        and not one.rewritten
    ):
        yield "without a rewrite only because TimeZone is UTC"
    if one.fires:
        yield f"fires {', '.join(one.fires)}"
    if not _reversible(one):
        yield "not reversible"


def text(line: Line) -> str:
    """Write it for people."""
    fails = any(note.startswith("fails: ") for note in line.notes)
    parts = [", ".join(line.locks) or "no lock that others feel"] if not fails else []
    if line.blocks != "nothing":
        parts.append(f"stops {line.blocks}")
    parts += [f"rewrites {', '.join(line.rewrites)}"] if line.rewrites else []
    read = [name for name in line.scans if name not in line.rewrites]
    parts += [f"reads all of {', '.join(read)}"] if read else []
    if line.at_least_s is not None and line.at_most_s is not None and not fails:
        parts.append(estimate.told(line.at_least_s, line.at_most_s))
    codes = f" [{', '.join(dict.fromkeys(line.codes))}]" if line.codes else ""
    number = f"{line.number}. " if line.number else "then: "
    return f"{number}{line.statement}: {'; '.join([*parts, *line.notes])}{codes}"
