"""Where everything is kept: one SQLite file. What was answered is in it, also when the process is killed."""

import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

_VERSION = 1
_SCHEMA = """
CREATE TABLE counter (reserved INTEGER NOT NULL);
INSERT INTO counter VALUES (1);
CREATE TABLE databases (number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, rid TEXT NOT NULL, body TEXT NOT NULL);
CREATE TABLE containers (number INTEGER PRIMARY KEY, database INTEGER NOT NULL, id TEXT NOT NULL, rid TEXT NOT NULL,
    body TEXT NOT NULL, UNIQUE (database, id));
CREATE TABLE ranges (container INTEGER NOT NULL, number INTEGER NOT NULL, low TEXT NOT NULL, high TEXT NOT NULL,
    parents TEXT NOT NULL, lives INTEGER NOT NULL, PRIMARY KEY (container, number)) WITHOUT ROWID;
CREATE TABLE offers (rid TEXT PRIMARY KEY, resource TEXT NOT NULL UNIQUE, body TEXT NOT NULL);
CREATE TABLE items (seq INTEGER PRIMARY KEY, container INTEGER NOT NULL, epk TEXT NOT NULL, pk TEXT NOT NULL,
    id TEXT NOT NULL, lsn INTEGER NOT NULL, etag TEXT NOT NULL, ts INTEGER NOT NULL, ttl INTEGER, expires INTEGER,
    body BLOB NOT NULL);
CREATE UNIQUE INDEX items_key ON items (container, epk, pk, id);
CREATE INDEX items_lsn ON items (container, lsn, epk);
CREATE INDEX items_expires ON items (container, expires) WHERE expires IS NOT NULL;
CREATE TABLE uniques (container INTEGER NOT NULL, value TEXT NOT NULL, seq INTEGER NOT NULL,
    PRIMARY KEY (container, value)) WITHOUT ROWID;
CREATE INDEX uniques_seq ON uniques (seq);
"""
_RESERVE = 100_000
_LEFT = 1_000  # no transaction needs more numbers


class Tables:
    """The connection, and the one number that only grows: order of writes, identity of items, session tokens."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.sql = sqlite3.connect(folder / "cosmos.db", isolation_level=None, cached_statements=256)
        for pragma in (
            "locking_mode=EXCLUSIVE",
            "journal_mode=WAL",
            "synchronous=OFF",  # the promise is to outlive the process, not the machine
            "cache_size=-65536",
            "temp_store=MEMORY",
        ):
            self.sql.execute(f"PRAGMA {pragma}")
        if self.sql.execute("PRAGMA user_version").fetchone() == (0,):
            self.sql.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version={_VERSION}; COMMIT;")
        self._number: int = self.sql.execute("SELECT reserved FROM counter").fetchone()[0]
        self._reserved = self._number

    @property
    def last(self) -> int:
        """The number given last."""
        return self._number

    def next(self) -> int:
        """Give the next number; within a transaction only."""
        self._number += 1
        return self._number

    @contextmanager
    def transaction(self) -> Generator[None]:
        """All or nothing. Numbers are reserved before it, because a rollback must not give them out again."""
        if self._number + _LEFT > self._reserved:
            self.sql.execute("UPDATE counter SET reserved = ?", (self._number + _RESERVE,))
            self._reserved = self._number + _RESERVE
        self.sql.execute("BEGIN")
        try:
            yield
        except BaseException:
            self.sql.execute("ROLLBACK")
            raise
        self.sql.execute("COMMIT")

    def close(self) -> None:
        self.sql.close()
