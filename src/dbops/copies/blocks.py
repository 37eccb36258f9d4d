"""Streams of blocks as the file-like objects that other libraries want."""

from collections.abc import Callable, Iterator

_GATHERED = 1 << 20


class Reading:
    """Blocks as a file that can be read; `fault` keeps what an error of the blocks was before others wrapped it."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks, self._block, self._at = blocks, b"", 0
        self.fault: BaseException | None = None

    def read(self, size: int = -1) -> bytes:
        while self._at >= len(self._block):
            try:
                self._block, self._at = next(self._blocks), 0
            except StopIteration:
                return b""
            except BaseException as fault:
                self.fault = fault
                raise
        end = len(self._block) if size < 0 else self._at + size
        part = self._block[self._at : end]
        self._at += len(part)
        return part


class Gathering:
    """Small writes as large blocks: handing a block to another thread costs as much as hashing 4 KB."""

    def __init__(self, put: Callable[[bytes], None]) -> None:
        self._put, self._parts, self._held = put, list[bytes](), 0
        self.fault: BaseException | None = None

    def write(self, data: bytes) -> int:
        self._parts.append(bytes(data))
        self._held += len(data)
        if self._held >= _GATHERED:
            self.finish()
        return len(data)

    def flush(self) -> None:
        """What is held back is handed on by `finish`."""

    def finish(self) -> None:
        if self._parts:
            try:
                self._put(b"".join(self._parts))
            except BaseException as fault:
                self.fault = fault
                raise
            self._parts, self._held = [], 0
