"""The rows of dbops.jobs that a comparison keeps: how far it is, and the keys of what it found."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb

from dbops.copies.batches import Bound, Stretch, Table
from dbops.engine.run import Run
from dbops.errors import CouldNotVerify
from dbops.operations.migrate.compare.facts import DIFFERS, KEPT, Outcome, Way
from dbops.operations.migrate.life import Place
from dbops.stores.postgres import Connection

_FIRST = 2_000


@dataclass(frozen=True, slots=True)
class Book:
    """Where it is kept: the ledger of the primary, for this change, in this very database."""

    ledger: Connection
    run: Run
    target: str
    change: str
    here: Place

    @property
    def place(self) -> tuple[int, int, int]:
        return (self.here.system_identifier, self.here.database_oid, self.here.timeline)


@dataclass(slots=True)
class Job:
    """One walk under way."""

    id: int
    cursor: Bound | None
    size: int
    seen: int = 0
    total: int = 0
    differ: int = 0
    unreadable: int = 0


@dataclass(frozen=True, slots=True)
class Found:
    """What one chunk held."""

    stretch: Stretch
    differing: tuple[Bound, ...] = ()
    unreadable: tuple[Bound, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Known:
    """How far a walk is that some run began."""

    seen: int
    finished: datetime | None


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody set from another terminal."""

    paused: bool = False
    rows_per_s: int | None = None
    actor: str = ""


_FIND = """
    SELECT j.id, j.cursor, j.batch_rows, j.rows_seen, j.rows_total, j.rows_changed,
           (SELECT count(*) FROM dbops.set_aside a WHERE a.job = j.id AND a.reason <> %s), j.finished
      FROM dbops.jobs j
     WHERE j.change = %s AND j.kind = %s AND j.work = %s AND j.part = 0
       AND (j.system_identifier, j.database_oid::bigint, j.timeline) = (%s, %s, %s)"""
_STALE = """
    DELETE FROM dbops.jobs WHERE change = %s AND kind IN ('verify', 'verify back')
       AND NOT (work = ANY(%s) AND (system_identifier, database_oid::bigint, timeline) = (%s, %s, %s))"""
_DROP = "DELETE FROM dbops.jobs WHERE change = %s AND kind = %s AND work = %s"
_BEGIN = """
    INSERT INTO dbops.jobs (change, kind, part, parts, work, run, rows_total, batch_rows,
                            system_identifier, database_oid, timeline)
    VALUES (%s, %s, 0, 1, %s, %s, %s, %s, %s, %s, %s) RETURNING id"""
_CHUNK = """
    UPDATE dbops.jobs SET at = clock_timestamp(), run = %s, cursor = coalesce(%s, cursor), batch_rows = %s,
           busy_ms = busy_ms + %s, rows_seen = rows_seen + %s, rows_changed = rows_changed + %s,
           finished = CASE WHEN %s THEN clock_timestamp() END
     WHERE id = %s"""
_TRACE = "INSERT INTO dbops.chunks (job, high, rows_seen, rows_changed, ms) VALUES (%s, %s, %s, %s, %s)"
_ASIDE = "INSERT INTO dbops.set_aside (job, key, reason) VALUES (%s, %s, %s)"
_MENDED = "DELETE FROM dbops.set_aside WHERE job = %s AND key = ANY(%s::jsonb[]) AND reason = %s"
_KEYS = "SELECT key, reason FROM dbops.set_aside WHERE job = %s ORDER BY at, key::text"
_CONTROL = "SELECT paused, rows_per_s, actor FROM dbops.controls WHERE change = %s"
_WAITS = "UPDATE dbops.jobs SET throttled_by = %s, at = clock_timestamp() WHERE id = %s"
_THROTTLED = "UPDATE dbops.jobs SET throttled_ms = throttled_ms + %s, throttled_by = NULL WHERE id = %s"


def progress(book: Book, way: Way) -> Known | None:
    """Find the walk of this very work in this very database."""
    row = _found(book, way)
    return None if row is None else Known(row[3], row[7])


