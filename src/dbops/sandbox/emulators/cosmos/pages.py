"""Pages of a query, and where the next one begins: told by the token alone, so that it outlives a restart."""

import base64
import binascii
import zlib
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from dbops.sandbox.emulators.cosmos import sql
from dbops.sandbox.emulators.cosmos.answers import Refused
from dbops.sandbox.emulators.cosmos.catalogue import seconds
from dbops.sandbox.emulators.cosmos.containers import Container, Range
from dbops.sandbox.emulators.cosmos.scope import Scope
from dbops.sandbox.emulators.cosmos.tables import Tables

_LARGEST_PAGE = 4 * 1024 * 1024
_MOST_KEPT = 96 * 1024 * 1024
_BUDGET = 20_000  # documents that one page looks at; a page that found nothing says where to go on

Place = tuple[str, str, str]  # hash, partition key, id


@dataclass(frozen=True, slots=True)
class Asked:
    container: Container
    where: Scope | None  # None: everywhere, one range after the other
    query: sql.Query
    text: str
    parameters: Mapping[str, Any]
    size: int

    @property
    def mark(self) -> int:
        """A number that another query hardly has: a token belongs to its query."""
        return zlib.crc32(orjson.dumps([self.container.rid, self.text, dict(self.parameters)]))


@dataclass(frozen=True, slots=True)
class Token:
    """Where a page begins: at an item, after some of its results (-1: all); at a hash; or after so many results."""

    at: Place | None = None
    skip: int = 0
    low: str = ""
    done: int = 0


class Kept:
    """Results of queries that have to be known as a whole, until their last page was fetched."""

    def __init__(self) -> None:
        self._sets: OrderedDict[tuple[Any, ...], list[bytes]] = OrderedDict()
        self._bytes = 0

    def get(self, name: tuple[Any, ...]) -> list[bytes] | None:
        return self._sets.get(name)

    def put(self, name: tuple[Any, ...], results: list[bytes]) -> None:
        self.drop(name)
        self._sets[name] = results
        self._bytes += sum(map(len, results))
        while self._bytes > _MOST_KEPT and len(self._sets) > 1:
            self.drop(next(iter(self._sets)))

    def drop(self, name: tuple[Any, ...]) -> None:
        results = self._sets.pop(name, None)
        if results is not None:
            self._bytes -= sum(map(len, results))


def page(tables: Tables, asked: Asked, text: str | None, kept: Kept) -> tuple[list[bytes], str | None, Range]:
    """Answer one page, the token of the next, and the physical partition that it came from."""
    token = Token() if text is None else _read(text, asked)
    if asked.where is None:
        part = asked.container.range_of(token.at[0] if token.at else token.low)
        where = Scope(part.low, part.high)
    else:
        where = asked.where
        part = asked.container.range_of(where.low)
    if asked.query.needs_plan:
        parts, after = _whole_set(tables, asked, where, token, kept)
    elif asked.query.whole:
        parts, after = _raw(tables, asked, where, token)
    else:
        parts, after = _filtered(tables, asked, where, token)
    if after is None and asked.where is None and part.high != "FF" and not asked.query.constant:
        after = Token(low=part.high)
    return parts, None if after is None else _write(after, asked), part


def count(tables: Tables, asked: Asked) -> int:
    """Count items without looking into them."""
    where = asked.where or Scope("", "FF")
    condition, values = _condition(asked, where, Token())
    row = tables.sql.execute(f"SELECT count(*) FROM {asked.container.items} WHERE {condition}", values).fetchone()  # noqa: S608
    return row[0]


def _rows(
    tables: Tables, asked: Asked, where: Scope, token: Token, limit: int
) -> Iterator[tuple[str, str, str, bytes]]:
    condition, values = _condition(asked, where, token)
    for path, value in asked.query.equalities.items():
        if not isinstance(value, str):
            continue
        if path == "/id":
            condition, values = condition + " AND id = ?", [*values, value]
        else:  # bodies are written by orjson: whoever holds the value holds these bytes
            condition, values = condition + " AND instr(body, ?)", [*values, orjson.dumps(value)]
    text = f"SELECT epk, pk, id, body FROM {asked.container.items} WHERE {condition} ORDER BY epk, pk, id LIMIT ?"  # noqa: S608
    return tables.sql.execute(text, (*values, limit))


