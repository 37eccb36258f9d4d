"""How a value of the service becomes a value that SQLite compares as the service would, and back.

Strings are compared by their UTF-8 bytes, which is what SQLite's BINARY does. Instants become milliseconds. Doubles
become 64-bit integers of the same order, in columns and inside JSON alike: SQLite cannot keep NaN, and reads the last
digit of a decimal number in JSON not always as Python wrote it. NaN is a text, which no number is equal to.
"""

import math
import struct
from datetime import UTC, datetime, timedelta
from typing import Any, assert_never

from dbops.sandbox.emulators.search.query.fields import BOOLEAN, DATE, DOUBLE

NAN = "NaN"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_WORDS = {"INF": math.inf, "-INF": -math.inf, "NaN": math.nan}
_BITS = 0x7FFF_FFFF_FFFF_FFFF


def encode(kind: str, value: Any) -> int | str | None:
    """Give the stored form of one simple value."""
    if value is None:
        return None
    if kind == DATE:
        return milliseconds(value)
    if kind == DOUBLE:
        return ordered(float(_WORDS.get(value, math.nan)) if isinstance(value, str) else float(value))
    if kind == BOOLEAN:
        return int(value)
    return value


def decode(kind: str, stored: int | str | None) -> Any:
    """Give back what the client would see."""
    match stored:
        case None:
            return None
        case str():
            return stored
        case int():
            if kind == DATE:
                return instant(stored)
            if kind == BOOLEAN:
                return bool(stored)
            return _unordered(stored) if kind == DOUBLE else stored
        case _:
            assert_never(stored)


def ordered(value: float) -> int | str:
    """Map a double to an integer of the same order."""
    if math.isnan(value):
        return NAN
    (bits,) = struct.unpack(">q", struct.pack(">d", value + 0.0))  # adding 0.0 makes -0.0 equal to 0.0
    return bits if bits >= 0 else bits ^ _BITS


def _unordered(stored: int) -> float | str:
    (value,) = struct.unpack(">d", struct.pack(">q", stored if stored >= 0 else stored ^ _BITS))
    if math.isinf(value):
        return "INF" if value > 0 else "-INF"
    return value


def milliseconds(text: str) -> int:
    """Read an instant; finer than milliseconds the service does not keep. Raises ValueError."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - _EPOCH) // _MILLISECOND


def instant(stored: int) -> str:
    """Write an instant as the service does: UTC, and a fraction only where there is one."""
    moment = _EPOCH + stored * _MILLISECOND
    whole = moment.strftime("%Y-%m-%dT%H:%M:%S").rjust(19, "0")
    return f"{whole}.{moment.microsecond // 1000:03}Z" if moment.microsecond else f"{whole}Z"
