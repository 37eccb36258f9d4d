"""Walk one part of a table: batch by batch, each in one transaction with the cursor that tells how far it came."""

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import timedelta

import psycopg
from psycopg import sql

from dbops.copies import batches
from dbops.copies.bounds import Bound, Range, Stretch
from dbops.engine import clock, stop
from dbops.engine.finding import Finding
from dbops.engine.run import Run
from dbops.errors import DbopsError, LockBusy, Refused
from dbops.operations.migrate.backfill import check, jobs, pace
from dbops.operations.migrate.backfill.check import Failure
from dbops.operations.migrate.backfill.facts import Facts, Part, Wanted
from dbops.operations.migrate.backfill.meter import Meter
from dbops.operations.migrate.backfill.watch import Watch
from dbops.operations.migrate.shapes.dual import BACKFILL
from dbops.operations.migrate.shapes.expressions import placed
from dbops.stores import postgres
from dbops.stores.postgres import Connection

_LOCK = timedelta(milliseconds=200)  # far below deadlock_timeout: nobody of the application is chosen as a victim
_ONE_ROW = timedelta(seconds=60)
_OVER = 2.5  # times what a batch may take, and it is given up: others wait for its rows meanwhile
_POLL_S = 0.25
_LARGE_BLOCKS = 1_000  # below, reading all of a table is cheap

_SETTINGS = """
    SELECT set_config('lock_timeout', %s, true), set_config('statement_timeout', %s, true),
           set_config('synchronous_commit', 'off', true), set_config(%s, %s, true)"""


class BackfillFailed(DbopsError):
    """Rows cannot be filled. What was filled stays; the next run begins with those that were set aside."""


@dataclass(slots=True)
class Doing:
    """What the parts of one backfill share while they are walked."""

    run: Run
    facts: Facts
    wanted: Wanted
    open: Callable[[], AbstractContextManager[Connection]]
    role: str | None  # to become inside a batch: whoever is connected may suppress triggers, the owner may not
    suppress: bool
    watch: Watch
    meter: Meter
    guard: Callable[[], None]
    walkers: int
    met: list[Finding] = field(default_factory=list[Finding])
    over: threading.Event = field(default_factory=threading.Event)  # one part has failed: the others end, too


@dataclass(slots=True)
class _Going:
    """Where one walk is."""

    part: Part
    low: Bound | None
    rows: int
    grow_to: int | None = None  # behind a row that failed: back to the size of before
    busy_since: float | None = None
    tried: bool = False

    @property
    def left(self) -> Range:
        return Range(self.low, self.part.left.high)


def walk(doing: Doing, part: Part) -> None:
    """Go from the cursor to the end of a part. May be stopped or killed between any two statements."""
    try:
        _walk(doing, part)
    except BaseException:
        doing.over.set()
        raise


def _walk(doing: Doing, part: Part) -> None:
    with postgres.translated(doing.facts.target), doing.open() as connection:
        _retry_set_aside(doing, connection, part)
        if part.finished:
            return
        going = _Going(part, part.left.low, part.batch_rows)
        doing.watch.backends.add(connection.info.backend_pid)
        last = False
        while not last and not doing.over.is_set():
            limit = _held(doing, connection, part)
            asked = pace.at_most(going.rows, limit, doing.walkers)
            began = clock.monotonic()
            try:
                chunk = _batch(doing, connection, going, asked)
            except _TableLocked:
                _wait_for_others(doing, connection, going)
                continue
            except psycopg.Error as error:
                _failed(doing, connection, going, asked, error)
                continue
            took = clock.monotonic() - began
            going.low, going.rows, last = chunk.high, chunk.next_rows, chunk.last
            going.busy_since, going.tried = None, True
            doing.meter.add(chunk.seen, took, doing.walkers)
            if last:
                _refuse_new_places(doing, connection)
            _rest(doing, connection, part, pace.nap(chunk.seen, took, limit, doing.walkers))


