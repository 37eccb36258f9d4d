"""What was done, by whom, with what outcome: one fsynced file a run and target, each line hashing the one before.

The first line carries the name of the journal opened before it, the hash of that one's first line, and the hash of
all that it held by then, so that a removed or rewritten journal is missed; what is written later, by runs that
overlap, only its own chain protects. A file without a closing record is unfinished; a torn last line is
what kill -9 or a full disk leaves, and is told.
"""

import contextlib
import fcntl
import hashlib
import json
import os
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dbops import units
from dbops.engine import clock, stop
from dbops.errors import DbopsError, ExitCode, LockBusy, Refused
from dbops.redact import redacted

_SUFFIX = ".jsonl"
_OPENING = ".opening-"
_LAST = ".last"
_UNREADABLE = "unreadable"
_PATIENCE_S = 30.0  # to become the last of the chain takes others milliseconds
_POLL_S = 0.01


def folder(state_dir: Path) -> Path:
    return state_dir / "journal"


class Journal:
    """One open journal. Every line is on disk before `write` returns."""

    def __init__(self, path: Path, descriptor: int, line_hash: str) -> None:
        self.path = path
        self._descriptor = descriptor
        self._hash = line_hash

    def write(self, event: str, **facts: Any) -> None:
        line = _line(self._hash, event, facts)
        _write_all(self._descriptor, line, self.path)
        self._hash = _sha(line)

    def close(self) -> None:
        os.close(self._descriptor)


@contextmanager
def opened(state_dir: Path, run_id: str, target: str, **facts: Any) -> Generator[Journal]:
    """Open `<run>-<target>`, chained to the journal before it; write the closing record on the way out."""
    journal = _open(folder(state_dir), f"{run_id}-{target}", {"run": run_id, "target": target, **facts})
    try:
        try:
            yield journal
        except BaseException as error:
            with contextlib.suppress(DbopsError):  # a full disk must not hide what happened before it
                journal.write("end", outcome="failed", exit_code=_code(error), error=f"{type(error).__name__}: {error}")
            raise
        journal.write("end", outcome="done", exit_code=0)
    finally:
        journal.close()


def _code(error: BaseException) -> int:
    if isinstance(error, DbopsError):
        return int(error.exit_code)
    return int(ExitCode.INTERRUPTED if isinstance(error, KeyboardInterrupt) else ExitCode.FAILED)


def _open(room: Path, name: str, facts: dict[str, Any]) -> Journal:
    """Two phases, so that kill -9 leaves no fork: the new file, then who is last, then the file's real name."""
    try:
        room.mkdir(parents=True, exist_ok=True, mode=0o750)
        with (room / ".lock").open("w") as lock:
            _lock(lock.fileno(), room)
            previous, previous_hash = _last(room)
            before = {"previous": previous, "previous_held": _held(room, previous)}
            line = _line(previous_hash, "begin", facts, before)
            opening = room / f"{_OPENING}{name}{_SUFFIX}"
            descriptor = os.open(opening, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o640)
            try:
                _write_all(descriptor, line, opening)
                _replace(room / _LAST, f"{name} {_sha(line)}\n")
                opening.rename(room / f"{name}{_SUFFIX}")
                _sync_folder(room)
            except BaseException:
                os.close(descriptor)
                raise
    except OSError as error:
        raise Refused(
            f"the journal cannot be written in {room}: {error.strerror or error}",
            hint="nothing was changed; make the state directory writable, or name another in [platform] state_dir",
        ) from error
    return Journal(room / f"{name}{_SUFFIX}", descriptor, _sha(line))


def _lock(descriptor: int, room: Path) -> None:
    deadline = clock.monotonic() + _PATIENCE_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if clock.monotonic() > deadline:
                raise LockBusy(
                    f"another dbops has been opening its journal in {room} for {_PATIENCE_S:g} s",
                    hint=f"it hangs: fuser -v {room / '.lock'} tells which",
                ) from None
            stop.pause(_POLL_S)
        else:
            return


def _last(room: Path) -> tuple[str | None, str]:
    """Return who was opened last; finish or undo what a killed run had begun."""
    try:
        name, line_hash = (room / _LAST).read_text(encoding="utf-8").split()
    except FileNotFoundError:  # the first journal, or an incomplete copy of the state directory
        name, line_hash = _newest(room)
    except ValueError:  # cannot happen by a kill (it is replaced as a whole), only by an edit
        name, line_hash = None, _UNREADABLE
    for opening in room.glob(f"{_OPENING}*{_SUFFIX}"):
        final = opening.name.removeprefix(_OPENING)
        if final == f"{name}{_SUFFIX}":
            opening.rename(room / final)
        else:
            opening.unlink()
    return name, line_hash


