"""Writing documents and reading them back by key, through the SDK."""

from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.search.documents.models import IndexingResult

from searching import Documents, Service, field, vector

_TAGS = "Collection(Edm.String)"
_ADDRESS = field("address", "Edm.ComplexType", fields=[field("city"), field("street")])
_ROOMS = field("rooms", "Collection(Edm.ComplexType)", fields=[field("beds", "Edm.Int32"), field("note")])


@pytest.fixture
def docs(service: Service) -> Documents:
    return service.create(
        field("title"),
        field("n", "Edm.Int32"),
        field("tags", _TAGS),
        _ADDRESS,
        _ROOMS,
        field("secret", retrievable=False),
        vector(retrievable=True),
    )


def _told(results: list[IndexingResult]) -> list[tuple[str, bool, int]]:
    return [(one.key or "", bool(one.succeeded), one.status_code or 0) for one in results]


def test_an_upload_is_201_when_the_document_is_new_and_200_when_it_replaces(docs: Documents) -> None:
    assert _told(docs.upload_documents([{"id": "a", "title": "x", "n": 1}])) == [("a", True, 201)]
    assert _told(docs.upload_documents([{"id": "a", "title": "y"}])) == [("a", True, 200)]
    assert docs.get_document("a")["n"] is None  # replaced, not merged


def test_what_an_upload_leaves_out_is_null_and_collections_are_empty(docs: Documents) -> None:
    docs.upload_documents([{"id": "a", "address": {"city": "Ulm"}, "rooms": [{"beds": 2}]}])
    assert docs.get_document("a") == {
        "id": "a",
        "title": None,
        "n": None,
        "tags": [],
        "address": {"city": "Ulm", "street": None},
        "rooms": [{"beds": 2, "note": None}],
        "vec": None,
    }


def test_a_merge_changes_only_what_it_names(docs: Documents) -> None:
    docs.upload_documents([{"id": "a", "title": "x", "n": 1, "vec": [1.0, 2.0, 3.0]}])
    assert _told(docs.merge_documents([{"id": "a", "n": 2}])) == [("a", True, 200)]
    found = docs.get_document("a")
    assert (found["title"], found["n"], found["vec"]) == ("x", 2, [1.0, 2.0, 3.0])


def test_a_merge_of_a_missing_document_is_404_for_this_document_alone(docs: Documents) -> None:
    docs.upload_documents([{"id": "a"}])
    results = docs.merge_documents([{"id": "a", "n": 1}, {"id": "b", "n": 1}])
    assert _told(results) == [("a", True, 200), ("b", False, 404)]
    assert results[1].error_message == "Document not found."
    assert docs.get_document("a")["n"] == 1


def test_a_merge_or_upload_does_whichever_fits(docs: Documents) -> None:
    docs.upload_documents([{"id": "a", "title": "x"}])
    assert _told(docs.merge_or_upload_documents([{"id": "a", "n": 1}, {"id": "b", "n": 2}])) == [
        ("a", True, 200),
        ("b", True, 201),
    ]
    assert [docs.get_document(key)["title"] for key in "ab"] == ["x", None]


def test_a_merge_replaces_collections(docs: Documents) -> None:
    docs.upload_documents([{"id": "a", "tags": ["x", "y"], "rooms": [{"beds": 1, "note": "n"}]}])
    docs.merge_documents([{"id": "a", "tags": ["z"], "rooms": [{"beds": 2}]}])
    found = docs.get_document("a")
    assert found["tags"] == ["z"]
    assert found["rooms"] == [{"beds": 2, "note": None}]


def test_a_merge_goes_into_complex_values(docs: Documents) -> None:
    docs.upload_documents([{"id": "a", "address": {"city": "Ulm", "street": "S"}}])
    docs.merge_documents([{"id": "a", "address": {"city": "Bonn"}}])
    assert docs.get_document("a")["address"] == {"city": "Bonn", "street": "S"}


def test_a_merge_of_null_empties_a_field(docs: Documents) -> None:
    docs.upload_documents([{"id": "a", "title": "x", "address": {"city": "Ulm"}, "vec": [1.0, 2.0, 3.0]}])
    docs.merge_documents([{"id": "a", "title": None, "address": None, "vec": None}])
    found = docs.get_document("a")
    assert (found["title"], found["address"], found["vec"]) == (None, None, None)


