"""An emulated Cosmos DB account for tests, its clients, and requests that no client would send."""

import base64
import contextlib
import hmac
import http.client
import json
import uuid
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path
from typing import Any
from urllib.parse import quote

from azure.cosmos import CosmosClient, PartitionKey

from dbops.servers import emulator
from dbops.servers.emulator import Server

KEY = base64.b64encode(b"the key of the account in tests".ljust(64, b".")).decode()
ALL = "SELECT * FROM c"


def server(home: Path, **settings: Any) -> Server:
    return Server(home, "cosmos", {"key": KEY, **settings})


@contextlib.contextmanager
def connected(live: Server, **options: Any) -> Generator[Any]:
    with CosmosClient(emulator.url(live), KEY, **options) as client:
        yield client


def fresh_container(client: Any, path: str | list[str] = "/ws", **rules: Any) -> Any:
    """Make a container in a database of its own."""
    database = client.create_database(uuid.uuid4().hex)
    kind = "Hash" if isinstance(path, str) else "MultiHash"
    return database.create_container("docs", PartitionKey(path, kind=kind), **rules)  # pyright: ignore[reportUnknownVariableType, reportCallIssue, reportArgumentType]


def filled(container: Any, count: int, keys: int = 7) -> Any:
    """Write documents i0, i1, ... with `n`, spread over so many partition keys."""
    for key in range(keys):
        documents = [{"id": f"i{n}", "ws": f"w{key}", "n": n} for n in range(key, count, keys)]
        for first in range(0, len(documents), 100):
            container.execute_item_batch([("create", (one,)) for one in documents[first : first + 100]], f"w{key}")
    return container


def everything(container: Any, query: str = ALL, **options: Any) -> list[Any]:
    return list(container.query_items(query, enable_cross_partition_query=True, **options))


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: Any


def signed_for(method: str, path: str) -> dict[str, str]:
    """Sign a request as a client does."""
    segments = [part for part in path.split("/") if part]
    of_one = len(segments) % 2 == 0
    kind = segments[-2 if of_one else -1] if segments else ""
    resource = "/".join(segments if of_one else segments[:-1])
    date = formatdate(usegmt=True)
    text = f"{method.lower()}\n{kind}\n{resource}\n{date.lower()}\n\n"
    signature = base64.b64encode(hmac.digest(base64.b64decode(KEY), text.encode(), "sha256")).decode()
    return {"x-ms-date": date, "authorization": quote(f"type=master&ver=1.0&sig={signature}", safe="")}


def ask(live: Server, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Answer:
    """Send one request as it is given, signed for the path that it names."""
    signed = signed_for(method, path)
    talk = http.client.HTTPConnection(emulator.HOST, emulator.port(live), timeout=30)
    try:
        raw = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        talk.request(method, quote(path), raw, signed | dict(headers or {}))
        answer = talk.getresponse()
        read = answer.read()
        told = {name.lower(): value for name, value in answer.getheaders()}
        return Answer(answer.status, told, json.loads(read) if read else None)
    finally:
        talk.close()
