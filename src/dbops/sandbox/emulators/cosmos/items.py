"""One item: read, written, deleted, with its etag, its unique keys and its end."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

import orjson

from dbops.sandbox.emulators.cosmos import containers, shapes
from dbops.sandbox.emulators.cosmos.answers import Refused, not_found
from dbops.sandbox.emulators.cosmos.catalogue import etag_of, seconds
from dbops.sandbox.emulators.cosmos.containers import Container
from dbops.sandbox.emulators.cosmos.keys import Key
from dbops.sandbox.emulators.cosmos.tables import Tables

LARGEST = 2 * 1024 * 1024
SYSTEM = ("_rid", "_self", "_etag", "_attachments", "_ts")
_FIND = "SELECT lsn, seq, ts, body FROM {} WHERE epk = ? AND pk = ? AND id = ? AND (expires IS NULL OR expires > ?)"
_INSERT = """INSERT INTO {} (lsn, seq, epk, pk, id, ts, ttl, expires, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT DO NOTHING"""
_UPDATE = "UPDATE {} SET lsn = ?, ts = ?, ttl = ?, expires = ?, body = ? WHERE lsn = ?"
_DELETE = "DELETE FROM {} WHERE lsn = ?"
_EXPIRED = "SELECT lsn, seq FROM {} WHERE epk = ? AND pk = ? AND id = ? AND expires <= ?"


@cache
def _text(statement: str, table: str) -> str:
    """Write a statement for one container, once: SQLite knows it again by its text."""
    return statement.format(table)


@dataclass(frozen=True, slots=True)
class Stored:
    """An item as it is kept. The body is JSON, with all that the service adds."""

    lsn: int
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
    document = shapes.an_object(body, "an item")
    containers.checked_item_id(document)
    ttl = document.get("ttl")
    if ttl is not None and (isinstance(ttl, bool) or not isinstance(ttl, int) or not (ttl == -1 or 0 < ttl < 2**31)):
        raise Refused(400, f"The input ttl '{ttl}' is invalid: -1 or a positive number of seconds.")
    return document


def find(within: Partition, name: str) -> Stored | None:
    where = (within.key.epk, within.key.text, name, seconds())
    row = within.tables.sql.execute(_text(_FIND, within.container.items), where).fetchone()
    if row is None:
        return None
    lsn, seq, ts, body = row
    return Stored(lsn, seq, etag_of(lsn, ts), body)


def must_find(within: Partition, name: str) -> Stored:
    found = find(within, name)
    if found is None:
        raise not_found(f"item {name}")
    return found


def is_one_statement(container: Container) -> bool:
    """Tell whether to create an item is one statement, which needs no transaction around it."""
    return not container.unique and container.ttl is None


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
    _remove(within.tables, within.container, found.lsn, found.seq)
    return found


def delete_all(within: Partition) -> None:
    chosen = f"SELECT lsn, seq FROM {within.container.items} WHERE epk = ? AND pk = ?"  # noqa: S608
    for lsn, seq in within.tables.sql.execute(chosen, (within.key.epk, within.key.text)).fetchall():
        _remove(within.tables, within.container, lsn, seq)


def purge(tables: Tables, container: Container, limit: int) -> None:
    """Delete what expired; nobody has seen it since."""
    chosen = f"SELECT lsn, seq FROM {container.items} WHERE expires <= ? LIMIT ?"  # noqa: S608
    rows = tables.sql.execute(chosen, (seconds(), limit)).fetchall()
    if rows:
        with tables.transaction():
            for lsn, seq in rows:
                _remove(tables, container, lsn, seq)


def _remove(tables: Tables, container: Container, lsn: int, seq: int) -> None:
    tables.sql.execute(_text(_DELETE, container.items), (lsn,))
    if container.unique:
        tables.sql.execute("DELETE FROM uniques WHERE seq = ?", (seq,))


def _insert(within: Partition, document: dict[str, Any]) -> Stored | None:
    """Write a new item; None when there is one with this id."""
    tables, container, key = within.tables, within.container, within.key
    where = (key.epk, key.text, document["id"])
    ts = seconds()
    if container.ttl is not None:  # what expired may still lie at this place
        row = tables.sql.execute(_text(_EXPIRED, container.items), (*where, ts)).fetchone()
        if row is not None:
            _remove(tables, container, *row)
    lsn = tables.next()
    stored = _stored(container, lsn, lsn, ts, document)
    ttl = document.get("ttl")
    row = (lsn, lsn, *where, ts, ttl, _end_of(container, ttl, ts), stored.body)
    if tables.sql.execute(_text(_INSERT, container.items), row).rowcount == 0:
        return None
    if container.unique:
        _claim(within, lsn, document)
    return stored


def overwrite(within: Partition, found: Stored, document: dict[str, Any]) -> Stored:
    """Write a new version of an item, at the end of the change feed."""
    tables, container = within.tables, within.container
    lsn, ts = tables.next(), seconds()
    stored = _stored(container, lsn, found.seq, ts, document)
    if container.unique:
        tables.sql.execute("DELETE FROM uniques WHERE seq = ?", (found.seq,))
        _claim(within, found.seq, document)
    ttl = document.get("ttl")
    row = (lsn, ts, ttl, _end_of(container, ttl, ts), stored.body, found.lsn)
    tables.sql.execute(_text(_UPDATE, container.items), row)
    return stored


def _end_of(container: Container, ttl: int | None, ts: int) -> int | None:
    """Find when an item expires: its own time to live counts where the container has one at all."""
    if container.ttl is None:
        return None
    lives = container.ttl if ttl is None else ttl
    return None if lives == -1 else ts + lives


def _stored(container: Container, lsn: int, seq: int, ts: int, document: dict[str, Any]) -> Stored:
    for name in SYSTEM:
        document.pop(name, None)
    rid = base64.b64encode(container.rid_bytes + seq.to_bytes(8, "big")).decode().replace("/", "-")
    etag = etag_of(lsn, ts)
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
    return Stored(lsn, seq, etag, body)


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
        f"""SELECT i.lsn, i.seq FROM uniques u JOIN {within.container.items} i ON i.seq = u.seq
           WHERE u.container = ? AND u.value = ? AND i.expires <= ?""",  # noqa: S608
        (within.container.number, value, seconds()),
    ).fetchone()
    if row is not None:
        _remove(within.tables, within.container, *row)


def _at(document: Any, path: tuple[str, ...]) -> Any:
    """Read a value; a missing one is null, of which there can be one."""
    for name in path:
        document = cast("dict[str, Any]", document).get(name) if isinstance(document, dict) else None
    return document
