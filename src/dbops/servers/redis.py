"""One Redis server in one folder: started, taken over, stopped.

HOME/redis.conf  written at each start; holds the password, so only the account reads it
HOME/data        append-only file and snapshots
HOME/run         the socket, unless the path is too long for one (see sockets.py)
HOME/server.log  what the server says
"""

import contextlib
import signal
import socket
import time
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from dbops import process
from dbops.engine import stop as stopping
from dbops.errors import DbopsError, Unreachable
from dbops.servers import account, alive, sockets

SOCKET = "redis.sock"
_HINT = "install Redis 7 or newer: apt install redis-server"


@dataclass(frozen=True, slots=True)
class Server:
    """A Redis server, described. `port` also opens TCP on 127.0.0.1; `settings` come last and win."""

    home: Path
    port: int | None = None
    append_only: bool = True
    settings: tuple[tuple[str, str], ...] = ()

    @property
    def config(self) -> Path:
        return self.home / "redis.conf"

    @property
    def log(self) -> Path:
        return self.home / "server.log"


def url(server: Server, password: str | None = None) -> str:
    """Say how to connect by the socket; a password is only in it when it was given."""
    who = f":{quote(password, safe='')}@" if password else ""
    return f"unix://{who}{_socket(server)}"


def _socket(server: Server) -> Path:
    place = sockets.folder(server.home, SOCKET)
    if place is None:
        raise Unreachable(f"the Redis in {server.home} was not started yet")
    return place / SOCKET


def pid(server: Server) -> int | None:
    """Return the process that serves the folder, if one does."""

    def serves(argv: alive.Argv) -> bool:
        return Path(argv[0]).name == "redis-server" and argv[1:2] == (str(server.config),)

    return next(iter(alive.serving(serves)), None)


def _children(server: Server) -> list[int]:
    """Return who saves for the server: they have titles of their own, such as redis-rdb-bgsave."""
    return alive.working_in(server.home / "data", "redis-rdb", "redis-aof")


def _end_children(server: Server) -> None:
    """End what saves for a server that was killed: nobody waits for that file any more."""
    for child in _children(server):
        alive.end(child, (signal.SIGKILL, 10.0))


def start(server: Server, password: str, *, within_s: float = 60.0) -> int:
    """Start the server, or take over the one that runs; return its pid once it answers."""
    deadline = time.monotonic() + within_s
    while True:
        running = pid(server)
        if launched := running is None:
            running = _launch(server, password)
        if _await_answer(server, running, deadline):
            return running
        if launched:
            said = server.log.read_bytes()[-4000:].decode("utf-8", "replace").strip()
            raise DbopsError(f"Redis in {server.home} did not start:\n{said}", hint=f"its log is {server.log}")


def _launch(server: Server, password: str) -> int:
    _end_children(server)
    account.make_folder(server.home)
    data = account.make_folder(server.home / "data")
    _configure(server, password)
    argv = [process.find("redis-server", hint=_HINT), server.config]
    return process.start(argv, log=server.log, cwd=data, user=account.name()).pid


def _quoted(value: str) -> str:
    safe = "".join(c if c.isascii() and c.isprintable() and c not in '"\\' else _escaped(c) for c in value)
    return f'"{safe}"'


def _escaped(character: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in character.encode())


def _configure(server: Server, password: str) -> None:
    place = sockets.prepare(server.home, SOCKET)
    settings = {
        "bind": "127.0.0.1",
        "port": str(server.port or 0),
        "unixsocket": str(place / SOCKET),
        "unixsocketperm": "700",
        "daemonize": "no",
        "set-proc-title": "no",  # the command line is how we find it again
        "always-show-logo": "no",
        "dir": ".",
        "appendonly": "yes" if server.append_only else "no",
        "requirepass": password,
    }
    lines = [f"{name} {_quoted(value)}" for name, value in (settings | dict(server.settings)).items()]
    account.write_file(server.config, "\n".join(["# written at each start", *lines, ""]))


def _await_answer(server: Server, running: int, deadline: float) -> bool:
    """Wait until it answers; False when it died before."""
    while True:
        process.reap()
        if _answers(_socket(server)):
            return True
        if not alive.is_alive(running):
            return False
        if time.monotonic() >= deadline:
            raise Unreachable(f"the Redis in {server.home} does not answer yet", hint=f"its log is {server.log}")
        stopping.pause(0.02)


def _answers(path: Path) -> bool:
    """Ask without a password: to be asked for one is an answer, to be told that it still loads is none."""
    with socket.socket(socket.AF_UNIX) as talk, contextlib.suppress(OSError):
        talk.settimeout(1.0)
        talk.connect(str(path))
        talk.sendall(b"PING\r\n")
        return talk.recv(64).startswith((b"+PONG", b"-NOAUTH"))
    return False


def left_over(server: Server) -> bool:
    """Tell whether a server that is dead left its socket or a child behind."""
    place = sockets.folder(server.home, SOCKET)
    socket_left = place is not None and (place / SOCKET).exists()
    return pid(server) is None and (socket_left or bool(_children(server)))


def is_ready(server: Server) -> bool:
    """Tell whether the server runs and answers."""
    return pid(server) is not None and _answers(_socket(server))


def stop(server: Server, *, within_s: float = 30.0) -> None:
    """Stop the server and its children; the socket's private folder goes too."""
    if (running := pid(server)) is not None:
        alive.end(running, (signal.SIGTERM, within_s), (signal.SIGKILL, 10.0))
    _end_children(server)
    if (place := sockets.folder(server.home, SOCKET)) is not None:
        (place / SOCKET).unlink(missing_ok=True)
    sockets.remove(server.home)


@contextlib.contextmanager
def running(server: Server, password: str) -> Generator[Server]:
    """Start a server that lives as long as the block."""
    try:
        start(server, password)
        yield server
    finally:
        stop(server)
