"""How far all parts of a backfill are together, for whoever watches it."""

import threading
from collections import deque
from collections.abc import Callable
from datetime import timedelta

from dbops import units
from dbops.engine.run import Progress
from dbops.operations.migrate.backfill import pace

_KEPT = 60

OnProgress = Callable[[Progress], None]


class Meter:
    """Adds up what the walkers do; `throttled` is apart from the time that the rest will take."""

    def __init__(self, target: str, done: int, total: int, tell: OnProgress) -> None:
        self._target, self._tell = target, tell
        self._done, self._total = done, max(total, done)
        self._rates: deque[float] = deque(maxlen=_KEPT)
        self._throttled_s = 0.0
        self._lock = threading.Lock()

    def add(self, rows: int, seconds: float, walkers: int) -> None:
        with self._lock:
            self._done += rows
            self._rates.append(rows * walkers / max(seconds, 1e-6))
            self._told("")

    def held(self, by: str, seconds: float) -> None:
        with self._lock:
            self._throttled_s += seconds
            self._told(f", held by {by}")

    def _told(self, more: str) -> None:
        total = max(self._total, self._done, 1)
        left = pace.eta(total - self._done, self._rates)
        when = "" if left is None else f", {units.duration(left.p50)} to {units.duration(left.p90)} left"
        if self._throttled_s >= 1:
            when += f", throttled for {units.duration(timedelta(seconds=round(self._throttled_s)))} so far"
        # never `total of total`: that is how the end of a plan is told
        share = min(99, 100 * self._done // total)
        self._tell(Progress(self._target, f"% of about {total} rows{when}{more}", share, 100))
