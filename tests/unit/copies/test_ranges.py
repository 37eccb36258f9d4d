"""Ranges that follow one another hold each key once, whatever bounds they were cut at."""

from hypothesis import given
from hypothesis import strategies as st

from dbops.copies.bounds import Key, Range, ranges

NUMBERS = st.lists(st.integers(0, 50), max_size=8).map(sorted)


def holds(one: Range, number: int) -> bool:
    low = one.low is None or number > int(one.low[0])
    return low and (one.high is None or number <= int(one.high[0]))


@given(NUMBERS, st.integers(-5, 60))
def test_every_key_is_in_one_range(ends: list[int], number: int) -> None:
    cut = ranges(((str(end),) for end in ends), Range())
    assert sum(holds(one, number) for one in cut) == 1
    assert cut[0].low is None
    assert cut[-1].high is None


@given(NUMBERS, st.integers(-5, 60))
def test_the_end_of_the_table_stays_the_end_of_the_last_range(ends: list[int], number: int) -> None:
    cut = ranges(((str(end),) for end in ends if end < 50), Range(None, ("50",)))
    assert sum(holds(one, number) for one in cut) == (number <= 50)


def test_a_range_is_told_as_sql_over_the_alias_of_its_rows() -> None:
    key = Key((("id", "integer"), ('Odd "Name"', "text")))
    assert Range().rows(key) == "true"
    assert (
        Range(("5", "it's"), ("7", "b")).rows(key) == """(r.id, r."Odd ""Name\""") > ('5'::integer, 'it''s'::text)"""
        """ AND (r.id, r."Odd ""Name\""") <= ('7'::integer, 'b'::text)"""
    )
    assert Range(("(0,3)",)).rows(Key()) == "(r.ctid) > ('(0,3)'::tid)"
