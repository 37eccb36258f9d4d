"""Tables filled by COPY on a real server: every value as it was, all or nothing, and known by its marker."""

import threading
from collections.abc import Generator
from datetime import UTC, date, datetime
from functools import partial
from itertools import repeat
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dbops.engine import run as running
from dbops.errors import DbopsError, Refused
from dbops.sandbox.seed import copy, markers
from dbops.sandbox.seed.lines import Table, line, table
from dbops.stores import ledger

SEED = "small until 2026-11-01"
ONE = running.new("tests", Path("/nowhere"))


@pytest.fixture
def connection(database: str) -> Generator[psycopg.Connection[Any]]:
    """A database with a ledger."""
    with psycopg.connect(database, autocommit=True) as connection:
        ledger.apply(connection, ledger.install(None), target="t")
        yield connection


def numbers(count: int) -> Table:
    return table("numbers", "n", count, lambda: ((n,) for n in range(count)))


def fill(connection: psycopg.Connection[Any], one: Table) -> None:
    copy.fill(connection, one, ONE, target="t", seed=SEED)


def counted(connection: psycopg.Connection[Any], name: str = "numbers") -> Any:
    row = connection.execute(f"SELECT count(*) FROM {name}".encode()).fetchone()
    return row and row[0]


texts = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=40)


@given(st.lists(st.tuples(texts, st.lists(texts, max_size=3), st.none() | texts), max_size=5))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
def test_every_value_comes_back_as_it_was(connection: psycopg.Connection[Any], rows: list[Any]) -> None:
    connection.execute("DROP TABLE IF EXISTS things")
    connection.execute("CREATE TABLE things (n int, told text, many text[], found jsonb, at timestamptz, day date)")
    at, day = datetime(2026, 10, 31, 23, 59, 59, 5000, tzinfo=UTC), date(2026, 10, 31)
    values = [(n, told, tuple(many), {"k": other}, at, day) for n, (told, many, other) in enumerate(rows)]
    fill(connection, table("things", "n told many found at day", len(rows), lambda: values))
    found = connection.execute("SELECT * FROM things ORDER BY n").fetchall()
    assert [(n, told, tuple(many), *rest) for n, told, many, *rest in found] == values


def test_a_table_that_failed_half_way_is_as_empty_as_before(connection: psycopg.Connection[Any]) -> None:
    connection.execute("CREATE TABLE numbers (n int CHECK (n < 4000))")
    with pytest.raises(psycopg.errors.CheckViolation):
        fill(connection, numbers(5000))
    assert counted(connection) == 0
    assert markers.read(connection, target="t") == markers.Told()
    fill(connection, numbers(4000))
    assert counted(connection) == 4000
    assert markers.read(connection, target="t").filled == {"numbers": SEED}


def test_rows_that_are_not_as_many_as_promised_are_none(connection: psycopg.Connection[Any]) -> None:
    connection.execute("CREATE TABLE numbers (n int)")
    short = Table("numbers", ("n",), 4, partial(map, line, repeat((1,), 3)))
    with pytest.raises(DbopsError, match="numbers got 3 rows, not 4"):
        fill(connection, short)
    assert counted(connection) == 0


def test_what_somebody_put_there_meanwhile_is_left_alone(connection: psycopg.Connection[Any]) -> None:
    connection.execute("CREATE TABLE numbers (n int)")
    connection.execute("INSERT INTO numbers VALUES (7)")
    with pytest.raises(Refused, match="somebody is filling numbers"):
        fill(connection, numbers(3))
    assert connection.execute("SELECT n FROM numbers").fetchall() == [(7,)]


def test_a_table_is_silent_only_while_it_is_filled(connection: psycopg.Connection[Any]) -> None:
    connection.execute("CREATE TABLE log (n int)")
    connection.execute("CREATE TABLE numbers (n int)")
    body = "BEGIN INSERT INTO log VALUES (NEW.n); RETURN NEW; END"
    connection.execute(f"CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $${body}$$".encode())
    connection.execute("CREATE TRIGGER note AFTER INSERT ON numbers FOR EACH ROW EXECUTE FUNCTION note()")
    fill(connection, table("numbers", "n", 3, lambda: [(1,), (2,), (3,)], triggers=False))
    assert counted(connection, "log") == 0
    connection.execute("INSERT INTO numbers VALUES (4)")
    assert counted(connection, "log") == 1