def _condition(asked: Asked, where: Scope, token: Token) -> tuple[str, list[Any]]:
    container, key = asked.container, where.key
    condition, values = "true", list[Any]()
    sign = ">" if token.skip < 0 else ">="
    if key is not None:
        condition, values = f"{condition} AND epk = ? AND pk = ?", [*values, key.epk, key.text]
        if token.at is not None:
            condition, values = f"{condition} AND id {sign} ?", [*values, token.at[2]]
    else:
        # the token of a partition that was split may end before a piece of it begins: that piece is read whole
        if token.at is not None and token.at[0] >= where.low:
            condition, values = f"{condition} AND (epk, pk, id) {sign} (?, ?, ?)", [*values, *token.at]
        else:
            condition, values = f"{condition} AND epk >= ?", [*values, where.low]
        condition, values = f"{condition} AND epk < ?", [*values, where.high]
    if container.ttl is not None:
        condition, values = f"{condition} AND (expires IS NULL OR expires > ?)", [*values, seconds()]
    return condition, values


def _raw(tables: Tables, asked: Asked, where: Scope, token: Token) -> tuple[list[bytes], Token | None]:
    """Answer documents as they are kept, without looking into them."""
    parts: list[bytes] = []
    size = 0
    at: Place | None = None
    for epk, pk, name, body in _rows(tables, asked, where, token, asked.size + 1):
        if len(parts) == asked.size or size > _LARGEST_PAGE:
            return parts, Token(at, -1)
        parts.append(body)
        size += len(body)
        at = (epk, pk, name)
    return parts, None


class _Documents:
    """Documents on their way into a query; knows which one a result came from."""

    def __init__(self, rows: Iterator[tuple[str, str, str, bytes]]) -> None:
        self._rows = rows
        self.at: Place | None = None
        self.count = 0
        self.results = 0  # of the document that is there now

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for epk, pk, name, body in self._rows:
            self.at = (epk, pk, name)
            self.count += 1
            self.results = 0
            yield orjson.loads(body)


def _filtered(tables: Tables, asked: Asked, where: Scope, token: Token) -> tuple[list[bytes], Token | None]:
    documents = _Documents(_rows(tables, asked, where, token, _BUDGET))
    parts: list[bytes] = []
    size = 0
    for result in asked.query.run(documents):
        documents.results += 1
        if documents.at == token.at and documents.results <= token.skip:
            continue
        if len(parts) == asked.size or size > _LARGEST_PAGE:
            return parts, Token(documents.at, documents.results - 1)
        parts.append(orjson.dumps(result))
        size += len(parts[-1])
    return parts, Token(documents.at, -1) if documents.count == _BUDGET else None


def _whole_set(
    tables: Tables, asked: Asked, where: Scope, token: Token, kept: Kept
) -> tuple[list[bytes], Token | None]:
    """Answer a page of results that are known only when all documents were seen."""
    name = (asked.mark, where)
    results = kept.get(name) if token.done else None
    if results is None:
        documents = _Documents(_rows(tables, asked, where, Token(), -1))
        results = [orjson.dumps(result) for result in asked.query.run(documents)]
    end = token.done
    size = 0
    while end < min(len(results), token.done + asked.size) and size <= _LARGEST_PAGE:
        size += len(results[end])
        end += 1
    parts = results[token.done : end]
    if end >= len(results):
        kept.drop(name)
        return parts, None
    kept.put(name, results)
    return parts, Token(done=end)


def _write(token: Token, asked: Asked) -> str:
    told = [asked.mark, token.at, token.skip, token.low, token.done]
    return base64.b64encode(orjson.dumps(told)).decode()


def _read(text: str, asked: Asked) -> Token:
    try:
        mark, at, skip, low, done = orjson.loads(base64.b64decode(text, validate=True))
        token = Token(None if at is None else (str(at[0]), str(at[1]), str(at[2])), int(skip), str(low), int(done))
    except (ValueError, TypeError, binascii.Error, IndexError) as error:
        raise Refused(400, f"Invalid Continuation Token: {text}") from error
    if mark != asked.mark:
        raise Refused(400, "Invalid Continuation Token: it belongs to another query.")
    return token
