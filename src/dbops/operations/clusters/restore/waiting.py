"""Wait for the truth of a restored server: not that it answers, but that it came to its target, and takes writes."""

import re
from collections.abc import Callable
from pathlib import Path

import psycopg

from dbops.engine import clock, stop
from dbops.errors import DbopsError, VerifiedBad
from dbops.operations.clusters.restore.facts import Truth
from dbops.redact import redact
from dbops.servers import alive

_POLL_S = 0.01
_TAIL = 16_000
_SHOWN_LINES = 12
_STATE = "SELECT pg_is_in_recovery()"
_PAUSED = "SELECT pg_get_wal_replay_pause_state() = 'paused'"
_REACHED = """
    SELECT pg_last_wal_replay_lsn()::text, pg_last_xact_replay_timestamp(),
           (pg_control_checkpoint()).timeline_id, (pg_control_recovery()).min_recovery_end_timeline,
           (pg_control_system()).system_identifier"""
_TIMELINE = "SELECT ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int"
_STOPPING = re.compile(r"recovery stopping [^\n]*")
_TOO_LOW = re.compile(r"(max_\w+) = \d+ is a lower setting than on the primary server, where its value was (\d+)")
_NO_SPACE = "No space left on device"
_FOR_GOOD = re.compile(r"does not exist|authentication failed|no pg_hba.conf entry|not permitted to log in")
_OUR_KNOCKING = re.compile(
    r"FATAL:  the database system is (?:starting up|not yet accepting connections|in recovery mode)"
)
_ITS_DETAIL = "DETAIL:  Consistent recovery state has not been yet reached."

Connect = Callable[[], "psycopg.Connection | None"]


class TooLow(DbopsError):  # a word between starting and waiting, never the operator's
    """A setting is lower than the primary's was, which WAL told only later."""

    def __init__(self, settings: dict[str, int]) -> None:
        super().__init__("settings are lower than on the primary: " + ", ".join(settings))
        self.settings = settings


def until_true(pid: int, connect: Connect, log: Path, *, target: str, promote: bool, since: int = 0) -> Truth:
    """Return when the server has reached what it was told to; raise with its own last words when it cannot.

    `since` is where its log stood when it was started. `connect` returns None while nobody is let in.
    """
    began = clock.monotonic()
    connection, consistent = None, None
    try:
        while True:
            stop.check()
            if not alive.is_alive(pid):
                raise dead(log, target, since)
            if connection is None:
                connection = connect()
            if connection is not None:
                consistent = consistent or clock.monotonic() - began
                try:
                    reached = _at_target(connection, promote=promote, log=log, target=target, since=since)
                except psycopg.OperationalError:  # it died under us, or cut us off
                    connection.close()
                    connection = None
                    continue
                if reached:
                    return _truth(connection, log, since, consistent, clock.monotonic() - began)
            stop.pause(_POLL_S)
    finally:
        if connection is not None:
            connection.close()


def connected(conninfo: str) -> psycopg.Connection | None:
    """Connect, or not yet: a server that starts lets nobody in."""
    try:
        return psycopg.connect(conninfo, autocommit=True, connect_timeout=5)
    except psycopg.OperationalError as error:
        if _FOR_GOOD.search(str(error)):
            raise
        return None


def _at_target(connection: psycopg.Connection, *, promote: bool, log: Path, target: str, since: int) -> bool:
    if not _one(connection, _STATE):
        return True
    try:
        paused = bool(_one(connection, _PAUSED))
    except psycopg.errors.ObjectNotInPrerequisiteState:  # promoted between the two questions
        return True
    if not paused:
        return False
    if low := _too_low(said(log, since)):
        raise TooLow(low)
    if promote:
        raise VerifiedBad(
            f"recovery is paused and does not go on:\n{_last_words(said(log, since))}",
            hint="its own words above tell why",
            target=target,
        )
    return True


def _truth(connection: psycopg.Connection, log: Path, since: int, consistent: float, reached: float) -> Truth:
    promoted = not _one(connection, _STATE)
    row = connection.execute(_REACHED).fetchone()
    assert row is not None  # noqa: S101  # one row always
    lsn, last, timeline, recovering, system = row
    now_on = _one(connection, _TIMELINE) if promoted else recovering or timeline
    stopped = _STOPPING.findall(said(log, since))
    return Truth(
        consistent, reached, promoted, int(str(now_on)), lsn, last, redact(stopped[0]) if stopped else None, system
    )


def _one(connection: psycopg.Connection, query: str) -> object:
    row = connection.execute(query.encode()).fetchone()
    return None if row is None else row[0]


def dead(log: Path, target: str, since: int = 0) -> DbopsError:
    """Tell why a server ended, in its own last words."""
    words = said(log, since)
    if low := _too_low(words):
        return TooLow(low)
    told = _last_words(words)
    if _NO_SPACE in words:
        return DbopsError(
            f"the disk filled up while WAL was replayed:\n{told}", hint="choose a larger place: --to", target=target
        )
    return VerifiedBad(
        f"the restored server ended before it reached its target:\n{told}",
        hint=f"dbops pitr window --target {target} shows what can be restored",
        target=target,
    )


def said(log: Path, since: int) -> str:
    """Read the end of what a server has said since it was started."""
    try:
        with log.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(since, size - _TAIL))
            return file.read().decode("utf-8", "replace")
    except FileNotFoundError:
        return ""


def _too_low(words: str) -> dict[str, int]:
    return {name: int(value) for name, value in _TOO_LOW.findall(words)}


def _last_words(words: str) -> str:
    lines = [line for line in words.splitlines() if line.strip() and not _OUR_KNOCKING.search(line)]
    lines = [line for line in lines if not line.endswith(_ITS_DETAIL)]
    grave = [n for n, line in enumerate(lines) if re.search(r"\b(FATAL|PANIC|WARNING|ERROR):", line)]
    first = max(0, len(lines) - _SHOWN_LINES)
    shown = lines[min(first, grave[0]) if grave else first :][:_SHOWN_LINES]
    return redact("\n".join(shown)) or "it said nothing"
