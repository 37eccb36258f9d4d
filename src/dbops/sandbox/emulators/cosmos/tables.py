"""Where everything is kept: one SQLite file. What was answered is in it, also when the process is killed."""

import sqlite3
from pathlib import Path
from types import TracebackType

from dbops.errors import DbopsError

_VERSION = 2
_SCHEMA = """
CREATE TABLE counter (reserved INTEGER NOT NULL);
INSERT INTO counter VALUES (1);
CREATE TABLE databases (number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, rid TEXT NOT NULL, body TEXT NOT NULL);
CREATE TABLE containers (number INTEGER PRIMARY KEY, database INTEGER NOT NULL, id TEXT NOT NULL, rid TEXT NOT NULL,
    body TEXT NOT NULL, UNIQUE (database, id));
CREATE TABLE ranges (container INTEGER NOT NULL, number INTEGER NOT NULL, low TEXT NOT NULL, high TEXT NOT NULL,
    parents TEXT NOT NULL, lives INTEGER NOT NULL, PRIMARY KEY (container, number)) WITHOUT ROWID;
CREATE TABLE offers (rid TEXT PRIMARY KEY, resource TEXT NOT NULL UNIQUE, body TEXT NOT NULL);
CREATE TABLE uniques (container INTEGER NOT NULL, value TEXT NOT NULL, seq INTEGER NOT NULL,
    PRIMARY KEY (container, value)) WITHOUT ROWID;
CREATE INDEX uniques_seq ON uniques (seq);
"""
# In the order of the writes, which is that of the change feed: each write, also of an old item, goes to the end.
_ITEMS = (
    """CREATE TABLE {items} (lsn INTEGER PRIMARY KEY, seq INTEGER NOT NULL, epk TEXT NOT NULL, pk TEXT NOT NULL,
        id TEXT NOT NULL, ts INTEGER NOT NULL, ttl INTEGER, expires INTEGER, body BLOB NOT NULL)""",
    "CREATE UNIQUE INDEX {items}_key ON {items} (epk, pk, id)",
    "CREATE INDEX {items}_expires ON {items} (expires) WHERE expires IS NOT NULL",
)
_RESERVE = 100_000
_LEFT = 1_000  # no transaction needs more numbers


class Tables:
    """The connection, and the one number that only grows: order of writes, identity of items, session tokens."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.sql = sqlite3.connect(folder / "cosmos.db", isolation_level=None, cached_statements=512)
        for pragma in (
            "locking_mode=EXCLUSIVE",
            "journal_mode=WAL",
            "synchronous=OFF",  # the promise is to outlive the process, not the machine
            "wal_autocheckpoint=4000",
            "cache_size=-65536",
            "temp_store=MEMORY",
        ):
            self.sql.execute(f"PRAGMA {pragma}")
        (version,) = self.sql.execute("PRAGMA user_version").fetchone()
        if version not in {0, _VERSION}:
            self.sql.close()
            raise DbopsError(
                f"the data in {folder} are of version {version}, this emulator keeps version {_VERSION}",
                hint="dbops sandbox down --purge, then up",
            )
        if version == 0:
            self.sql.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version={_VERSION}; COMMIT;")
        self._number: int = self.sql.execute("SELECT reserved FROM counter").fetchone()[0]
        self._reserved = self._number
        self._transaction = Transaction(self.sql)

    @property
    def last(self) -> int:
        """The number given last."""
        return self._number

    def next(self) -> int:
        """Give the next number; within a transaction, or after `reserve`."""
        self._number += 1
        return self._number

    def reserve(self) -> None:
        """See to it that numbers are never given out again: not after a rollback, not after a kill."""
        if self._number + _LEFT > self._reserved:
            self.sql.execute("UPDATE counter SET reserved = ?", (self._number + _RESERVE,))
            self._reserved = self._number + _RESERVE

    def transaction(self) -> "Transaction":
        """All or nothing."""
        self.reserve()
        return self._transaction

    def make_items(self, container: int) -> None:
        for statement in _ITEMS:
            self.sql.execute(statement.format(items=items_of(container)))

    def drop_items(self, container: int) -> None:
        self.sql.execute(f"DROP TABLE {items_of(container)}")
        for table in ("uniques", "ranges"):
            self.sql.execute(f"DELETE FROM {table} WHERE container = ?", (container,))  # noqa: S608

    def close(self) -> None:
        self.sql.close()


class Transaction:
    """Begins, and commits when all went well; there is never more than one."""

    def __init__(self, sql: sqlite3.Connection) -> None:
        self._sql = sql

    def __enter__(self) -> None:
        self._sql.execute("BEGIN")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._sql.execute("COMMIT")
        elif self._sql.in_transaction:  # a full disk ends it by itself
            self._sql.execute("ROLLBACK")


def items_of(container: int) -> str:
    """Name the table that holds the items of a container."""
    return f"items_{container}"
