"""Where definitions are kept: indexes, aliases and synonym maps, each with its etag."""

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from dbops.sandbox.emulators.search.answers import Failure

Kind = Literal["index", "alias", "synonymmap"]
# One counter for all: a definition that was deleted and made again never gets an etag that it had before.
_TABLES = (
    """CREATE TABLE IF NOT EXISTS resources (
        kind TEXT NOT NULL, name TEXT NOT NULL, version INTEGER NOT NULL, body BLOB NOT NULL,
        PRIMARY KEY (kind, name)) WITHOUT ROWID""",
    "CREATE TABLE IF NOT EXISTS versions (version INTEGER PRIMARY KEY AUTOINCREMENT)",
)


@dataclass(frozen=True, slots=True)
class Resource:
    """A definition as it was last written, and the etag of that writing."""

    name: str
    etag: str
    body: dict[str, Any]

    def told(self) -> dict[str, Any]:
        return {"@odata.etag": self.etag, **self.body}


class Catalog:
    """The definitions of one service."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        for table in _TABLES:
            connection.execute(table)

    def read(self, kind: Kind, name: str) -> Resource | None:
        row = self._connection.execute(
            "SELECT name, version, body FROM resources WHERE kind = ? AND name = ?", (kind, name)
        ).fetchone()
        return None if row is None else _resource(*row)

    def listed(self, kind: Kind) -> list[Resource]:
        rows = self._connection.execute(
            "SELECT name, version, body FROM resources WHERE kind = ? ORDER BY name", (kind,)
        )
        return [_resource(*row) for row in rows]

    def count(self, kind: Kind) -> int:
        row = self._connection.execute("SELECT count(*) FROM resources WHERE kind = ?", (kind,)).fetchone()
        return int(row[0])

    def write(self, kind: Kind, name: str, body: Mapping[str, Any]) -> Resource:
        kept = {key: value for key, value in body.items() if not key.startswith("@odata.")}
        version = self._connection.execute("INSERT INTO versions DEFAULT VALUES").lastrowid or 0
        self._connection.execute("DELETE FROM versions WHERE version < ?", (version,))
        self._connection.execute(
            "INSERT OR REPLACE INTO resources VALUES (?, ?, ?, ?)", (kind, name, version, orjson.dumps(kept))
        )
        return _resource(name, version, orjson.dumps(kept))

    def delete(self, kind: Kind, name: str) -> None:
        self._connection.execute("DELETE FROM resources WHERE kind = ? AND name = ?", (kind, name))


def _resource(name: str, version: int, body: bytes) -> Resource:
    return Resource(name, f'"0x{0x8DE000000000000 + version:016X}"', orjson.loads(body))


def check_preconditions(headers: Mapping[str, str], found: Resource | None) -> None:
    """Hold a change to the etag that its sender knows."""
    match, none_match = headers.get("if-match"), headers.get("if-none-match")
    if match is not None and (found is None or not _names(match, found)):
        raise _changed()
    if none_match is not None and found is not None and _names(none_match, found):
        raise _changed()


def _names(header: str, found: Resource) -> bool:
    return any(tag.strip() in ("*", found.etag, found.etag.strip('"')) for tag in header.split(","))


def _changed() -> Failure:
    return Failure(
        412,
        "The precondition given in one of the request headers evaluated to false. "
        "No change was made to the resource from this request.",
        code="PreconditionFailed",
    )
