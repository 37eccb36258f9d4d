"""Walk one comparison through its table, chunk by chunk.

Each chunk leaves its trace in the ledger, so that a walk that was cut off goes on where it was. Nothing of a row but
its key leaves the server.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import LiteralString, cast

from psycopg import errors, sql

from dbops.copies import batches
from dbops.copies.batches import Bound, Range
from dbops.engine import clock, stop
from dbops.errors import CouldNotVerify
from dbops.operations.migrate.backfill.check import Failure, failure
from dbops.operations.migrate.compare import jobs
from dbops.operations.migrate.compare.facts import KEPT, Way
from dbops.operations.migrate.compare.jobs import Found, Job
from dbops.operations.migrate.shapes.expressions import placed
from dbops.stores.postgres import Connection

_LARGEST = 50_000
_AIM_MS = 250.0
_PAUSED_S = 0.5
_TRIES = 20  # of one chunk, each smaller than the one before
_SMALLER = (errors.QueryCanceled, errors.SerializationFailure)  # too slow, or in the way of a standby's recovery


@dataclass(frozen=True, slots=True)
class Walking:
    """What the walks of one verification share."""

    book: jobs.Book
    rows: Connection  # of the server that is read
    limit: int | None  # rows a second
    on_rows: Callable[[Way, Job], None]


def walk(walking: Walking, way: Way) -> None:
    """Compare from where the ledger says to the end."""
    table = table_of(walking, way)
    job = jobs.begin(walking.book, way, table)
    resumed = job.cursor is not None
    failures = 0
    last = False
    while not last:
        stop.check()
        began = clock.monotonic()
        try:
            found = _chunk(walking, way, table, job)
        except _SMALLER as error:
            if stop.requested():
                raise
            failures += 1
            job.size = _smaller(walking, way, job.size, failures, error)
            continue
        except errors.Error as error:
            if failure(error.sqlstate) is not Failure.ROW:
                raise
            # A row that an expression cannot stand. The message may hold what is in it, so only its name is told.
            if job.size > 1:
                job.size = max(1, job.size // 2)
                continue
            found = _unreadable(walking, job, table, error)
        failures = 0
        last = found.stretch.last
        mended = _mended(walking, way, table, job, resumed=resumed) if last else ()
        took = (clock.monotonic() - began) * 1000
        job.size = _next_size(job.size, took)
        jobs.chunk(walking.book, job, found, took, mended=mended)
        walking.on_rows(way, job)
        if not last:
            _throttle(walking, job, found.stretch.rows, took)


def _chunk(walking: Walking, way: Way, table: batches.Table, job: Job) -> Found:
    stretch = batches.next_of(walking.rows, table, Range(job.cursor, table.whole.high), job.size)
    differing = _differing(walking, way, table, stretch.range.rows(table.key)) if stretch.rows else ()
    return Found(stretch, tuple(differing))


def table_of(walking: Walking, way: Way) -> batches.Table:
    """Look at the table of a comparison on the server that is read."""
    row = walking.rows.execute("SELECT to_regclass(%s)::oid::bigint", (way.comparison.table,)).fetchone()
    if row is None or row[0] is None:
        raise CouldNotVerify(
            f"there is no table {way.comparison.table}",
            hint="was it renamed by hand? the shape of the change names it",
            target=walking.book.target,
        )
    return batches.observe(walking.rows, row[0])


def _differing(walking: Walking, way: Way, table: batches.Table, rows: str) -> list[Bound]:
    text = placed(way.comparison.query, rows=rows, key=table.key.texts)
    found = walking.rows.execute(sql.SQL(cast("LiteralString", text))).fetchall()
    return sorted((tuple(row) for row in found), key=lambda bound: [(len(text), text) for text in bound])


def _smaller(walking: Walking, way: Way, size: int, failures: int, error: Exception) -> int:
    if failures >= _TRIES:
        raise CouldNotVerify(
            f"a chunk of {way.comparison.table} could not be read in {failures} attempts ({type(error).__name__})",
            hint="what was compared is kept: run again when the server has less to do, or on another one",
            target=walking.book.target,
        ) from None
    return max(1, size // 2)


def _next_size(size: int, took_ms: float) -> int:
    """Aim at chunks of the same time."""
    wanted = size * min(2.0, _AIM_MS / max(took_ms, 1.0))
    return int(min(_LARGEST, max(1.0, wanted)))


def _unreadable(walking: Walking, job: Job, table: batches.Table, error: Exception) -> Found:
    """Name the one row that no comparison stands."""
    stretch = batches.next_of(walking.rows, table, Range(job.cursor, table.whole.high), 1)
    where = stretch.range.rows(table.key)
    text = f"SELECT {table.key.texts} FROM {table.shown} AS r WHERE {where}"  # noqa: S608  # quoted by batches
    keys = walking.rows.execute(sql.SQL(cast("LiteralString", text))).fetchall()
    reason = f"could not be compared ({type(error).__name__})"
    if job.unreadable + len(keys) > KEPT:
        raise CouldNotVerify(
            f"more than {KEPT:,} rows of {table.shown} {reason}",
            hint="the expressions of the change do not stand them: correct the change",
            target=walking.book.target,
        )
    return Found(stretch, unreadable=tuple(tuple(key) for key in keys), reason=reason)


def _throttle(walking: Walking, job: Job, rows: int, took_ms: float) -> None:
    """Keep to the limit, of the command or from another terminal; wait while somebody has paused the change."""
    began = clock.monotonic()
    control = jobs.control(walking.book)
    waited = control.paused
    if control.paused:
        jobs.waits(walking.book, job, f"paused by {control.actor}")
    while control.paused:
        stop.pause(_PAUSED_S)
        control = jobs.control(walking.book)
    limits = [limit for limit in (walking.limit, control.rows_per_s) if limit]
    if limits and (wait := rows / min(limits) - took_ms / 1000) > 0:
        waited = True
        jobs.waits(walking.book, job, f"{min(limits):,} rows a second")
        stop.pause(wait)
    if waited:
        jobs.throttled(walking.book, job, (clock.monotonic() - began) * 1000)


def _mended(walking: Walking, way: Way, table: batches.Table, job: Job, *, resumed: bool) -> tuple[Bound, ...]:
    """Look again, at the end, at what differed before a walk was cut off: it may be mended by now."""
    if table.key.is_place and table_of(walking, way).files != table.files:
        raise CouldNotVerify(
            f"{table.shown} was written anew while it was compared (VACUUM FULL, CLUSTER?), and has no key",
            hint="run again; a primary key makes this possible at any time",
            target=walking.book.target,
        )
    kept = jobs.differing(walking.book, job) if resumed and job.differ else []
    still: set[Bound] = set()
    for first in range(0, len(kept), 100):
        named = " OR ".join(f"{table.key.row} = {table.key.value(one)}" for one in kept[first : first + 100])
        still.update(_differing(walking, way, table, f"({named})"))
    return tuple(one for one in kept if one not in still)