def test_a_merge_loses_a_vector_that_is_not_stored_and_not_sent_again(service: Service) -> None:
    docs = service.create(field("title"), vector(stored=False))
    docs.upload_documents([{"id": "a", "vec": [1.0, 0.0, 0.0]}, {"id": "b", "vec": [1.0, 0.0, 0.0]}])
    docs.merge_documents([{"id": "a", "title": "x"}, {"id": "b", "title": "y", "vec": [0.0, 1.0, 0.0]}])
    both = [{"id": "c", "vec": [1.0, 0.0, 0.0]}, {"@search.action": "merge", "id": "c", "title": "z"}]
    service.ask("POST", "/indexes('docs')/docs/search.index", {"value": both})
    body = {"vectorQueries": [{"kind": "vector", "vector": [1.0, 1.0, 0.0], "fields": "vec", "k": 9}]}
    rows = service.ask("POST", "/indexes('docs')/docs/search.post.search", body).json()["value"]
    assert [row["id"] for row in rows] == ["b"]


def test_a_delete_is_200_whether_or_not_the_document_was_there(docs: Documents) -> None:
    docs.upload_documents([{"id": "a"}])
    assert _told(docs.delete_documents([{"id": "a"}, {"id": "b"}])) == [("a", True, 200), ("b", True, 200)]
    with pytest.raises(ResourceNotFoundError):
        docs.get_document("a")


def test_a_delete_looks_at_nothing_but_the_key(docs: Documents) -> None:
    docs.upload_documents([{"id": "a", "n": 1}])
    assert _told(docs.delete_documents([{"id": "a", "n": "no number", "absent": 1}])) == [("a", True, 200)]


def test_actions_on_one_key_are_done_in_their_order(service: Service, docs: Documents) -> None:
    actions = [
        {"@search.action": "upload", "id": "a", "title": "x", "n": 1},
        {"@search.action": "merge", "id": "a", "n": 2},
        {"@search.action": "delete", "id": "a"},
        {"@search.action": "merge", "id": "a", "n": 3},
        {"@search.action": "mergeOrUpload", "id": "a", "n": 4},
    ]
    answer = service.ask("POST", "/indexes('docs')/docs/search.index", {"value": actions})
    assert answer.status == 207
    assert [one["statusCode"] for one in answer.json()["value"]] == [201, 200, 200, 404, 201]
    assert (docs.get_document("a")["title"], docs.get_document("a")["n"]) == (None, 4)


def test_an_action_that_is_not_named_is_an_upload(service: Service, docs: Documents) -> None:
    assert service.ask("POST", "/indexes('docs')/docs/search.index", {"value": [{"id": "a"}]}).status == 200
    assert docs.get_document_count() == 1


@pytest.mark.parametrize(
    "body",
    [
        {"value": []},
        {},
        [],
        {"value": "a"},
        {"value": [1]},
        {"value": [{"@search.action": "replace", "id": "a"}]},
        {"value": [{"id": "a", "@search.score": 1.0}]},
        b"{not json",
        b"",
    ],
)
def test_a_batch_that_is_none_is_refused(service: Service, docs: Documents, body: Any) -> None:
    assert service.ask("POST", "/indexes('docs')/docs/search.index", body).status == 400
    assert docs.get_document_count() == 0


@pytest.mark.parametrize("key", ["a/b", "a b", "_a", "ä", "a.b", "a'b", "x" * 1025, "", None, 1, ["a"]])
def test_a_key_that_no_url_holds_refuses_the_whole_batch(docs: Documents, key: Any) -> None:
    with pytest.raises(HttpResponseError) as refused:
        docs.upload_documents([{"id": "good"}, {"id": key}])
    assert refused.value.status_code == 400
    assert docs.get_document_count() == 0


def test_a_document_without_its_key_refuses_the_whole_batch(docs: Documents) -> None:
    with pytest.raises(HttpResponseError, match="1: Document key cannot be missing or empty") as refused:
        docs.upload_documents([{"id": "good"}, {"title": "x"}])
    assert refused.value.error is not None
    assert refused.value.error.code == "OperationNotAllowed"


@pytest.mark.parametrize("key", ["a", "-a", "=a=", "A_b-c=1", "0", "x" * 1024])
def test_a_key_is_found_again_as_it_was_written(docs: Documents, key: str) -> None:
    docs.upload_documents([{"id": key}])
    assert docs.get_document(key)["id"] == key


