"""Work that is begun now and asked for later: what pgBackRest or a server is waited for hides it."""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

Answer = TypeVar("Answer")


class Ahead(Generic[Answer]):
    """One piece of work in a thread of its own. Nobody is kept waiting by an answer that nobody asks for."""

    def __init__(self, work: Callable[[], Answer], name: str) -> None:
        self._work = work
        self._answers: list[Answer] = []
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._do, name=name, daemon=True)
        self._thread.start()

    def _do(self) -> None:
        try:
            self._answers.append(self._work())
        except BaseException as error:  # noqa: BLE001  # whatever it is: `answer` raises it
            self._error = error

    def answer(self) -> Answer:
        """Wait for it; raise what it has failed with."""
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self._answers[0]
