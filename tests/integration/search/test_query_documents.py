"""Questions as the SDK asks them: each from what the service documents."""

from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError

from searching import QUERY, Documents, Service, field

ROOMS = field(
    "rooms",
    "Collection(Edm.ComplexType)",
    fields=[field("type"), field("rate", "Edm.Double"), field("tags", "Collection(Edm.String)")],
)
ADDRESS = field("address", "Edm.ComplexType", fields=[field("city"), field("zip", "Edm.Int32")])
HOTELS: list[dict[str, Any]] = [
    {
        "id": "1",
        "name": "Grand Harbour",
        "text": "A quiet hotel near the harbour with a pool",
        "stars": 5,
        "rating": 4.5,
        "built": "1999-12-31T23:30:00-00:30",
        "parking": True,
        "tags": ["pool", "bar"],
        "address": {"city": "Genoa", "zip": 16121},
        "rooms": [{"type": "suite", "rate": 300.0, "tags": ["view"]}, {"type": "single", "rate": 80.0}],
        "secret": "one",
    },
    {
        "id": "2",
        "name": "O'Malley's",
        "text": "A pub with rooms; the pub is loud",
        "stars": 3,
        "rating": 3.1,
        "built": "2010-06-01T12:00:00.250Z",
        "parking": False,
        "tags": ["bar"],
        "address": {"city": "Cork"},
        "rooms": [{"type": "single", "rate": 95.5}],
    },
    {"id": "3", "name": "Bare", "text": "Nothing but a bed", "stars": 1, "tags": []},
    {"id": "4", "name": "Größe 漢字 😀", "rating": 4.5, "parking": True},
]


@pytest.fixture
def hotels(service: Service) -> Documents:
    documents = service.create(
        field("name"),
        field("text", filterable=False, sortable=False, facetable=False),
        field("stars", "Edm.Int32"),
        field("rating", "Edm.Double"),
        field("built", "Edm.DateTimeOffset"),
        field("parking", "Edm.Boolean"),
        field("tags", "Collection(Edm.String)"),
        field("secret", retrievable=False),
        ADDRESS,
        ROOMS,
    )
    documents.upload_documents(HOTELS)
    return documents


def ids(documents: Documents, text: str | None = None, **asked: Any) -> list[str]:
    return [row["id"] for row in documents.search(text, **asked)]


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("name eq 'O''Malley''s'", "2"),
        ("name eq 'Größe 漢字 😀'", "4"),
        ("rating ge 3.1 and rating lt 4.5", "2"),
        ("stars eq null", "4"),
        ("not parking", "23"),
        ("built gt 2000-01-01T00:00:00+01:00", "12"),
        ("built eq 2000-01-01T00:00:00Z", "1"),
        ("built gt 2000-01-01T00:00:00Z", "2"),
        ("tags/any(t: t eq 'bar') and not tags/any(t: t eq 'pool')", "2"),
        ("tags/all(t: t ne 'pool')", "234"),
        ("tags/any(t: search.in(t, 'pool|x', '|'))", "1"),
        ("search.in(id, '1,3, 4')", "134"),
        ("address/city eq 'Cork' or address/zip gt 16000", "12"),
        ("rooms/any(r: r/type eq 'single' and r/rate gt 90)", "2"),
        ("rooms/any(r: r/tags/any(t: t eq 'view'))", "1"),
        ("rooms/all(r: r/rate lt 100)", "234"),
        ("id gt '2'", "34"),
    ],
)
def test_a_filter_finds(hotels: Documents, asked: str, found: str) -> None:
    assert set(ids(hotels, filter=asked)) == set(found)


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"filter": "missing eq 1"}, "Could not find a property named 'missing'"),
        ({"filter": "text eq 'x'"}, "not a filterable field"),
        ({"filter": "stars eq '5'"}, "incompatible types"),
        ({"filter": "stars eq"}, "Invalid expression"),
        ({"filter": "tags eq 'bar'"}, "cannot be compared"),
        ({"order_by": ["text"]}, "not sortable"),
        ({"order_by": ["missing"]}, "Could not find a property named 'missing'"),
        ({"select": ["secret"]}, "not retrievable"),
        ({"select": ["missing"]}, "Could not find a property named 'missing'"),
        ({"facets": ["text"]}, "not a facetable field"),
        ({"skip": 100_001}, "between 0 and 100000"),
        ({"top": -1}, "greater than or equal to 0"),
    ],
)
def test_a_question_that_the_service_refuses_is_400(hotels: Documents, asked: dict[str, Any], says: str) -> None:
    with pytest.raises(HttpResponseError, match=says) as refused:
        ids(hotels, **asked)
    assert refused.value.status_code == 400


@pytest.mark.parametrize(
    ("asked", "feature"),
    [
        ({"filter": "geo.distance(place, geography'POINT(1 2)') lt 5"}, "geo.distance"),
        ({"text": "pub", "highlight_fields": "text"}, "highlights"),
        ({"text": "pub", "query_type": "semantic"}, "semantic ranking"),
        ({"text": "pub~1", "query_type": "full"}, "fuzzy"),
        ({"scoring_profile": "boost"}, "scoring profiles"),
    ],
)
def test_what_is_not_imitated_is_501_with_its_name(hotels: Documents, asked: dict[str, Any], feature: str) -> None:
    with pytest.raises(HttpResponseError, match=feature) as refused:
        ids(hotels, **asked)
    assert refused.value.status_code == 501


