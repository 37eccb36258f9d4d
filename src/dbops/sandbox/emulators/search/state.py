"""What the emulator keeps: one SQLite file with the definitions and the documents of every index."""

import sqlite3
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dbops.engine import clock
from dbops.sandbox.emulators.faults import Faults
from dbops.sandbox.emulators.search import query
from dbops.sandbox.emulators.search.aliases import index_of
from dbops.sandbox.emulators.search.answers import missing
from dbops.sandbox.emulators.search.catalog import Catalog, Resource
from dbops.sandbox.emulators.search.shape import Shape


@dataclass(frozen=True, slots=True)
class Opened:
    """An index that is in use: its definition, its documents, and what they look like."""

    resource: Resource
    table: query.Table
    shape: Shape


class State:
    """The whole of one emulated service."""

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.settings = settings
        self.faults = Faults()
        self._connection = sqlite3.connect(folder / "search.db", isolation_level=None, cached_statements=512)
        # WAL without a sync for each commit: what is committed survives our own death, not that of the machine.
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "cache_size=-65536", "wal_autocheckpoint=4000"):
            self._connection.execute(f"PRAGMA {pragma}")
        self.catalog = Catalog(self._connection)
        self._opened: dict[str, Opened] = {}

    def close(self) -> None:
        self._opened.clear()
        self._connection.close()

    @contextmanager
    def transaction(self) -> Generator[sqlite3.Connection]:
        """Keep all of a change or nothing; what tables remember of it is forgotten with it."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield self._connection
        except BaseException:
            self._connection.rollback()
            self._opened.clear()
            raise
        self._connection.execute("COMMIT")

    def now(self) -> float:
        return clock.now().timestamp()

    @property
    def delay_s(self) -> float:
        return float(self.settings.get("visible_after_s") or 0.0)

    def index(self, name: str) -> Opened:
        """Return the index of that name, or behind the alias of that name."""
        name = index_of(name, self.catalog)
        if (opened := self._opened.get(name)) is None:
            resource = self.catalog.read("index", name)
            if resource is None:
                raise missing(f"The index '{name}'")
            opened = self.remember(resource, query.Table.open(self._connection, resource.body))
        return opened

    def remember(self, resource: Resource, table: query.Table) -> Opened:
        opened = Opened(resource, table, Shape(resource.body))
        self._opened[resource.name] = opened
        return opened

    def forget(self, name: str) -> None:
        self._opened.pop(name, None)
