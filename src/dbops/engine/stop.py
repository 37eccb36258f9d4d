"""How a run is asked to stop: the first signal waits for a safe point, the second does not.

The event is read between steps, batches and shards. Children and SQL in flight are told by whoever
registered them: children at once, SQL after a grace of ten seconds.
"""

import contextlib
import signal
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import FrameType

from dbops.errors import Stopped

SQL_GRACE_S = 10.0

_asked = threading.Event()
_signal_number = 0
_listeners: dict[int, Callable[[int], None]] = {}
_lock = threading.RLock()


def requested() -> bool:
    return _asked.is_set()


def stopped() -> Stopped:
    return Stopped(_signal_number)


def check() -> None:
    """Call this wherever it is safe to stop."""
    if _asked.is_set():
        raise stopped()


def pause(seconds: float) -> None:
    """Sleep, but not through a request to stop."""
    if _asked.wait(max(0.0, seconds)):
        raise stopped()


@contextmanager
def listening(listener: Callable[[int], None]) -> Generator[None]:
    """While open, tell `listener` of the first signal (it runs inside the handler: keep it short)."""
    with _lock:
        _listeners[id(listener)] = listener
    try:
        if _asked.is_set():
            listener(_signal_number)
        yield
    finally:
        with _lock:
            _listeners.pop(id(listener), None)


def _received(number: int, _frame: FrameType | None) -> None:
    global _signal_number  # noqa: PLW0603  # a process has one
    if _asked.is_set():
        raise Stopped(_signal_number, "stopped at once, at the second signal")
    _signal_number = number
    _asked.set()
    for listener in list(_listeners.values()):
        with contextlib.suppress(OSError):  # a child that is gone already needs no signal
            listener(number)


@contextmanager
def signals() -> Generator[None]:
    """Take over SIGINT and SIGTERM while a command runs."""
    before = {number: signal.signal(number, _received) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
