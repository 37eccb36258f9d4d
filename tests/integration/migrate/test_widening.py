"""Types that are taken to hold all values of another: PostgreSQL says so too, of each."""

import psycopg
import pytest

from dbops.operations.migrate.scaffold.widening import holds_all

_TYPES = (
    *("smallint", "integer", "bigint", "numeric", "real", "double precision"),
    *("character varying", "text", "character", "date", "timestamp with time zone", "uuid"),
)
_EXTREMES = {
    "smallint": ("-32768", "32767"),
    "integer": ("-2147483648", "2147483647"),
    "bigint": ("-9223372036854775808", "9223372036854775807"),
    "real": ("-3.4028235e38", "1.1754944e-38", "NaN", "Infinity"),
    "character varying": ("", "a ", "ß"),
}
_PAIRS = [(of, wider) for of in _TYPES for wider in _TYPES if holds_all(wider, of)]


def test_there_are_such_types() -> None:
    assert ("integer", "bigint") in _PAIRS


@pytest.mark.parametrize(("of", "wider"), _PAIRS)
def test_each_value_goes_there_and_back_by_an_implicit_cast(database: str, of: str, wider: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(f"CREATE TABLE one (a {of}, b {wider})".encode())
        for value in _EXTREMES[of]:
            connection.execute("INSERT INTO one (a) VALUES (%s)", (value,))
        connection.execute("UPDATE one SET b = a")
        told = connection.execute(f"SELECT count(*)::int FROM one WHERE b::{of} IS DISTINCT FROM a".encode()).fetchone()
        assert told == (0,)
        implicit = connection.execute(
            "SELECT %s::regtype = %s::regtype OR EXISTS (SELECT FROM pg_cast WHERE castsource = %s::regtype"
            " AND casttarget = %s::regtype AND castcontext = 'i')",
            (of, wider, of, wider),
        ).fetchone()
        assert implicit == (True,)


@pytest.mark.parametrize(
    ("of", "wider"),
    [
        *(("bigint", "integer"), ("bigint", "double precision"), ("integer", "real"), ("text", "varchar")),
        *(("integer", "numeric(3)"), ("character varying(9)", "varchar(5)"), ("integer[]", "bigint"), ("odd", "text")),
    ],
)
def test_a_type_that_holds_some_is_not_taken_for_one_that_holds_all(of: str, wider: str) -> None:
    assert not holds_all(wider, of)


@pytest.mark.parametrize("written", ["int8", "BIGINT", " bigint ", "decimal", "float8", "Double  Precision"])
def test_a_type_may_be_written_by_any_of_its_names(written: str) -> None:
    assert holds_all(written, "integer")
