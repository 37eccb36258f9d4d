"""Look at the server beside a backfill: its signals each second, and who waits for its batches more often than that."""

import threading
from collections.abc import Generator
from contextlib import contextmanager

from dbops.engine import clock
from dbops.errors import DbopsError
from dbops.operations.migrate.backfill import check, signals
from dbops.operations.migrate.backfill.facts import Signal
from dbops.operations.migrate.backfill.signals import Looking
from dbops.stores import postgres

_EVERY_S = 1.0
_WAITERS_EVERY_S = 0.2


class Watch:
    """What was seen last. `backends` are those whose batches others may wait for."""

    def __init__(self, eye: Looking, target: str) -> None:
        self.backends: set[int] = set()
        self._eye, self._target = eye, target
        self._failed: DbopsError | None = None
        self._seen = signals.look(eye, 0.0)
        self._waited = False

    @property
    def seen(self) -> tuple[Signal, ...]:
        """Tell the last look; nobody goes on blindly after one that failed."""
        if self._failed is not None:
            raise self._failed
        return self._seen

    def waited_for(self) -> bool:
        """Tell whether somebody waited for a batch since this was asked last."""
        waited, self._waited = self._waited, False
        return waited

    def holders(self, table: int) -> list[str]:
        """Tell who holds locks on a table, or on its rows."""
        with postgres.translated(self._target):
            return signals.holders(self._eye.connection, table, sorted(self.backends))

    def look_until(self, over: threading.Event) -> None:
        last = clock.monotonic()
        try:
            with postgres.translated(self._target):
                while not over.wait(_WAITERS_EVERY_S):
                    waiting = signals.waiters(self._eye.connection, sorted(self.backends))
                    limit = self._eye.limits.get("waiters")
                    self._waited = self._waited or check.slowing((Signal("waiters", waiting, limit),))
                    if clock.monotonic() - last >= _EVERY_S:
                        self._seen = signals.look(self._eye, waiting)
                        last = clock.monotonic()
        except DbopsError as error:
            self._failed = error


@contextmanager
def watching(eye: Looking, target: str) -> Generator[Watch]:
    """Look once before anything begins, and then until the body is over."""
    with postgres.translated(target):
        watch = Watch(eye, target)
    over = threading.Event()
    thread = threading.Thread(target=watch.look_until, args=(over,), name="dbops-watch", daemon=True)
    thread.start()
    try:
        yield watch
    finally:
        over.set()
        thread.join()
