"""Tables of every kind are walked in batches that hold each row once."""

from collections.abc import Iterator
from typing import LiteralString

import psycopg
import pytest
from psycopg import sql

from dbops.copies import batches
from dbops.copies.bounds import Range, Table
from dbops.stores.postgres import Connection

_MANY = 2000
TABLES: dict[str, tuple[LiteralString, ...]] = {
    "a serial key": (
        "CREATE TABLE t (id int PRIMARY KEY, v text)",
        "INSERT INTO t SELECT 7 * n, n::text FROM generate_series(1, 2000) n",
    ),
    "a key of three columns": (
        "CREATE TABLE t (a int, b text, c date, v text, PRIMARY KEY (b, a, c))",
        "INSERT INTO t SELECT n % 7, 'k' || n % 90, date '2026-01-01' + n, n::text FROM generate_series(1, 2000) n",
    ),
    "a first column that is nearly always the same": (
        "CREATE TABLE t (tenant text, id int, v text, PRIMARY KEY (tenant, id))",
        "INSERT INTO t SELECT CASE n % 100 WHEN 0 THEN 'b' ELSE 'a' END, n, n::text FROM generate_series(1, 2000) n",
    ),
    "texts in an order of their own": (
        "CREATE COLLATION numbers (provider = icu, locale = 'en-u-kn-true', deterministic = true)",
        """CREATE TABLE t (k text COLLATE numbers PRIMARY KEY, v text)""",
        """INSERT INTO t SELECT CASE n % 4 WHEN 0 THEN 'Ä' || n WHEN 1 THEN 'a' || n WHEN 2 THEN '\\''"%' || n
                                  ELSE chr(7000 + n) END, n::text FROM generate_series(1, 2000) n""",
    ),
    "texts of which some are alike": (
        "CREATE COLLATION alike (provider = icu, locale = 'und-u-ks-level2', deterministic = false)",
        "CREATE TABLE t (k text COLLATE alike PRIMARY KEY, v text)",
        "INSERT INTO t SELECT CASE n % 2 WHEN 0 THEN 'x' ELSE 'X' END || n, n::text FROM generate_series(1, 2000) n",
    ),
    "uuids": (
        "CREATE TABLE t (k uuid PRIMARY KEY, v text)",
        "INSERT INTO t SELECT gen_random_uuid(), n::text FROM generate_series(1, 2000) n",
    ),
    "instants and numbers": (
        "CREATE TABLE t (k timestamptz, f float8, v text, PRIMARY KEY (k, f))",
        """INSERT INTO t SELECT timestamptz '2026-03-29 00:00+00' + n / 3 * interval '1 second', n / 3.0, n::text
                           FROM generate_series(1, 2000) n""",
    ),
    "a domain, a name that needs quotes": (
        'CREATE SCHEMA "Odd ""Place"""',
        "CREATE DOMAIN short AS varchar(9) CHECK (value <> '')",
        'CREATE TABLE "Odd ""Place"""."T 1" ("select" short PRIMARY KEY, v text)',
        'INSERT INTO "Odd ""Place"""."T 1" SELECT n::text, n::text FROM generate_series(1, 2000) n',
    ),
    "arrays of texts": (
        "CREATE TABLE t (k text[] PRIMARY KEY, v text)",
        "INSERT INTO t SELECT ARRAY['\\', n::text, '{,\"'], n::text FROM generate_series(1, 2000) n",
    ),
    "a unique index where there is no primary key": (
        "CREATE TABLE t (id int, k int NOT NULL, v text)",
        "CREATE UNIQUE INDEX ON t (id); CREATE UNIQUE INDEX ON t (k) WHERE k > 0; CREATE UNIQUE INDEX ON t (k)",
        "INSERT INTO t SELECT NULL, n, n::text FROM generate_series(1, 2000) n",
    ),
    "no key": (
        "CREATE TABLE t (id int, v text)",
        "INSERT INTO t SELECT n, n::text FROM generate_series(1, 3000) n; DELETE FROM t WHERE id % 3 = 0",
    ),
    "parts by range, with a key": (
        "CREATE TABLE t (id int, at int, v text, PRIMARY KEY (at, id)) PARTITION BY RANGE (at)",
        "CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO (5); CREATE TABLE t2 PARTITION OF t DEFAULT",
        "INSERT INTO t SELECT n, n % 20, n::text FROM generate_series(1, 2000) n",
    ),
    "parts by hash, without a key": (
        "CREATE TABLE t (id int, v text) PARTITION BY HASH (id)",
        "CREATE TABLE t1 PARTITION OF t FOR VALUES WITH (MODULUS 2, REMAINDER 0)",
        "CREATE TABLE t2 (v text, id int); ALTER TABLE t ATTACH PARTITION t2 FOR VALUES WITH (MODULUS 2, REMAINDER 1)",
        "INSERT INTO t SELECT n, n::text FROM generate_series(1, 2000) n",
    ),
}


