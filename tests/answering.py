"""Servers of others on loopback: a port for them, and the moment when they answer."""

import select
import socket
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import subprocess


def free_port() -> int:
    """A port that nobody has; these servers cannot be told to choose one and say which."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def until_it_answers(port: int, child: "subprocess.Popen[bytes]", within_s: float = 60) -> None:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        assert child.poll() is None, f"the server ended with {child.returncode}"
        with socket.socket() as client:
            if client.connect_ex(("127.0.0.1", port)) == 0:
                return
            select.select([], [], [], 0.05)
    raise AssertionError(f"no server answers on port {port}")
