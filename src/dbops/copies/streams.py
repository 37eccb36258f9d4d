"""A file on its way into the vault: hashed, compressed, encrypted and hashed again, all at the same time."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from zlib import crc32

import zstandard

from dbops.copies import age
from dbops.copies.blocks import Reading
from dbops.stores.vault.lane import Lane

PIECE = 8 << 20
_BLOCK = 1 << 20
_LARGEST = 4 << 20  # several blocks wait at a time
_LEVEL = 3


@dataclass(frozen=True, slots=True)
class Sums:
    """What was counted and hashed of one stream."""

    size: int
    sha256: str


def sums(blocks: Iterator[bytes]) -> Sums:
    total, size = hashlib.sha256(), 0
    for block in blocks:
        total.update(block)
        size += len(block)
    return Sums(size, total.hexdigest())


def pieces(blocks: Iterator[bytes]) -> tuple[int, ...]:
    """Sum up each piece of fixed length by itself.

    By CRC-32, which costs a third of SHA-256: pieces are for finding rot slice by slice. Whoever changes bytes
    on purpose is found by the whole file's SHA-256.
    """
    found: list[int] = []
    current = held = 0
    for block in blocks:
        view = memoryview(block)
        while view:
            part = view[: PIECE - held]
            current = crc32(part, current)
            held, view = held + len(part), view[len(part) :]
            if held == PIECE:
                found.append(current)
                current = held = 0
    return (*found, current) if held else tuple(found)


class Stored:
    """The last station: what arrives here is what the vault keeps."""

    def __init__(self, write: Callable[[bytes], None]) -> None:
        self._write = write
        self._whole, self._pieces = Lane(sums), Lane(pieces)

    def put(self, block: bytes) -> None:
        self._whole.put(block)
        self._pieces.put(block)
        self._write(block)

    def close(self) -> tuple[Sums, tuple[int, ...]]:
        return self._whole.close(), self._pieces.close()

    def abandon(self) -> None:
        self._whole.abandon()
        self._pieces.abandon()


class Shaping:
    """Takes content, gives `stored` what is kept of it."""

    def __init__(self, stored: Stored, *, compress: bool, recipients: Sequence[str]) -> None:
        self._stored, self._compress, self._recipients = stored, compress, recipients
        self._is_plain = not compress and not recipients
        self._held, self._parts = 0, list[bytes]()
        self._content, self._shape = Lane(sums), Lane(self._shaped)

    def write(self, data: bytes) -> None:
        if not self._parts and len(data) >= _BLOCK:
            for at in range(0, len(data), _LARGEST):
                self._put(data[at : at + _LARGEST])
            return
        self._parts.append(data)
        self._held += len(data)
        if self._held >= _BLOCK:
            self._hand_on()

    def close(self) -> tuple[Sums, Sums, tuple[int, ...]]:
        """Return the sums of the content, those of what is stored, and the checksums of its pieces."""
        if self._parts:
            self._hand_on()
        if self._is_plain:
            stored, found = self._stored.close()
            return stored, stored, found
        self._shape.close()
        return self._content.close(), *self._stored.close()

    def abandon(self) -> None:
        self._shape.abandon()
        self._content.abandon()
        self._stored.abandon()

    def _hand_on(self) -> None:
        block = b"".join(self._parts)
        self._parts, self._held = [], 0
        self._put(block)

    def _put(self, block: bytes) -> None:
        if self._is_plain:
            self._stored.put(block)
        else:
            self._content.put(block)
            self._shape.put(block)

    def _shaped(self, blocks: Iterator[bytes]) -> None:
        flow = _compressed(blocks) if self._compress else blocks
        if self._recipients:
            age.encrypt(flow, self._stored.put, self._recipients)
            return
        for block in flow:
            self._stored.put(block)


def _compressed(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Compress each block as a frame of its own: half the work of one long frame, for a little more space.

    Frames have no checksums: what is stored is hashed, and so is what it holds.
    """
    compressor = zstandard.ZstdCompressor(level=_LEVEL)
    yield compressor.compress(next(blocks, b""))
    for block in blocks:
        yield compressor.compress(block)


def decompressed(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Undo the compression in bounded steps: a small block of zeros can become a thousand times as large."""
    source = Reading(blocks)
    with zstandard.ZstdDecompressor().stream_reader(source, read_across_frames=True) as reader:  # pyright: ignore[reportArgumentType]
        while block := reader.read(_BLOCK):
            yield block
