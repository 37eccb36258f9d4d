"""The names of WAL: segments, timelines, positions; pure."""

import re
from dataclasses import dataclass
from typing import Self

SEGMENT_SIZE = 16 << 20  # of a cluster that was made without --wal-segsize
_NAME = re.compile(r"([0-9A-F]{8})([0-9A-F]{8})([0-9A-F]{8})")
_SWITCH = re.compile(r"\s*(\d+)\s+([0-9A-F]{1,8}/[0-9A-F]{1,8})\s*(.*)")


@dataclass(frozen=True, slots=True, order=True)
class Segment:
    """One segment: segments of a timeline are counted, so that the next one is the next number."""

    timeline: int
    number: int

    @classmethod
    def parse(cls, name: str, size: int = SEGMENT_SIZE) -> Self | None:
        """Read a name of 24 digits; None for what is none."""
        match = _NAME.fullmatch(name)
        if match is None:
            return None
        return cls(int(match[1], 16), int(match[2], 16) * per_file(size) + int(match[3], 16))

    @classmethod
    def holding(cls, timeline: int, lsn: int, size: int = SEGMENT_SIZE) -> Self:
        return cls(timeline, lsn // size)

    def name(self, size: int = SEGMENT_SIZE) -> str:
        log, low = divmod(self.number, per_file(size))
        return f"{self.timeline:08X}{log:08X}{low:08X}"

    def next(self) -> "Segment":
        return Segment(self.timeline, self.number + 1)


def per_file(size: int) -> int:
    """Tell how many segments one 4 GiB log file has: the last 8 digits of a name count within it."""
    return (1 << 32) // size


def parse_lsn(text: str) -> int:
    high, _, low = text.partition("/")
    return (int(high, 16) << 32) + int(low, 16)


def lsn(position: int) -> str:
    return f"{position >> 32:X}/{position & 0xFFFFFFFF:X}"


@dataclass(frozen=True, slots=True)
class Switch:
    """Where a timeline was left for the next one, as a history file tells it."""

    timeline: int
    lsn: int
    reason: str = ""


def parse_history(text: str) -> tuple[Switch, ...]:
    """Read a timeline history file: the ancestors of a timeline, oldest first."""
    lines = (_SWITCH.fullmatch(line) for line in text.splitlines() if line.strip() and not line.startswith("#"))
    return tuple(Switch(int(m[1]), parse_lsn(m[2]), m[3].strip()) for m in lines if m is not None)


@dataclass(frozen=True, slots=True)
class Stretch:
    """Segments of one timeline without a gap, both ends included."""

    first: Segment
    last: Segment

    def __post_init__(self) -> None:
        if self.first.timeline != self.last.timeline or self.last < self.first:
            raise ValueError("a stretch runs forward, on one timeline")
