"""PostgreSQL: how it is reached, how its errors are told, and the locks it keeps for us."""

import os
import re
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, LiteralString, cast

import psycopg
from psycopg import conninfo, errors, sql
from psycopg.rows import dict_row

from dbops import units
from dbops.config.fields import Tls
from dbops.config.load import resolve
from dbops.config.model import Cluster, Postgres
from dbops.engine import stop
from dbops.engine.locks import await_lock
from dbops.engine.plan import Statement, Verbatim
from dbops.engine.run import Run, application_name, host_id
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
from dbops.redact import redact, register

Connection = psycopg.Connection[Any]

ENCODING = "utf8"  # whatever the role, or a database of bytes (SQL_ASCII), would speak: else text may come as bytes
_CONNECT_S, _PROBE_S = 10, 5.0
# A server that the network lost is noticed after 25 s, whether we listen or have just asked.
_KEEPALIVES = {
    "keepalives": 1,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 25_000,
}
# Set after connecting, never as startup options: a pooler refuses those it does not know.
_SESSION = {
    "TimeZone": "UTC",
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "postgres",
    "client_min_messages": "warning",
    "quote_all_identifiers": "off",  # names that the server writes are compared
    "idle_in_transaction_session_timeout": "60s",
    "idle_session_timeout": "0",  # the connection of a lock idles while its holder works
    "lock_timeout": "0",
    "client_connection_check_interval": "5s",  # a backend whose client is gone stops its statement
}


def dsn(place: Cluster | Postgres, *, target: str, dbname: str | None = None) -> str:
    """Put a connection string together, its secrets resolved."""
    told: dict[str, Any] = conninfo.conninfo_to_dict(resolve(place.dsn, target=target))
    if "password" in told:
        register(str(told["password"]))
    if place.password is not None:
        told["password"] = resolve(place.password, target=target)
    if place.tls is not None:
        told |= _tls(place.tls)
    if dbname is not None:
        told["dbname"] = dbname
    return conninfo.make_conninfo("", **{"connect_timeout": _CONNECT_S, **_KEEPALIVES, **told})


def database_name(place: Postgres, *, target: str) -> str:
    """Name the database that a postgres target's dsn leads to."""
    told = conninfo.conninfo_to_dict(resolve(place.dsn, target=target))
    return str(told.get("dbname") or told.get("user") or "postgres")


def _tls(tls: Tls) -> dict[str, str]:
    paths = {"sslrootcert": tls.root_cert, "sslcert": tls.cert, "sslkey": tls.key}
    return {"sslmode": tls.mode, **{name: str(path) for name, path in paths.items() if path is not None}}


@contextmanager
def connect(
    place: Cluster | Postgres,
    run: Run,
    *,
    target: str,
    dbname: str | None = None,
    statement_timeout: timedelta = timedelta(0),
    connect_timeout: timedelta | None = None,
) -> Generator[Connection]:
    """Open an autocommit connection that tells who we are; errors inside are told in our own words."""
    timeouts = {"connect_timeout": max(1, round(connect_timeout.total_seconds()))} if connect_timeout else {}
    with translated(target):
        string = conninfo.make_conninfo(
            dsn(place, target=target, dbname=dbname),
            application_name=application_name(run),
            client_encoding=ENCODING,
            **timeouts,
        )
        connection = psycopg.connect(string, autocommit=True)
        try:
            with stop.listening(_canceller(connection)):
                # First of all: whoever may create functions in a database must not answer in pg_catalog's place.
                connection.execute("SET search_path = pg_catalog, pg_temp")
                _refuse_a_pooler(connection, string, target)
                _settle(connection, statement_timeout)
                yield connection
        finally:
            connection.close()


def _settle(connection: Connection, statement_timeout: timedelta) -> None:
    wanted = {**_SESSION, "statement_timeout": f"{round(statement_timeout.total_seconds() * 1000)}ms"}
    if connection.info.server_version < 140000:
        del wanted["client_connection_check_interval"], wanted["idle_session_timeout"]
    if connection.info.server_version >= 170000:
        wanted["transaction_timeout"] = "0"
    setting = sql.SQL(", ").join(sql.SQL("set_config({}, {}, false)").format(*pair) for pair in wanted.items())
    connection.execute(sql.SQL("SELECT {}").format(setting))


def _canceller(connection: Connection) -> Callable[[int], None]:
    """After the grace of a first signal, cancel what is in flight; the next safe point then stops the run."""
    import threading

    def cancel() -> None:
        with suppress(psycopg.Error):  # it ended by itself, or was closed
            connection.cancel_safe(timeout=5)

    def tell(_number: int) -> None:
        timer = threading.Timer(stop.SQL_GRACE_S, cancel)
        timer.daemon = True
        timer.start()

    return tell


