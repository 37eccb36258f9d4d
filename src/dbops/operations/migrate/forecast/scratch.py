"""A PostgreSQL server for the length of a command, in a temporary folder; nothing in it outlives the command."""

import os
import secrets
import tempfile
import threading
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from dbops.servers import account, alive
from dbops.servers import postgres as servers
from dbops.stores.postgres import translated

SERVER = "server"  # its folder within the temporary one
_PREFIX = "dbops-lint-"
# Nothing of it is kept: what makes writing safe or is done at leisure only costs time.
_SETTINGS = (("full_page_writes", "off"), ("autovacuum", "off"), ("synchronous_commit", "off"))


@contextmanager
def running() -> Generator[Callable[[str], str]]:
    """Start it, and yield what makes a database there: by its name to its dsn."""
    with folder() as place:
        server = servers.Server(place / SERVER, durable=False, wal_segment_mb=1, settings=_SETTINGS)
        password = secrets.token_urlsafe(24)
        with servers.running(server, password):
            yield lambda name: _create(servers.conninfo(server, password=password), name)


@contextmanager
def folder() -> Generator[Path]:
    """Make a temporary folder for a server in SERVER, after removing those of runs that were killed."""
    _end_those_of_the_dead()
    place = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-")).resolve()
    try:
        place.chmod(0o711)  # the account of the server has to get in
        account.refuse_closed(place / SERVER)
        yield place
    finally:
        account.remove_folder(place)


@contextmanager
def when_needed() -> Generator[Callable[[str], str]]:
    """Yield what makes a database, and starts the server for the first one."""
    with ExitStack() as stack:
        made: list[Callable[[str], str]] = []
        one_at_a_time = threading.Lock()

        def create(name: str) -> str:
            with one_at_a_time:
                if not made:
                    made.append(stack.enter_context(running()))
            return made[0](name)

        yield create


def _create(dsn: str, name: str) -> str:
    with translated(name), psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    return make_conninfo(dsn, dbname=name)


def _end_those_of_the_dead() -> None:
    """End the servers of runs that were killed: nobody else would."""
    for place in Path(tempfile.gettempdir()).resolve().glob(f"{_PREFIX}*-*"):
        pid = place.name.removeprefix(_PREFIX).partition("-")[0]
        ours = place.is_dir() and not place.is_symlink() and place.stat().st_uid == os.geteuid()
        if ours and pid.isdecimal() and not alive.is_alive(int(pid)):
            servers.stop(servers.Server(place / SERVER))
            account.remove_folder(place)