@pytest.fixture
def connection(database: str) -> Iterator[Connection]:
    with psycopg.connect(database, autocommit=True) as connection:
        yield connection


def made(connection: Connection, statements: tuple[LiteralString, ...], *, analyzed: bool) -> Table:
    for statement in statements:
        for one in statement.split(";"):
            connection.execute(one)
    row = connection.execute(
        "SELECT oid::bigint FROM pg_class WHERE relname IN ('t', 'T 1') AND relkind IN ('r', 'p')"
    ).fetchone()
    assert row is not None
    if analyzed:
        connection.execute("ANALYZE")
    return batches.observe(connection, row[0])


def walked(connection: Connection, table: Table, part: Range, sizes: Iterator[int]) -> Iterator[list[str]]:
    """Read a part batch by batch, as a backfill goes over it."""
    low, last = part.low, False
    while not last:
        stretch = batches.next_of(connection, table, Range(low, part.high), next(sizes))
        text = f"SELECT v FROM {table.shown} AS r WHERE {stretch.range.rows(table.key)}"
        found = [value for (value,) in connection.execute(text.encode())]
        assert len(found) == stretch.rows
        yield found
        low, last = stretch.range.high, stretch.last


def sizes() -> Iterator[int]:
    while True:
        yield from (1, 3, 250, 40, 1000, 7)


@pytest.mark.parametrize("analyzed", [True, False])
@pytest.mark.parametrize("kind", TABLES)
def test_each_row_is_in_one_batch(connection: Connection, kind: str, analyzed: bool) -> None:
    table = made(connection, TABLES[kind], analyzed=analyzed)
    for jobs in (1, 4):
        parts = batches.cut(connection, table, jobs)
        found = [value for part in parts for batch in walked(connection, table, part, sizes()) for value in batch]
        assert len(found) == len(set(found)) == _MANY
        if jobs > 1 and not table.key.is_place:
            assert len(parts) > 1


def test_parts_are_about_the_same_size(connection: Connection) -> None:
    for analyzed in (True, False):
        connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        table = made(connection, TABLES["a serial key"], analyzed=analyzed)
        counts = [sum(map(len, walked(connection, table, part, sizes()))) for part in batches.cut(connection, table, 4)]
        assert len(counts) == 4
        assert all(350 < count < 650 for count in counts), counts


def test_a_key_that_orders_otherwise_than_order_by_is_no_key(connection: Connection) -> None:
    made(connection, TABLES["no key"], analyzed=False)
    connection.execute("ALTER TABLE t ALTER v SET NOT NULL, ALTER id SET NOT NULL")
    for index in ("(v text_pattern_ops)", '(v COLLATE "C")', "(id DESC)", "(id) WHERE id > 0", "((id + 1))"):
        connection.execute(sql.SQL("CREATE UNIQUE INDEX ON t {}").format(sql.SQL(index)))
    row = connection.execute("SELECT 't'::regclass::oid::bigint").fetchone()
    assert row is not None
    assert batches.observe(connection, row[0]).key.is_place
    connection.execute("CREATE UNIQUE INDEX ON t (id, v)")
    assert batches.observe(connection, row[0]).key.columns == (("id", "integer"), ("v", "text"))


def test_places_stand_where_they_stood_when_the_walk_began(connection: Connection) -> None:
    """Rows that are written meanwhile lie behind the end: a walk that writes does not chase itself."""
    table = made(connection, TABLES["no key"], analyzed=True)
    seen = 0
    for batch in walked(connection, table, table.whole, sizes()):
        seen += len(batch)
        connection.execute("UPDATE t SET v = v || '!' WHERE v = ANY(%s)", (batch,))
    assert connection.execute("SELECT count(*) FROM t WHERE v NOT LIKE '%!'").fetchone() == (0,)
    assert seen < 2 * _MANY
    connection.execute("VACUUM FULL t")
    assert batches.observe(connection, table.oid).files != table.files


def test_a_walk_by_key_uses_its_index(connection: Connection) -> None:
    table = made(connection, TABLES["a key of three columns"], analyzed=True)
    first = batches.next_of(connection, table, table.whole, 100).range
    after = batches.next_of(connection, table, Range(first.high), 100).range
    connection.execute("SET enable_seqscan = off; SET enable_sort = off")
    rows = connection.execute(f"EXPLAIN SELECT FROM t AS r WHERE {after.rows(table.key)}".encode()).fetchall()
    plan = "\n".join(line for (line,) in rows)
    assert "Index Cond: ((ROW(b, a, c) > ROW('k" in plan
    assert "Filter" not in plan
