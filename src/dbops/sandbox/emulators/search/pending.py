"""Small writes that are acknowledged and wait to be put into the tables: before anybody reads, or when they are many.

To put one document into all tables costs several times what it costs to take it. So it is appended to a file, which
survives the death of this process, and kept in memory; tables get many at a time. What a killed emulator left in the
file is put into the tables by the next one; to do that twice changes nothing, because each record says what is then
there, not what was asked for.
"""

import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

FEW = 50  # documents of a batch that may wait
SMALL = 64 << 10  # bytes of it
MOST = 250  # documents that wait at one time
_HEAD = 8  # length and checksum, so that a record that was cut off is known


@dataclass(frozen=True, slots=True)
class Change:
    """What a batch made of some documents of one index; None: deleted."""

    index: str
    visible_at: float
    documents: dict[str, dict[str, Any] | None]


class Pending:
    """The changes that wait. No key of an index is among them twice: whoever changes it again puts the first away."""

    def __init__(self, file: Path) -> None:
        self._file = os.open(file, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        self._keys: dict[str, set[str]] = {}
        self._changes: list[Change] = []
        self._size = 0
        whole = 0
        for change, end in _read(os.pread(self._file, os.fstat(self._file).st_size, 0)):
            self._remember(change)
            whole = end
        os.ftruncate(self._file, whole)  # what is added behind a record that was cut off would never be read

    def __bool__(self) -> bool:
        return bool(self._changes)

    @property
    def many(self) -> bool:
        return self._size >= MOST

    @property
    def changes(self) -> list[Change]:
        """All that waits, in the order in which it came."""
        return self._changes

    def has(self, index: str, keys: list[str]) -> bool:
        waiting = self._keys.get(index)
        return waiting is not None and not waiting.isdisjoint(keys)

    def add(self, change: Change) -> None:
        """Make a change durable; an error leaves nothing of it."""
        record = orjson.dumps([change.index, change.visible_at, change.documents])
        head = len(record).to_bytes(4, "big") + zlib.crc32(record).to_bytes(4, "big")
        end = os.fstat(self._file).st_size
        written = 0
        try:
            written = os.write(self._file, head + record)
        finally:
            if written != _HEAD + len(record):
                os.ftruncate(self._file, end)
        if written != _HEAD + len(record):
            raise OSError("the disk took only a part of a write")
        self._remember(change)

    def _remember(self, change: Change) -> None:
        self._changes.append(change)
        self._keys.setdefault(change.index, set()).update(change.documents)
        self._size += len(change.documents)

    def clear(self) -> None:
        """Forget what was committed to the tables."""
        os.ftruncate(self._file, 0)
        self._keys.clear()
        self._changes = []
        self._size = 0

    def close(self) -> None:
        os.close(self._file)


def _read(data: bytes) -> Iterator[tuple[Change, int]]:
    """Read records, and where each ends, up to the first that is not whole: it was never acknowledged."""
    at = 0
    while at + _HEAD <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        record = data[at + _HEAD : at + _HEAD + length]
        if len(record) < length or zlib.crc32(record) != int.from_bytes(data[at + 4 : at + _HEAD], "big"):
            return
        at += _HEAD + length
        yield Change(*orjson.loads(record)), at