def _held(room: Path, previous: str | None) -> str | None:
    """Tell what a journal holds now: its first so many bytes, and their hash; an open one grows on behind them."""
    try:
        data = (room / f"{previous}{_SUFFIX}").read_bytes() if previous else None
    except OSError:  # removed, which the name alone tells; or another account's, which is no reason to do nothing
        return None
    return None if data is None else f"{len(data)} {_sha(data)}"


def _newest(room: Path) -> tuple[str | None, str]:
    names = sorted(path.name for path in room.glob(f"[!.]*{_SUFFIX}"))
    if not names:
        return None, ""
    with (room / names[-1]).open("rb") as file:
        return names[-1].removesuffix(_SUFFIX), _sha(file.readline())


def _line(previous_hash: str, event: str, facts: dict[str, Any], links: dict[str, str | None] | None = None) -> bytes:
    """Write one record. What ties journals together is not redacted: a short secret may stand in any hash."""
    record = {
        "at": units.instant(clock.now()),
        "event": event,
        **redacted(facts),
        **(links or {}),
        "after": previous_hash,
    }
    return (json.dumps(record, ensure_ascii=False) + "\n").encode("utf-8", "backslashreplace")


def _sha(line: bytes) -> str:
    return hashlib.sha256(line).hexdigest()


def _write_all(descriptor: int, data: bytes, path: Path) -> None:
    view = memoryview(data)
    before = os.fstat(descriptor).st_size
    try:
        while view:
            view = view[os.write(descriptor, view) :]
        os.fsync(descriptor)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.ftruncate(descriptor, before)  # half a line, with another behind it, would look like an alteration
        raise DbopsError(
            f"the journal {path} cannot be written: {error.strerror or error}",
            hint="make room on the disk of the state directory, then run the same command again",
        ) from error


def _replace(path: Path, text: str) -> None:
    fresh = path.with_name(f"{path.name}.new")
    with fresh.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def _sync_folder(room: Path) -> None:
    descriptor = os.open(room, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@dataclass(frozen=True, slots=True)
class Record:
    """One line of a journal that was read back."""

    at: str
    event: str
    facts: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Read:
    """A journal as found on disk, with what is wrong with it."""

    name: str
    records: tuple[Record, ...]
    first_hash: str
    torn: bool
    broken_at: int | None  # the first line that does not hash on from the one before
    previous: str | None
    previous_hash: str
    previous_held: str | None = None

    @property
    def outcome(self) -> str:
        last = self.records[-1] if self.records else None
        return str(last.facts.get("outcome")) if last and last.event == "end" else "unfinished"


def names(state_dir: Path) -> list[str]:
    """Name the journals, oldest first."""
    try:
        return sorted(p.name.removesuffix(_SUFFIX) for p in folder(state_dir).glob(f"[!.]*{_SUFFIX}"))
    except OSError as error:
        raise Refused(f"the journals in {folder(state_dir)} cannot be read: {error.strerror}") from error


def read(state_dir: Path, name: str) -> Read:
    """Read a journal and follow its chain of hashes."""
    path = folder(state_dir) / f"{name}{_SUFFIX}"
    try:
        data = path.read_bytes()
    except OSError as error:
        raise Refused(f"the journal {name} cannot be read: {error.strerror}", hint="dbops journal list") from error
    *lines, rest = data.split(b"\n")
    records: list[Record] = []
    broken: int | None = None
    before: str | None = None
    for number, line in enumerate(lines, start=1):
        try:
            facts = json.loads(line)
            after = facts.pop("after")
            record = Record(str(facts.pop("at")), str(facts.pop("event")), facts)
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            broken = broken or number
            break
        if before is not None and after != before:
            broken = broken or number
        before = _sha(line + b"\n")
        records.append(record)
    first: dict[str, Any] = json.loads(lines[0]) if records else {}
    first_hash = _sha(lines[0] + b"\n") if lines else ""
    before_it = first.get("previous"), first.get("after", ""), first.get("previous_held")
    return Read(name, tuple(records), first_hash, bool(rest), broken, *before_it)


def missing_link(state_dir: Path, journal: Read) -> str | None:
    """Say what is wrong between this journal and the one before it, if anything is."""
    if journal.previous is None:
        return "who was before it could not be read" if journal.previous_hash == _UNREADABLE else None
    path = folder(state_dir) / f"{journal.previous}{_SUFFIX}"
    if not path.exists():
        return f"the journal before it, {journal.previous}, is gone"
    if read(state_dir, journal.previous).first_hash != journal.previous_hash or not _still_held(path, journal):
        return f"the journal before it, {journal.previous}, was rewritten"
    return None


def _still_held(path: Path, journal: Read) -> bool:
    """Say whether the journal before still begins with all that it held when this one was opened."""
    if journal.previous_held is None:  # written before that was recorded
        return True
    size, _, line_hash = journal.previous_held.partition(" ")
    return size.isdigit() and _sha(path.read_bytes()[: int(size)]) == line_hash
