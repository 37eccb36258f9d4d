from collections.abc import Iterator
from typing import Any

import pytest

from dbops.sandbox.emulators.search.query import Invalid, Unsupported

from questions import Index, field, index


@pytest.fixture(scope="module")
def shop() -> Iterator[Index]:
    rooms = field(
        "rooms", "Collection(Edm.ComplexType)", fields=[field("type"), field("tags", "Collection(Edm.String)")]
    )
    with index(
        field("colour"),
        field("price", "Edm.Double"),
        field("size", "Edm.Int32"),
        field("sold", "Edm.DateTimeOffset"),
        field("new", "Edm.Boolean"),
        field("tags", "Collection(Edm.String)"),
        field("plain", facetable=False),
        field("made", "Edm.ComplexType", fields=[field("land")]),
        rooms,
    ) as built:
        for n in range(12):
            built.put(
                {
                    "id": str(n),
                    "colour": ["red", "green", "blue", None][n % 4] if n < 9 else "red",
                    "price": n * 2.5,
                    "size": n - 2,
                    "sold": f"2024-{n + 1:02}-15T10:30:00Z",
                    "new": n < 5,
                    "tags": ["a"] * (n % 3) + ["b"] * (n % 2),
                    "made": {"land": "it" if n % 2 else "de"},
                    "rooms": [{"type": "x", "tags": ["t"]}, {"type": "x"}, {"type": f"y{n % 2}"}],
                }
            )
        yield built


def buckets(built: Index, facet: str, **request: Any) -> list[tuple[Any, int]]:
    answer = built.ask(facets=[facet], top=0, **request)
    (found,) = answer["@search.facets"].values()
    return [(bucket["value"], bucket["count"]) for bucket in found]


@pytest.mark.parametrize(
    ("facet", "found"),
    [
        ("colour", [("red", 6), ("blue", 2), ("green", 2)]),
        ("colour,count:1", [("red", 6)]),
        ("colour, count : 2, sort : -count", [("blue", 2), ("green", 2)]),
        ("colour,sort:value", [("blue", 2), ("green", 2), ("red", 6)]),
        ("colour,sort:-value", [("red", 6), ("green", 2), ("blue", 2)]),
        ("new", [(False, 7), (True, 5)]),
        ("size,count:1,sort:-value", [(9, 1)]),
        ("sold,count:1,sort:value", [("2024-01-15T10:30:00Z", 1)]),
        ("made/land", [("de", 6), ("it", 6)]),
        ("tags", [("a", 8), ("b", 6)]),
        ("rooms/type", [("x", 12), ("y0", 6), ("y1", 6)]),
        ("rooms/tags", [("t", 12)]),
        ("price,interval:10", [(0.0, 4), (10.0, 4), (20.0, 4)]),
        ("size,interval:5", [(-5, 2), (0, 5), (5, 5)]),
        ("sold,interval:quarter", [(f"2024-{month}-01T00:00:00Z", 3) for month in ("01", "04", "07", "10")]),
        ("sold,interval:year", [("2024-01-01T00:00:00Z", 12)]),
    ],
)
def test_a_facet_counts_documents_by_value(shop: Index, facet: str, found: list[tuple[Any, int]]) -> None:
    assert buckets(shop, facet) == found


@pytest.mark.parametrize("period", ["minute", "hour", "day", "week", "month"])
def test_an_interval_of_time_begins_at_its_beginning(shop: Index, period: str) -> None:
    begins = {"minute": "15T10:30", "hour": "15T10:00", "day": "15T00:00", "week": "14T00:00", "month": "01T00:00"}
    assert buckets(shop, f"sold,interval:{period}", filter="id eq '0'") == [(f"2024-01-{begins[period]}:00Z", 1)]


def test_ranges_include_their_lower_limit_and_not_their_upper(shop: Index) -> None:
    answer = shop.ask(facets=["price,values:5|10", "sold,values:2024-06-01T00:00:00Z"], top=0)
    assert answer["@search.facets"] == {
        "price": [{"count": 2, "to": 5.0}, {"count": 2, "from": 5.0, "to": 10.0}, {"count": 8, "from": 10.0}],
        "sold": [{"count": 5, "to": "2024-06-01T00:00:00Z"}, {"count": 7, "from": "2024-06-01T00:00:00Z"}],
    }


def test_facets_are_of_all_matches_and_not_of_the_page(shop: Index) -> None:
    assert buckets(shop, "colour", filter="new") == [("red", 2), ("blue", 1), ("green", 1)]


@pytest.mark.parametrize(
    ("facet", "says"),
    [
        ("missing", "Could not find a property named 'missing'"),
        ("plain", "'plain' is not a facetable field"),
        ("made", "'made' is not a facetable field"),
        ("colour,count:-1", "'count' must be a positive number"),
        ("colour,count:many", "'count' must be a positive number"),
        ("colour,sort:up", "'sort' must be"),
        ("colour,limit:5", "'limit:5'"),
        ("colour,interval:5", "positive number on a numeric field|does not fit"),
        ("colour,values:a|b", "ranges need a number or an instant"),
        ("price,interval:0", "positive number"),
        ("price,interval:day", "does not fit the field"),
        ("sold,interval:decade", "must be one of"),
        ("price,values:10|5", "ascending order"),
        ("price,values:a|b", "do not fit the field"),
        ("price,interval:5,count:3", "cannot be combined"),
        ("price,interval:5,values:3", "cannot be combined"),
    ],
)
def test_a_facet_that_the_service_refuses_is_refused(shop: Index, facet: str, says: str) -> None:
    with pytest.raises(Invalid, match=says):
        shop.ask(facets=[facet])


@pytest.mark.parametrize(
    "facet", ["price,metric:sum", "sold,interval:day,timeoffset:+01:00", "colour;size", "colour,count:0"]
)
def test_a_facet_that_is_not_imitated_is_named(shop: Index, facet: str) -> None:
    with pytest.raises(Unsupported, match="facet"):
        shop.ask(facets=[facet])
