"""Build what the new columns need when the rows are filled: indexes in pieces, constraints in their own transactions.

What was cut off is done again: an invalid index is dropped and built anew, a constraint is validated, and what is
there stays. Nothing of it keeps writers waiting for longer than a lock timeout.
"""

import threading
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import LiteralString, cast

import psycopg
from psycopg import sql

from dbops.engine import clock, stop
from dbops.engine.patience import Ramp
from dbops.errors import DbopsError, LockBusy, Stopped
from dbops.operations.migrate import concurrently
from dbops.operations.migrate.exchange import exchange
from dbops.operations.migrate.shapes import belongings
from dbops.operations.migrate.shapes.belongings import Belonging
from dbops.stores.postgres import Connection

_POLL_S = 0.1
_BLOCKING = "SELECT pg_blocking_pids(%s)"
Open = Callable[[], AbstractContextManager[Connection]]


@dataclass(frozen=True, slots=True)
class Finishing:
    """Who builds, and how patient they are."""

    target: str
    change: str
    own: Open  # the owner, on a connection of its own
    administrator: Open
    patience: timedelta  # with transactions that a build has to wait for
    ramp: Ramp


def build(finishing: Finishing, one: Belonging) -> None:
    """Build one of them. Old rows that it cannot hold are told by their keys, and nothing is left behind."""
    with finishing.own() as connection:
        connection.execute("SET search_path = public")  # as revisions have it: shapes are written so
        try:
            for do in belongings.build(finishing.change, one):
                if do.asks:
                    asked = connection.execute(sql.SQL(cast("LiteralString", do.sql))).fetchall()
                    for (text,) in asked:
                        _alone(finishing, connection, one, str(text))
                elif do.alone:
                    _alone(finishing, connection, one, do.sql)
                else:
                    _together(finishing, connection, one, do.sql)
        except (psycopg.Error, DbopsError) as error:
            cause = error.__cause__ if isinstance(error, DbopsError) else error
            if not isinstance(cause, psycopg.IntegrityError):
                raise
            # the server's details hold values of rows: only its first words are told
            raise DbopsError(
                f"{belongings.told(one)}: {cause.diag.message_primary}",
                hint="correct these rows, then run it again: it goes on where it stopped",
                target=finishing.target,
            ) from None


def _alone(finishing: Finishing, connection: Connection, one: Belonging, text: str) -> None:
    if not concurrently.builds(text):
        # what reads all rows may take long once it has its lock
        _together(finishing, connection, one, text, may_take_long=True)
        return
    with _waiting_for_long(finishing, connection, one):
        concurrently.build(connection, text)


def _together(
    finishing: Finishing, connection: Connection, one: Belonging, text: str, *, may_take_long: bool = False
) -> None:
    exchange(
        connection,
        (text,),
        lambda: None,
        what=belongings.told(one),
        target=finishing.target,
        administrator=finishing.administrator,
        ramp=finishing.ramp,
        may_take_long=may_take_long,
    )


@contextmanager
def _waiting_for_long(finishing: Finishing, connection: Connection, one: Belonging) -> Generator[None]:
    """Give a build up that waits for others for too long: it has no lock timeout, which would leave half an index."""
    done, blocking = threading.Event(), list[int]()
    backend = connection.info.backend_pid

    def watch(eye: Connection) -> None:
        since: float | None = None
        with suppress(psycopg.Error):
            while not done.wait(_POLL_S):
                row = eye.execute(_BLOCKING, (backend,)).fetchone()
                pids: list[int] = list(row[0]) if row else []
                since = (since or clock.monotonic()) if pids else None
                if since is not None and clock.monotonic() - since > finishing.patience.total_seconds():
                    blocking[:] = pids
                    eye.execute("SELECT pg_cancel_backend(%s)", (backend,))
                    return

    with ExitStack() as stack:
        eye = stack.enter_context(_eye(finishing))
        watcher = threading.Thread(target=watch, args=(eye,), name="dbops builds", daemon=True)
        watcher.start()
        try:
            yield
        except psycopg.errors.QueryCanceled:
            if stop.requested() or not blocking:
                raise
            raise LockBusy(
                f"{belongings.told(one)}: given up, for it waited for backend {', '.join(map(str, blocking))}",
                hint="run again when their transactions are over; rows that are filled stay so",
                target=finishing.target,
            ) from None
        finally:
            done.set()
            watcher.join()


@contextmanager
def _eye(finishing: Finishing) -> Generator[Connection]:
    """Whoever sees most: the owner may not see whom it waits for, but it may cancel itself."""
    with ExitStack() as stack:
        try:
            connection = stack.enter_context(finishing.administrator())
        except Stopped:
            raise
        except DbopsError:
            connection = stack.enter_context(finishing.own())
        yield connection
