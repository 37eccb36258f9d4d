"""What pgBackRest says on its streams, and how its failures are told."""

import re
from dataclasses import dataclass

from dbops import process
from dbops.errors import ConfigInvalid, DbopsError, LockBusy, Refused, Unreachable

_LINE = re.compile(
    r"\s*(?:\d{4}-\d\d-\d\d [\d:.]+ )?(?:P\d\d\s+)?(ERROR|WARN|HINT|INFO|DETAIL):\s*(?:\[(\d{3})\]:\s*)?(.*)"
)

_FULL = re.compile(
    r"unable to (?:write|create|open|fsync|sync|close)\D*?'(?P<path>[^']+)'[^\n]*No space left on device"
)
_SHORT = re.compile(r"unable to write '(?P<path>[^']+)'(?!:)")


@dataclass(frozen=True, slots=True)
class Message:
    """A line that pgBackRest said: an error with its number, a warning, a hint."""

    level: str
    number: int | None
    text: str


def messages(text: str) -> tuple[Message, ...]:
    """Read ERROR, WARN, HINT lines; an indented line that is none of them goes on with the one before."""
    found: list[Message] = []
    for line in text.splitlines():
        if match := _LINE.fullmatch(line):
            found.append(Message(match[1], int(match[2]) if match[2] else None, match[3].strip()))
        elif line[:1].isspace() and line.strip() and found:
            found[-1] = Message(found[-1].level, found[-1].number, f"{found[-1].text} {line.strip()}")
    return tuple(found)


def out_of_space(text: str) -> str | None:
    """Name what could not be written for want of room.

    The last write before a disk is full takes a part: pgBackRest then tells no reason, because there was no error.
    """
    found = _FULL.search(text) or _SHORT.search(text)
    return found["path"] if found else None


def told(error: process.ProgramFailed, target: str) -> DbopsError:
    """Turn a failure of pgBackRest into ours: the exit code tells the kind, its lines the rest."""
    said = messages("\n".join(error.last))
    errors = [message.text for message in said if message.level == "ERROR"]
    hints = [message.text for message in said if message.level == "HINT"]
    text = f"pgbackrest: {errors[-1]}" if errors else error.message
    kind = _KINDS.get(error.returncode, DbopsError)
    return kind(f"{text} [{error.returncode:03}]" if errors else text, hint="; ".join(hints) or None, target=target)


_KINDS: dict[int, type[DbopsError]] = {
    **dict.fromkeys((29, 31, 32, 37), ConfigInvalid),  # an option: wrong, invalid, unknown, required
    # another cluster, running, not empty, permissions, another system, missing file, another path, stopped,
    # no such set, archiving off
    **dict.fromkeys((28, 38, 40, 41, 51, 53, 55, 58, 62, 75, 87), Refused),
    50: LockBusy,
    **dict.fromkeys((49, 56, 82), Unreachable),  # host, PostgreSQL, WAL not archived in time
}
