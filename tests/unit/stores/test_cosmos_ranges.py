"""Where reading a range stands: what is written down is read again, and by nobody else."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbops.stores.cosmos_ranges import (
    ContinuationLost,
    FeedRange,
    Part,
    children,
    fingerprint,
    goes_on_in_parts,
    inside,
    read,
    written,
)


def of(low: str, high: str) -> FeedRange:
    return {"Range": {"min": low, "max": high, "isMinInclusive": True, "isMaxInclusive": False}}


WHOLE = of("", "FF")
PARTS = st.lists(st.builds(Part, st.just(of("3F", "5F")), st.none() | st.text()), min_size=1, max_size=5)


@given(PARTS)
def test_what_is_left_is_read_as_it_was_written(parts: list[Part]) -> None:
    assert read(WHOLE, written(parts, "q"), "q") == parts


def test_nothing_left_is_no_continuation_and_none_is_all_of_it() -> None:
    assert written([], "q") is None
    assert read(WHOLE, None, "q") == [Part(WHOLE)]


@pytest.mark.parametrize("continuation", ["", "x", "{}", "[]", '{"query": "q", "parts": [[1, 2]]}', '{"parts": 3}'])
def test_a_continuation_of_somebody_else_is_told(continuation: str) -> None:
    with pytest.raises(ContinuationLost, match="none of a range"):
        read(WHOLE, continuation, "q")


def test_a_continuation_belongs_to_its_query_and_its_range() -> None:
    continuation = written([Part(of("3F", "5F"), "t")], "q")
    with pytest.raises(ContinuationLost, match="another query"):
        read(WHOLE, continuation, "other")
    with pytest.raises(ContinuationLost, match="another range"):
        read(of("", "3F"), continuation, "q")


@pytest.mark.parametrize(("one", "two"), [({"a": 1, "b": 2}, {"b": 2, "a": 1}), (None, None)])
def test_a_query_is_known_again(one: Any, two: Any) -> None:
    assert fingerprint("SELECT", one) == fingerprint("SELECT", two)
    assert fingerprint("SELECT", one) != fingerprint("SELECT", {"a": 2})
    assert fingerprint("SELECT", one) != fingerprint("SELECTED", one)


def test_the_pieces_of_a_split_go_on_where_the_whole_one_stood() -> None:
    today = [of("", "1F"), of("1F", "2F"), of("2F", "3F"), of("3F", "FF")]
    assert children(Part(of("1F", "3F"), "t"), today) == [Part(of("1F", "2F"), "t"), Part(of("2F", "3F"), "t")]
    assert inside(of("3F", "FF"), WHOLE)
    assert not inside(WHOLE, of("3F", "FF"))


@pytest.mark.parametrize(
    ("query", "may"),
    [
        ("SELECT * FROM c", True),
        ("SELECT c.id FROM c WHERE c.total > 3 AND c.counter = 1", True),
        ("SELECT * FROM c ORDER BY c.n", False),
        ("SELECT VALUE COUNT(1) FROM c", False),
        ("select top 5 * from c", False),
        ("SELECT DISTINCT c.ws FROM c", False),
    ],
)
def test_a_query_over_all_of_a_range_is_not_answered_in_parts(query: str, may: bool) -> None:
    assert goes_on_in_parts(query) is may
