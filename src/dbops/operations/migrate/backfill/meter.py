"""How far all parts of a backfill are together, for whoever watches it."""

import threading
from collections import deque
from collections.abc import Callable
from datetime import timedelta

from dbops import units
from dbops.engine import clock
from dbops.engine.run import Progress
from dbops.operations.migrate.backfill import pace, remaining

_KEPT = 60
_LOOKS_S = 1.0
_PAUSE_S = 0.1

OnProgress = Callable[[Progress], None]


class Meter:
    """Adds up what the walkers do; `throttled` is apart from the time that the rest will take.

    `look` tells which share of the key's range is done, as far as anybody knows; it is asked once a second.
    """

    def __init__(
        self, target: str, done: int, total: int, tell: OnProgress, look: Callable[[], float | None] = lambda: None
    ) -> None:
        self._target, self._tell, self._look = target, tell, look
        self._done, self._total = done, max(total, done)
        self._rates: deque[float] = deque(maxlen=_KEPT)
        self._throttled_s = 0.0
        self._left = self._total - done
        self._looked: float | None = None
        self._added: dict[int, float] = {}  # when each walker was here last
        self._lock = threading.Lock()

    def add(self, rows: int, seconds: float, walkers: int) -> None:
        with self._lock:
            self._done += rows
            self._rates.append(rows * walkers / max(self._with_pause(seconds), 1e-6))
            self._left = max(0, self._left - rows)
            self._look_again()
            self._told("")

    def _with_pause(self, seconds: float) -> float:
        """Add what lies between two batches of one walker; longer rests are throttles, which are told apart."""
        walker, now = threading.get_ident(), clock.monotonic()
        since = now - self._added.get(walker, now)
        self._added[walker] = now
        return max(seconds, min(seconds + _PAUSE_S, since))

    def _look_again(self) -> None:
        now = clock.monotonic()
        if self._looked is None or now - self._looked >= _LOOKS_S:
            self._looked = now
            self._left = remaining.left(max(self._total, self._done), self._done, self._look())

    def held(self, by: str, seconds: float) -> None:
        with self._lock:
            self._throttled_s += seconds
            self._told(f", held by {by}")

    def _told(self, more: str) -> None:
        left = pace.eta(self._left, self._rates)
        when = "" if left is None else f", {units.duration(left.p50)} to {units.duration(left.p90)} left"
        if self._throttled_s >= 1:
            when += f", throttled for {units.duration(timedelta(seconds=round(self._throttled_s)))} so far"
        # never `total of total`: that is how the end of a plan is told
        share = remaining.percent(self._done, self._left)
        self._tell(Progress(self._target, f"% of about {self._done + self._left:,} rows{when}{more}", share, 100))
