"""The process that runs the revisions of one database, asked line by line: Alembic's commands know one at a time.

It holds one connection as the owner. When dbops dies it is told so by the kernel and dies too; the revision that it
was in is one transaction, and is undone.
"""

import json
import sys
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import sqlalchemy as sa
from alembic import command
from alembic.util import CommandError
from psycopg import errors
from sqlalchemy.exc import DBAPIError

from dbops.config.load import load
from dbops.engine.run import Run, application_name
from dbops.errors import DbopsError, ExitCode, LockBusy, Refused
from dbops.operations.migrate import changes, concurrently, environment, figures, history, stopwatch
from dbops.operations.migrate.stopwatch import Stopwatch
from dbops.redact import redact
from dbops.stores import postgres
from dbops.units import parse_instant

_EYE = "dbops_eye"  # of the connection: opens another one, which sees what it waits for
_LEDGER = sa.text("SELECT to_regclass('dbops.entries') IS NOT NULL")
_WAIT = sa.text("SELECT set_config('lock_timeout', :wait, false), set_config('statement_timeout', '0', false)")


def main() -> None:
    about: dict[str, Any] = json.loads(sys.stdin.readline())
    target: str = about["target"]
    started = parse_instant(about["started"])
    run = Run(about["run"], about["command"], started, Path(about["state_dir"]), actor=about["actor"])
    dsn: str = about["dsn"] or _dsn(Path(about["config"]), target)
    with environment.open_connection(dsn, run) as connection:
        connection.info[_EYE] = partial(_eye, dsn, run)
        stopwatch.attend(connection)
        _answer({"backend": environment.raw(connection).info.backend_pid})
        for line in sys.stdin:
            _answer(_tried(connection, run, target, about, json.loads(line)))


def _eye(dsn: str, run: Run) -> psycopg.Connection[Any]:
    name, encoding = application_name(run), postgres.ENCODING
    return psycopg.connect(dsn, application_name=name, client_encoding=encoding, autocommit=True)


def _dsn(path: Path, target: str) -> str:
    return postgres.dsn(load(path).config.postgres[target], target=target)


def _answer(told: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()


def _tried(
    connection: sa.Connection, run: Run, target: str, about: dict[str, Any], asked: dict[str, Any]
) -> dict[str, Any]:
    try:
        return {"statements": figures.written(_run(connection, run, target, about, asked))}
    except DbopsError as error:
        return _failed(error)
    except CommandError as error:
        return _failed(Refused(redact(str(error))))
    except Exception as error:  # noqa: BLE001  # a revision is somebody's code: its failure is told with its place
        message = f"revision {asked['revision']}: {history.place_of(error)}"
        return _failed(DbopsError(redact(message), hint="nothing of this revision was done; correct it"))
    finally:
        connection.info.pop(stopwatch.WATCH, None)
        connection.rollback()


def _failed(error: DbopsError) -> dict[str, Any]:
    return {"code": int(error.exit_code), "message": error.message, "hint": error.hint}


def _run(
    connection: sa.Connection, run: Run, target: str, about: dict[str, Any], asked: dict[str, Any]
) -> tuple[figures.Statement, ...]:
    wait = timedelta(milliseconds=asked["lock_timeout_ms"])
    connection.execute(_WAIT, {"wait": f"{round(wait.total_seconds() * 1000)}ms"})
    connection.info["dbops_run"] = run if connection.execute(_LEDGER).scalar() else None
    connection.info["dbops_target"] = target
    connection.info[changes.BOUND] = False
    watch = Stopwatch()
    if asked.get("timed"):
        watch.start(environment.raw(connection))
        connection.info[stopwatch.WATCH] = watch
    connection.commit()
    if asked["way"] == "drop":
        _drop(connection, asked["index"], target)
        return ()
    config = history.alembic(Path(about["folder"]), about["section"])
    config.attributes[environment.HELD] = connection
    way = command.upgrade if asked["way"] == "up" else command.downgrade
    try:
        with _attended(connection, watch, asked):
            way(config, asked["to"])
    except (DBAPIError, psycopg.Error) as error:  # what is written into the ledger goes past SQLAlchemy
        raise _told(connection, error, target, asked["revision"]) from error
    return watch.finish()


def _attended(connection: sa.Connection, watch: Stopwatch, asked: dict[str, Any]) -> AbstractContextManager[None]:
    if not asked.get("timed"):
        return nullcontext()
    return stopwatch.attended(watch, connection.info[_EYE], environment.raw(connection).info.backend_pid)


def _drop(connection: sa.Connection, index: str, target: str) -> None:
    """Drop an invalid index; it queues where nobody waits for it, so there is no timeout."""
    raw = environment.raw(connection)
    raw.autocommit = True
    try:
        with postgres.translated(target):
            raw.execute("SELECT set_config('lock_timeout', '0', false)")
            concurrently.drop_invalid(raw, index)
    finally:
        if not raw.closed:
            raw.autocommit = False


def _told(connection: sa.Connection, error: DBAPIError | psycopg.Error, target: str, revision: str) -> Exception:
    cause = error.orig if isinstance(error, DBAPIError) else error
    if not isinstance(cause, psycopg.Error):
        return error
    try:
        with postgres.translated(target):
            raise cause
    except DbopsError as told:
        duplicate = (cause.sqlstate is not None and cause.sqlstate.startswith("42P07")) or cause.sqlstate == "42710"
        told.message = f"revision {revision}: {told.message}"
        if isinstance(cause, errors.QueryCanceled | errors.DeadlockDetected) and connection.info.get(changes.BOUND):
            return LockBusy(told.message, hint="a long transaction holds the lock; run again when it is over")
        if isinstance(cause, psycopg.IntegrityError):
            return _of_rows(cause, revision, connection.info.pop(concurrently.DUPLICATES, None))
        if isinstance(cause, errors.ObjectNotInPrerequisiteState):  # a gate within the revision
            return Refused(told.message, hint=cause.diag.message_hint)
        if duplicate:
            return Refused(told.message, hint="it was not made by this history: move it away, or stamp the revision")
        return told


def _of_rows(cause: psycopg.IntegrityError, revision: str, keys: str | None) -> DbopsError:
    """Leave out the detail, which holds what is in the row."""
    told = cause.diag.message_primary or type(cause).__name__
    told += f": rows have the same values; the keys of the first ones: {keys}" if keys else ""
    hint = "correct the rows, then run again: it goes on from here"
    return DbopsError(f"revision {revision}: {redact(told)}", hint=cause.diag.message_hint or hint)


if __name__ == "__main__":
    try:
        main()
    except DbopsError as failed:
        _answer(_failed(failed))
        sys.exit(int(ExitCode.FAILED))
