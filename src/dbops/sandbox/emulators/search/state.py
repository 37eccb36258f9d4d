"""What the emulator keeps: one SQLite file with the definitions and the documents of every index."""

import sqlite3
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from dbops.engine import clock
from dbops.sandbox.emulators.faults import Faults
from dbops.sandbox.emulators.search import query
from dbops.sandbox.emulators.search.aliases import index_of
from dbops.sandbox.emulators.search.answers import missing
from dbops.sandbox.emulators.search.catalog import Catalog, Resource
from dbops.sandbox.emulators.search.pending import FEW, SMALL, Change, Pending
from dbops.sandbox.emulators.search.shape import Document, Shape

# WAL without a sync for each commit: what is committed survives our own death, not that of the machine. Nobody else
# opens the file, so that its locks need not be taken anew for each request.
_PRAGMAS = (
    "locking_mode=EXCLUSIVE",
    "journal_mode=WAL",
    "synchronous=NORMAL",
    "cache_size=-65536",
    "wal_autocheckpoint=4000",
    "temp_store=MEMORY",
)


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
        for pragma in _PRAGMAS:
            self._connection.execute(f"PRAGMA {pragma}")
        self.catalog = Catalog(self._connection)
        self._opened: dict[str, Opened] = {}
        self._pending = Pending(folder / "pending")
        self.flush()

    def close(self) -> None:
        self.flush()
        self._pending.close()
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

    def settle(self, opened: Opened, keys: list[str]) -> None:
        """Put away what waits of these keys, so that the table knows them as they are."""
        if self._pending.has(opened.resource.name, keys):
            self.flush()

    def keep(self, opened: Opened, documents: dict[str, Document | None], *, size: int) -> None:
        """Make durable what a batch did; small batches wait for others before the tables get them."""
        visible_at = self.now() + float(self.settings.get("visible_after_s") or 0.0)
        change = Change(opened.resource.name, visible_at, documents)
        if len(documents) <= FEW and size <= SMALL:
            self._pending.add(change)
            if self._pending.many:
                self.flush()
            return
        self.flush()
        with self.transaction():
            self._put(change.index, [change])

    def flush(self) -> None:
        """Put all that waits into the tables, in the order in which it came."""
        if not self._pending:
            return
        with self.transaction():
            for name, changes in groupby(self._pending.changes, key=lambda change: change.index):
                self._put(name, list(changes))
        self._pending.clear()

    def _put(self, name: str, changes: list[Change]) -> None:
        """Put changes of one index into its table; no key is in two of them."""
        table = self.index(name).table
        for change in changes:
            if gone := [key for key, document in change.documents.items() if document is None]:
                table.delete(gone, change.visible_at)
        rows = [
            (key, document, change.visible_at)
            for change in changes
            for key, document in change.documents.items()
            if document is not None
        ]
        table.write(rows, self.now())

    def index(self, name: str) -> Opened:
        """Return the index of that name, or behind the alias of that name."""
        opened = self._opened.get(name)  # no alias has the name of an index
        if opened is None:
            name = index_of(name, self.catalog)
            opened = self._opened.get(name)
        if opened is None:
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