def test_keys_know_small_and_capital_letters(docs: Documents) -> None:
    docs.upload_documents([{"id": "a"}, {"id": "A"}])
    assert docs.get_document_count() == 2


_WRONG: list[tuple[str, Any, str]] = [
    ("title", 5, "'title'"),
    ("title", ["x"], "'title'"),
    ("n", "5", "'n'"),
    ("n", 1.5, "'n'"),
    ("n", True, "'n'"),
    ("n", 2**31, "'n'"),
    ("tags", "x", "'tags'"),
    ("tags", None, "'tags'"),
    ("tags", ["x", None], "'tags'"),
    ("tags", [1], "'tags'"),
    ("address", "Ulm", "'address'"),
    ("address", {"zip": 1}, "'zip'"),
    ("address", {"city": 1}, "'address/city'"),
    ("rooms", {"beds": 1}, "'rooms'"),
    ("rooms", None, "'rooms'"),
    ("rooms", [None], "'rooms'"),
    ("rooms", [{"beds": "two"}], "'rooms/beds'"),
    ("vec", [1.0, 2.0], "'vec'"),
    ("vec", [], "'vec'"),
    ("vec", [1.0, 2.0, "3"], "'vec'"),
    ("vec", [1.0, 2.0, 1e39], "'vec'"),
    ("vec", 1.0, "'vec'"),
    ("absent", 1, "'absent'"),
]


@pytest.mark.parametrize(("name", "value", "named"), _WRONG)
def test_a_value_of_another_type_refuses_the_whole_batch_and_names_the_property(
    docs: Documents, name: str, value: Any, named: str
) -> None:
    with pytest.raises(HttpResponseError) as refused:
        docs.upload_documents([{"id": "good"}, {"id": "bad", name: value}])
    assert refused.value.status_code == 400
    assert named in str(refused.value)
    assert docs.get_document_count() == 0


_KEPT: list[tuple[str, Any, Any]] = [
    ("Edm.String", "a'b\n\u00e4\U0001f600", "a'b\n\u00e4\U0001f600"),
    ("Edm.Int32", -(2**31), -(2**31)),
    ("Edm.Int64", 2**63 - 1, 2**63 - 1),
    ("Edm.Double", 5, 5.0),
    ("Edm.Double", 0.1, 0.1),
    ("Edm.Double", "-INF", "-INF"),
    ("Edm.Boolean", False, False),
    ("Edm.DateTimeOffset", "2017-01-13T14:03:00-08:00", "2017-01-13T22:03:00Z"),
    ("Edm.DateTimeOffset", "2015-04-15T10:30:09.7552052Z", "2015-04-15T10:30:09.755Z"),
    ("Edm.DateTimeOffset", "0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
    ("Collection(Edm.Int64)", [3, 1, 3], [3, 1, 3]),
    ("Collection(Edm.DateTimeOffset)", ["2020-01-01T01:00:00+01:00"], ["2020-01-01T00:00:00Z"]),
    (
        "Edm.GeographyPoint",
        {"type": "Point", "coordinates": [10, 48.4]},
        {
            "type": "Point",
            "coordinates": [10.0, 48.4],
            "crs": {"type": "name", "properties": {"name": "EPSG:4326"}},
        },
    ),
]


@pytest.mark.parametrize(("kind", "value", "kept"), _KEPT)
def test_a_value_is_kept_as_the_service_writes_it(service: Service, kind: str, value: Any, kept: Any) -> None:
    docs = service.create(field("value", kind))
    docs.upload_documents([{"id": "a", "value": value}])
    found = docs.get_document("a")["value"]
    assert (found, type(found)) == (kept, type(kept))
    docs.upload_documents([{"id": "b", "value": found}])  # what was read can be written
    assert docs.get_document("b")["value"] == kept


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("Edm.Int64", 2**63),
        ("Edm.Boolean", 1),
        ("Edm.Double", "much"),
        ("Edm.DateTimeOffset", "2020-01-01"),
        ("Edm.DateTimeOffset", "2020-01-01T00:00:00"),
        ("Edm.DateTimeOffset", "2020-13-01T00:00:00Z"),
        ("Edm.DateTimeOffset", "0001-01-01T00:00:00+01:00"),
        ("Edm.DateTimeOffset", 1577836800),
        ("Edm.GeographyPoint", {"type": "Point", "coordinates": [181, 0]}),
        ("Edm.GeographyPoint", {"type": "Line", "coordinates": [1, 2]}),
        ("Edm.GeographyPoint", [1, 2]),
    ],
)
def test_a_value_that_is_none_of_its_type_is_refused(service: Service, kind: str, value: Any) -> None:
    docs = service.create(field("value", kind))
    with pytest.raises(HttpResponseError) as refused:
        docs.upload_documents([{"id": "a", "value": value}])
    assert refused.value.status_code == 400


