"""When a document is seen, and what stays of it."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from questions import Index, definition, field, index, vector

SOON = 10.0


def names(built: Index, now: float) -> dict[str, str]:
    return {row["id"]: row["name"] for row in built.ask(now=now)["value"]}


def test_a_new_document_is_seen_from_its_moment_on() -> None:
    with index(field("name")) as built:
        built.put({"id": "a", "name": "new"}, at=SOON, now=5.0)
        assert names(built, 9.9) == {}
        assert built.table.get("a", 9.9) is None
        assert built.table.count(9.9) == 0
        assert built.table.exists(["a", "b"]) == {"a"}
        assert built.table.get("a", float("inf")) == {"id": "a", "name": "new"}
        assert names(built, SOON) == {"a": "new"}
        assert built.table.count(SOON) == 1


def test_a_replaced_document_is_seen_as_it_was_until_its_successor_is() -> None:
    with index(field("name")) as built:
        built.put({"id": "a", "name": "old"})
        built.put({"id": "a", "name": "new"}, at=SOON, now=5.0)
        assert names(built, 9.9) == {"a": "old"}
        assert built.ask(now=9.9, search="old", count=True)["@odata.count"] == 1
        assert built.ask(now=9.9, search="new", count=True)["@odata.count"] == 0
        assert names(built, SOON) == {"a": "new"}
        assert built.ask(now=SOON, search="old", count=True)["@odata.count"] == 0
        assert built.table.get("a", float("inf")) == {"id": "a", "name": "new"}
        assert built.table.count(9.9) == built.table.count(SOON) == 1


def test_a_deleted_document_is_seen_until_its_moment() -> None:
    with index(field("name")) as built:
        built.put({"id": "a", "name": "old"}, {"id": "b", "name": "old"})
        built.table.delete(["a", "missing"], SOON)
        assert built.table.exists(["a", "b"]) == {"b"}
        assert built.table.get("a", float("inf")) is None
        assert names(built, 9.9) == {"a": "old", "b": "old"}
        assert names(built, SOON) == {"b": "old"}


def test_the_last_of_one_batch_counts() -> None:
    with index(field("name")) as built:
        built.put(*({"id": "a", "name": str(n)} for n in range(1200)))
        assert names(built, 1.0) == {"a": "1199"}
        assert built.table.count(1.0) == 1


def test_what_nobody_can_see_any_more_is_forgotten() -> None:
    with index(field("name"), vector("v", 2)) as built:
        for n in range(5):
            built.put({"id": "a", "name": f"name{n}", "v": [1, n]}, at=float(n), now=float(n))
        built.put({"id": "b"}, at=6.0, now=6.0)
        (rows,) = built.table.connection.execute(f"SELECT count(*) FROM {built.table.docs}").fetchone()
        assert rows == 2
        (texts,) = built.table.connection.execute(f"SELECT count(*) FROM {built.table.docsize}").fetchone()
        assert texts == 2
        assert built.table.sizes()[0] == 2
        assert built.table.sizes()[2] == 8
        assert built.ids(search="name0") == []
        assert built.ids(search="name4") == ["a"]


changes = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from(["put", "delete"]), st.integers(0, 3), st.integers(0, 4)),
    max_size=12,
)


@given(changes, st.integers(0, 20))
def test_at_every_moment_the_newest_visible_version_is_seen(told: list[tuple[str, str, int, int]], late: int) -> None:
    delay = 2.0
    expected: dict[str, str] = {}
    with index(field("name")) as built:
        clock = 0.0
        for number, (key, kind, pause, _) in enumerate(told):
            clock += pause
            if kind == "put":
                built.put({"id": key, "name": str(number)}, at=clock + delay, now=clock)
            else:
                built.table.delete([key], clock + delay)
        now = clock + late / 5
        clock = 0.0
        for number, (key, kind, pause, _) in enumerate(told):
            clock += pause
            if clock + delay > now:
                break
            if kind == "put":
                expected[key] = str(number)
            else:
                expected.pop(key, None)
        assert names(built, now) == expected
        assert built.table.count(now) == len(expected)
        assert {key for key in "abc" if built.table.get(key, now)} == set(expected)


def test_new_fields_are_null_in_old_documents_and_can_be_asked() -> None:
    before = [field("name"), field("one", "Edm.ComplexType", fields=[field("x")])]
    with index(*before) as built:
        built.put({"id": "a", "name": "old", "one": {"x": "1"}})
        after: list[dict[str, Any]] = [
            field("name"),
            field("one", "Edm.ComplexType", fields=[field("x"), field("y", "Edm.Int32")]),
            field("tags", "Collection(Edm.String)"),
            field("n", "Edm.Int32"),
            vector("v", 2, retrievable=True),
        ]
        built.table.alter(definition(*after))
        old: dict[str, Any] = {"id": "a", "name": "old", "one": {"x": "1", "y": None}, "tags": [], "n": None}
        assert built.rows() == [{"@search.score": 1.0, **old, "v": None}]
        assert built.found("n eq null and one/y eq null and not tags/any()") == {"a"}
        new = {"id": "b", "name": "new", "one": {"x": "2", "y": 3}, "tags": ["t"], "n": 5, "v": [1, 0]}
        built.put(new)
        assert built.found("n gt 1 and one/y eq 3 and tags/any(t: t eq 't')") == {"b"}
        assert built.ids(search="old") == ["a"]
        assert built.ids(search="t") == ["b"]
        query = {"kind": "vector", "vector": [1, 0], "fields": "v"}
        assert built.ids(vectorQueries=[query]) == ["b"]
        assert built.ids(orderby="n desc") == ["b", "a"]


def test_a_changed_attribute_holds_for_old_documents() -> None:
    with index(field("name"), vector("v", 2)) as built:
        built.put({"id": "a", "name": "n", "v": [1, 2]})
        built.table.alter(definition(field("name", retrievable=False), vector("v", 2, retrievable=True)))
        assert built.rows() == [{"@search.score": 1.0, "id": "a", "v": [1.0, 2.0]}]


def test_an_index_that_is_opened_again_has_everything() -> None:
    defined = definition(field("name"), field("tags", "Collection(Edm.String)"), vector("v", 2, retrievable=True))
    with index(*defined["fields"][1:]) as built:
        built.put({"id": "a", "name": "some words", "tags": ["t"], "v": [1, 2]}, {"id": "b"})
        built.table.delete(["b"], SOON)
        again = Index.opened(built.table.connection, defined)
        asked = [
            {"search": "words"},
            {"filter": "tags/any(t: t eq 't')"},
            {"vectorQueries": [{"kind": "vector", "vector": [1, 0], "fields": "v"}]},
        ]
        for request in asked:
            assert again.rows(**request) == built.rows(**request) != []
        assert again.table.count(9.0) == 2
        assert again.table.count(SOON) == 1
        again.put({"id": "c", "name": "words"})
        assert again.found("id gt 'a'") == built.found("id gt 'a'") == {"c"}


def test_a_dropped_index_leaves_nothing_and_can_be_made_again() -> None:
    with index(field("name"), vector("v", 2)) as built:
        built.put({"id": "a", "name": "n", "v": [1, 2]})
        query = {"kind": "vector", "vector": [1, 0], "fields": "v"}
        assert built.ids(vectorQueries=[query]) == ["a"]
        built.table.drop()
        left = built.table.connection.execute(
            "SELECT name FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'"
        ).fetchall()
        assert left == []
        built.table.create()
        assert built.ids() == built.ids(search="n") == built.ids(vectorQueries=[query]) == []