def test_columns_that_the_server_works_out_pass_through_a_stage(connection: psycopg.Connection[Any]) -> None:
    connection.execute("CREATE TABLE secrets (n int NOT NULL, digest bytea NOT NULL)")
    computed = {"digest": "sha256(convert_to(digest, 'UTF8'))"}
    fill(connection, table("secrets", "n digest", 2, lambda: [(1, "a"), (2, "b\\c")], computed=computed))
    found = connection.execute("SELECT digest = sha256('b\\\\c') FROM secrets WHERE n = 2").fetchone()
    assert found == (True,)
    assert connection.execute("SELECT to_regclass('pg_temp.seed_stage')").fetchone() == (None,)


def test_partitions_are_made_once_and_as_secured_as_their_table(connection: psycopg.Connection[Any]) -> None:
    connection.execute("CREATE TABLE numbers (n int, at timestamptz NOT NULL) PARTITION BY RANGE (at)")
    connection.execute("ALTER TABLE numbers ENABLE ROW LEVEL SECURITY")
    months = (date(2026, 1, 1), date(2026, 2, 1))
    parted = Table("numbers", ("n", "at"), 0, lambda: iter(()), months=months)
    planned = copy.observe(connection, [parted], target="t").partitions["numbers"]
    copy.partition(connection, planned)
    assert copy.observe(connection, [parted], target="t").partitions["numbers"] == ()
    secured = connection.execute("SELECT relrowsecurity FROM pg_class WHERE relname LIKE 'numbers_2026%'").fetchall()
    assert secured == [(True,), (True,)]
    bounds = connection.execute("SELECT pg_get_expr(relpartbound, oid) FROM pg_class WHERE relname = 'numbers_2026_01'")
    assert bounds.fetchone() == ("FOR VALUES FROM ('2026-01-01 00:00:00+00') TO ('2026-02-01 00:00:00+00')",)


def test_whoever_begins_again_has_not_filled_it(connection: psycopg.Connection[Any]) -> None:
    markers.write_begun(connection, ONE, "events", target="t", seed=SEED)
    markers.write_filled(connection, ONE, "events", target="t", seed=SEED, rows=3)
    assert markers.read(connection, target="t").filled == {"events": SEED}
    markers.write_begun(connection, ONE, "events", target="t", seed=SEED)
    assert markers.read(connection, target="t") == markers.Told({"events": SEED}, {})
    assert markers.read(connection, target="other") == markers.Told()


def test_a_database_without_ledger_or_table_is_refused(connection: psycopg.Connection[Any], database: str) -> None:
    with pytest.raises(Refused, match="has not all of its tables") as caught:
        copy.observe(connection, [numbers(3)], target="audit")
    assert caught.value.hint is not None
    assert "dbops migrate up --target audit" in caught.value.hint
    with psycopg.connect(database, autocommit=True) as other:
        other.execute("CREATE TABLE numbers (n int)")
        other.execute("DROP SCHEMA dbops CASCADE")
        with pytest.raises(Refused):
            copy.observe(other, [numbers(3)], target="audit")


def test_of_two_at_once_one_fills(connection: psycopg.Connection[Any], database: str) -> None:
    """Locks keep runs apart; should two come here all the same, the rows are there once or a key refuses."""
    connection.execute("CREATE TABLE numbers (n int PRIMARY KEY)")
    ended: list[BaseException | None] = []

    def once() -> None:
        with psycopg.connect(database, autocommit=True) as mine:
            try:
                fill(mine, numbers(20_000))
            except (psycopg.Error, Refused) as error:
                ended.append(error)
            else:
                ended.append(None)

    both = [threading.Thread(target=once) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join()
    assert ended.count(None) == 1
    assert counted(connection) == 20_000
