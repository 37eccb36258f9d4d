"""One PostgreSQL server in one folder: made, started, taken over, stopped.

HOME/data        the cluster; it appears complete, by a rename
HOME/run         the socket, unless the path is too long for one (see sockets.py)
HOME/server.log  what the server says
"""

import contextlib
import os
import signal
import socket
import struct
import time
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

from dbops import process
from dbops.engine import stop as stopping
from dbops.errors import DbopsError, DependencyMissing, Unreachable
from dbops.servers import account, alive, sockets

SUPERUSER = "postgres"
_PORT = 5432  # without TCP it only names the socket
_HINT = "install PostgreSQL 14 or newer: apt install postgresql"
_READY = ("ready", "standby")
_OLD_CHILDREN = "shared memory block"  # "pre-existing shared memory block ... is still in use"
_TAKEOVER_S = 30.0
_SSL_REQUEST = struct.pack("!ii", 8, 80877103)


@dataclass(frozen=True, slots=True)
class Server:
    """A PostgreSQL server, described. `port` also opens TCP on 127.0.0.1; `settings` come last and win."""

    home: Path
    durable: bool = True  # False: faster, and a crash of the machine (not of the server) may lose all
    port: int | None = None
    wal_segment_mb: int = 16
    archive_command: str | None = None
    settings: tuple[tuple[str, str], ...] = ()

    @property
    def data(self) -> Path:
        return self.home / "data"

    @property
    def log(self) -> Path:
        return self.home / "server.log"

    @property
    def socket_name(self) -> str:
        return f".s.PGSQL.{self.port or _PORT}"


def conninfo(server: Server, *, user: str = SUPERUSER, dbname: str = "postgres", password: str | None = None) -> str:
    """Say how to connect; a password is only in it when it was given."""
    from psycopg.conninfo import make_conninfo  # here: who only starts a server can do without

    place = sockets.folder(server.home, server.socket_name)
    if place is None:
        raise Unreachable(f"the server in {server.home} was not started yet")
    return make_conninfo(
        host=str(place),
        port=server.port or _PORT,
        user=user,
        dbname=dbname,
        **({"password": password} if password else {}),
    )


def program(name: str, server: Server | None = None) -> Path:
    """Find a program of the server: of the version that made the folder, otherwise the newest."""
    folders = process.postgres_folders()
    if server is not None and (version := _version(server)):
        folders = (Path(f"/usr/lib/postgresql/{version}/bin"), *folders)
    return process.find(name, *folders, hint=_HINT)


def counting_statements() -> tuple[tuple[str, str], ...]:
    """Tell the settings of a server that counts its statements, where its packages bring the module for it."""
    try:
        found = program("postgres").resolve().parents[1] / "lib" / "pg_stat_statements.so"
    except DependencyMissing:  # told where the server is made
        return ()
    return (("shared_preload_libraries", "pg_stat_statements"),) if found.is_file() else ()


def _version(server: Server) -> str | None:
    try:
        return (server.data / "PG_VERSION").read_text().strip()
    except OSError:
        return None


def exists(server: Server) -> bool:
    return _version(server) is not None


def pid(server: Server) -> int | None:
    """Return the process that serves the folder, if one does."""
    data = str(server.data)

    def serves(argv: alive.Argv) -> bool:
        return (
            Path(argv[0]).name in ("postgres", "postmaster")
            and "-D" in argv
            and argv[argv.index("-D") + 1 :][:1] == (data,)
        )

    return next(iter(alive.serving(serves)), None)


# ── Making ───────────────────────────────────────────────────────────────────────────────────────


def create(server: Server, password: str) -> None:
    """Initialise the cluster, unless it is there; a killed attempt leaves only `data.new`."""
    account.make_folder(server.home)
    if exists(server):
        return
    unfinished, pwfile = server.home / "data.new", server.home / "pwfile"
    account.remove_folder(unfinished)
    account.write_file(pwfile, password + "\n")
    try:
        process.run(
            [
                *(
                    program("initdb"),
                    "-D",
                    unfinished,
                    "-U",
                    SUPERUSER,
                    f"--pwfile={pwfile}",
                    "--auth=scram-sha-256",
                ),
                *(
                    "--encoding=UTF8",
                    "--locale=C.UTF-8",
                    "--data-checksums",
                    f"--wal-segsize={server.wal_segment_mb}",
                ),
                *(() if server.durable else ("--no-sync",)),
            ],
            user=account.name(),
            cwd=server.home,
        )
    finally:
        pwfile.unlink(missing_ok=True)
    with (unfinished / "postgresql.conf").open("a", encoding="utf-8") as file:
        file.write("\ninclude_if_exists = 'dbops.conf'\n")
    unfinished.rename(server.data)
    account.sync_folder(server.home)


def quoted(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "''").replace("\n", "\\n") + "'"


