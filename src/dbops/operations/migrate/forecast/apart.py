"""Run a statement that refuses transactions, and see its locks: a bystander makes it wait where they can be read.

Such a statement releases its locks before it answers. On an empty clone that is over in a millisecond, so chance would
decide what a second connection sees. Here it meets transactions that hold weak locks, waits for them as it would for
the application, and is read while it waits.
"""

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, LiteralString

import psycopg
from psycopg import sql
from psycopg.pq import TransactionStatus

from dbops.engine import clock
from dbops.errors import CouldNotVerify
from dbops.operations.migrate.forecast import observe
from dbops.operations.migrate.forecast.text import head
from dbops.stores.postgres import Connection

_LIMIT_S = 60.0
_LOOK_S = 0.005
_SHOW = "SELECT current_setting(%s)"
_SET = "SELECT set_config(%s, %s, false)"
_WAITS = "SELECT EXISTS (SELECT FROM pg_locks WHERE pid = %s AND NOT granted)"
_TABLES = """
    SELECT n.nspname::text, c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'p') AND c.oid = ANY(%s) AND n.nspname !~ '^pg_' ORDER BY c.oid"""


@dataclass(frozen=True, slots=True)
class Clone:
    """Two connections to it: one works, the other looks on."""

    dsn: str
    work: Connection
    eye: Connection

    @property
    def backend(self) -> int:
        return self.work.info.backend_pid


def run(clone: Clone, text: str, existed: frozenset[int]) -> frozenset[tuple[int, str]]:
    """Run it; return its locks. Raises what PostgreSQL says."""
    waits_for = "SHARE UPDATE EXCLUSIVE" if head(text) in {"VACUUM", "ANALYZE"} else "ROW EXCLUSIVE"
    found: set[tuple[int, str]] = set()
    with _patient(clone.work), _bystander(clone, existed) as first, _bystander(clone, existed) as second:
        first(waits_for)
        with _working(clone, text) as (thread, ended):
            _look(clone, thread, found)
            with suppress(psycopg.errors.LockNotAvailable):  # it waits for everybody already: there is no second act
                second("ACCESS SHARE")
            first("")
            _look(clone, thread, found)
            second("")
            _look(clone, thread, found, to_the_end=True)
    for error in ended:
        raise error
    return frozenset(found)


@contextmanager
def _patient(connection: Connection) -> Generator[None]:
    """Let it wait for the bystanders for as long as it takes to look, whatever timeouts a revision has set."""
    was = {name: connection.execute(_SHOW, (name,)).fetchone() for name in ("lock_timeout", "statement_timeout")}
    for name in was:
        connection.execute(_SET, (name, "0"))
    try:
        yield
    finally:
        if connection.info.transaction_status == TransactionStatus.IDLE:
            for name, row in was.items():
                connection.execute(_SET, (name, row[0] if row else "0"))


@contextmanager
def _bystander(clone: Clone, existed: frozenset[int]) -> Generator[Callable[[LiteralString], None]]:
    """Yield what locks all tables in a mode, and, given none, lets go of them."""
    with psycopg.connect(clone.dsn) as connection:
        names = [sql.Identifier(*row) for row in connection.execute(_TABLES, (list(existed),))]
        connection.rollback()

        def hold(mode: LiteralString) -> None:
            connection.rollback()
            if mode and names:
                connection.execute(
                    sql.SQL("LOCK TABLE ONLY {} IN {} MODE NOWAIT").format(_joined(names), sql.SQL(mode))
                )

        yield hold
        connection.rollback()


def _joined(names: list[sql.Identifier]) -> sql.Composed:
    return sql.SQL(", ONLY ").join(names)


@contextmanager
def _working(clone: Clone, text: str) -> Generator[tuple[threading.Thread, list[BaseException]]]:
    ended: list[BaseException] = []

    def work() -> None:
        try:
            clone.work.execute(text.encode())
        except BaseException as error:  # noqa: BLE001  # raised by whoever waits for this thread
            ended.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield thread, ended
    except BaseException:
        clone.work.cancel_safe(timeout=5)
        raise
    finally:
        thread.join(_LIMIT_S)


def _look(clone: Clone, thread: threading.Thread, found: set[tuple[int, str]], *, to_the_end: bool = False) -> None:
    """Collect its locks until it waits, or has ended."""
    until = clock.monotonic() + _LIMIT_S
    while True:
        alive = thread.is_alive()
        waits: Any = clone.eye.execute(_WAITS, (clone.backend,)).fetchone()
        found |= observe.locks(clone.eye, clone.backend)
        if not alive or (waits[0] and not to_the_end):
            return
        if clock.monotonic() > until:
            raise CouldNotVerify(f"a statement did not end on the clone within {_LIMIT_S:g} s")
        thread.join(_LOOK_S)
