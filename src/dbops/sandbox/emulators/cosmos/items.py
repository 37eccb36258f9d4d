"""One item: read, written, deleted, with its etag, its unique keys and its end."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import orjson

from dbops.sandbox.emulators.cosmos import containers
from dbops.sandbox.emulators.cosmos.answers import Refused, not_found
from dbops.sandbox.emulators.cosmos.catalogue import etag_of, seconds
from dbops.sandbox.emulators.cosmos.containers import Container
from dbops.sandbox.emulators.cosmos.keys import Key
from dbops.sandbox.emulators.cosmos.tables import Tables

LARGEST = 2 * 1024 * 1024
SYSTEM = ("_rid", "_self", "_etag", "_attachments", "_ts")
_FIND = """SELECT seq, etag, body FROM items WHERE container = ? AND epk = ? AND pk = ? AND id = ?
    AND (expires IS NULL OR expires > ?)"""
_INSERT = """INSERT INTO items (seq, container, epk, pk, id, lsn, etag, ts, ttl, expires, body)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"""
_EXPIRED = "SELECT seq FROM items WHERE container = ? AND epk = ? AND pk = ? AND id = ? AND expires <= ?"
_UPDATE = "UPDATE items SET lsn = ?, etag = ?, ts = ?, ttl = ?, expires = ?, body = ? WHERE seq = ?"


@dataclass(frozen=True, slots=True)
class Stored:
    """An item as it is kept. The body is JSON, with all that the service adds."""

    seq: int
    etag: str
    body: bytes

    def document(self) -> dict[str, Any]:
        return orjson.loads(self.body)


@dataclass(frozen=True, slots=True)
class Partition:
    """One logical partition of a container: where an item is found by its id."""

    tables: Tables
    container: Container
    key: Key


@dataclass(frozen=True, slots=True)
class Condition:
    """What a request says about the etag."""

    match: str | None = None
    none_match: str | None = None

    def must_hold(self, found: Stored) -> None:
        if self.match is not None and self.match not in {"*", found.etag}:
            raise Refused(412, "Operation cannot be performed because one of the specified precondition is not met.")

    def is_known(self, found: Stored) -> bool:
        """Tell whether a reader has this version already."""
        return self.none_match is not None and self.none_match in {"*", found.etag}


def document_of(body: Any) -> dict[str, Any]:
    """Check what a client sends as an item."""
    if not isinstance(body, dict):
        raise Refused(400, "The input content is invalid: an item is a JSON object.")
    document = cast("dict[str, Any]", body)
    containers.checked_item_id(document)
    ttl = document.get("ttl")
    if ttl is not None and (isinstance(ttl, bool) or not isinstance(ttl, int) or not (ttl == -1 or 0 < ttl < 2**31)):
        raise Refused(400, f"The input ttl '{ttl}' is invalid: -1 or a positive number of seconds.")
    return document


def find(within: Partition, name: str) -> Stored | None:
    where = (within.container.number, within.key.epk, within.key.text, name, seconds())
    row = within.tables.sql.execute(_FIND, where).fetchone()
    return None if row is None else Stored(*row)


def must_find(within: Partition, name: str) -> Stored:
    found = find(within, name)
    if found is None:
        raise not_found(f"item {name}")
    return found


def create(within: Partition, document: dict[str, Any]) -> Stored:
    stored = _insert(within, document)
    if stored is None:
        raise Refused(409, "Resource with specified id or name already exists.")
    return stored


def upsert(within: Partition, document: dict[str, Any], condition: Condition) -> tuple[Stored, bool]:
    """Write an item, whether it exists or not; tell whether it is new."""
    stored = _insert(within, document)
    if stored is not None:
        return stored, True
    found = must_find(within, document["id"])
    condition.must_hold(found)
    return overwrite(within, found, document), False


def replace(within: Partition, name: str, document: dict[str, Any], condition: Condition) -> Stored:
    found = must_find(within, name)
    condition.must_hold(found)
    if document["id"] != name:
        raise Refused(400, "Replacing an item cannot change its id.")
    return overwrite(within, found, document)


def delete(within: Partition, name: str, condition: Condition) -> Stored:
    found = must_find(within, name)
    condition.must_hold(found)
    within.tables.next()
    _remove(within.tables, within.container, found.seq)
    return found


def delete_all(within: Partition) -> None:
    where = (within.container.number, within.key.epk, within.key.text)
    chosen = "SELECT seq FROM items WHERE container = ? AND epk = ? AND pk = ?"
    for (seq,) in within.tables.sql.execute(chosen, where).fetchall():
        _remove(within.tables, within.container, seq)


def purge(tables: Tables, container: Container, limit: int) -> None:
    """Delete what expired; nobody has seen it since."""
    rows = tables.sql.execute(
        "SELECT seq FROM items WHERE container = ? AND expires <= ? LIMIT ?", (container.number, seconds(), limit)
    ).fetchall()
    if rows:
        with tables.transaction():
            for (seq,) in rows:
                _remove(tables, container, seq)


def _remove(tables: Tables, container: Container, seq: int) -> None:
    tables.sql.execute("DELETE FROM items WHERE seq = ?", (seq,))
    if container.unique:
        tables.sql.execute("DELETE FROM uniques WHERE seq = ?", (seq,))


def _insert(within: Partition, document: dict[str, Any]) -> Stored | None:
    """Write a new item; None when there is one with this id."""
    tables, container, key = within.tables, within.container, within.key
    where = (container.number, key.epk, key.text, document["id"])
    if container.ttl is not None:  # what expired may still lie at this place
        row = tables.sql.execute(_EXPIRED, (*where, seconds())).fetchone()
        if row is not None:
            _remove(tables, container, row[0])
    seq, ts = tables.next(), seconds()
    stored = _stored(container, seq, etag_of(seq, ts), ts, document)
    ttl = document.get("ttl")
    row = (seq, *where, seq, stored.etag, ts, ttl, _end_of(container, ttl, ts), stored.body)
    if tables.sql.execute(_INSERT, row).rowcount == 0:
        return None
    if container.unique:
        _claim(within, seq, document)
    return stored


def overwrite(within: Partition, found: Stored, document: dict[str, Any]) -> Stored:
    """Write a new version of an item, at the end of the change feed."""
    tables, container = within.tables, within.container
    lsn, ts = tables.next(), seconds()
    stored = _stored(container, found.seq, etag_of(lsn, ts), ts, document)
    if container.unique:
        tables.sql.execute("DELETE FROM uniques WHERE seq = ?", (found.seq,))
        _claim(within, found.seq, document)
    ttl = document.get("ttl")
    row = (lsn, stored.etag, ts, ttl, _end_of(container, ttl, ts), stored.body, found.seq)
    tables.sql.execute(_UPDATE, row)
    return stored


def _end_of(container: Container, ttl: int | None, ts: int) -> int | None:
    """Find when an item expires: its own time to live counts where the container has one at all."""
    if container.ttl is None:
        return None
    lives = container.ttl if ttl is None else ttl
    return None if lives == -1 else ts + lives


def _stored(container: Container, seq: int, etag: str, ts: int, document: dict[str, Any]) -> Stored:
    for name in SYSTEM:
        document.pop(name, None)
    rid = base64.b64encode(base64.b64decode(container.rid.replace("-", "/")) + seq.to_bytes(8, "big")).decode()
    rid = rid.replace("/", "-")
    document |= {
        "_rid": rid,
        "_self": f"{container.link}docs/{rid}/",
        "_etag": etag,
        "_attachments": "attachments/",
        "_ts": ts,
    }
    try:
        body = orjson.dumps(document)
    except TypeError as error:
        raise Refused(400, f"The input content is invalid: {error}") from error
    if len(body) > LARGEST:
        raise Refused(413, "Request size is too large")
    return Stored(seq, etag, body)


def _claim(within: Partition, seq: int, document: Mapping[str, Any]) -> None:
    """Take the values of the unique keys, which count within one logical partition."""
    tables, container = within.tables, within.container
    for number, paths in enumerate(container.unique):
        value = orjson.dumps([within.key.text, number, *(_at(document, path) for path in paths)]).decode()
        if container.ttl is not None:
            _release(within, value)
        row = tables.sql.execute(
            "INSERT INTO uniques VALUES (?, ?, ?) ON CONFLICT DO NOTHING RETURNING seq", (container.number, value, seq)
        ).fetchone()
        if row is None:
            raise Refused(409, "Unique index constraint violation.")


def _release(within: Partition, value: str) -> None:
    """Give back a value whose item expired, and is only not swept yet."""
    row = within.tables.sql.execute(
        """SELECT i.seq FROM uniques u JOIN items i ON i.seq = u.seq
           WHERE u.container = ? AND u.value = ? AND i.expires <= ?""",
        (within.container.number, value, seconds()),
    ).fetchone()
    if row is not None:
        _remove(within.tables, within.container, row[0])


def _at(document: Any, path: tuple[str, ...]) -> Any:
    """Read a value; a missing one is null, of which there can be one."""
    for name in path:
        document = cast("dict[str, Any]", document).get(name) if isinstance(document, dict) else None
    return document
