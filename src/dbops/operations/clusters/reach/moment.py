"""Read a moment as people write it, and refuse what may mean two of them; no clock is asked."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from dbops.errors import ConfigInvalid, UsageError


def read(text: str, zone: str | None) -> datetime:
    """Read ISO 8601; without an offset it is a wall clock's time in `zone`, if there is one."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"--at: {text!r} is no moment such as 2026-08-01T14:59:59Z") from None
    if moment.tzinfo is not None:
        return _in_utc(moment, text)
    if zone is None:
        raise UsageError(
            f"--at: {text!r} has no zone, and may mean several moments",
            hint="add Z for UTC, or an offset: +02:00; or set [platform] zone",
        )
    try:
        place = ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError):
        raise ConfigInvalid(f"[platform] zone: {zone!r} is no time zone") from None
    return _of_wall_clock(moment, place, text)


def _of_wall_clock(wall: datetime, place: ZoneInfo, text: str) -> datetime:
    """Take the one moment that a clock on the wall showed this; an hour that came twice has two."""
    first, second = (wall.replace(tzinfo=place, fold=fold) for fold in (0, 1))
    shown = [one for one in (first, second) if _in_utc(one, text).astimezone(place).replace(tzinfo=None) == wall]
    if not shown:
        raise UsageError(
            f"--at: {text!r} does not exist in {place.key}: its clocks were put forward over it",
            hint=f"say which moment: {_offset(first)} or {_offset(second)}",
        )
    if first.utcoffset() != second.utcoffset():
        raise UsageError(
            f"--at: {text!r} came twice in {place.key}: its clocks were put back",
            hint=f"say which one: {_offset(first)} or {_offset(second)}",
        )
    return _in_utc(first, text)


def _offset(moment: datetime) -> str:
    return moment.isoformat()


def _in_utc(moment: datetime, text: str) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise UsageError(f"--at: {text!r} is beyond all calendars") from None