def _batch(doing: Doing, connection: Connection, going: _Going, rows: int) -> jobs.Chunk:
    facts = doing.facts
    stretch = _next_rows(doing, connection, going, rows)  # before any row is locked
    began = clock.monotonic()
    with connection.transaction():
        _settle(doing, connection, _ONE_ROW if rows == 1 else doing.wanted.batch * _OVER)
        text = placed(facts.filling.statement, rows=stretch.range.rows(facts.table.key)).encode()
        if not going.tried:
            _look_at_plan(doing, connection, text)
        changed = connection.execute(text).rowcount if stretch.rows else 0
        if not going.tried and changed:
            _refuse_the_unstable(doing, connection, text)
        ms = round((clock.monotonic() - began) * 1000)
        chunk = jobs.Chunk(stretch.range.high, stretch.rows, changed, _next(doing, going, rows, ms), ms, stretch.last)
        jobs.advance(connection, doing.run, going.part, chunk)
    return chunk


def _refuse_new_places(doing: Doing, connection: Connection) -> None:
    """See at the end of a walk by places that they were the same all the time."""
    table = doing.facts.table
    if table.key.is_place and batches.observe(connection, table.oid).files != table.files:
        raise BackfillFailed(
            f"{table.shown} was written anew while it was filled (VACUUM FULL, CLUSTER?), and has no key",
            hint="run again: it begins at the first row; a primary key makes this possible at any time",
            target=doing.facts.target,
        )


class _TableLocked(Exception):
    """Somebody changes the table itself: smaller batches are no way around that."""


def _next_rows(doing: Doing, connection: Connection, going: _Going, rows: int) -> Stretch:
    try:
        return batches.next_of(connection, doing.facts.table, going.left, rows)
    except psycopg.errors.LockNotAvailable as error:
        raise _TableLocked from error


def _next(doing: Doing, going: _Going, rows: int, ms: int) -> int:
    target, most = doing.wanted.batch.total_seconds() * 1000, doing.wanted.most_rows
    if going.grow_to is not None:
        if rows * 2 < going.grow_to:
            return rows * 2
        going.grow_to = None
    return pace.next_rows(rows, ms, target, most, waiters=doing.watch.waited_for())


def _settle(doing: Doing, connection: Connection, timeout: timedelta) -> None:
    values = (postgres.milliseconds(_LOCK), postgres.milliseconds(timeout), BACKFILL, doing.facts.change)
    connection.execute(_SETTINGS, values)
    if doing.suppress:
        connection.execute("SET LOCAL session_replication_role = replica")
    if doing.role is not None:
        connection.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(doing.role)))


def _look_at_plan(doing: Doing, connection: Connection, text: bytes) -> None:
    table = doing.facts.table
    if table.blocks < _LARGE_BLOCKS or any(finding.code == check.READS_ALL for finding in doing.met):
        return
    row = connection.execute(b"EXPLAIN (FORMAT JSON) " + text).fetchone()
    if row is not None and check.reads_all(row[0][0]["Plan"]):
        doing.met.append(check.scans(doing.facts.target, table.shown))


def _refuse_the_unstable(doing: Doing, connection: Connection, text: bytes) -> None:
    """Do the first batch twice: a statement that changes its own rows again would never agree with what it wrote."""
    filling = doing.facts.filling
    if filling.table == filling.writes and (again := connection.execute(text).rowcount):
        raise Refused(
            f"the statement of {doing.facts.change} changes the same rows again ({again} of the first batch)",
            hint="`up` must give the same value each time, and no other trigger may assign another one",
            target=doing.facts.target,
        )


