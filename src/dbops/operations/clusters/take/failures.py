"""Why a backup failed: the true reason, which pgBackRest does not always name."""

import contextlib
import re
from datetime import timedelta
from pathlib import Path

from dbops import process
from dbops.config.model import Cluster
from dbops.engine.run import Run
from dbops.errors import DbopsError, LockBusy, Refused, Unreachable
from dbops.operations.clusters.take import orphans
from dbops.stores import postgres
from dbops.stores.pgbackrest import out_of_space

LOCKED, ARCHIVE_TIMEOUT, ARCHIVE_COMMAND = 50, 82, 68
_LOCK = re.compile(r"unable to acquire lock on file '(?P<path>.+?)'")
_ANSWER = timedelta(seconds=3)
_HINTS = {
    28: "the stanza belongs to another cluster: is this the right server? dbops backup audit",
    41: "something in the repository belongs to another account: chown it to the owner of the cluster",
    51: "the stanza belongs to another cluster, or this one was made anew: dbops backup init",
    58: "pg1-path and the server differ: correct the pgBackRest configuration",
    62: "somebody has stopped pgBackRest on purpose: pgbackrest start",
    87: "dbops backup init switches archiving on",
}
_SERVER_SAYS = """
    SELECT last_failed_wal, last_failed_time, current_setting('archive_command') AS command,
           current_setting('data_directory') AS data, pg_current_logfile() AS log
      FROM pg_stat_archiver"""


class BackupFailed(DbopsError):  # as its siblings in errors.py
    """No backup came of it; what was there before is untouched."""


def explained(error: DbopsError, place: Cluster, run: Run, *, target: str, repository: int) -> DbopsError:
    """Find out why, while it can still be seen."""
    cause = error.__cause__
    number = cause.returncode if isinstance(cause, process.ProgramFailed) else 0
    said = "\n".join(cause.last) if isinstance(cause, process.ProgramFailed) else error.message
    if number == LOCKED:
        match = _LOCK.search(said)
        if match and "Permission denied" in said:
            hint = "pgBackRest was run as somebody else: remove the file, and look for others of that account"
            return Refused(f"the lock file {match['path']} belongs to another account", hint=hint, target=target)
        return locked(Path(match["path"]) if match else None, target)
    if full := out_of_space(said):
        return BackupFailed(
            f"repository {repository} is full: {full} could not be written",
            hint="make room there, then run again: older backups are whole; dbops backup expire shows what may go",
            target=target,
        )
    gone = _server_gone(place, run, target)
    if gone is not None:
        hint = "start the server, then run again; older backups are whole"
        return Unreachable(
            f"the server went away during the backup ({gone.message}); {error.message}", hint=hint, target=target
        )
    if number in (ARCHIVE_TIMEOUT, ARCHIVE_COMMAND):
        return _not_archived(error, place, run, target)
    kind = BackupFailed if type(error) is DbopsError else type(error)
    return kind(f"repository {repository}: {error.message}", hint=_HINTS.get(number, error.hint), target=target)


def locked(lock: Path | None, target: str) -> LockBusy:
    """Tell who holds pgBackRest's lock."""
    who = orphans.holders(lock) if lock else []
    told = "; ".join(orphans.told(pid) for pid in who[:1]) or "it has just let go, or is another account's"
    message = f"another pgBackRest is at work on the stanza: {told}"
    return LockBusy(message, hint="wait for it with --lock-wait 1h, or see what it does", target=target)


def _server_gone(place: Cluster, run: Run, target: str) -> DbopsError | None:
    try:
        with postgres.connect(place, run, target=target, connect_timeout=_ANSWER):
            return None
    except Unreachable as error:
        return error
    except DbopsError:
        return None


def _not_archived(error: DbopsError, place: Cluster, run: Run, target: str) -> DbopsError:
    """Tell what the archiver says: the backup waited for WAL that never came."""
    told, hint = "", "look at archive_command in the server's log, and at dbops backup audit"
    with contextlib.suppress(DbopsError), postgres.connect(place, run, target=target) as connection:
        row = postgres.record(connection, _SERVER_SAYS)
        if row["last_failed_wal"]:
            told = (
                f"; the archiver failed with {row['last_failed_wal']} at {row['last_failed_time']:%Y-%m-%d %H:%M:%S}Z"
            )
        told += f"; archive_command is {row['command']!r}"
        if row["log"]:
            hint = f"the server's log tells why: {row['data']}/{row['log']}; then dbops backup audit"
    message = f"WAL is not being archived, so the backup could not be completed: {error.message}{told}"
    return BackupFailed(message, hint=hint, target=target)
