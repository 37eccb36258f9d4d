"""moto's S3, for the vault's tests."""

import http.client
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dbops import process
from dbops.servers import alive

from answering import free_port, until_it_answers


@dataclass(frozen=True)
class Moto:
    port: int
    pid: int

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def create(self, bucket: str) -> None:
        assert self.ask("PUT", f"/{bucket}")[0] == 200

    def ask(self, method: str, path: str) -> tuple[int, bytes]:
        """Ask S3 as nobody: moto lets everybody in."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request(method, path, headers={"Authorization": "AWS4-HMAC-SHA256 Credential=x/1/us-east-1/s3/r"})
        answer = connection.getresponse()
        told = answer.status, answer.read()
        connection.close()
        return told


@contextmanager
def running(folder: Path) -> Generator[Moto]:
    folder.mkdir(mode=0o700)
    port = free_port()
    program = Path(sys.executable).with_name("moto_server")
    child = process.start([program, "--host", "127.0.0.1", "--port", str(port)], log=folder / "log")
    try:
        until_it_answers(port, child)
        yield Moto(port, child.pid)
    finally:
        alive.end(child.pid)
        child.wait(10)
