"""Rows of a PostgreSQL table: copied out in a stable order, summed up, compared, and brought back.

The form is COPY's text: one line a row, whatever the values hold, the same on every version and readable without us.
Two copies are the same when the digests of their lines are; the order of rows does not count.
"""

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from psycopg import sql

from dbops.copies.digest import Digest
from dbops.engine import stop
from dbops.stores.postgres import Connection

_GATHERED = 1 << 20

# What decides how values are written. search_path is pinned already: it decides how names in regclass values look.
_FORM = """
    SELECT set_config('TimeZone', 'UTC', true), set_config('DateStyle', 'ISO, YMD', true),
           set_config('IntervalStyle', 'postgres', true), set_config('bytea_output', 'hex', true),
           set_config('extra_float_digits', '1', true), set_config('lc_monetary', 'C', true),
           set_config('xmlbinary', 'base64', true), set_config('search_path', 'pg_catalog, pg_temp', true),
           -- or policies leave rows out without a word; now they make the statement fail
           set_config('row_security', 'off', true)"""

_COLUMNS = """
    SELECT a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), a.attgenerated <> '',
           array_position(k.indkey::int2[], a.attnum)
      FROM pg_catalog.pg_attribute a
      LEFT JOIN pg_catalog.pg_index k ON k.indrelid = a.attrelid AND k.indisprimary
     WHERE a.attrelid = %s AND a.attnum > 0 AND NOT a.attisdropped
     ORDER BY a.attnum"""


@dataclass(frozen=True, slots=True)
class Column:
    """A column whose values are copied; generated ones are not, they follow from the others."""

    name: str
    type: str


@dataclass(frozen=True, slots=True)
class Shape:
    """Which table, which of its columns, in which order of rows."""

    schema: str
    table: str
    columns: tuple[Column, ...]
    key: tuple[str, ...] = ()  # the primary key; without one, rows are ordered by their text

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)


@dataclass(frozen=True, slots=True)
class Range:
    """The least and the greatest value of one column, as text; both None in an empty table."""

    low: str | None
    high: str | None


def observe(connection: Connection, oid: int, *, schema: str, table: str) -> Shape:
    """Read what a table's rows consist of."""
    found = connection.execute(_COLUMNS, (oid,)).fetchall()
    columns = tuple(Column(name, kind) for name, kind, generated, _ in found if not generated)
    keyed = sorted((at, name) for name, _, _, at in found if at is not None)
    return Shape(schema, table, columns, tuple(name for _, name in keyed))


@contextmanager
def snapshot(connection: Connection) -> Generator[None]:
    """See one moment only, in a form that is always the same, with every row or an error."""
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        connection.execute(_FORM)
        yield


@contextmanager
def formed(connection: Connection) -> Generator[None]:
    """Inside a transaction of the caller's: read and write in the same form, with every row or an error."""
    with connection.transaction():
        connection.execute(_FORM)
        yield


def export(connection: Connection, shape: Shape, write: Callable[[bytes, int], None]) -> Digest:
    """Hand every row to `write`, some at a time with their number, in a stable order. Within `snapshot`."""
    return _copied(connection, _copy_out(shape, ordered=True), write)


def digest(connection: Connection, shape: Shape) -> Digest:
    """Sum up every row. Within `snapshot` or `formed`."""
    return _copied(connection, _copy_out(shape, ordered=False), lambda _block, _count: None)


def digest_of(blocks: Iterable[bytes]) -> Digest:
    """Sum up what was exported, as it comes back."""
    total = Digest()
    for lines in _lines(blocks):
        total.update(lines)
    return total


def load(connection: Connection, shape: Shape, blocks: Iterable[bytes]) -> Digest:
    """Bring rows back into a table, within a transaction of the caller's; sum up what was sent."""
    total = Digest()
    into = sql.SQL("COPY {} ({}) FROM STDIN").format(
        sql.Identifier(shape.schema, shape.table), sql.SQL(", ").join(map(sql.Identifier, shape.names))
    )
    with connection.cursor() as cursor, cursor.copy(into) as copy:
        for lines in _lines(blocks):
            stop.check()
            copy.write(b"".join(lines))
            total.update(lines)
    return total


def range_of(connection: Connection, shape: Shape, column: str) -> Range:
    """Tell between which values the rows lie. Within `snapshot` or `formed`."""
    query = sql.SQL("SELECT min({0})::text, max({0})::text FROM {1}").format(
        sql.Identifier(column), sql.Identifier(shape.schema, shape.table)
    )
    row = connection.execute(query).fetchone()
    return Range(None, None) if row is None else Range(row[0], row[1])


def _copy_out(shape: Shape, *, ordered: bool) -> sql.Composed:
    names = sql.SQL(", ").join(sql.SQL("r.{}").format(sql.Identifier(name)) for name in shape.names)
    table = sql.Identifier(shape.schema, shape.table)
    order: sql.Composable = sql.SQL("")
    if ordered and shape.key:
        keys = sql.SQL(", ").join(sql.SQL("r.{}").format(sql.Identifier(name)) for name in shape.key)
        order = sql.SQL(" ORDER BY {}").format(keys)
    elif ordered:
        order = sql.SQL(' ORDER BY (r.*)::text COLLATE "C"')  # not every type can be compared, but each has a text
    return sql.SQL("COPY (SELECT {} FROM {} r{}) TO STDOUT").format(names, table, order)


def _copied(connection: Connection, query: sql.Composed, write: Callable[[bytes, int], None]) -> Digest:
    total = Digest()
    with connection.cursor() as cursor, cursor.copy(query) as copy:
        for lines in _lines(copy):
            total.update(lines)
            write(b"".join(lines), len(lines))
    return total


def _lines(blocks: Iterable[bytes | bytearray | memoryview]) -> Iterator[list[bytes]]:
    """Cut a stream into its lines, many at a time. COPY writes no line end inside of a value: it escapes them."""
    parts: list[bytes] = []
    held, wanted = 0, _GATHERED
    for block in blocks:
        part = bytes(block)
        parts.append(part)
        held += len(part)
        if held < wanted:
            continue
        stop.check()
        whole, newline, rest = b"".join(parts).rpartition(b"\n")
        if newline:
            yield (whole + newline).splitlines(keepends=True)
        parts, held = [rest], len(rest)
        wanted = max(_GATHERED, 2 * held)  # a line of a gigabyte is not joined anew for each megabyte of it
    if last := b"".join(parts):
        yield last.splitlines(keepends=True)
