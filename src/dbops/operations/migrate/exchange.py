"""Change the catalog and the ledger in one transaction, whole or not at all, without making the application wait."""

import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import LiteralString, cast

import psycopg
from psycopg import sql

from dbops.engine import clock, stop
from dbops.engine.patience import Ramp, patiently
from dbops.errors import DbopsError, Stopped
from dbops.operations.migrate import figures
from dbops.operations.migrate.shapes.shape import Do
from dbops.operations.migrate.stopwatch import Stopwatch, attended
from dbops.stores import postgres, waiting
from dbops.stores.postgres import Connection

_POLL_S = 0.1
_LEAST = timedelta(milliseconds=10)


@dataclass(slots=True)
class _Seen:
    blockers: str = ""


@dataclass(slots=True)
class Went:
    """What an exchange took: its statements of the attempt that went through, and the attempts before."""

    statements: tuple[figures.Statement, ...] = ()
    attempts: int = 0
    waited_ms: float = 0.0  # by attempts that were given up


def exchange(
    connection: Connection,
    statements: Sequence[str],
    and_then: Callable[[], None],
    *,
    what: str,
    target: str,
    administrator: Callable[[], AbstractContextManager[Connection]],
    ramp: Ramp,
    may_take_long: bool = False,
) -> Went:
    """Run all statements, then write what is told of them; again, as a whole, while a lock is not granted.

    They share one limit, for all of them may hold the application up; what may take long has it for its locks alone.
    """
    seen, went = _Seen(), Went()

    def attempt(lock_timeout: timedelta) -> None:
        watch = Stopwatch()
        went.attempts += 1
        backend = connection.info.backend_pid
        try:
            with attended(watch, administrator, backend) if statements else nullcontext():
                with connection.transaction():
                    limit = _Limit(connection, min(lock_timeout, postgres.below_deadlock(connection)), may_take_long)
                    _run(connection, statements, watch, limit)
                    limit.set()
                    and_then()
                went.statements = watch.finish()
        except postgres.NOT_GRANTED as error:
            if isinstance(error, psycopg.errors.QueryCanceled) and stop.requested():
                raise stop.stopped() from None
            went.waited_ms += 1000 * lock_timeout.total_seconds()
            raise

    with _watching(administrator, connection.info.backend_pid, seen) if statements else nullcontext():
        patiently(
            attempt,
            timed_out=postgres.NOT_GRANTED,
            what=what,
            target=target,
            ramp=ramp,
            blockers=lambda: seen.blockers,
        )
    return went


def make_ready(
    connection: Connection,
    one: Do,
    *,
    target: str,
    administrator: Callable[[], AbstractContextManager[Connection]],
    ramp: Ramp,
) -> Went:
    """Run what comes before; what may take long waits for locks as the others, and is not cut off when it has them."""
    return exchange(
        connection,
        (one.sql,),
        lambda: None,
        what="making ready for the exchange of names",
        target=target,
        administrator=administrator,
        ramp=ramp,
        may_take_long=one.alone,
    )


@dataclass(slots=True)
class _Limit:
    """What statements of one transaction may wait, together."""

    connection: Connection
    most: timedelta
    may_take_long: bool
    began: float = field(default_factory=clock.monotonic)

    def set(self) -> None:
        left = self.most - timedelta(seconds=clock.monotonic() - self.began)
        postgres.set_local_timeouts(self.connection, self.most if self.may_take_long else max(left, _LEAST))
        if self.may_take_long:
            self.connection.execute("SELECT set_config('statement_timeout', '0', true)")


def _run(connection: Connection, statements: Sequence[str], watch: Stopwatch, limit: _Limit) -> None:
    if not statements:
        return
    watch.start(connection)
    connection.execute("SET LOCAL search_path = public")  # as revisions have it: shapes are written so
    connection.execute("SELECT set_config('app.migration_mode', 'true', true)")
    for text in statements:
        limit.set()
        watch.begin(text)
        connection.execute(sql.SQL(cast("LiteralString", text)))
        watch.end(connection)
    connection.execute("SET LOCAL search_path = pg_catalog, pg_temp")


@contextmanager
def _watching(
    administrator: Callable[[], AbstractContextManager[Connection]], backend: int, seen: _Seen
) -> Generator[None]:
    """While open, note who holds what the backend waits for; a good name is worth no failure."""
    done = threading.Event()

    def watch(connection: Connection) -> None:
        with suppress(psycopg.Error):
            while not done.wait(_POLL_S):
                if pids := waiting.holders(connection, backend):
                    seen.blockers = f"blocked by {'; '.join(waiting.named(connection, pids))}"

    with ExitStack() as stack:
        try:
            connection = stack.enter_context(administrator())
        except Stopped:
            raise
        except DbopsError:
            yield
            return
        watcher = threading.Thread(target=watch, args=(connection,), name="dbops watcher", daemon=True)
        watcher.start()
        try:
            yield
        finally:
            done.set()
            watcher.join()