def _failed(doing: Doing, connection: Connection, going: _Going, rows: int, error: psycopg.Error) -> None:
    """Go around what failed, or give up. Messages of the server hold values of rows: they are told to nobody."""
    match check.failure(error.sqlstate):
        case Failure.FATAL:
            raise error
        case Failure.BUSY if stop.requested():
            raise stop.stopped() from None
        case Failure.BUSY if rows == 1 and isinstance(error, psycopg.errors.QueryCanceled):
            _set_aside(doing, connection, going, f"{error.sqlstate}: it took longer than {_ONE_ROW.seconds} s")
        case Failure.BUSY if rows == 1:
            _wait_for_others(doing, connection, going)
        case Failure.BUSY:
            going.rows = max(1, rows // 2)
        case Failure.ROW if rows == 1:
            _set_aside(doing, connection, going, _reason(error))
        case Failure.ROW:
            going.grow_to = max(rows, going.grow_to or 0)
            going.rows = max(1, rows // 2)


def _reason(error: psycopg.Error) -> str:
    named = error.diag.constraint_name
    return f"{error.sqlstate} {type(error).__name__}" + (f", constraint {named}" if named else "")


def _wait_for_others(doing: Doing, connection: Connection, going: _Going) -> None:
    """Let others end their transactions; the application is never held up by our waiting."""
    now = clock.monotonic()
    going.busy_since = now if going.busy_since is None else going.busy_since
    if now - going.busy_since > doing.wanted.patience.total_seconds():
        who = ", ".join(doing.watch.holders(doing.facts.table.oid))
        raise LockBusy(
            f"{doing.facts.table.shown}, or its next row, has been locked for long, by {who or 'somebody'}",
            hint="end that transaction, then run again: it goes on where it stopped",
            target=doing.facts.target,
        )
    _rest(doing, connection, going.part, _POLL_S, by="a lock of another transaction")


def _set_aside(doing: Doing, connection: Connection, going: _Going, reason: str) -> None:
    """Go on behind the row, and remember it with its key alone."""
    facts = doing.facts
    stretch = _next_rows(doing, connection, going, 1)
    if not stretch.full or stretch.range.high is None:  # somebody has deleted it: nothing is left to set aside
        return
    with connection.transaction():
        _settle(doing, connection, _ONE_ROW)
        jobs.set_aside(connection, going.part, stretch.range.high, reason)
        chunk = jobs.Chunk(stretch.range.high, stretch.rows, 0, 1, 0, last=False)
        jobs.advance(connection, doing.run, going.part, chunk)
    going.low, going.rows = stretch.range.high, 1
    totals = jobs.totals(connection, facts.change, facts.work)
    if totals.set_aside > doing.wanted.most_set_aside:
        raise failure(doing, connection, totals)


def failure(doing: Doing, connection: Connection, totals: jobs.Totals) -> BackfillFailed:
    facts = doing.facts
    some = jobs.some_set_aside(connection, facts.change, facts.work)
    message, hint = check.rows_set_aside(facts.target, facts.change, totals.set_aside, some)
    return BackfillFailed(message, hint=hint, target=facts.target)


def _retry_set_aside(doing: Doing, connection: Connection, part: Part) -> None:
    """Try the rows of earlier runs first: somebody may have corrected them."""
    facts = doing.facts
    for key in jobs.keys_set_aside(connection, part):
        stop.check()
        where = f"{facts.table.key.row} = {facts.table.key.value(key)}"
        text = placed(facts.filling.statement, rows=where).encode()
        try:
            with connection.transaction():
                _settle(doing, connection, _ONE_ROW)
                changed = connection.execute(text).rowcount
                jobs.filled(connection, doing.run, part, key, changed)
        except psycopg.Error as error:
            if check.failure(error.sqlstate) is Failure.FATAL or stop.requested():
                raise
            jobs.still_set_aside(connection, part, key, _reason(error))


def _held(doing: Doing, connection: Connection, part: Part) -> int | None:
    """Wait while somebody or something holds the backfill; return how many rows a second are allowed."""
    while True:
        stop.check()
        doing.guard()
        paused, limit = jobs.control(connection, doing.facts.change)
        reasons = (*(("paused",) if paused else ()), *check.holding(doing.watch.seen))
        if not reasons:
            return limit
        _rest(doing, connection, part, _POLL_S, by="; ".join(reasons))


def _rest(doing: Doing, connection: Connection, part: Part, seconds: float, by: str = "its limit") -> None:
    """Wait between two transactions, and say why where others look."""
    if seconds <= 0:
        return
    jobs.held(connection, doing.run, part, by, 0)
    doing.meter.held(by, seconds)
    began = clock.monotonic()
    try:
        stop.pause(seconds)
    finally:
        jobs.held(connection, doing.run, part, None, round((clock.monotonic() - began) * 1000))
