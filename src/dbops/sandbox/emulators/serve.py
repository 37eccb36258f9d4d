"""Run one emulator as a program of its own: `python -m dbops.sandbox.emulators.<kind> --home FOLDER`.

FOLDER/emulator.json  what it is told: port, key, account, and settings of its own kind
FOLDER/port           where it listens; the next start asks for the same one
FOLDER/data           what it keeps
"""

import asyncio
import fcntl
import os
import pwd
import signal
import socket
import sys
from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import uvloop

from dbops.sandbox.emulators.web import Application, Connection

Make = Callable[[Path, dict[str, Any]], Application]
HOST = "127.0.0.1"


def serve(make: Make) -> None:
    """Serve until SIGTERM. As root it opens its port, gives up its rights, and only then looks at data."""
    parser = ArgumentParser(add_help=False)
    parser.add_argument("--home", type=Path, required=True)
    home: Path = parser.parse_args().home
    settings: dict[str, Any] = orjson.loads((home / "emulator.json").read_bytes())
    held = _alone(home)
    listening = _listen(home, int(settings.get("port") or 0))
    _become(settings.get("account"))
    os.umask(0o077)
    application = make(home / "data", settings)
    try:
        uvloop.run(_run(application, listening, str(settings["key"])))
    finally:
        application.close()
        os.close(held)


def _alone(home: Path) -> int:
    """Hold the folder: two emulators over the same data would each be right, and both wrong."""
    held = os.open(home, os.O_RDONLY | os.O_DIRECTORY)  # not a file in it: each launch writes emulator.json anew
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit(f"another emulator serves {home}")
    return held


def _listen(home: Path, port: int) -> socket.socket:
    """Listen where the last start did, so that clients find it again; elsewhere when that is taken."""
    file = home / "port"
    last = int(file.read_text()) if file.exists() else 0
    for wanted in dict.fromkeys((port or last, 0)):
        listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((HOST, wanted))
        except OSError:
            listening.close()
            continue
        new = file.with_name(".port.new")
        new.write_text(str(listening.getsockname()[1]))
        new.chmod(0o644)
        new.replace(file)
        return listening
    sys.exit(f"no port of {HOST} is free")


def _become(account: str | None) -> None:
    """Give up root: all code is loaded by now, so that the account need not be able to read it."""
    if account is None or os.geteuid() != 0:
        return
    who = pwd.getpwnam(account)
    os.initgroups(who.pw_name, who.pw_gid)
    os.setgid(who.pw_gid)
    os.setuid(who.pw_uid)


async def _run(application: Application, listening: socket.socket, key: str) -> None:
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    about = str(os.getpid()).encode()
    server = await loop.create_server(lambda: Connection(application, key, about), sock=listening, backlog=512)
    await ended.wait()
    server.close()
