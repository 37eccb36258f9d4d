"""Work that may hang, done aside: whoever waits for it can give up, and it does not keep the program from ending."""

import queue
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Generic, TypeVar

Name = TypeVar("Name")
Found = TypeVar("Found")


class Aside(Generic[Name, Found]):
    """Some pieces of work, each on a daemon thread of its own, and what comes of them, in the order of its coming."""

    def __init__(self) -> None:
        self._answers: queue.SimpleQueue[tuple[Name, Found | Exception]] = queue.SimpleQueue()

    def begin(self, name: Name, work: Callable[[], Found]) -> None:
        threading.Thread(target=self._do, args=(name, work), name=f"aside: {name}", daemon=True).start()

    def _do(self, name: Name, work: Callable[[], Found]) -> None:
        try:
            self._answers.put((name, work()))
        except Exception as error:  # noqa: BLE001  # told, or raised again, by who waits for it
            self._answers.put((name, error))

    def take(self, within: timedelta) -> tuple[Name, Found | Exception] | None:
        """Wait for the next that is done, or failed; None when nothing is in time."""
        try:
            return self._answers.get(timeout=max(0.0, within.total_seconds()))
        except queue.Empty:
            return None
