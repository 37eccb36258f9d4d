"""One emulator of an Azure service in one folder: started, taken over, stopped.

HOME/emulator.json  written at each start; holds the key, so only the account reads it
HOME/port           the port of 127.0.0.1 that it got, and asks for again
HOME/data           what it keeps
HOME/server.log     what it says
"""

import contextlib
import http.client
import importlib.util
import json
import os
import signal
import sys
import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from dbops import process
from dbops.engine import stop as stopping
from dbops.errors import DbopsError, DependencyMissing, Unreachable
from dbops.servers import account, alive

HOST = "127.0.0.1"
_NEEDS = ("httptools", "uvloop", "numpy")


@dataclass(frozen=True, slots=True)
class Server:
    """An emulator, described. The settings are its kind's own; `key` is what its clients sign in with."""

    home: Path
    kind: Literal["cosmos", "search"]
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any], repr=False)

    @property
    def module(self) -> str:
        return f"dbops.sandbox.emulators.{self.kind}"

    @property
    def config(self) -> Path:
        return self.home / "emulator.json"

    @property
    def log(self) -> Path:
        return self.home / "server.log"


def port(server: Server) -> int | None:
    """Return the port that it got at its last start."""
    try:
        return int((server.home / "port").read_text())
    except (OSError, ValueError):
        return None


def url(server: Server) -> str:
    return f"http://{HOST}:{port(server)}"


def refuse_missing_parts() -> None:
    """Refuse before anything is made, when what the emulators are built of is not installed."""
    if missing := [name for name in _NEEDS if importlib.util.find_spec(name) is None]:
        raise DependencyMissing(
            f"the emulators need {', '.join(missing)}", hint="install them: pip install 'dbops[sandbox]'"
        )


def pid(server: Server) -> int | None:
    """Return the process that serves the folder, if one does."""

    def serves(argv: alive.Argv) -> bool:
        return argv[-3:] == (server.module, "--home", str(server.home))

    return next(iter(alive.serving(serves)), None)


def start(server: Server, *, within_s: float = 30.0) -> int:
    """Start the emulator, or take over the one that runs; return its pid once it answers."""
    deadline = time.monotonic() + within_s
    while True:
        running = pid(server)
        if launched := running is None:
            running = _launch(server)
        if _await_answer(server, running, deadline):
            return running
        if launched:
            said = server.log.read_bytes()[-4000:].decode("utf-8", "replace").strip()
            raise DbopsError(
                f"the {server.kind} emulator in {server.home} did not start:\n{said}", hint=f"its log is {server.log}"
            )


def _launch(server: Server) -> int:
    refuse_missing_parts()
    account.make_folder(server.home)
    account.make_folder(server.home / "data")
    told = {**server.settings, "account": account.name()}
    account.write_file(server.config, json.dumps(told))
    # It starts as we are and becomes the account when its code is loaded: that may lie where the account cannot look.
    argv = [sys.executable, "-P", "-m", server.module, "--home", str(server.home)]
    return process.start(argv, log=server.log, cwd=server.home / "data", env=_environment()).pid


def _environment() -> dict[str, str]:
    """Hand on where Python finds its modules, and nothing else of ours."""
    return {name: os.environ[name] for name in ("PYTHONPATH", "PYTHONUSERBASE", "HOME") if name in os.environ}


def _await_answer(server: Server, running: int, deadline: float) -> bool:
    """Wait until it answers; False when it died before."""
    while True:
        process.reap()
        if _answers(server, running):
            return True
        if not alive.is_alive(running):
            return False
        if time.monotonic() >= deadline:
            raise Unreachable(
                f"the {server.kind} emulator in {server.home} does not answer yet", hint=f"its log is {server.log}"
            )
        stopping.pause(0.02)


def _answers(server: Server, running: int) -> bool:
    """Ask whether it is ready, and whether it is this one: its port may have become somebody else's."""
    found = port(server)
    if found is None:
        return False
    talk = http.client.HTTPConnection(HOST, found, timeout=1.0)
    try:
        talk.request("GET", "/.ready")
        return talk.getresponse().read() == str(running).encode()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        talk.close()


def is_ready(server: Server) -> bool:
    """Tell whether the emulator runs and answers."""
    running = pid(server)
    return running is not None and _answers(server, running)


def stop(server: Server, *, within_s: float = 10.0) -> None:
    if (running := pid(server)) is not None:
        alive.end(running, (signal.SIGTERM, within_s), (signal.SIGKILL, 10.0))


def inject(server: Server, *rules: Mapping[str, Any]) -> None:
    """Wish for faults, in place of those before; none: it works again."""
    talk = http.client.HTTPConnection(HOST, port(server), timeout=5.0)
    try:
        headers = {"x-emulator-key": str(server.settings["key"])}
        talk.request("PUT", "/.faults", body=json.dumps(rules), headers=headers)
        answer = talk.getresponse()
        told = answer.read().decode()
        if answer.status != 200:
            raise ValueError(told)
    finally:
        talk.close()


@contextlib.contextmanager
def running(server: Server) -> Generator[Server]:
    """Start an emulator that lives as long as the block."""
    try:
        start(server)
        yield server
    finally:
        stop(server)
