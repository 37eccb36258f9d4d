"""How large the next batch is, and how long all of it will take; pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

FIRST_ROWS = 200  # whoever waits for the first batch waits for a statement that nobody has timed yet
_ROOM = 0.6  # a batch that takes less than this share of its time may double
_SLACK = 1.2
_RECENT = 30


def next_rows(rows: int, took_ms: float, target_ms: float, most: int, *, waiters: bool = False) -> int:
    """Grow by and by, shrink at once."""
    if waiters:
        return max(1, rows // 2)
    if took_ms < target_ms * _ROOM:
        return min(most, rows * 2)
    if took_ms <= target_ms:
        return min(most, rows + max(1, rows // 10))
    if took_ms <= target_ms * _SLACK:
        return min(most, rows)
    return min(most, max(1, rows // 2, int(rows * target_ms / took_ms)) if took_ms < target_ms * 4 else rows // 4 or 1)


@dataclass(frozen=True, slots=True)
class Eta:
    """How long the rest takes: as likely as not, and nine times in ten no longer."""

    p50: timedelta
    p90: timedelta


def eta(left: int, rates: Iterable[float]) -> Eta | None:
    """Tell from the rows a second of the last batches; nothing can be told before the first."""
    recent = sorted(rate for rate in tuple(rates)[-_RECENT:] if rate > 0)
    if not recent:
        return None
    middle, slow = recent[len(recent) // 2], recent[len(recent) // 10]
    return Eta(timedelta(seconds=left / middle), timedelta(seconds=left / slow))


def nap(rows: int, took_s: float, rows_per_s: int | None, walkers: int) -> float:
    """Tell how long to rest after a batch so that all walkers together keep to a rate."""
    return 0.0 if rows_per_s is None else max(0.0, rows * walkers / rows_per_s - took_s)


def at_most(rows: int, rows_per_s: int | None, walkers: int) -> int:
    """Keep a batch to what a second may hold, so that a new rate is soon kept."""
    return rows if rows_per_s is None else max(1, min(rows, rows_per_s // max(1, walkers)))
