from typing import Any

import pytest

from dbops.sandbox.emulators.search.query import Invalid

from questions import Index, field, index, vector

EVERYTHING = {
    "id": "1",
    "name": "Alpha's",
    "stars": 5,
    "score": 4.5,
    "open": True,
    "built": "2000-01-01T00:00:00Z",
    "tags": ["pool", "bar"],
    "years": [1999, 2010],
    "flags": [True, False],
    "place": None,
    "plain": None,
    "address": {"city": "Rome", "zip": 5_000_000_000},
}
NOTHING: dict[str, Any] = {
    **dict.fromkeys(("name", "stars", "score", "open", "built", "place", "plain", "address")),
    **{name: [] for name in ("tags", "years", "flags", "rooms")},
}


def test_a_row_shows_every_retrievable_field_and_no_other(hotels: Index) -> None:
    row = hotels.rows(filter="id eq '1'")[0]
    assert row.pop("@search.score") == 1.0
    assert row.pop("rooms")[0]["note"] == "n"
    assert row == EVERYTHING


def test_what_was_not_said_is_null_and_collections_are_empty(hotels: Index) -> None:
    assert hotels.rows(filter="id eq '4'") == [{"@search.score": 1.0, "id": "4", **NOTHING}]


@pytest.mark.parametrize(
    ("select", "shown"),
    [
        ("id", {"id": "1"}),
        ("id, stars", {"id": "1", "stars": 5}),
        ("address/city", {"address": {"city": "Rome"}}),
        ("address/city,address", {"address": {"city": "Rome", "zip": 5_000_000_000}}),
        ("address,address/city", {"address": {"city": "Rome", "zip": 5_000_000_000}}),
        ("rooms/type", {"rooms": [{"type": "suite"}, {"type": "single"}]}),
    ],
)
def test_a_selection_shows_what_it_names(hotels: Index, select: str, shown: dict[str, Any]) -> None:
    assert hotels.rows(filter="id eq '1'", select=select) == [{"@search.score": 1.0, **shown}]


def test_a_selection_of_everything_is_none(hotels: Index) -> None:
    assert hotels.rows(select="*") == hotels.rows()


@pytest.mark.parametrize(
    ("select", "says"),
    [
        ("secret", "The field 'secret' is not retrievable"),
        ("missing", "Could not find a property named 'missing'"),
        ("rooms/colour", "Could not find a property named 'rooms/colour'"),
    ],
)
def test_a_selection_that_the_service_refuses_is_refused(hotels: Index, select: str, says: str) -> None:
    with pytest.raises(Invalid, match=says):
        hotels.ask(select=select)


def test_hidden_parts_of_complex_fields_are_not_shown() -> None:
    parts = [field("shown"), field("hidden", retrievable=False)]
    with index(
        field("one", "Edm.ComplexType", fields=parts),
        field("many", "Collection(Edm.ComplexType)", fields=parts),
        field("dark", "Edm.ComplexType", fields=[field("hidden", retrievable=False)]),
    ) as built:
        value = {"shown": "s", "hidden": "h"}
        built.put({"id": "1", "one": value, "many": [value], "dark": {"hidden": "h"}})
        assert built.rows() == [{"@search.score": 1.0, "id": "1", "one": {"shown": "s"}, "many": [{"shown": "s"}]}]
        with pytest.raises(Invalid, match="'one/hidden' is not retrievable"):
            built.ask(select="one/hidden")
        with pytest.raises(Invalid, match="'dark' is not retrievable"):
            built.ask(select="dark")


def test_vectors_are_shown_when_they_may_be_and_are_asked_for() -> None:
    with index(
        vector("shown", 2, retrievable=True),
        vector("hidden", 2),
        vector("gone", 2, retrievable=True, stored=False),
        field("name"),
    ) as built:
        vectors = {"shown": [0.1, 2], "hidden": [1, 2], "gone": [1, 2]}
        built.put({"id": "1", "name": "n", **vectors}, {"id": "2"})
        assert built.rows(filter="id eq '1'") == [{"@search.score": 1.0, "id": "1", "name": "n", "shown": [0.1, 2.0]}]
        assert built.rows(select="id,shown", filter="id eq '2'") == [{"@search.score": 1.0, "id": "2", "shown": None}]
        assert built.rows(select="shown", filter="id eq '1'") == [{"@search.score": 1.0, "shown": [0.1, 2.0]}]
        for name in ("hidden", "gone"):
            with pytest.raises(Invalid, match="not retrievable"):
                built.ask(select=name)
        stored = built.table.get("1", 1.0)
        assert stored == {"id": "1", "name": "n", "shown": [0.1, 2.0], "hidden": [1.0, 2.0]}


def test_whole_numbers_of_vectors_stay_whole() -> None:
    kind = "Collection(Edm.Int16)"
    with index(field("v", kind, dimensions=2, vectorSearchProfile="cosine", retrievable=True)) as built:
        built.put({"id": "1", "v": [-3, 4]})
        assert built.rows(select="v") == [{"@search.score": 1.0, "v": [-3, 4]}]


def test_texts_come_back_as_they_were() -> None:
    with index(field("text")) as built:
        texts = ['"quoted"', "back\\slash", "line\nbreak\t", "\u2028 é 漢 😀", "", "\u0000"]
        built.put(*({"id": str(n), "text": text} for n, text in enumerate(texts)))
        assert [row["text"] for row in built.rows(orderby="id")] == texts
