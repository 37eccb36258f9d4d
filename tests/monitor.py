"""A monitor on loopback that speaks the Healthchecks protocol: it remembers its pings, and answers as it is told to."""

import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

SECRET = "6b9f4c1e-5a3d-4d2f-8a6e-0f1e2d3c4b5a"


@dataclass(frozen=True)
class Ping:
    """What arrived: `action` is what stands behind the check's own path."""

    action: str
    rid: str
    body: str
    headers: dict[str, str]


@dataclass
class Monitor:
    """Answers with the next of `answers`, then with 200; 0 hangs up, -1 does not answer before the test is over."""

    port: int
    pings: list[Ping] = field(default_factory=list[Ping])
    answers: list[int] = field(default_factory=list[int])
    text: str = "OK"
    over: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/{SECRET}"

    @property
    def env(self) -> dict[str, str]:
        return {"HC": self.url}

    @property
    def actions(self) -> list[str]:
        return [ping.action for ping in self.pings]


def _answering(monitor: Monitor) -> type[BaseHTTPRequestHandler]:
    class Answering(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            rid = parse_qs(parts.query)["rid"][0]
            action = parts.path.removeprefix(f"/{SECRET}").removeprefix("/")
            monitor.pings.append(Ping(action, rid, body, {k.lower(): v for k, v in self.headers.items()}))
            match monitor.answers.pop(0) if monitor.answers else 200:
                case 0:
                    self.close_connection = True
                case -1:
                    monitor.over.wait()
                case status:
                    self.send_response(status)
                    if status in {301, 302, 303, 307, 308}:
                        self.send_header("Location", "/elsewhere")
                    self.end_headers()
                    self.wfile.write(monitor.text.encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # its name is the library's
            """Stay silent."""

    return Answering


@contextmanager
def monitor(answers: Sequence[int] = ()) -> Generator[Monitor]:
    """Listen on a port of loopback."""
    told = Monitor(0, answers=[*answers])
    with ThreadingHTTPServer(("127.0.0.1", 0), _answering(told)) as server:
        server.daemon_threads = True
        told.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield told
        finally:
            told.over.set()
            server.shutdown()
            thread.join()
