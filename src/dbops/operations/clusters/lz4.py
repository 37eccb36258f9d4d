"""Unpack LZ4 frames: pgBackRest may write them, and Python has nothing that reads them."""

_MAGIC = b"\x04\x22\x4d\x18"
_CONTENT_SIZE, _DICTIONARY, _BLOCK_SUM = 8, 1, 16
_PLAIN = 1 << 31


def unpack(raw: bytes) -> bytes:
    """Unpack one frame; ValueError for what is none. Checksums are left to who knows the file's SHA-1."""
    if raw[:4] != _MAGIC:
        raise ValueError("not an LZ4 frame")
    flags = raw[4]
    at = 7 + (8 if flags & _CONTENT_SIZE else 0) + (4 if flags & _DICTIONARY else 0)
    out = bytearray()
    while True:
        size = int.from_bytes(raw[at : at + 4], "little")
        at += 4
        if at > len(raw):
            raise ValueError("the LZ4 frame is cut")
        if size == 0:
            return bytes(out)
        plain, size = bool(size & _PLAIN), size & ~_PLAIN
        if at + size > len(raw):
            raise ValueError("the LZ4 frame is cut")
        if plain:
            out += raw[at : at + size]
        else:
            _block(raw, at, at + size, out)
        at += size + (4 if flags & _BLOCK_SUM else 0)


def _block(raw: bytes, at: int, end: int, out: bytearray) -> None:
    """Unpack a block behind what is there already: it may refer to it."""
    while at < end:
        token = raw[at]
        literals, at = _length(raw, at + 1, token >> 4)
        out += raw[at : at + literals]
        at += literals
        if at >= end:
            return
        offset = int.from_bytes(raw[at : at + 2], "little")
        if not 0 < offset <= len(out):
            raise ValueError("an LZ4 block refers to what is not there")
        more, at = _length(raw, at + 2, token & 15)
        count, start = more + 4, len(out) - offset
        if offset >= count:
            out += out[start : start + count]
        else:
            seed = out[start:]
            out += (seed * (count // offset + 1))[:count]


def _length(raw: bytes, at: int, length: int) -> tuple[int, int]:
    """Read a length that may go on in further bytes."""
    if length < 15:
        return length, at
    while True:
        if at >= len(raw):
            raise ValueError("an LZ4 block is cut")
        length += raw[at]
        at += 1
        if raw[at - 1] != 255:
            return length, at