def test_nulls_come_first_ascending_and_last_descending(hotels: Documents) -> None:
    assert ids(hotels, order_by=["stars"]) == ["4", "3", "2", "1"]
    assert ids(hotels, order_by=["stars desc"]) == ["1", "2", "3", "4"]
    assert ids(hotels, order_by=["rating desc", "name desc"])[:2] == ["4", "1"]


def test_a_row_has_every_retrievable_field_and_six_keys_of_the_search(hotels: Documents) -> None:
    (row,) = hotels.search(filter="id eq '1'")
    shown = {name: value for name, value in row.items() if not name.startswith("@search.")}
    assert row["@search.score"] == 1.0
    expected = {name: value for name, value in HOTELS[0].items() if name != "secret"}
    expected["built"] = "2000-01-01T00:00:00Z"
    expected["rooms"] = [expected["rooms"][0], {"type": "single", "rate": 80.0, "tags": []}]
    assert shown == expected


def test_a_selection_reaches_into_complex_fields(hotels: Documents) -> None:
    (row,) = hotels.search(filter="id eq '1'", select=["id", "address/city", "rooms/type"])
    shown = {name: value for name, value in row.items() if not name.startswith("@search.")}
    assert shown == {"id": "1", "address": {"city": "Genoa"}, "rooms": [{"type": "suite"}, {"type": "single"}]}


def test_counts_and_facets_are_of_all_matches(hotels: Documents) -> None:
    found: Any = hotels.search(
        "*", facets=["tags,sort:value", "rating,interval:1", "rooms/type,count:1"], include_total_count=True, top=1
    )
    assert found.get_count() == 4
    facets = found.get_facets()
    assert facets["tags"] == [{"value": "bar", "count": 2}, {"value": "pool", "count": 1}]
    assert [(bucket["value"], bucket["count"]) for bucket in facets["rating"]] == [(3.0, 1), (4.0, 2)]
    assert facets["rooms/type"] == [{"value": "single", "count": 2}]


def test_coverage_is_told_when_it_is_asked_for(hotels: Documents) -> None:
    found: Any = hotels.search("*", minimum_coverage=50)
    assert found.get_coverage() == 100.0


@pytest.mark.parametrize(
    ("text", "asked", "found"),
    [
        ("pub", {}, "2"),
        ("hotel pub", {}, "12"),
        ("hotel pub", {"search_mode": "all"}, ""),
        ("hotel +pool", {}, "1"),
        ('"quiet hotel"', {}, "1"),
        ("har*", {}, "1"),
        ("bed -hotel", {"search_mode": "all"}, "3"),
        ("genoa", {"search_fields": ["name"]}, ""),
        ("genoa", {"search_fields": ["name", "address/city"]}, "1"),
        ("text:pub AND NOT text:hotel", {"query_type": "full"}, "2"),
        ("o'malley's", {}, "2"),
        ("漢", {}, "4"),
    ],
)
def test_a_text_finds(hotels: Documents, text: str, asked: dict[str, Any], found: str) -> None:
    assert set(ids(hotels, text, **asked)) == set(found)


def test_matches_are_ordered_by_score(hotels: Documents) -> None:
    rows = list(hotels.search("pub hotel a"))
    scores = [row["@search.score"] for row in rows]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] != scores[-1]


def test_a_query_key_may_ask(service: Service, hotels: Documents) -> None:
    assert len(ids(service.documents("docs", QUERY), "*")) == 4


def test_documents_beyond_a_page_come_with_the_next(service: Service) -> None:
    documents = service.create(field("n", "Edm.Int32"))
    for first in (0, 1000, 2000):
        documents.upload_documents([{"id": f"k{n:05}", "n": n} for n in range(first, first + 1000)])
    assert ids(documents, "*", order_by=["id"], top=2500) == [f"k{n:05}" for n in range(2500)]
    assert len(ids(documents, "*")) == 3000  # fifty at a time
    assert ids(documents, "*", order_by=["n desc"], top=3, skip=1) == ["k02998", "k02997", "k02996"]


def test_walking_by_key_needs_no_skip(service: Service) -> None:
    documents = service.create(field("n", "Edm.Int32"))
    keys = sorted(f"{n % 10}-{n:x}" for n in range(900))
    documents.upload_documents([{"id": key} for key in keys])
    seen: list[str] = []
    last = ""
    while page := ids(documents, filter=f"id gt '{last}'", order_by=["id asc"], top=100, session_id="one"):
        seen += page
        assert len(seen) <= 900
        last = page[-1]
    assert seen == keys


def test_the_url_form_answers_the_same(service: Service, hotels: Documents) -> None:
    answer = service.ask("GET", "/indexes('docs')/docs?search=pub&$select=id&$count=true")
    assert answer.status == 200
    told = answer.json()
    assert told["@odata.count"] == 1
    assert [row["id"] for row in told["value"]] == ["2"]


def test_a_raw_answer_has_its_context_and_goes_on_where_a_page_ends(service: Service) -> None:
    documents = service.create(field("n", "Edm.Int32"))
    documents.upload_documents([{"id": f"k{n}"} for n in range(60)])
    told = service.ask("POST", "/indexes('docs')/docs/search.post.search", {"filter": "id ne 'x'"}).json()
    assert told["@odata.context"].endswith("$metadata#docs(*)")
    assert told["@search.nextPageParameters"] == {"filter": "id ne 'x'", "skip": 50}
    assert "search.post.search" in told["@odata.nextLink"]