def _refuse_a_pooler(connection: Connection, string: str, target: str) -> None:
    """Behind transaction pooling, settings and advisory locks land in other people's sessions.

    A backend that is not the one of the handshake means a pooler. Its mode shows when a second connection sits in
    a transaction: with one backend per session, neither sees the other's and ours stays the same.
    """
    own = _backend(connection)
    if own == connection.info.backend_pid:
        return
    try:
        with psycopg.connect(string) as other, _hung_up_after(other, _PROBE_S):
            shared = _backend(other) == own or _backend(connection) != own
    except psycopg.OperationalError:
        shared = True  # a pooler that has no second session for us does not serve either
    if shared:
        raise Refused(
            "the connection goes through a pooler in transaction mode, or of one session (PgBouncer?)",
            hint="let the dsn lead straight to PostgreSQL: session settings and locks do not survive such pooling",
            target=target,
        )


@contextmanager
def _hung_up_after(connection: Connection, seconds: float) -> Generator[None]:
    """Close the line of a connection that waits in somebody's queue, where no cancel request is heard."""
    import socket
    import threading

    line = socket.socket(fileno=os.dup(connection.fileno()))

    def hang_up() -> None:
        with suppress(OSError):
            line.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(seconds, hang_up)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        line.close()


def _backend(connection: Connection) -> int:
    return int(record(connection, "SELECT pg_backend_pid() AS pid")["pid"])


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


def compose(statement: Statement) -> sql.Composed:
    """Fill names and values into a statement; quoting is psycopg's."""
    names, values = iter(statement.names), iter(statement.values)
    parts: list[sql.Composable] = []
    for part in re.split(r"(\{\}|%s|%%)", statement.text):
        match part:
            case "{}":
                parts.append(_name(next(names)))
            case "%s":
                parts.append(sql.Literal(next(values)))
            case "%%":
                parts.append(sql.SQL("%"))
            case _:
                parts.append(sql.SQL(cast("LiteralString", part)))  # the text of a Statement is a constant of ours
    return sql.Composed(parts)


def _name(name: tuple[str, ...] | Verbatim) -> sql.Composable:
    # what the server wrote is quoted already, and braces in it are its own: SQL() without format() keeps them
    return sql.SQL(cast("LiteralString", name.text)) if isinstance(name, Verbatim) else sql.Identifier(*name)


def execute(connection: Connection, statement: Statement) -> None:
    connection.execute(compose(statement))


