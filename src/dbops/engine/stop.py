"""How a run is asked to stop: the first signal waits for a safe point, the second does not.

The request is read between steps, batches and shards. Children and SQL in flight are told by whoever
registered them: children at once, SQL after a grace of ten seconds.
"""

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import FrameType

from dbops.errors import Stopped

SQL_GRACE_S = 10.0
_SLICE_S = 0.1

# A number and no threading.Event: a handler that sets one waits for ever when it interrupts whoever waits for it.
_signal_number = 0
_listeners: dict[int, Callable[[int], None]] = {}
_lock = threading.RLock()


def requested() -> bool:
    return _signal_number != 0


def stopped() -> Stopped:
    return Stopped(_signal_number)


def check() -> None:
    """Call this wherever it is safe to stop."""
    if requested():
        raise stopped()


def pause(seconds: float) -> None:
    """Sleep, but not through a request to stop."""
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        check()
        time.sleep(min(_SLICE_S, left))
    check()


@contextmanager
def listening(listener: Callable[[int], None]) -> Generator[None]:
    """While open, tell `listener` of the first signal (it runs inside the handler: keep it short)."""
    with _lock:
        _listeners[id(listener)] = listener
    try:
        if requested():
            listener(_signal_number)
        yield
    finally:
        with _lock:
            _listeners.pop(id(listener), None)


def _received(number: int, _frame: FrameType | None) -> None:
    global _signal_number  # noqa: PLW0603  # a process has one
    if requested():
        raise Stopped(_signal_number, "stopped at once, at the second signal")
    _signal_number = number
    for listener in list(_listeners.values()):
        with contextlib.suppress(OSError):  # a child that is gone already needs no signal
            listener(number)


@contextmanager
def signals() -> Generator[None]:
    """Take over SIGINT and SIGTERM while a command runs; what our starter has told us to ignore stays ignored."""
    ours = [n for n in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(n) is not signal.SIG_IGN]
    before = {number: signal.signal(number, _received) for number in ours}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
