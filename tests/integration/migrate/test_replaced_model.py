"""Whatever old and new clients write, in any order: both tables hold what a model of them holds."""

from collections.abc import Generator
from contextlib import nullcontext, suppress
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dbops.operations.migrate.shapes.replaced import Replaced

from replacing import CHANGE, Connection, different, do, fill, run

SHAPE = Replaced(
    table='public."Weird Name"',
    by='public."Weird Name 2"',
    create='CREATE TABLE public."Weird Name 2" (a int, "the b" text, n bigint UNIQUE, PRIMARY KEY ("the b", a))',
    key=("a", "the b"),
    up={"n": "(-r.n)::bigint"},
    down={"n": "(-r.n)::int"},
)
OLD, NEW = SHAPE.table, SHAPE.by
Rows = dict[tuple[int, str], int]
_KEY = st.tuples(st.integers(0, 2), st.sampled_from(["x", "Y'"]))
_VALUE = st.integers(0, 5)
_OPERATION = st.one_of(
    st.tuples(st.just("insert"), st.booleans(), _KEY, _VALUE),
    st.tuples(st.just("upsert"), st.booleans(), _KEY, _VALUE),
    st.tuples(st.just("update"), st.booleans(), _KEY, _VALUE),
    st.tuples(st.just("move"), st.booleans(), _KEY, _KEY),
    st.tuples(st.just("shift"), st.booleans(), _KEY, _VALUE),
    st.tuples(st.just("delete"), st.booleans(), _KEY, _VALUE),
    st.tuples(st.just("truncate"), st.booleans(), _KEY, _VALUE),
)


@pytest.fixture(scope="module")
def connection(server: str) -> Generator[Connection]:
    with psycopg.connect(server, autocommit=True) as admin:
        run(admin, "CREATE DATABASE replaced_model")
        with psycopg.connect(server, dbname="replaced_model", autocommit=True) as opened:
            run(opened, f'CREATE TABLE {OLD} (n int UNIQUE, a int, "the b" text, PRIMARY KEY (a, "the b"))')
            do(opened, SHAPE.expand(CHANGE))
            yield opened
        run(admin, "DROP DATABASE replaced_model WITH (FORCE)")


def written(operation: str, table: str, sign: str, key: tuple[int, str], value: Any) -> tuple[str, tuple[Any, ...]]:
    """Write a statement as a client of this table would."""
    a, b = key
    where = 'WHERE (a, "the b") = (%s, %s)'
    insert = f'INSERT INTO {table} (a, "the b", n) VALUES (%s, %s, {sign}%s)'
    match operation:
        case "insert":
            return insert, (a, b, value)
        case "upsert":
            return f'{insert} ON CONFLICT (a, "the b") DO UPDATE SET n = excluded.n', (a, b, value)
        case "update":
            return f"UPDATE {table} SET n = {sign}%s {where}", (value, a, b)
        case "move":
            return f'UPDATE {table} SET (a, "the b") = (%s, %s) {where}', (*value, a, b)
        case "shift":
            return f"UPDATE {table} SET a = a + 10, n = n + {sign}100 WHERE a < 10 AND {sign}n >= %s", (value,)
        case "delete":
            return f"DELETE FROM {table} {where}", (a, b)
        case _:
            return f"TRUNCATE {table}", ()


def model(rows: Rows, operation: str, key: tuple[int, str], value: Any) -> Rows:
    """Do the same to plain rows; who breaks a key changes nothing."""
    after = dict(rows)
    match operation:
        case "insert" | "upsert":
            if operation == "insert" and key in rows:
                return rows
            after[key] = value
        case "update" if key in rows:
            after[key] = value
        case "move" if key in rows:
            if value in rows and value != key:
                return rows
            after[value] = after.pop(key)
        case "shift":
            shifted = {(a + 10, b): n + 100 for (a, b), n in rows.items() if a < 10 and n >= value}
            if shifted.keys() & rows.keys():
                return rows
            after = {at: n for at, n in rows.items() if at[0] >= 10 or n < value} | shifted
        case "delete":
            after.pop(key, None)
        case "truncate":
            after = {}
        case _:
            pass
    return after if len(set(after.values())) == len(after) else rows


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    before=st.dictionaries(_KEY, _VALUE, max_size=4).filter(lambda rows: len(set(rows.values())) == len(rows)),
    operations=st.lists(_OPERATION, max_size=12),
    filled=st.integers(0, 6),
    at_once=st.booleans(),
)
def test_both_tables_hold_what_was_written(
    connection: Connection,
    before: Rows,
    operations: list[tuple[str, bool, tuple[int, str], Any]],
    filled: int,
    *,
    at_once: bool,
) -> None:
    run(connection, f"SET dbops.across = '{CHANGE}:0'")
    run(connection, f"SET dbops.backfill = '{CHANGE}'")
    run(connection, f"TRUNCATE {OLD}, {NEW}")
    for key, value in before.items():
        connection.execute(*written("insert", OLD, "", key, value))  # pyright: ignore[reportArgumentType]
    run(connection, "RESET dbops.across; RESET dbops.backfill")
    rows = before
    with connection.transaction() if at_once else nullcontext():
        written_in_turn(connection, rows, operations, filled)
    assert different(connection, SHAPE) == []


def written_in_turn(
    connection: Connection, rows: Rows, operations: list[tuple[str, bool, tuple[int, str], Any]], filled: int
) -> None:
    for number, (operation, new, key, value) in enumerate([*operations, ("delete", False, (99, "x"), 0)]):
        if number == min(filled, len(operations)):
            fill(connection, SHAPE)
        by_new = new and number >= filled  # new clients come when all is filled
        text, values = written(operation, NEW if by_new else OLD, "-" if by_new else "", key, value)
        with suppress(psycopg.errors.UniqueViolation), connection.transaction():
            connection.execute(text, values)  # pyright: ignore[reportArgumentType]
        rows = model(rows, operation, key, value)
        if number >= filled:
            assert different(connection, SHAPE) == []
        assert {(a, b): n for a, b, n in run(connection, f'SELECT a, "the b", n FROM {OLD}')} == rows
