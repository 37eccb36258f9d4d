"""The rows of a backfill in the ledger: parts with cursors, chunks, rows that were set aside, and who controls it.

A part's cursor moves in the transaction of the rows that it passes. It moves only for the run that claimed the part.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg.types.json import Jsonb

from dbops.copies.bounds import Bound, Range
from dbops.engine.run import Run
from dbops.errors import LockBusy
from dbops.operations.migrate.backfill.facts import Facts, Part
from dbops.operations.migrate.backfill.pace import FIRST_ROWS
from dbops.operations.migrate.life import Place
from dbops.stores.postgres import Connection

_PARTS = """
    SELECT id, part, coalesce(cursor, low), high, rows_total, rows_seen, rows_changed, batch_rows,
           finished IS NOT NULL
      FROM dbops.jobs WHERE change = %s AND kind = 'backfill' AND work = %s
       AND system_identifier = (SELECT system_identifier FROM pg_control_system())
       AND database_oid = (SELECT oid FROM pg_database WHERE datname = current_database()) ORDER BY part"""
_ASIDE = "SELECT job, count(*)::int FROM dbops.set_aside WHERE job = ANY(%s) GROUP BY 1"
_FORGET = "DELETE FROM dbops.jobs WHERE change = %s AND kind = 'backfill'"
_NEW = """
    INSERT INTO dbops.jobs (change, kind, part, parts, work, run, low, high, rows_total, batch_rows,
                            system_identifier, database_oid, timeline)
    VALUES (%s, 'backfill', %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"""
_CLAIM = """
    UPDATE dbops.jobs SET run = %s, at = clock_timestamp(), throttled_by = NULL
     WHERE change = %s AND kind = 'backfill' AND work = %s"""
# One statement: a chunk without its cursor, or the other way round, cannot be.
_ADVANCE = """
    WITH moved AS (
        UPDATE dbops.jobs
           SET cursor = %(high)s, at = clock_timestamp(), rows_seen = rows_seen + %(seen)s,
               rows_changed = rows_changed + %(changed)s, batch_rows = %(rows)s, busy_ms = busy_ms + %(ms)s,
               finished = CASE WHEN %(last)s THEN clock_timestamp() END
         WHERE id = %(job)s AND run = %(run)s AND finished IS NULL
        RETURNING id), kept AS (
        INSERT INTO dbops.chunks (job, high, rows_seen, rows_changed, ms)
        SELECT id, coalesce(%(high)s, 'null'), %(seen)s, %(changed)s, %(ms)s FROM moved)
    SELECT count(*) FROM moved"""
_HELD = """
    UPDATE dbops.jobs SET throttled_by = %s, throttled_ms = throttled_ms + %s, at = clock_timestamp()
     WHERE id = %s AND run = %s"""
_SET_ASIDE = "INSERT INTO dbops.set_aside (job, key, reason) VALUES (%s, %s, %s)"
_KEYS = "SELECT key FROM dbops.set_aside WHERE job = %s ORDER BY at"
_REASON = "UPDATE dbops.set_aside SET reason = %s, at = clock_timestamp() WHERE job = %s AND key = %s"
_DONE = "DELETE FROM dbops.set_aside WHERE job = %s AND key = %s"
_FILLED = "UPDATE dbops.jobs SET rows_changed = rows_changed + %s WHERE id = %s AND run = %s"
_CONTROL = "SELECT paused, rows_per_s FROM dbops.controls WHERE change = %s"
_TOTALS = """
    SELECT coalesce(sum(rows_seen), 0)::bigint, coalesce(sum(rows_changed), 0)::bigint,
           coalesce(sum(busy_ms), 0)::bigint, coalesce(sum(throttled_ms), 0)::bigint, count(*)::int,
           coalesce(sum((SELECT count(*) FROM dbops.set_aside s WHERE s.job = j.id)), 0)::int,
           bool_and(finished IS NOT NULL)
      FROM dbops.jobs j WHERE change = %s AND kind = 'backfill' AND work = %s"""
_SOME = """
    SELECT s.key::text, s.reason FROM dbops.set_aside s JOIN dbops.jobs j ON j.id = s.job
     WHERE j.change = %s AND j.work = %s ORDER BY s.at LIMIT 10"""


@dataclass(frozen=True, slots=True)
class Totals:
    """What a backfill amounts to, all its runs together."""

    rows: int
    changed: int
    busy_ms: int
    throttled_ms: int
    parts: int
    set_aside: int
    finished: bool


def read(connection: Connection, change: str, work: str) -> tuple[tuple[Part, ...], Mapping[int, int]]:
    """Return the parts of this work in this very database, and how many rows each has set aside."""
    parts = [_part(row) for row in connection.execute(_PARTS, (change, work))]
    aside = dict(connection.execute(_ASIDE, ([part.job for part in parts],)).fetchall())
    return tuple(parts), aside


def _part(row: Sequence[Any]) -> Part:
    job, number, low, high, *counts = row
    return Part(job, number, Range(_bound(low), _bound(high)), *counts)


def _bound(kept: list[str] | None) -> Bound | None:
    return None if kept is None else tuple(kept)


def begin(connection: Connection, run: Run, facts: Facts, cut: Sequence[Range], *, place: Place) -> None:
    """Forget what was done of this change before, and write its parts down."""
    connection.execute(_FORGET, (facts.change,))
    total = (facts.table.rows or 0) // max(1, len(cut))
    for number, part in enumerate(cut):
        what = (facts.change, number, len(cut), facts.work, run.id, _kept(part.low), _kept(part.high), total)
        where = (place.system_identifier, place.database_oid, place.timeline)
        connection.execute(_NEW, (*what, FIRST_ROWS, *where))


def _kept(bound: Bound | None) -> Jsonb | None:
    return None if bound is None else Jsonb(list(bound))


def claim(connection: Connection, run: Run, change: str, work: str) -> None:
    """From here on, the cursors move for this run alone: a backend of a dead one commits nothing more."""
    connection.execute(_CLAIM, (run.id, change, work))


@dataclass(frozen=True, slots=True)
class Chunk:
    """A batch that was done."""

    high: Bound | None
    seen: int
    changed: int
    next_rows: int
    ms: int
    last: bool


def advance(connection: Connection, run: Run, part: Part, chunk: Chunk) -> None:
    """Move the cursor, inside the transaction of the batch."""
    values = {
        "high": _kept(chunk.high),
        "seen": chunk.seen,
        "changed": chunk.changed,
        "rows": chunk.next_rows,
        "ms": chunk.ms,
        "last": chunk.last,
        "job": part.job,
        "run": run.id,
    }
    row = connection.execute(_ADVANCE, values).fetchone()
    if row is None or row[0] != 1:
        raise LockBusy("another run has taken over this backfill", hint="dbops journal list")


def held(connection: Connection, run: Run, part: Part, by: str | None, ms: int) -> None:
    connection.execute(_HELD, (by, ms, part.job, run.id))


def set_aside(connection: Connection, part: Part, key: Bound, reason: str) -> None:
    connection.execute(_SET_ASIDE, (part.job, _kept(key), reason))


def keys_set_aside(connection: Connection, part: Part) -> list[Bound]:
    return [tuple(key) for (key,) in connection.execute(_KEYS, (part.job,)).fetchall()]


def still_set_aside(connection: Connection, part: Part, key: Bound, reason: str) -> None:
    connection.execute(_REASON, (reason, part.job, _kept(key)))


def filled(connection: Connection, run: Run, part: Part, key: Bound, changed: int) -> None:
    """A row that had been set aside is done."""
    connection.execute(_DONE, (part.job, _kept(key)))
    connection.execute(_FILLED, (changed, part.job, run.id))


def control(connection: Connection, change: str) -> tuple[bool, int | None]:
    """Tell whether somebody paused it, and how many rows a second they allow."""
    row = connection.execute(_CONTROL, (change,)).fetchone()
    return (False, None) if row is None else (row[0], row[1])


def totals(connection: Connection, change: str, work: str) -> Totals:
    row = connection.execute(_TOTALS, (change, work)).fetchone()
    assert row is not None  # noqa: S101
    return Totals(*row)


def some_set_aside(connection: Connection, change: str, work: str) -> list[tuple[str, str]]:
    return [(key, reason) for key, reason in connection.execute(_SOME, (change, work))]