def _found(book: Book, way: Way) -> Any:
    return book.ledger.execute(_FIND, (DIFFERS, book.change, way.kind, way.work, *book.place)).fetchone()


def forget_others(book: Book, works: Sequence[str]) -> None:
    """Remove walks of other work, or of another database that this one is a copy of."""
    book.ledger.execute(_STALE, (book.change, list(works), *book.place))


def forget(book: Book, way: Way) -> None:
    """Remove one walk: what it found is not to be taken for more than it was."""
    book.ledger.execute(_DROP, (book.change, way.kind, way.work))


def begin(book: Book, way: Way, table: Table) -> Job:
    """Go on with a walk that was cut off, or begin anew."""
    row = _found(book, way)
    if row is not None and row[7] is None:
        cursor = None if row[1] is None else tuple(row[1])
        return Job(row[0], cursor, *row[2:7])
    total = table.rows or 0
    with book.ledger.transaction():
        book.ledger.execute(_DROP, (book.change, way.kind, way.work))
        begun = (book.change, way.kind, way.work, book.run.id, total, _FIRST, *book.place)
        row = book.ledger.execute(_BEGIN, begun).fetchone()
    assert row is not None  # noqa: S101
    return Job(row[0], None, _FIRST, total=total)


def chunk(book: Book, job: Job, found: Found, took_ms: float, *, mended: Sequence[Bound] = ()) -> None:
    """Note a chunk, and what was found in it, in one transaction; the last one finishes the job."""
    high = found.stretch.range.high
    at = None if high is None else Jsonb(list(high))
    rows, differ = found.stretch.rows, len(found.differing)
    with book.ledger.transaction():
        for key in found.differing[: max(0, KEPT - job.differ)]:
            book.ledger.execute(_ASIDE, (job.id, Jsonb(list(key)), DIFFERS))
        for key in found.unreadable:
            book.ledger.execute(_ASIDE, (job.id, Jsonb(list(key)), found.reason))
        if mended:
            book.ledger.execute(_MENDED, (job.id, [Jsonb(list(one)) for one in mended], DIFFERS))
        told = (book.run.id, at, job.size, round(took_ms), rows, differ - len(mended), found.stretch.last, job.id)
        book.ledger.execute(_CHUNK, told)
        if at is not None:
            book.ledger.execute(_TRACE, (job.id, at, rows, differ, round(took_ms)))
    job.cursor = high or job.cursor
    job.seen += rows
    job.differ += differ - len(mended)
    job.unreadable += len(found.unreadable)


def differing(book: Book, job: Job) -> list[Bound]:
    """Return the keys that are kept of rows that differ."""
    rows = book.ledger.execute(_KEYS, (job.id,)).fetchall()
    return [tuple(key) for key, reason in rows if reason == DIFFERS]


def control(book: Book) -> Wish:
    row = book.ledger.execute(_CONTROL, (book.change,)).fetchone()
    return Wish() if row is None else Wish(*row)


def waits(book: Book, job: Job, what_for: str) -> None:
    """Tell whoever asks for the status what it waits for."""
    book.ledger.execute(_WAITS, (what_for, job.id))


def throttled(book: Book, job: Job, took_ms: float) -> None:
    book.ledger.execute(_THROTTLED, (round(took_ms), job.id))


def outcome(book: Book, way: Way, columns: Sequence[str]) -> Outcome:
    """Tell what a finished walk has left."""
    row = _found(book, way)
    if row is None or row[7] is None:
        raise CouldNotVerify(f"{way.comparison.table} is not compared to its end", hint="run again", target=book.target)
    kept = book.ledger.execute(_KEYS, (row[0],)).fetchall()
    keys = tuple(_told(key, columns) for key, reason in kept if reason == DIFFERS)
    unread = tuple(f"{_told(key, columns)}, {reason}" for key, reason in kept if reason != DIFFERS)
    return Outcome(way.comparison.table, way.comparison.way, way.work, row[3], row[5], row[6], keys, unread)


def _told(key: Sequence[str], columns: Sequence[str]) -> str:
    return f"{', '.join(columns)} = {', '.join(key)}"
