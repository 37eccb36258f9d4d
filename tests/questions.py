"""An index of the search emulator without its server: documents go in, what a question finds comes out."""

import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Self

import orjson

from dbops.sandbox.emulators.search.query import Table, search

NOW = 1_000_000.0


def field(name: str, kind: str = "Edm.String", **attributes: Any) -> dict[str, Any]:
    return {"name": name, "type": kind, **attributes}


def vector(name: str, dimensions: int, profile: str = "cosine", **attributes: Any) -> dict[str, Any]:
    return field(
        name,
        "Collection(Edm.Single)",
        dimensions=dimensions,
        vectorSearchProfile=profile,
        searchable=True,
        **attributes,
    )


def definition(*fields: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Define an index with a key named id and others; one vector profile for each metric."""
    metrics = ("cosine", "dotProduct", "euclidean", "hamming")
    vectors = {
        "profiles": [{"name": metric, "algorithm": metric} for metric in metrics],
        "algorithms": [{"name": m, "kind": "hnsw", "hnswParameters": {"metric": m}} for m in metrics],
    }
    return {"name": "docs", "fields": [field("id", key=True), *fields], "vectorSearch": vectors, **more}


class Index:
    """One index in memory."""

    def __init__(self, table: Table) -> None:
        self.table = table

    @classmethod
    def created(cls, connection: sqlite3.Connection, defined: dict[str, Any]) -> Self:
        made = cls.opened(connection, defined)
        made.table.create()
        return made

    @classmethod
    def opened(cls, connection: sqlite3.Connection, defined: dict[str, Any]) -> Self:
        return cls(Table.open(connection, defined))

    def put(self, *documents: dict[str, Any], at: float = 0.0, now: float = NOW) -> None:
        self.table.write([(document["id"], document, at) for document in documents], now)

    def ask(self, now: float = NOW, **request: Any) -> dict[str, Any]:
        """Ask and read the answer as a client does."""
        return orjson.loads(orjson.dumps(search(self.table, request, now)))

    def rows(self, **request: Any) -> list[dict[str, Any]]:
        return self.ask(**request)["value"]

    def ids(self, **request: Any) -> list[str]:
        return [row["id"] for row in self.rows(**request)]

    def found(self, filtered: str, **request: Any) -> set[str]:
        """Give the ids that a filter leaves."""
        return set(self.ids(filter=filtered, top=1000, **request))


@contextmanager
def index(*fields: dict[str, Any], **more: Any) -> Generator[Index]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    try:
        yield Index.created(connection, definition(*fields, **more))
    finally:
        connection.close()
