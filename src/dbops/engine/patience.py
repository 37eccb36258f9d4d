"""The application never waits for us: short lock timeouts, tried again with growing pauses, within a budget."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from dbops.engine import clock, stop
from dbops.errors import LockBusy

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Ramp:
    """How patient to be. Each attempt may queue for `timeout`; pauses let the queue behind us drain."""

    timeout: timedelta = timedelta(milliseconds=500)
    longest_timeout: timedelta = timedelta(seconds=2)
    attempts: int = 10
    first_pause: timedelta = timedelta(milliseconds=500)
    longest_pause: timedelta = timedelta(seconds=30)
    budget: timedelta = timedelta(minutes=3)

    def timeout_of(self, attempt: int) -> timedelta:
        return min(self.longest_timeout, self.timeout * 1.5**attempt)

    def pause_of(self, attempt: int) -> timedelta:
        return min(self.longest_pause, self.first_pause * 2**attempt)


def patiently(
    attempt: Callable[[timedelta], T],
    *,
    timed_out: tuple[type[Exception], ...],
    what: str,
    target: str,
    ramp: Ramp = Ramp(),
    blockers: Callable[[], str] = lambda: "",
    pause: Callable[[float], None] = stop.pause,
) -> T:
    """Call `attempt(lock_timeout)` until the lock is granted. For atomic statements only.

    A statement that builds in pieces (CREATE INDEX CONCURRENTLY) leaves litter at each timeout: not through here.
    """
    began = clock.monotonic()
    for number in range(ramp.attempts):
        try:
            return attempt(ramp.timeout_of(number))
        except timed_out:
            wait = ramp.pause_of(number).total_seconds() * random.uniform(0.5, 1.0)  # noqa: S311  # jitter
            if number + 1 == ramp.attempts or clock.monotonic() - began + wait > ramp.budget.total_seconds():
                who = blockers()
                raise LockBusy(
                    f"{what}: the lock was not granted in {number + 1} attempts{f'; {who}' if who else ''}",
                    hint="nothing was changed by this step; run again when the long transactions are over",
                    target=target,
                ) from None
            pause(wait)
    raise AssertionError("a ramp has at least one attempt")
