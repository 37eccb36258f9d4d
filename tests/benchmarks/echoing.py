"""A server on the emulators' skeleton that only echoes: what the client and HTTP alone cost.

Started as `python tests/benchmarks/echoing.py --home FOLDER`.
"""

from pathlib import Path
from typing import Any

from dbops.sandbox.emulators.faults import Faults
from dbops.sandbox.emulators.serve import serve
from dbops.sandbox.emulators.web import Reply, Request, json_reply

# What the service sends with each write: the client's own work with it is no work of the server.
_HEADERS = (
    ("content-type", "application/json"),
    ("x-ms-request-charge", "5.33"),
    ("etag", '"00000001-0000-0700-0000-000000000000"'),
    ("x-ms-session-token", "0:0#1"),
    ("x-ms-documentdb-partitionkeyrangeid", "0"),
    ("x-ms-alt-content-path", "dbs/d/colls/c"),
)
_RANGE: dict[str, Any] = {"id": "0", "minInclusive": "", "maxExclusive": "FF", "parents": [], "status": "online"}


class Echo:
    """Says what the SDK wants to hear before it writes, and then gives each item back as it came."""

    def __init__(self) -> None:
        self.faults = Faults()

    def __call__(self, request: Request) -> Reply:
        match request.path.strip("/").split("/"):
            case [*_, "docs"]:
                return Reply(201, request.body, _HEADERS)
            case [*_, "pkranges"] if "if-none-match" in request.headers:
                return Reply(304, b"", (("etag", '"1"'),))
            case [*_, "pkranges"]:
                return json_reply(200, {"PartitionKeyRanges": [_RANGE]}, ("etag", '"1"'))
            case [*_, "colls", name]:
                key = {"paths": ["/ws"], "kind": "Hash", "version": 2}
                return json_reply(200, {"id": name, "_rid": "AAAA", "_self": "dbs/A/colls/B/", "partitionKey": key})
            case _:
                place = [{"name": "Local", "databaseAccountEndpoint": f"{request.base}/"}]
                consistency = {"defaultConsistencyLevel": "Session"}
                told = {"id": "echo", "writableLocations": place, "readableLocations": place}
                return json_reply(200, told | {"userConsistencyPolicy": consistency})

    def close(self) -> None:
        pass


def make(_folder: Path, _settings: dict[str, Any]) -> Echo:
    return Echo()


if __name__ == "__main__":
    serve(make)
