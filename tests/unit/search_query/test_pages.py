from collections.abc import Iterator
from typing import Any

import pytest

from dbops.sandbox.emulators.search.query import Invalid, Unsupported

from questions import Index, field, index


@pytest.fixture(scope="module")
def numbers() -> Iterator[Index]:
    with index(
        field("n", "Edm.Int32"), field("even", "Edm.Boolean"), field("name"), field("s", sortable=False)
    ) as built:
        built.put(*({"id": f"k{n:05}", "n": n, "even": n % 2 == 0, "name": f"n{n % 7}"} for n in range(2500)))
        yield built


def test_a_page_is_fifty_documents_when_nothing_is_said_and_goes_on(numbers: Index) -> None:
    answer = numbers.ask(orderby="id")
    assert len(answer["value"]) == 50
    assert answer["@search.nextPageParameters"] == {"orderby": "id", "skip": 50}


def test_a_page_is_at_most_a_thousand_documents_and_the_next_asks_for_the_rest(numbers: Index) -> None:
    seen: list[str] = []
    request: dict[str, Any] = {"orderby": "n", "top": 2200, "search": "*"}
    tops: list[int] = []
    for _ in range(5):
        answer = numbers.ask(**request)
        seen += [row["id"] for row in answer["value"]]
        if "@search.nextPageParameters" not in answer:
            break
        request = answer["@search.nextPageParameters"]
        tops.append(request["top"])
    assert seen == [f"k{n:05}" for n in range(2200)]
    assert tops == [1200, 200]


def test_a_page_that_was_asked_for_is_not_continued(numbers: Index) -> None:
    assert "@search.nextPageParameters" not in numbers.ask(top=1000)
    assert "@search.nextPageParameters" not in numbers.ask(top=3000, skip=2400)


def test_skip_ends_at_a_hundred_thousand(numbers: Index) -> None:
    assert numbers.ids(skip=100_000) == []
    with pytest.raises(Invalid, match=r"between 0 and 100000"):
        numbers.ids(skip=100_001)


@pytest.mark.parametrize("wrong", [{"top": -1}, {"skip": -1}, {"top": "5"}, {"skip": True}])
def test_numbers_that_are_none_are_refused(numbers: Index, wrong: dict[str, Any]) -> None:
    with pytest.raises(Invalid, match=r"greater than or equal to 0"):
        numbers.ask(**wrong)


def test_a_count_is_of_all_matches_whatever_the_page(numbers: Index) -> None:
    answer = numbers.ask(filter="even", count=True, top=0)
    assert answer == {"@odata.count": 1250, "value": []}


def test_walking_by_key_meets_every_document_once(numbers: Index) -> None:
    seen: list[str] = []
    last = ""
    while page := numbers.ids(filter=f"id gt '{last}'", orderby="id asc", top=999):
        seen += page
        assert len(seen) <= 2500
        last = page[-1]
    assert seen == [f"k{n:05}" for n in range(2500)]


def test_several_clauses_order_and_ties_stay_in_one_order(numbers: Index) -> None:
    rows = numbers.rows(orderby="even desc, name, n desc", top=1000)
    keys = [(not row["even"], row["name"], -row["n"]) for row in rows]
    assert keys == sorted(keys)


def test_nulls_are_first_ascending_and_last_descending() -> None:
    with index(field("n", "Edm.Double")) as built:
        built.put({"id": "a", "n": 1.5}, {"id": "b"}, {"id": "c", "n": -2}, {"id": "d", "n": "-INF"})
        assert built.ids(orderby="n") == ["b", "d", "c", "a"]
        assert built.ids(orderby="n desc") == ["a", "c", "d", "b"]


@pytest.mark.parametrize(
    ("orderby", "says"),
    [
        ("missing", "Could not find a property named 'missing'"),
        ("s", "The field 's' is not sortable"),
        ("n down", "Syntax error"),
        ("n,,id", "Syntax error"),
        (",".join(["n"] * 33), "At most 32 clauses"),
    ],
)
def test_an_order_that_the_service_refuses_is_refused(numbers: Index, orderby: str, says: str) -> None:
    with pytest.raises(Invalid, match=says):
        numbers.ask(orderby=orderby)


def test_thirty_two_clauses_are_taken(numbers: Index) -> None:
    assert numbers.ids(orderby=",".join(["n"] * 32), top=1) == ["k00000"]


@pytest.mark.parametrize(
    ("request_", "feature"),
    [
        ({"highlight": "name"}, "highlights"),
        ({"queryType": "semantic", "search": "x"}, "semantic ranking"),
        ({"semanticConfiguration": "x"}, "semantic ranking"),
        ({"scoringProfile": "x"}, "scoring profiles"),
        ({"answers": "extractive"}, "semantic answers"),
        ({"orderby": "geo.distance(x, geography'POINT(1 2)')"}, "geo.distance"),
    ],
)
def test_what_is_not_imitated_is_named(numbers: Index, request_: dict[str, Any], feature: str) -> None:
    with pytest.raises(Unsupported, match=feature):
        numbers.ask(**request_)


def test_an_unknown_parameter_is_refused(numbers: Index) -> None:
    with pytest.raises(Invalid, match="'limit' in the request payload is not a valid parameter"):
        numbers.ask(limit=5)


@pytest.mark.parametrize("name", ["search", "searchFields", "filter", "orderby", "select"])
def test_texts_that_are_none_are_refused(numbers: Index, name: str) -> None:
    with pytest.raises(Invalid, match=f"'{name}' must be a string"):
        numbers.ask(**{name: 5})


def test_parameters_without_effect_here_are_taken(numbers: Index) -> None:
    answer = numbers.ask(sessionId="s", scoringStatistics="global", minimumCoverage=80, debug="disabled", top=1)
    assert answer["@search.coverage"] == 100.0