def _configure(server: Server) -> None:
    place = sockets.prepare(server.home, server.socket_name)
    settings = {
        "listen_addresses": "127.0.0.1" if server.port else "",
        "port": str(server.port or _PORT),
        "unix_socket_directories": str(place),
        "timezone": "UTC",
        "log_timezone": "UTC",
        "log_line_prefix": "%m [%p] %q%u@%d ",
        "wal_level": "replica",
        "shared_buffers": "64MB",
    }
    if server.archive_command is not None:
        settings |= {
            "archive_mode": "on",
            "archive_command": server.archive_command,
            "archive_timeout": "60s",
        }
    if not server.durable:
        # synchronous_commit stays on: without it a mere kill -9 of the server loses commits.
        settings |= {"fsync": "off"}
    lines = [f"{name} = {quoted(value)}" for name, value in (settings | dict(server.settings)).items()]
    account.write_file(server.data / "dbops.conf", "\n".join(["# written at each start", *lines, ""]))


# ── Starting and stopping ────────────────────────────────────────────────────────────────────────


def start(server: Server, *, within_s: float = 60.0) -> int:
    """Start the server, or take over the one that runs; return its pid once it takes connections."""
    deadline = time.monotonic() + within_s
    patience = time.monotonic() + min(within_s, _TAKEOVER_S)
    while True:
        running = pid(server)
        said_before = server.log.stat().st_size if server.log.exists() else 0
        if launched := running is None:
            running = _launch(server)
        if _await_ready(server, running, deadline):
            return running
        if not launched:
            continue  # it was about to die when we met it
        said = _said_since(server, said_before)
        # Children of a killed server hold its memory until they notice; they need a moment.
        if _OLD_CHILDREN not in said or time.monotonic() >= patience:
            raise DbopsError(f"PostgreSQL in {server.home} did not start:\n{said}", hint=f"its log is {server.log}")
        stopping.pause(0.1)


def _launch(server: Server) -> int:
    alive.await_end(alive.working_in(server.data, "postgres"), _TAKEOVER_S)
    _forget_the_dead(server)
    _configure(server)
    argv = [program("postgres", server), "-D", server.data]
    return process.start(argv, log=server.log, cwd=server.home, user=account.name()).pid


def _forget_the_dead(server: Server) -> None:
    """Remove lock files of a dead server: PostgreSQL takes a zombie, or another one's pid, for alive."""
    lock = server.data / "postmaster.pid"
    if _status(server) is None or alive.working_in(server.data, "postgres"):
        return
    lock.unlink(missing_ok=True)
    place = sockets.folder(server.home, server.socket_name)
    if place is not None:
        (place / f"{server.socket_name}.lock").unlink(missing_ok=True)


def _status(server: Server) -> tuple[int, str] | None:
    """Read who holds the folder and how far it came: the last line of postmaster.pid."""
    try:
        lines = (server.data / "postmaster.pid").read_text(errors="replace").splitlines()
        return int(lines[0]), lines[7].strip() if len(lines) > 7 else ""
    except (OSError, ValueError, IndexError):
        return None


def _await_ready(server: Server, running: int, deadline: float) -> bool:
    """Wait until it takes connections; False when it died before."""
    while True:
        process.reap()
        status = _status(server)
        if status is not None and status[0] == running and status[1] in _READY and _answers(server):
            return True
        if not alive.is_alive(running):
            return False
        if time.monotonic() >= deadline:
            raise Unreachable(f"PostgreSQL in {server.home} takes no connections yet", hint=f"its log is {server.log}")
        stopping.pause(0.02)


def _answers(server: Server) -> bool:
    """Ask whether it speaks TLS: only a live server answers, and its pid file may be that of a dying one."""
    place = sockets.folder(server.home, server.socket_name)
    with socket.socket(socket.AF_UNIX) as talk, contextlib.suppress(OSError):
        talk.settimeout(1.0)
        talk.connect(str(place / server.socket_name if place else ""))
        talk.sendall(_SSL_REQUEST)
        return talk.recv(1) in (b"S", b"N")
    return False


def _said_since(server: Server, position: int) -> str:
    with server.log.open("rb") as file:
        file.seek(max(position, os.fstat(file.fileno()).st_size - 4000))
        return file.read().decode("utf-8", "replace").strip()


def left_over(server: Server) -> bool:
    """Tell whether a server that is dead left processes or lock files behind."""
    if pid(server) is not None:
        return False
    files = _status(server) is not None or sockets.private(server.home) is not None
    return files or bool(alive.working_in(server.data, "postgres", "pgbackrest"))


def is_ready(server: Server) -> bool:
    """Tell whether the server runs and takes connections."""
    status, running = _status(server), pid(server)
    ready = running is not None and status is not None and status[0] == running and status[1] in _READY
    return ready and _answers(server)


def stop(server: Server, *, within_s: float = 30.0) -> None:
    """Stop the server, its children and what a killed server left; the socket's private folder goes too."""
    if (running := pid(server)) is not None:
        alive.end(running, (signal.SIGINT, within_s), (signal.SIGQUIT, 10.0), (signal.SIGKILL, 10.0))
    for orphan in alive.working_in(server.data, "postgres", "pgbackrest"):
        alive.end(orphan, (signal.SIGKILL, 10.0))
    _forget_the_dead(server)
    sockets.remove(server.home)


@contextlib.contextmanager
def running(server: Server, password: str) -> Generator[Server]:
    """Make and start a server that lives as long as the block."""
    create(server, password)
    try:
        start(server)
        yield server
    finally:
        stop(server)
