"""A monitor on loopback that speaks the Healthchecks protocol: it remembers its pings, and answers as it is told to."""

import ssl
import tempfile
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import cast
from urllib.parse import parse_qs, urlsplit

SECRET = "6b9f4c1e-5a3d-4d2f-8a6e-0f1e2d3c4b5a"
HANG_UP, HANG, DRIP = 0, -1, -2  # instead of an HTTP status


@dataclass(frozen=True)
class Ping:
    """What arrived: `action` is what stands behind the check's own path."""

    action: str
    query: dict[str, list[str]]
    body: str
    headers: dict[str, str]

    @property
    def rid(self) -> str:
        return self.query["rid"][0]


@dataclass
class Monitor:
    """Answers with the next of `answers`, then with 200. `seen` is a file that is there once a ping was answered."""

    url: str
    port: int
    seen: Path
    pings: list[Ping] = field(default_factory=list[Ping])
    answers: list[int] = field(default_factory=list[int])
    text: str = "OK"
    on_ping: Callable[[], None] = lambda: None
    over: threading.Event = field(default_factory=threading.Event)
    changed: threading.Condition = field(default_factory=threading.Condition)

    @property
    def env(self) -> dict[str, str]:
        return {"HC": self.url}

    @property
    def actions(self) -> list[str]:
        return [ping.action for ping in self.pings]

    def wait_for(self, count: int) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.pings) >= count, timeout=30), self.actions

    def arrived(self, ping: Ping) -> int:
        with self.changed:
            self.pings.append(ping)
            self.changed.notify_all()
            self.on_ping()
            return self.answers.pop(0) if self.answers else 200


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    told: Monitor

    def handle_error(self, request: object, client_address: object) -> None:
        """Stay silent: a client that refuses our certificate, or is killed, is what a test wants."""


class _Answering(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        told = cast("_Server", self.server).told
        parts = urlsplit(self.path)
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        action = parts.path.removeprefix(f"/{SECRET}").removeprefix("/")
        headers = {name.lower(): value for name, value in self.headers.items()}
        match told.arrived(Ping(action, parse_qs(parts.query), body, headers)):
            case code if code == HANG_UP:
                self.close_connection = True
            case code if code == HANG:
                told.over.wait()
            case code if code == DRIP:
                self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
                while not told.over.wait(0.02):
                    self.wfile.write(b"x")
            case status:
                self.send_response(status)
                if 300 <= status < 400:
                    self.send_header("Location", "/elsewhere")
                self.end_headers()
                self.wfile.write(told.text.encode())
                self.wfile.flush()
                told.seen.touch()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # its name is the library's
        """Stay silent."""


@contextmanager
def monitor(certificate: tuple[Path, Path] | None = None) -> Generator[Monitor]:
    """Listen on a port of loopback, with TLS where a certificate and its key are given."""
    with tempfile.TemporaryDirectory() as folder, _Server(("127.0.0.1", 0), _Answering) as server:
        port = server.server_port
        scheme = "http" if certificate is None else "https"
        told = server.told = Monitor(f"{scheme}://127.0.0.1:{port}/{SECRET}", port, Path(folder, "seen"))
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield told
        finally:
            told.over.set()
            server.shutdown()
            thread.join()