def record(connection: Connection, query: LiteralString) -> dict[str, Any]:
    """Return the first row by column names; no row is an empty record."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query).fetchone() or {}


# How a statement ends that may queue only briefly: its transaction is undone, and it can be tried again.
NOT_GRANTED = (errors.LockNotAvailable, errors.QueryCanceled, errors.DeadlockDetected)


def milliseconds(span: timedelta) -> str:
    """Write a timeout as a setting; never 0, which would mean none."""
    return f"{max(1, round(span.total_seconds() * 1000))}ms"


_DEADLOCK_MS = "SELECT setting::int FROM pg_catalog.pg_settings WHERE name = 'deadlock_timeout'"


def below_deadlock(connection: Connection) -> timedelta:
    """Tell how long may be taken to lock several things of an application: who waits longer looks for deadlocks.

    Of two who wait for each other, the one that has waited first is cancelled; that would be the application.
    """
    row = connection.execute(_DEADLOCK_MS).fetchone()
    return timedelta(milliseconds=row[0] if row else 1000) * 0.9


def set_local_timeouts(connection: Connection, lock_timeout: timedelta) -> None:
    """Inside a transaction: how long to queue. lock_timeout counts per lock, so the statement gets the same limit."""
    wait = milliseconds(lock_timeout)
    connection.execute(
        "SELECT set_config('lock_timeout', %s, true), set_config('statement_timeout', %s, true)", (wait, wait)
    )


_HELD = """
    SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND granted AND pid = pg_backend_pid()
                      AND objsubid = 1 AND (classid::bigint << 32 | objid::bigint) = hashtextextended(%s, 0::bigint))"""

_HOLDER = """
    SELECT coalesce(a.application_name, '?'), l.pid, a.backend_start
      FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid
     WHERE l.locktype = 'advisory' AND l.granted
       AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
       AND l.objsubid = 1 AND (l.classid::bigint << 32 | l.objid::bigint) = hashtextextended(%s, 0::bigint)"""


@contextmanager
def only_run(
    place: Cluster | Postgres, run: Run, *, target: str, subject: str, dbname: str | None = None
) -> Generator[Callable[[], None]]:
    """Hold the advisory lock of (target, subject) on a connection of its own; yield the guard that re-checks it.

    An advisory lock lives in one database, so everybody locks a target in the same one: its own.
    """
    name = f"dbops:{target}:{subject}"
    with connect(place, run, target=target, dbname=dbname) as connection:
        await_lock(
            partial(_try_lock, connection, name),
            holder=partial(_holder, connection, name),
            what=f"{target} ({subject})",
            target=target,
            wait=run.lock_wait,
        )

        def guard() -> None:
            with translated(target):
                if _one(connection, _HELD, name) is not True:
                    raise LockBusy(f"the lock of {target} ({subject}) was lost", hint="run again", target=target)

        with _given_back(connection):
            yield guard


_ALL_HELD = """
    SELECT count(DISTINCT name)
      FROM unnest(%s::text[]) s (name)
      JOIN pg_locks l ON (classid::bigint << 32 | objid::bigint) = hashtextextended(name, 0::bigint)
     WHERE locktype = 'advisory' AND granted AND pid = pg_backend_pid() AND objsubid = 1"""


@contextmanager
def only_runs(
    place: Cluster | Postgres, run: Run, *, target: str, subjects: Sequence[str]
) -> Generator[tuple[dict[str, LockBusy], Callable[[], None]]]:
    """Hold the advisory locks of many subjects on one connection: those that are free; tell who holds the others."""
    busy: dict[str, LockBusy] = {}
    with connect(place, run, target=target) as connection:
        for subject in sorted(subjects):  # always in this order: two runs that wait do not wait for each other
            name = f"dbops:{target}:{subject}"
            try:
                await_lock(
                    partial(_try_lock, connection, name),
                    holder=partial(_holder, connection, name),
                    what=f"{target} ({subject})",
                    target=target,
                    wait=run.lock_wait,
                )
            except LockBusy as error:
                busy[subject] = error
        held = [f"dbops:{target}:{subject}" for subject in subjects if subject not in busy]

        def guard() -> None:
            with translated(target):
                row = connection.execute(_ALL_HELD, (held,)).fetchone()
            if row is None or row[0] != len(held):
                raise LockBusy(f"a lock of {target} was lost", hint="run again", target=target)

        with _given_back(connection):
            yield busy, guard


@contextmanager
def _given_back(connection: Connection) -> Generator[None]:
    """Give the locks back before the connection ends: its backend, and what it holds, outlives it by a moment."""
    try:
        yield
    finally:
        with suppress(psycopg.Error):  # a connection that is lost has none
            connection.execute("SELECT pg_advisory_unlock_all()")


def _try_lock(connection: Connection, name: str) -> bool:
    return _one(connection, "SELECT pg_try_advisory_lock(hashtextextended(%s, 0::bigint))", name) is True


def _one(connection: Connection, query: LiteralString, value: str) -> Any:
    row = connection.execute(query, (value,)).fetchone()
    return None if row is None else row[0]


def _holder(connection: Connection, name: str) -> str:
    row = connection.execute(_HOLDER, (name,)).fetchone()
    if row is None:
        return "it has just gone"
    application, pid, since = row
    told = _RUN_NAME.match(application)
    started = f", since {units.instant(since)}" if since is not None else ""
    if told is None:
        return f"{application!r}, backend {pid}{started}"
    return f"run {told['run']} on {told['host']}, pid {told['pid']}, since {_since(told['run'])}"


_RUN_NAME = re.compile(
    r"dbops (?P<run>(?P<stamp>\d{8}T\d{6}\.\d{3}Z)-[0-9a-f]{4}) (?P<host>.*)\.(?P<id>[0-9a-f]{6}) (?P<pid>\d+)"
)


def _since(run_id: str) -> str:
    s = run_id
    return f"{s[:4]}-{s[4:6]}-{s[6:8]}T{s[9:11]}:{s[11:13]}:{s[13:]}".rsplit("-", 1)[0]


def reap_dead_runs(connection: Connection, target: str) -> list[str]:
    """End backends whose dbops on this very host is dead (kill -9, crash); return the runs that they belonged to.

    PostgreSQL may take long to notice that a client is gone; until then its locks and its statement stay.
    """
    with translated(target):
        rows = connection.execute(
            "SELECT pid, application_name FROM pg_stat_activity"
            " WHERE application_name LIKE 'dbops %' AND pid <> pg_backend_pid()"
        ).fetchall()
        ended: list[str] = []
        for backend, application in rows:
            told = _RUN_NAME.match(application)
            if told is None or told["id"] != host_id() or _alive(int(told["pid"]), told["stamp"]):
                continue
            try:
                connection.execute("SELECT pg_terminate_backend(%s, 5000::bigint)", (backend,))
            except errors.InsufficientPrivilege:  # the administrator's: it notices by itself that its client is gone
                continue
            ended.append(told["run"])
        return ended


def _alive(pid: int, stamp: str) -> bool:
    """Tell whether the process that began the run still lives; when in doubt, it does.

    A zombie is dead. Who got the number of a dead one began after the run and is no dbops; a clock that was set
    during the run can look like the first, but not like the second.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
        words = Path(f"/proc/{pid}/cmdline").read_bytes()
        boot = next(
            int(line.split()[1])
            for line in Path("/proc/stat").read_text(encoding="ascii").splitlines()
            if line.startswith("btime")
        )
    except (FileNotFoundError, ProcessLookupError):
        return _answers(pid)
    except (OSError, ValueError, StopIteration):
        return True
    began = boot + int(fields[19]) / os.sysconf("SC_CLK_TCK")
    run_began = units.parse_instant(_since(f"{stamp}-")).timestamp()
    return fields[0] != "Z" and (began <= run_began + 2 or b"dbops" in words)  # btime is whole seconds


def _answers(pid: int) -> bool:
    """Ask the kernel where /proc hides the processes of other accounts."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return False  # ours, and /proc would have shown it: it has ended between the two looks
