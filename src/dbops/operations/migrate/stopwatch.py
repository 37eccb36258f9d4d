"""Time statements where they run: when each began and ended, what it had to wait for, which locks stayed with it."""

import threading
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

import psycopg
import sqlalchemy as sa
from sqlalchemy import event

from dbops.engine import clock
from dbops.errors import DbopsError, Stopped
from dbops.operations.migrate import effects, figures
from dbops.operations.migrate.figures import MODES, Span, Timed
from dbops.stores.postgres import Connection

WATCH = "dbops_watch"  # of a SQLAlchemy connection: the watch that times what it runs, if any
_EVERY_S = 0.005
_SELDOM_S = 0.05  # what has run for so long without waiting builds something
_LONG_S = 1.0
_RELATIONS = "SELECT oid::bigint FROM pg_catalog.pg_class WHERE relkind IN ('r', 'p', 'm', 'v')"
_HELD = """
    SELECT l.relation::bigint, n.nspname || '.' || c.relname, l.mode
      FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_class c ON c.oid = l.relation
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE l.pid = pg_catalog.pg_backend_pid() AND l.locktype = 'relation' AND l.granted
       AND c.relkind IN ('r', 'p', 'm', 'v') AND n.nspname !~ '^(pg_|dbops)' AND l.mode = ANY(%s)
     ORDER BY 2, 3"""
_WAITS = "SELECT wait_event_type = 'Lock' FROM pg_catalog.pg_stat_get_activity(%s)"
_OF_ROWS = ("SELECT", "SHOW", "INSERT", "UPDATE", "DELETE", "WITH", "SET", "SAVEPOINT", "RELEASE", "ROLLBACK", "COPY")


@dataclass(slots=True)
class Stopwatch:
    """What one attempt ran. Relations that it made itself count for nothing: nobody else sees them."""

    timed: list[Timed] = field(default_factory=list[Timed])
    waits: list[Span] = field(default_factory=list[Span])
    there: frozenset[int] = frozenset()
    began: float | None = None  # of the statement that runs just now
    _text: str = ""
    _locked: set[tuple[int, str]] = field(default_factory=set[tuple[int, str]])
    _ends: bool = False

    def start(self, raw: psycopg.Connection[Any]) -> None:
        self.there = frozenset(oid for (oid,) in raw.execute(_RELATIONS))

    def begin(self, text: str) -> None:
        self._release()
        self._text, self.began = text, clock.monotonic()

    def end(self, raw: psycopg.Connection[Any]) -> None:
        began, self.began = self.began, None
        if began is None or effects.is_bookkeeping(self._text):
            return
        span, first = (began, clock.monotonic()), self._text.split(maxsplit=1)[0].upper()
        if first not in _OF_ROWS:
            self.timed.append(Timed(figures.shown(self._text), span, self._new_locks(raw)))

    def _new_locks(self, raw: psycopg.Connection[Any]) -> tuple[tuple[str, str], ...]:
        found: list[tuple[str, str]] = []
        for oid, relation, mode in raw.execute(_HELD, (list(MODES),)).fetchall():
            if oid in self.there and (oid, mode) not in self._locked:
                self._locked.add((oid, mode))
                found.append((relation, MODES[mode]))
        return tuple(found)

    def commit(self) -> None:
        """Note that the transaction is about to end: what comes next finds its locks released."""
        self._ends = True

    def finish(self) -> tuple[figures.Statement, ...]:
        self._ends = True
        self._release()
        return figures.statements(self.timed, self.waits)

    def _release(self) -> None:
        if self._ends:
            now = clock.monotonic()
            self.timed = [replace(one, released=one.released or now) for one in self.timed]
            self._locked.clear()
            self._ends = False


@contextmanager
def attended(
    watch: Stopwatch, connecting: Callable[[], AbstractContextManager[Connection]], backend: int
) -> Generator[None]:
    """See, while the block runs, when the backend waits for a lock; figures are worth no failure."""
    over = threading.Event()
    with ExitStack() as stack:
        try:
            eye = stack.enter_context(connecting())
        except Stopped:
            raise
        except (DbopsError, psycopg.Error):
            yield
            return
        thread = threading.Thread(target=_look, args=(watch, eye, backend, over), name="dbops stopwatch", daemon=True)
        thread.start()
        failed: BaseException | None = None
        try:
            yield
        except BaseException as error:  # noqa: BLE001  # raised below
            failed = error  # it did not happen on the connection of the eye, which would tell it in other words
        finally:
            over.set()
            thread.join()
    if failed is not None:
        raise failed


def _look(watch: Stopwatch, eye: Connection, backend: int, over: threading.Event) -> None:
    last, waiting, every = clock.monotonic(), False, _EVERY_S
    with suppress(psycopg.Error):
        while not over.wait(every):
            began, now = watch.began, clock.monotonic()
            row = eye.execute(_WAITS, (backend,)).fetchone() if began is not None else None
            waits = row is not None and bool(row[0])
            if waits and waiting:
                watch.waits[-1] = (watch.waits[-1][0], now)
            elif waits:
                watch.waits.append((last, now))
            every = _SELDOM_S if began is not None and not waits and now - began > _LONG_S else _EVERY_S
            last, waiting = now, waits


def attend(connection: sa.Connection) -> None:
    """Let a watch time what a connection of SQLAlchemy runs, while it has one."""
    event.listen(connection, "before_cursor_execute", _before)
    event.listen(connection, "after_cursor_execute", _after)
    event.listen(connection, "commit", _commits)


def _before(  # noqa: PLR0917  # SQLAlchemy's signature
    connection: sa.Connection, cursor: Any, statement: str, parameters: Any, context: Any, executemany: bool
) -> None:
    del cursor, parameters, context, executemany
    if (watch := _of(connection)) is not None:
        watch.begin(statement)


def _after(  # noqa: PLR0917
    connection: sa.Connection, cursor: Any, statement: str, parameters: Any, context: Any, executemany: bool
) -> None:
    del statement, parameters, context, executemany
    if (watch := _of(connection)) is not None:
        watch.end(cursor.connection)


def _commits(connection: sa.Connection) -> None:
    if (watch := _of(connection)) is not None:
        watch.commit()


def _of(connection: sa.Connection) -> Stopwatch | None:
    return connection.info.get(WATCH)
