"""Durations, sizes, instants and numbers of things as people write and read them."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

_DAY = 86_400.0
_SECONDS = {
    "ms": 0.001,
    "s": 1.0,
    "second": 1.0,
    "m": 60.0,
    "min": 60.0,
    "minute": 60.0,
    "h": 3600.0,
    "hour": 3600.0,
    "d": _DAY,
    "day": _DAY,
    "w": 7 * _DAY,
    "week": 7 * _DAY,
    "month": 365.25 / 12 * _DAY,
    "y": 365.25 * _DAY,
    "year": 365.25 * _DAY,
}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]+)\s*")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(i?b)?", re.IGNORECASE)
_POWERS = ("", "k", "m", "g", "t")
_DIGITS = 30


def parse_duration(text: str) -> timedelta:
    """Read `5m`, `1h 30m`, `90 seconds`, `7 years` (a year is 365.25 days)."""
    seconds, position, wanted = 0.0, 0, text.strip().lower()
    while match := _DURATION.match(wanted, position):
        unit = match[2] if len(match[2]) <= 2 else match[2].removesuffix("s")  # hours, but not hs
        if unit not in _SECONDS:
            break
        seconds += float(match[1]) * _SECONDS[unit]
        position = match.end()
    if not wanted or position != len(wanted):
        raise ValueError(f"{text!r} is not a duration such as 30s, 5m, 6h, 30 days or 7 years")
    try:
        return timedelta(seconds=seconds)
    except OverflowError:
        raise ValueError(f"{text!r} is longer than a duration can be") from None


def exact_duration(span: timedelta) -> str:
    """Write a duration so that `parse_duration` reads the same one."""
    thousandths, left = divmod(span, timedelta(milliseconds=1))
    if left:
        return f"{span.total_seconds():.6f}s"
    parts: list[str] = []
    for unit, length in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)):
        count, thousandths = divmod(thousandths, length)
        if count:
            parts.append(f"{count}{unit}")
    return " ".join(parts) or "0s"


def parse_size(text: str) -> int:
    """Read `64MB`, `4 GiB`, `512`: as PostgreSQL does, a kB is 1024 bytes."""
    match = _SIZE.fullmatch(text.strip())
    if match is None or len(match[1]) > _DIGITS:
        raise ValueError(f"{text!r} is not a size such as 512kB, 64MB or 4GB")
    whole, _, part = match[1].partition(".")
    return int(whole + part) * 1024 ** _POWERS.index(match[2].lower()) // 10 ** len(part)


def duration(span: timedelta) -> str:
    """Write a duration for a person: `850 ms`, `12.3 s`, `5m 10s`, `6h 3m`, `12d 4h`."""
    seconds = span.total_seconds()
    if seconds < 0:
        return f"-{duration(-span)}"
    if seconds < 0.9995:  # what would round to 1000 ms is a second
        return f"{seconds * 1000:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    seconds = max(60.0, seconds)
    minutes, hours, days = int(seconds // 60), int(seconds // 3600), int(seconds // _DAY)
    if hours == 0:
        return f"{minutes}m {int(seconds % 60)}s"
    if days == 0:
        return f"{hours}h {minutes % 60}m"
    return f"{days}d {hours % 24}h"


def size(count: int) -> str:
    """Write a size for a person: `812 B`, `22.3 MB`."""
    amount, power = float(count), 0
    while abs(amount) >= (1024 if power == 0 else 1023.95) and power < len(_POWERS) - 1:
        amount, power = amount / 1024, power + 1
    return f"{count} B" if power == 0 else f"{amount:.1f} {'BkMGT'[power]}B"


def counted(number: int, what: str) -> str:
    """Write how many there are: `1 file`, `3 files`."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def some(names: Iterable[str], most: int = 3) -> str:
    """Name the first of them, and how many more there are."""
    found = list(names)
    more = f" and {len(found) - most} more" if len(found) > most else ""
    return ", ".join(found[:most]) + more


def instant(moment: datetime) -> str:
    """Write an instant for machines and journals: UTC, milliseconds, `Z`."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def stamp(moment: datetime) -> str:
    """Write an instant for names of files, which sort by it: `20260801T020000.123Z`."""
    return instant(moment).replace("-", "").replace(":", "")


def parse_stamp(text: str) -> datetime:
    """Read what `stamp` wrote."""
    return datetime.strptime(text, "%Y%m%dT%H%M%S.%fZ").replace(tzinfo=UTC)


def parse_instant(text: str) -> datetime:
    """Read what `instant` wrote."""
    return datetime.fromisoformat(text).astimezone(UTC)
