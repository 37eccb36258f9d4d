"""How PostgreSQL is reached, and what a session of ours is set to."""

import os
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any

import psycopg
from psycopg import conninfo, sql

from dbops.config.fields import Tls
from dbops.config.load import resolve
from dbops.config.model import Cluster, Postgres
from dbops.engine import stop
from dbops.engine.run import Run, application_name
from dbops.errors import Refused
from dbops.redact import register
from dbops.stores.postgres.said import translated
from dbops.stores.postgres.statements import Connection, record

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
