"""How PostgreSQL's errors are told: in our words, each with its exit code and what to do next."""

import re
from collections.abc import Generator
from contextlib import contextmanager

import psycopg
from psycopg import errors

from dbops.engine import stop
from dbops.errors import (
    AuthenticationFailed,
    ConfigInvalid,
    CouldNotVerify,
    DbopsError,
    DependencyMissing,
    LockBusy,
    Refused,
    Unreachable,
)
from dbops.redact import redact


@contextmanager
def translated(target: str) -> Generator[None]:
    """Turn psycopg's errors into ours, each with its exit code and what to do next."""
    try:
        yield
    except psycopg.Error as error:
        raise _told(error, target) from error


_READ_ONLY = (
    "SHOW default_transaction_read_only: on, it was set for this role, this database, or the server (whose disk may be"
    " nearly full): ALTER ROLE or ALTER DATABASE ... RESET; off, it is a standby: use the primary's dsn"
)


def _told(error: psycopg.Error, target: str) -> DbopsError:
    message = redact(_message(error))
    match error:
        case errors.InvalidPassword() | errors.InvalidAuthorizationSpecification():
            return AuthenticationFailed(message, hint="check user and password of its dsn", target=target)
        case errors.InsufficientPrivilege():
            return Refused(
                message, hint="the connected role lacks this right; connect as one that has it", target=target
            )
        case errors.LockNotAvailable():
            return LockBusy(message, hint="a long transaction holds the lock; run again when it is over", target=target)
        case errors.QueryCanceled() if stop.requested():
            return stop.stopped()
        case errors.QueryCanceled():
            return CouldNotVerify(message, hint="the statement took longer than its timeout", target=target)
        case errors.InvalidCatalogName():
            return Refused(message, hint="create the database, or correct dbname in the dsn", target=target)
        case errors.DependentObjectsStillExist() | errors.ObjectInUse():
            return Refused(message, hint="what depends on it is named above; move or remove that first", target=target)
        case errors.ReadOnlySqlTransaction():
            return Refused(message, hint=_READ_ONLY, target=target)
        case errors.DiskFull() | errors.OutOfMemory():
            return DbopsError(message, hint="make room on the server, then run again", target=target)
        case errors.FeatureNotSupported() | errors.UndefinedFile():
            return DependencyMissing(message, hint="the server lacks a feature or an extension", target=target)
        case psycopg.OperationalError() if error.sqlstate is None or error.sqlstate[:2] in {"08", "53", "57"}:
            return _unreachable(message, target)
        case psycopg.ProgrammingError() if error.sqlstate is None:
            return ConfigInvalid(message, hint="the dsn is not understood: host=... dbname=... user=...", target=target)
        case _:
            return DbopsError(message, target=target)


def _unreachable(message: str, target: str) -> DbopsError:
    # libpq reports a refused password of the connection phase without an SQLSTATE
    if "authentication failed" in message or "no password supplied" in message or "no pg_hba.conf entry" in message:
        return AuthenticationFailed(message, hint="check user and password of its dsn", target=target)
    if re.search(r'role ".*" (does not exist|is not permitted to log in)', message):
        return AuthenticationFailed(
            message, hint="check the user of its dsn; 'dbops roles plan' shows what is missing", target=target
        )
    if re.search(r'database ".*" does not exist', message):
        return Refused(message, hint="create the database, or correct dbname in the dsn", target=target)
    return Unreachable(message, hint="is the server up, and does the dsn lead to it? try again", target=target)


def _message(error: psycopg.Error) -> str:
    primary = error.diag.message_primary
    if primary is None:
        return re.sub(r"\s*\n\s*", " ", str(error)).strip() or type(error).__name__
    match error:  # what is in a row is told to nobody
        case errors.IntegrityError():
            return primary
        case errors.DataError() if not isinstance(error, errors.InvalidParameterValue):
            return re.sub('".*"', '"..."', primary, flags=re.DOTALL)
        case _:
            detail = error.diag.message_detail
            return f"{primary} ({detail})" if detail else primary
