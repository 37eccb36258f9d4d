"""Rows of real tables: exported, compared and brought back, whatever they hold."""

from collections.abc import Generator

import psycopg
import pytest

from dbops.copies import rows

_ALL_KINDS = """
    CREATE TYPE mood AS ENUM ('good', 'bad');
    CREATE TABLE things (
        id int PRIMARY KEY, at timestamptz, on_day date, span interval, price numeric, ratio float8, raw bytea,
        told text, doc jsonb, tags text[], way mood, during tstzrange, ip inet, one_bit bit varying, nothing text,
        twice int GENERATED ALWAYS AS (id * 2) STORED, "odd ""name" text);
    INSERT INTO things VALUES
        (2, '2026-01-31 23:30+05', '2024-02-29', '1 mon -2 days 03:04:05.6', 1.10, 0.1::float8 + 0.2, '\\x00ff0a0d5c',
         E'tab\\tline\\nreturn\\rback\\\\slash \\\\N', '{"a": [1, "ü"]}', ARRAY['a,b', NULL, '"'], 'bad',
         '[2026-01-01,2026-02-01)', '10.0.0.1/8', B'101', NULL, DEFAULT, ''),
        (1, 'infinity', '0044-03-15 BC', '-1 year', 'NaN', '-Infinity', '', '\\N', 'null', '{}', 'good', 'empty', '::1',
         B'', 'x', DEFAULT, 'naïve')"""


@pytest.fixture
def connection(database: str) -> Generator[psycopg.Connection]:
    with psycopg.connect(database, autocommit=True) as connection:
        yield connection


def shape(connection: psycopg.Connection, table: str) -> rows.Shape:
    row = connection.execute("SELECT %s::regclass::oid", (f"public.{table}",)).fetchone()
    assert row is not None
    return rows.observe(connection, row[0], schema="public", table=table)


def exported(connection: psycopg.Connection, table: str) -> tuple[bytes, str]:
    blocks: list[bytes] = []
    with rows.snapshot(connection):
        total = rows.export(connection, shape(connection, table), lambda block, _count: blocks.append(block))
    return b"".join(blocks), str(total)


def test_rows_of_every_kind_come_back_as_they_were(connection: psycopg.Connection) -> None:
    connection.execute(_ALL_KINDS)
    data, digest = exported(connection, "things")
    connection.execute("CREATE TABLE again (LIKE things INCLUDING ALL)")
    with connection.transaction(), rows.formed(connection):
        assert str(rows.load(connection, shape(connection, "again"), [data])) == digest
    different = connection.execute(
        "(TABLE things EXCEPT ALL TABLE again) UNION ALL (TABLE again EXCEPT ALL TABLE things)"
    )
    assert different.fetchall() == []
    assert exported(connection, "again") == (data, digest)


def test_the_form_does_not_depend_on_the_session(connection: psycopg.Connection) -> None:
    connection.execute(_ALL_KINDS)
    before = exported(connection, "things")
    connection.execute(
        "SET TimeZone = 'Asia/Kathmandu'; SET DateStyle = 'German'; SET IntervalStyle = 'iso_8601';"
        "SET bytea_output = 'escape'; SET extra_float_digits = -5; SET search_path = public"
    )
    assert exported(connection, "things") == before


def test_the_order_is_that_of_the_key(connection: psycopg.Connection) -> None:
    connection.execute("CREATE TABLE t (b int, a int, PRIMARY KEY (a, b)); INSERT INTO t VALUES (1, 2), (9, 1), (3, 1)")
    assert exported(connection, "t")[0] == b"3\t1\n9\t1\n1\t2\n"


def test_without_a_key_the_order_is_stable_all_the_same(connection: psycopg.Connection) -> None:
    connection.execute("CREATE TABLE t (r json); INSERT INTO t VALUES ('[2]'), ('[1]'), ('[1]')")
    before = exported(connection, "t")
    connection.execute("DELETE FROM t; INSERT INTO t VALUES ('[1]'), ('[2]'), ('[1]')")
    assert exported(connection, "t") == before == (b"[1]\n[1]\n[2]\n", before[1])


def test_rows_that_policies_hide_are_an_error_and_not_an_empty_copy(connection: psycopg.Connection) -> None:
    connection.execute(
        "CREATE TABLE t (a int PRIMARY KEY); INSERT INTO t VALUES (1); ALTER TABLE t ENABLE ROW LEVEL SECURITY;"
        "ALTER TABLE t FORCE ROW LEVEL SECURITY; DROP ROLE IF EXISTS bound_by_policies;"
        "CREATE ROLE bound_by_policies; GRANT SELECT ON t TO bound_by_policies; SET ROLE bound_by_policies"
    )
    try:
        assert connection.execute("TABLE t").fetchall() == []
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="row-level security"):
            exported(connection, "t")
    finally:
        connection.execute("RESET ROLE; DROP OWNED BY bound_by_policies; DROP ROLE bound_by_policies")


def test_a_changed_a_missing_and_a_doubled_row_are_seen(connection: psycopg.Connection) -> None:
    connection.execute("CREATE TABLE t (a int, b text); INSERT INTO t VALUES (1, 'x'), (2, 'y')")
    before = exported(connection, "t")[1]
    seen = {before}
    for change in (
        "UPDATE t SET b = 'z' WHERE a = 1",
        "DELETE FROM t WHERE a = 1",
        "INSERT INTO t VALUES (2, 'y')",
        "UPDATE t SET b = NULL",
        "UPDATE t SET b = ''",
    ):
        connection.execute(change)
        seen.add(exported(connection, "t")[1])
    assert len(seen) == 6


def test_the_range_is_that_of_the_rows(connection: psycopg.Connection) -> None:
    connection.execute("CREATE TABLE t (at timestamptz); INSERT INTO t VALUES ('2026-01-31 23:30-05'), ('2026-01-02Z')")
    with rows.snapshot(connection):
        assert rows.range_of(connection, shape(connection, "t"), "at") == rows.Range(
            "2026-01-02 00:00:00+00", "2026-02-01 04:30:00+00"
        )
