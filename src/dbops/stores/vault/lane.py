"""A worker beside the caller, fed block by block: hashing, compressing and uploading at the same time.

Blocks wait in a short queue, so that memory does not grow with the data. A lane that never had to wait (a
small file) starts no thread at all.
"""

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator
from typing import Generic, TypeVar

R = TypeVar("R")

_ENDING_S = 10.0  # how long an abandoned worker may take to notice


class Abandoned(Exception):
    """The other side gave up: no error, but what was done so far must not count."""


class Pipe:
    """A bounded queue of blocks between two threads, which either side can give up."""

    def __init__(self, depth: int) -> None:
        self._depth, self._blocks = depth, deque[bytes]()
        self._changed = threading.Condition()
        self._closed = False
        self._fault: BaseException | None = None

    @property
    def is_full(self) -> bool:
        return len(self._blocks) >= self._depth

    def put(self, block: bytes) -> None:
        with self._changed:
            while self.is_full and self._fault is None:
                self._changed.wait()
            if self._fault is not None:
                raise self._fault
            self._blocks.append(block)
            self._changed.notify_all()

    def close(self) -> None:
        """Nothing more will come."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def give_up(self, fault: BaseException) -> None:
        """Let whoever puts or takes next meet `fault`; the first one counts."""
        with self._changed:
            self._fault = self._fault or fault
            self._blocks.clear()
            self._changed.notify_all()

    def __iter__(self) -> Iterator[bytes]:
        while True:
            with self._changed:
                while not self._blocks and not self._closed and self._fault is None:
                    self._changed.wait()
                if self._fault is not None:
                    raise self._fault
                if not self._blocks:
                    return
                block = self._blocks.popleft()
                self._changed.notify_all()
            yield block


class Lane(Generic[R]):
    """Runs `work` over the blocks that it is given; `close` returns what `work` returned."""

    def __init__(self, work: Callable[[Iterator[bytes]], R], *, depth: int = 4) -> None:
        self._work, self._pipe = work, Pipe(depth)
        self._thread: threading.Thread | None = None
        self._result: list[R] = []
        self._fault: BaseException | None = None

    def put(self, block: bytes) -> None:
        if self._thread is None and self._pipe.is_full:
            self._thread = threading.Thread(target=self._run, daemon=True)
            self._thread.start()
        self._pipe.put(block)

    def close(self) -> R:
        """Wait for the work; its error is raised here, or by an earlier `put`."""
        self._pipe.close()
        if self._thread is None:
            return self._work(iter(self._pipe))
        self._thread.join()
        if self._fault is not None:
            raise self._fault
        return self._result[0]

    def abandon(self) -> None:
        """Let the work end with Abandoned; safe to call at any time, more than once."""
        self._pipe.give_up(Abandoned())
        if self._thread is not None:
            self._thread.join(_ENDING_S)

    def _run(self) -> None:
        try:
            self._result.append(self._work(iter(self._pipe)))
        except BaseException as fault:  # noqa: BLE001  # it is raised again where somebody can hear it
            self._fault = fault
            self._pipe.give_up(fault)


def pushed(produce: Callable[[Callable[[bytes], None]], None], *, depth: int = 4) -> Generator[bytes]:
    """Turn a function that pushes blocks into an iterator over them; it runs in a thread of its own."""
    pipe = Pipe(depth)

    def run() -> None:
        try:
            produce(pipe.put)
        except BaseException as fault:  # noqa: BLE001  # the reader meets it
            pipe.give_up(fault)
        else:
            pipe.close()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield from pipe
    finally:
        pipe.give_up(Abandoned())
        thread.join(_ENDING_S)
