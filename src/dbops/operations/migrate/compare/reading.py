"""The connection that rows are read through: read only, no policy hides a row unseen, a replica where there is one."""

from collections.abc import Generator
from contextlib import contextmanager
from datetime import timedelta

from psycopg import conninfo, sql

from dbops.config.load import resolve
from dbops.config.model import Config, Postgres
from dbops.engine import clock, stop
from dbops.engine.run import Run
from dbops.errors import CouldNotVerify, Refused, UsageError
from dbops.operations.migrate.life import Place
from dbops.operations.migrate.shapes.expressions import SETTINGS
from dbops.stores import databases, postgres
from dbops.stores.postgres import Connection

PRIMARY = "primary"
STATEMENT_TIMEOUT = timedelta(seconds=30)  # of one chunk: a smaller one is tried next
_POLL_S = 0.1
_SETTINGS = {
    "search_path": "public, pg_temp",  # as in revisions: shapes are written so
    "app.migration_mode": "true",
    **SETTINGS,  # as in the triggers: what differs, differs for everybody
    "row_security": "off",  # rows that a policy hides would pass unseen: rather an error
    "default_transaction_read_only": "on",
}
_IDENTIFIER = "SELECT system_identifier, pg_is_in_recovery() FROM pg_control_system()"
_BEHIND = "SELECT coalesce(pg_wal_lsn_diff(%s::pg_lsn, pg_last_wal_replay_lsn()), 0) > 0"


def servers(place: Postgres) -> tuple[str, ...]:
    """Name all servers of a target: the primary, then its replicas by their number."""
    return (PRIMARY, *(f"replica {number}" for number, _ in enumerate(place.replicas, 1)))


def where(place: Postgres, on: str | None) -> str:
    """Name the server to read: as asked for, else the first replica, else the primary."""
    names = servers(place)
    if on is None:
        return names[1] if place.replicas else PRIMARY
    wanted = "replica 1" if on == "replica" else on
    if wanted not in names:
        raise UsageError(f"--on {on!r}: the configuration has no such server", hint=f"one of: {', '.join(names)}")
    return wanted


def place_of(place: Postgres, server: str) -> Postgres:
    if server == PRIMARY:
        return place
    return place.model_copy(update={"dsn": place.replicas[int(server.split()[1]) - 1]})


@contextmanager
def administrator(config: Config, target: str, run: Run, server: str) -> Generator[Connection]:
    """Connect to any server of a target as the administrator of its cluster, who sees what all roles do."""
    if server == PRIMARY:
        with databases.administrator(config, target, run) as connection:
            yield connection
        return
    place = config.postgres[target]
    replica = conninfo.conninfo_to_dict(resolve(place_of(place, server).dsn, target=target))
    where = {name: replica[name] for name in ("host", "hostaddr", "port") if name in replica}
    cluster = config.cluster[place.cluster]
    dsn = conninfo.make_conninfo(resolve(cluster.dsn, target=target), **where)
    dbname = postgres.database_name(place, target=target)
    with postgres.connect(cluster.model_copy(update={"dsn": dsn}), run, target=target, dbname=dbname) as connection:
        yield connection


@contextmanager
def opened(
    config: Config, target: str, run: Run, server: str, here: Place, *, connect_timeout: timedelta | None = None
) -> Generator[Connection]:
    """Connect to any server of a target as its owner; a replica has to follow the primary that is known."""
    place, limit = place_of(config.postgres[target], server), STATEMENT_TIMEOUT
    opening = postgres.connect(place, run, target=target, statement_timeout=limit, connect_timeout=connect_timeout)
    with opening as connection:
        if server != PRIMARY:
            _same_cluster(connection, server, target, here)
        yield connection


@contextmanager
def reading(
    config: Config, target: str, run: Run, server: str, *, primary: Connection, here: Place, patience: timedelta
) -> Generator[tuple[Connection, str]]:
    """Open it; yield it with the position in the WAL that it has reached, which is not behind our own present."""
    row = primary.execute("SELECT pg_current_wal_lsn()::text").fetchone()
    lsn = str(row[0]) if row else "0/0"
    with opened(config, target, run, server, here) as connection:
        if server != PRIMARY:
            _await(connection, lsn, server, target, patience)
        for name, value in _SETTINGS.items():
            text = sql.SQL("SELECT set_config({}, {}, false)").format(name, value)
            connection.execute(text)
        yield connection, lsn


def _same_cluster(connection: Connection, server: str, target: str, here: Place) -> None:
    row = connection.execute(_IDENTIFIER).fetchone()
    if row is None or row[0] != here.system_identifier or not row[1]:
        raise Refused(
            f"{server} of {target} is no standby of its primary", hint=f"[postgres.{target}] replicas", target=target
        )


def _await(connection: Connection, lsn: str, server: str, target: str, patience: timedelta) -> None:
    """Let a replica come to where the primary was: what it does not know yet cannot be compared."""
    deadline = clock.monotonic() + patience.total_seconds()
    while True:
        behind = connection.execute(_BEHIND, (lsn,)).fetchone()
        if behind is not None and not behind[0]:
            return
        if clock.monotonic() > deadline:
            raise CouldNotVerify(
                f"{server} has not reached {lsn}, where the primary was",
                hint="wait until it has caught up, or read the primary: --on primary",
                target=target,
            )
        stop.pause(_POLL_S)
