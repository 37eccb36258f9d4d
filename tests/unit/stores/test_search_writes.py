"""How documents are cut into requests to AI Search, and what of an answer may be sent again."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from dbops.stores.search import path_of
from dbops.stores.search_writes import Failed, Written, batches, key_of, refused, to_repeat


@given(st.lists(st.binary(max_size=20), max_size=40), st.integers(1, 7), st.integers(1, 60))
def test_every_document_is_sent_once_in_its_order_and_no_request_is_too_large(
    actions: list[bytes], most: int, most_bytes: int
) -> None:
    cut = list(batches(actions, most=most, most_bytes=most_bytes))
    assert [action for batch in cut for action in batch] == actions
    assert all(batch and len(batch) <= most for batch in cut)
    assert all(len(batch) == 1 or sum(map(len, batch)) + len(batch) <= most_bytes for batch in cut)


def result(key: str, code: int, message: str | None = None) -> dict[str, Any]:
    return {"key": key, "status": code < 300, "statusCode": code, "errorMessage": message}


def test_only_what_may_succeed_later_is_sent_again() -> None:
    codes = [200, 201, 400, 404, 409, 422, 429, 503]
    assert to_repeat([result(str(code), code) for code in codes]) == [4, 5, 6, 7]


def test_an_earlier_document_is_not_sent_again_over_a_later_one_of_the_same_key() -> None:
    assert to_repeat([result("a", 503), result("b", 503), result("a", 200)]) == [1]


def test_what_became_of_two_writes_adds_up() -> None:
    one, two = Failed("a", 400, "no"), refused(result("b", 404, "Document not found."))
    assert Written(1, (one,)) + Written(2, (two,)) == Written(3, (one, Failed("b", 404, "Document not found.")))


def test_a_document_that_was_not_looked_at_is_named_by_its_first_field() -> None:
    assert key_of(b'{"@search.action": "upload", "id": "k1", "text": "x"}') == "k1"
    assert key_of(b'{"@search.action": "upload"}') == "?"


def test_no_name_breaks_out_of_its_quotes() -> None:
    assert path_of("indexes", "it's/é?") == "/indexes('it%27%27s%2F%C3%A9%3F')"