@pytest.mark.parametrize(
    ("kind", "good", "bad"), [("Half", 65504.0, 70000.0), ("Int16", 32767, 1.5), ("SByte", -128, 128)]
)
def test_vectors_of_smaller_numbers_hold_what_fits(service: Service, kind: str, good: float, bad: float) -> None:
    docs = service.create(vector(retrievable=True) | {"type": f"Collection(Edm.{kind})"})
    docs.upload_documents([{"id": "a", "vec": [good, 1, 2]}])
    assert docs.get_document("a")["vec"] == [good, 1, 2]
    with pytest.raises(HttpResponseError, match="vec"):
        docs.upload_documents([{"id": "b", "vec": [bad, 1, 2]}])


def test_a_term_that_no_index_holds_fails_its_document_alone(docs: Documents) -> None:
    results = docs.upload_documents([{"id": "a", "title": "x" * 32_767}, {"id": "b", "title": "x" * 32_766}])
    assert _told(results) == [("a", False, 400), ("b", True, 201)]
    assert "too large" in (results[0].error_message or "")


def test_a_long_text_is_taken_by_a_field_that_is_only_searched(service: Service) -> None:
    docs = service.create(field("text", filterable=False, sortable=False, facetable=False))
    assert _told(docs.upload_documents([{"id": "a", "text": "word " * 20_000}])) == [("a", True, 201)]


def test_a_document_holds_three_thousand_objects_and_no_more(docs: Documents) -> None:
    docs.upload_documents([{"id": "a", "rooms": [{"beds": 1}] * 3000}])
    with pytest.raises(HttpResponseError, match="3000"):
        docs.upload_documents([{"id": "a", "rooms": [{"beds": 1}] * 3001}])


def test_a_batch_holds_a_thousand_actions_and_no_more(docs: Documents) -> None:
    assert len(docs.upload_documents([{"id": f"k{n}"} for n in range(1000)])) == 1000
    with pytest.raises(HttpResponseError, match="1000") as refused:
        docs.upload_documents([{"id": f"x{n}"} for n in range(1001)])
    assert refused.value.status_code == 400
    assert docs.get_document_count() == 1000


def test_a_lookup_shows_what_may_be_retrieved_and_was_selected(docs: Documents) -> None:
    docs.upload_documents([{"id": "a", "title": "x", "secret": "s", "address": {"city": "Ulm", "street": "S"}}])
    assert "secret" not in docs.get_document("a")
    assert docs.get_document("a", selected_fields=["id", "address/city"]) == {"id": "a", "address": {"city": "Ulm"}}
    assert docs.get_document("a", selected_fields=["address"]) == {"address": {"city": "Ulm", "street": "S"}}


@pytest.mark.parametrize("name", ["secret", "absent", "title/x", "address/zip"])
def test_a_lookup_refuses_to_select_what_is_hidden_or_absent(docs: Documents, name: str) -> None:
    docs.upload_documents([{"id": "a", "secret": "s"}])
    with pytest.raises(HttpResponseError) as refused:
        docs.get_document("a", selected_fields=[name])
    assert refused.value.status_code == 400


def test_the_count_is_a_plain_number_behind_a_byte_order_mark(service: Service, docs: Documents) -> None:
    docs.upload_documents([{"id": "a"}, {"id": "b"}])
    assert docs.get_document_count() == 2
    answer = service.ask("GET", "/indexes('docs')/docs/$count")
    assert (answer.body, answer.headers["content-type"]) == ("\ufeff2".encode(), "text/plain")


def test_half_a_document_is_merged_into_what_readers_do_not_see_yet(docs: Documents) -> None:
    docs.upload_documents([{"id": "a", "title": "x"}])
    docs.merge_documents([{"id": "a", "n": 1}])
    docs.merge_documents([{"id": "a", "tags": ["t"]}])
    found = docs.get_document("a")
    assert (found["title"], found["n"], found["tags"]) == ("x", 1, ["t"])
