"""Where the documents of one index lie in SQLite, and how they get there.

A document is a row: its body as JSON, a column for each field that queries look into, its vectors in tables of their
own, its words in FTS5. A row is one version. It is seen from `visible_at` until `gone_at`, so a replaced document is
found as it was until its successor is visible, as in the service.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any, Self

import orjson

from dbops.engine import clock
from dbops.sandbox.emulators.search.query import document as documents
from dbops.sandbox.emulators.search.query.fields import Field, Schema, read

if TYPE_CHECKING:
    from dbops.sandbox.emulators.search.query.matrix import Matrix

NEVER = 1e18
_CHUNK = 500
_FORGOTTEN_AT_ONCE = 2000  # so that no single write pays for many before it


class Table:
    """One index's documents. Keep it: it holds the vectors in memory. It neither begins nor commits transactions."""

    def __init__(self, connection: sqlite3.Connection, definition: dict[str, Any]) -> None:
        self.connection = connection
        self._take(read(definition))

    @classmethod
    def open(cls, connection: sqlite3.Connection, definition: dict[str, Any]) -> Self:
        return cls(connection, definition)

    def _take(self, schema: Schema) -> None:
        self.schema = schema
        self._name = f"docs:{schema.name}"
        self.docs = quoted(self._name)
        self.fts = quoted(f"fts:{schema.name}")
        self.docsize = quoted(f"fts:{schema.name}_docsize")  # FTS5's own: a row for each row
        self.matrices: dict[str, Matrix] = {}
        self._row = documents.reader(schema)
        self._words = documents.speller(schema)
        columns = [column(field) for field in schema.columns if not field.key]
        names = ", ".join(["n", "key", "visible_at", "gone_at", "body", *columns])
        self._insert = f"INSERT INTO {self.docs} ({names}) VALUES ({', '.join('?' * (len(columns) + 5))})"  # noqa: S608
        self._end = f"UPDATE {self.docs} SET gone_at = ? WHERE key = ? AND gone_at = {NEVER!r}"  # noqa: S608
        self._texts = schema.searchables
        marks = ", ".join("?" * (len(self._texts) + 1))
        self._index_words = f"INSERT INTO {self.fts} (rowid{self._fts_names()}) VALUES ({marks})"  # noqa: S608

    def vectors_of(self, field: Field) -> str:
        return quoted(f"vec:{self.schema.name}:{_spelled(field.path)}")

    # -- the definition

    def create(self) -> None:
        run = self.connection.execute
        run(
            f"CREATE TABLE {self.docs} (n INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL,"
            " visible_at REAL NOT NULL, gone_at REAL NOT NULL, "
            + "".join(f"{column(field)}, " for field in self.schema.columns if not field.key)
            + "body BLOB NOT NULL)"
        )
        run(f"CREATE INDEX {self._index('key')} ON {self.docs} (key)")
        run(f"CREATE INDEX {self._index('visible')} ON {self.docs} (visible_at)")
        run(f"CREATE INDEX {self._index('gone')} ON {self.docs} (gone_at) WHERE gone_at < {NEVER!r}")
        for field in self.schema.columns:
            self._create_index(field)
        for field in self.schema.vectors:
            run(f"CREATE TABLE {self.vectors_of(field)} (n INTEGER PRIMARY KEY, v BLOB NOT NULL)")
        self._create_words()
        self.matrices.clear()

    def alter(self, definition: dict[str, Any]) -> None:
        """Take a changed definition: new fields, and attributes that change nothing that is stored."""
        before, after = self.schema, read(definition)
        run = self.connection.execute
        for field in after.columns:
            if field.path not in before.by_path:
                run(f"ALTER TABLE {self.docs} ADD COLUMN {column(field)}")
        self._take(after)
        for field in after.columns:
            if field.path not in before.by_path:
                self._create_index(field)
        for field in after.vectors:
            if field.path not in before.by_path:
                run(f"CREATE TABLE {self.vectors_of(field)} (n INTEGER PRIMARY KEY, v BLOB NOT NULL)")
        if after.by_path.keys() != before.by_path.keys():
            self._rewrite()
        if [field.path for field in after.searchables] != [field.path for field in before.searchables]:
            run(f"DROP TABLE {self.fts}")
            self._create_words()
            for n, body in self._bodies():
                self._add_words(n, body)

    def drop(self) -> None:
        run = self.connection.execute
        for field in self.schema.vectors:
            run(f"DROP TABLE {self.vectors_of(field)}")
        run(f"DROP TABLE {self.fts}")
        run(f"DROP TABLE {self.docs}")
        self.matrices.clear()

    def _create_index(self, field: Field) -> None:
        if field.filterable and field.sortable and not field.repeated and not field.key:
            self.connection.execute(
                f"CREATE INDEX {self._index(_spelled(field.path))} ON {self.docs} ({column(field)})"
            )

    def _create_words(self) -> None:
        names = self._fts_names()[2:] or "f0"  # an index without texts has nothing to find, yet can be asked
        self.connection.execute(
            f"CREATE VIRTUAL TABLE {self.fts} USING fts5({names}, content='',"
            " tokenize=\"unicode61 remove_diacritics 0 tokenchars '_'\")"
        )

    def _fts_names(self) -> str:
        return "".join(f", f{place}" for place in range(len(self._texts)))

    def _index(self, what: str) -> str:
        return quoted(f"by:{self.schema.name}:{what}")

    def _bodies(self) -> Iterator[tuple[int, bytes]]:
        last = 0
        while rows := self.connection.execute(
            f"SELECT n, body FROM {self.docs} WHERE n > ? ORDER BY n LIMIT ?",  # noqa: S608
            (last, _CHUNK),
        ).fetchall():
            yield from rows
            last = rows[-1][0]

    def _rewrite(self) -> None:
        """Give old bodies the new fields, so that an answer can be made of stored bytes."""
        for n, body in self._bodies():
            row = self._row(orjson.loads(body))
            self.connection.execute(f"UPDATE {self.docs} SET body = ? WHERE n = ?", (row.body, n))  # noqa: S608

    # -- documents

    def write(self, rows: Iterable[tuple[str, dict[str, Any], float]], now: float | None = None) -> None:
        """Put complete documents, each (key, document, visible_at); a key that exists is replaced.

        Versions that nobody can see any more at `now` are forgotten on the way.
        """
        self._forget(clock.now().timestamp() if now is None else now)
        remaining = iter(rows)
        while chunk := list(islice(remaining, _CHUNK)):
            self._write(chunk)

    def _write(self, chunk: list[tuple[str, dict[str, Any], float]]) -> None:
        run = self.connection.executemany
        run(self._end, [(visible_at, key) for key, _, visible_at in chunk])
        # A key that comes twice in one chunk: the second ends the first, which is not in the table yet.
        ends = [NEVER] * len(chunk)
        seen: dict[str, int] = {}
        for place, (key, _, visible_at) in enumerate(chunk):
            if key in seen:
                ends[seen[key]] = visible_at
            seen[key] = place
        first = self._next()
        made = [(n, *one, self._row(one[1])) for n, one in enumerate(chunk, first)]
        run(
            self._insert,
            [(n, key, at, end, row.body, *row.columns) for (n, key, _, at, row), end in zip(made, ends, strict=True)],
        )
        for place, field in enumerate(self.schema.vectors):
            vectors = [(n, vector) for n, *_, row in made if (vector := row.vectors[place]) is not None]
            run(f"INSERT INTO {self.vectors_of(field)} VALUES (?, ?)", vectors)  # noqa: S608
        if self._texts:
            run(self._index_words, [(n, *row.words) for n, *_, row in made])

    def _next(self) -> int:
        found = self.connection.execute("SELECT seq FROM sqlite_sequence WHERE name = ?", (self._name,)).fetchone()
        return 1 if found is None else found[0] + 1

    def delete(self, keys: Iterable[str], at: float) -> None:
        """Let documents be gone from `at` on; keys that do not exist are no error."""
        self.connection.executemany(self._end, [(at, key) for key in keys])

    def _forget(self, until: float) -> None:
        gone = self.connection.execute(
            f"SELECT n, body FROM {self.docs} WHERE gone_at < {NEVER!r} AND gone_at <= ? LIMIT {_FORGOTTEN_AT_ONCE}",  # noqa: S608
            (until,),
        ).fetchall()
        if not gone:
            return
        rows = [(n,) for n, _ in gone]
        if self._texts:
            for n, body in gone:
                self._remove_words(n, body)
        for field in self.schema.vectors:
            self.connection.executemany(f"DELETE FROM {self.vectors_of(field)} WHERE n = ?", rows)  # noqa: S608
        for matrix in self.matrices.values():
            matrix.forgotten += len(rows)
        self.connection.executemany(f"DELETE FROM {self.docs} WHERE n = ?", rows)  # noqa: S608

    def _add_words(self, n: int, body: bytes) -> None:
        self.connection.execute(self._index_words, (n, *self._words(orjson.loads(body))))

    def _remove_words(self, n: int, body: bytes) -> None:
        # A contentless table must be told what it contained.
        marks = ", ".join("?" * (len(self._texts) + 2))
        self.connection.execute(
            f"INSERT INTO {self.fts} ({self.fts}, rowid{self._fts_names()}) VALUES ({marks})",  # noqa: S608
            ("delete", n, *self._words(orjson.loads(body))),
        )

    def get(self, key: str, now: float) -> dict[str, Any] | None:
        """Give the whole document as it is seen at `now` (infinity: the newest), with all vectors that are stored."""
        row = self.connection.execute(
            f"SELECT n, body FROM {self.docs} WHERE key = ? AND visible_at <= ? AND gone_at > ?"  # noqa: S608
            " ORDER BY n DESC LIMIT 1",
            (key, min(now, NEVER), min(now, NEVER - 1e3)),
        ).fetchone()
        if row is None:
            return None
        n, body = row
        document: dict[str, Any] = orjson.loads(body)
        for field in self.schema.vectors:
            if field.stored:
                found = self.connection.execute(f"SELECT v FROM {self.vectors_of(field)} WHERE n = ?", (n,)).fetchone()  # noqa: S608
                document[field.name] = None if found is None else documents.shown(field, found[0])
        return document

    def exists(self, keys: Iterable[str]) -> set[str]:
        """Tell which keys have a document now or soon: merges look at what was written, not at what is seen."""
        found: set[str] = set()
        for key in keys:
            if self.connection.execute(
                f"SELECT 1 FROM {self.docs} WHERE key = ? AND gone_at = {NEVER!r}",  # noqa: S608
                (key,),
            ).fetchone():
                found.add(key)
        return found

    def count(self, now: float) -> int:
        """Count what is seen at `now`: all rows but the few that are not yet or no longer seen, which indexes know."""
        (found,) = self.connection.execute(
            f"SELECT (SELECT count(*) FROM {self.docs}) - (SELECT count(*) FROM {self.docs} WHERE visible_at > ?)"  # noqa: S608
            f" - (SELECT count(*) FROM {self.docs}"
            f" WHERE gone_at < {NEVER!r} AND gone_at <= ? AND +visible_at <= ?)",
            (now, now, now),
        ).fetchone()
        return found

    def sizes(self) -> tuple[int, int, int]:
        """Give documents, bytes of storage, and bytes of vectors among them."""
        count, stored = self.connection.execute(
            f"SELECT count(*), ifnull(sum(length(body)), 0) FROM {self.docs} WHERE gone_at = {NEVER!r}"  # noqa: S608
        ).fetchone()
        vectors = 0
        for field in self.schema.vectors:
            (many,) = self.connection.execute(f"SELECT count(*) FROM {self.vectors_of(field)}").fetchone()  # noqa: S608
            vectors += many * 4 * (field.dimensions or 0)
        return count, stored + vectors, vectors

    def seen(self, now: float) -> tuple[str, list[Any]]:
        """Give the condition for rows `d` that are visible at `now`: mostly all of them are, which costs nothing."""
        newest, gone = self.connection.execute(
            f"SELECT (SELECT max(visible_at) FROM {self.docs}),"  # noqa: S608
            f" EXISTS (SELECT 1 FROM {self.docs} WHERE gone_at < {NEVER!r})"
        ).fetchone()
        if not gone and (newest is None or newest <= now):
            return "1", []
        # The plus signs keep the planner from these columns' indexes: they choose almost every row.
        return "+d.visible_at <= ? AND +d.gone_at > ?", [now, now]


def column(field: Field) -> str:
    """Name the column of a field; names of columns know no small and capital letters."""
    return "key" if field.key else quoted(f".{_spelled(field.path)}")


def _spelled(path: str) -> str:
    return "".join(f"^{letter.lower()}" if letter.isupper() else letter for letter in path)


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
