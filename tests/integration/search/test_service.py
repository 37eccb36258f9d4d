"""The service around the indexes: keys, addresses, aliases, synonym maps, statistics, and what is not there."""

import json
from typing import Any, cast

import pytest
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.core.rest import HttpRequest
from azure.search.documents.indexes.models import SearchAlias, SearchIndex, SynonymMap

import openapi
from searching import QUERY, Service, definition, field, vector

TEXT = field("text")
_BODY = definition("docs", TEXT)
_CHANGES: list[tuple[str, str, Any]] = [
    ("POST", "/indexes", definition("new", TEXT)),
    ("PUT", "/indexes('docs')", _BODY),
    ("DELETE", "/indexes('docs')", None),
    ("GET", "/indexes('docs')", None),
    ("GET", "/indexes", None),
    ("GET", "/indexes('docs')/search.stats", None),
    ("GET", "/servicestats", None),
    ("POST", "/indexes('docs')/docs/search.index", {"value": [{"id": "a"}]}),
    ("POST", "/aliases", {"name": "other", "indexes": ["docs"]}),
    ("GET", "/synonymmaps", None),
]


@pytest.mark.parametrize(("method", "path", "body"), _CHANGES)
def test_a_query_key_may_do_nothing_but_read_documents(service: Service, method: str, path: str, body: Any) -> None:
    service.create(TEXT)
    assert service.ask(method, path, body, key=QUERY).status == 403
    assert list(service.indexes.list_index_names()) == ["docs"]
    assert service.documents("docs").get_document_count() == 0


def test_a_query_key_reads_documents(service: Service) -> None:
    service.create(TEXT).upload_documents([{"id": "a", "text": "x"}])
    reader = service.documents("docs", QUERY)
    assert reader.get_document("a")["text"] == "x"
    assert reader.get_document_count() == 1
    assert [row["id"] for row in reader.search("*")] == ["a"]
    assert service.ask("GET", "/indexes/docs/docs?search=x", key=QUERY).status == 200


@pytest.mark.parametrize("key", [None, "wrong", ""])
def test_a_missing_or_wrong_key_is_403(service: Service, key: str | None) -> None:
    assert service.ask("GET", "/indexes", key=key).status == 403
    assert service.ask("GET", "/indexes('docs')/docs/$count", key=key).status == 403


def test_a_wrong_key_is_told_by_the_sdk(service: Service) -> None:
    with pytest.raises(HttpResponseError) as refused:
        service.index_client("wrong").get_index("docs")
    assert refused.value.status_code == 403


def test_a_bearer_token_is_not_implemented(service: Service) -> None:
    assert service.ask("GET", "/indexes", key=None, Authorization="Bearer x").status == 501


@pytest.mark.parametrize("version", [None, "", "latest", "1"])
def test_a_request_without_a_version_is_refused(service: Service, version: str | None) -> None:
    assert service.ask("GET", "/indexes", version=version).status == 400


@pytest.mark.parametrize("version", ["2020-06-30", "2023-11-01", "2024-07-01", "2025-09-01", "2026-05-01-preview"])
def test_versions_that_the_sdk_knows_are_taken(service: Service, version: str) -> None:
    assert service.ask("GET", "/indexes", version=version).status == 200


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/indexes/docs", None, 200),
        ("GET", "/indexes/docs/stats", None, 200),
        ("GET", "/indexes/docs/docs/a", None, 200),
        ("GET", "/indexes/docs/docs('a')", None, 200),
        ("GET", "/indexes('docs')/docs/a", None, 200),
        ("GET", "/indexes('docs')/docs('%61')", None, 200),
        ("GET", "/indexes/docs/docs/$count", None, 200),
        ("POST", "/indexes/docs/docs/index", {"value": [{"id": "b"}]}, 200),
        ("POST", "/indexes/docs/docs/search", {"search": "*"}, 200),
        ("GET", "/indexes/docs/docs?search=*", None, 200),
        ("GET", "/indexes('docs')/docs('z')", None, 404),
        ("GET", "/nothing", None, 404),
        ("GET", "/indexes('docs')/nothing", None, 404),
        ("GET", "/indexes('docs')/docs/$nothing", None, 404),
        ("PATCH", "/indexes('docs')", {}, 405),
        ("DELETE", "/indexes('docs')/docs('a')", None, 405),
        ("POST", "/servicestats", {}, 405),
    ],
)
def test_both_forms_of_an_address_are_understood(
    service: Service, method: str, path: str, body: Any, status: int
) -> None:
    service.create(TEXT).upload_documents([{"id": "a"}])
    assert service.ask(method, path, body).status == status


@pytest.mark.parametrize(
    ("method", "path", "body", "feature"),
    [
        ("POST", "/indexes('docs')/search.analyze", {"text": "x", "analyzer": "simple"}, "analysis"),
        ("POST", "/indexes('docs')/docs/search.post.suggest", {"search": "x", "suggesterName": "s"}, "suggestions"),
        ("POST", "/indexes('docs')/docs/search.post.autocomplete", {"search": "x"}, "autocompletion"),
        ("GET", "/indexers", None, "indexers"),
        ("GET", "/datasources", None, "datasources"),
        ("PUT", "/skillsets('s')", {}, "skillsets"),
        ("GET", "/knowledgebases", None, "knowledgebases"),
        ("GET", "/indexes('docs')/docs?search=*&facet=text", None, "facet"),
        ("POST", "/indexes", definition("n-n", field("a", normalizer="lowercase")), "normalizers"),
        (
            "POST",
            "/indexes",
            definition("n-n", vector() | {"type": "Collection(Edm.Byte)"}),
            "binary vectors",
        ),
    ],
)
def test_what_is_not_implemented_is_501_with_its_name(
    service: Service, method: str, path: str, body: Any, feature: str
) -> None:
    service.create(TEXT)
    answer = service.ask(method, path, body)
    assert answer.status == 501
    assert feature in answer.message


def test_an_alias_stands_for_its_index_wherever_documents_are(service: Service) -> None:
    service.create(TEXT)
    service.indexes.create_alias(SearchAlias(name="alias", indexes=["docs"]))
    documents = service.documents("alias")
    documents.upload_documents([{"id": "a", "text": "x"}])
    assert documents.get_document("a")["text"] == "x"
    assert [row["id"] for row in documents.search("x")] == ["a"]
    assert service.documents("docs").get_document_count() == 1


def test_an_alias_reads_and_changes_the_definition_but_deletes_nothing(service: Service) -> None:
    service.create(TEXT)
    service.indexes.create_alias(SearchAlias(name="alias", indexes=["docs"]))
    assert service.indexes.get_index("alias").name == "docs"
    assert service.ask("PUT", "/indexes('alias')", definition("docs", TEXT, field("more"))).status == 204
    assert service.ask("DELETE", "/indexes('alias')").status == 400
    assert [one.name for one in service.indexes.get_index("docs").fields] == ["id", "text", "more"]


def test_an_alias_is_switched_to_another_index(service: Service) -> None:
    service.create(TEXT, name="one").upload_documents([{"id": "a"}])
    service.create(TEXT, name="two")
    service.indexes.create_alias(SearchAlias(name="alias", indexes=["one"]))
    documents = service.documents("alias")
    assert documents.get_document_count() == 1
    service.indexes.create_or_update_alias(SearchAlias(name="alias", indexes=["two"]))
    assert documents.get_document_count() == 0
    assert service.indexes.get_alias("alias").indexes == ["two"]


def test_an_index_behind_an_alias_is_not_deleted(service: Service) -> None:
    service.create(TEXT)
    service.indexes.create_alias(SearchAlias(name="alias", indexes=["docs"]))
    with pytest.raises(HttpResponseError, match="alias"):
        service.indexes.delete_index("docs")
    service.indexes.delete_alias("alias")
    service.indexes.delete_index("docs")
    with pytest.raises(ResourceNotFoundError):
        service.indexes.get_alias("alias")


@pytest.mark.parametrize("indexes", [[], ["docs", "docs"], ["absent"], "docs"])
def test_an_alias_maps_to_one_index_that_exists(service: Service, indexes: Any) -> None:
    service.create(TEXT)
    assert service.ask("POST", "/aliases", {"name": "alias", "indexes": indexes}).status == 400


def test_an_alias_and_an_index_never_have_the_same_name(service: Service) -> None:
    service.create(TEXT)
    assert service.ask("POST", "/aliases", {"name": "docs", "indexes": ["docs"]}).status == 409
    service.indexes.create_alias(SearchAlias(name="alias", indexes=["docs"]))
    assert service.ask("POST", "/indexes", definition("alias", TEXT)).status == 409
    with pytest.raises(ResourceExistsError):
        service.indexes.create_alias(SearchAlias(name="alias", indexes=["docs"]))


def test_a_synonym_map_is_kept_with_its_etag(service: Service) -> None:
    rules: list[str] = ["USA, United States", "Wash. => WA"]
    made = service.indexes.create_synonym_map(SynonymMap(name="places", synonyms=rules))
    assert service.indexes.get_synonym_map("places").synonyms == rules
    assert service.indexes.get_synonym_map_names() == ["places"]
    changed = service.indexes.create_or_update_synonym_map(SynonymMap(name="places", synonyms=["a, b"]))
    assert made.e_tag != changed.e_tag
    old = service.ask("DELETE", "/synonymmaps('places')", If_Match=made.e_tag or "")
    assert old.status == 412
    service.indexes.delete_synonym_map("places")
    with pytest.raises(ResourceNotFoundError):
        service.indexes.get_synonym_map("places")


@pytest.mark.parametrize(
    "body",
    [
        {"name": "s", "format": "csv", "synonyms": "a, b"},
        {"name": "s", "format": "solr"},
        {"name": "s", "format": "solr", "synonyms": "a =>"},
        {"name": "s--s", "format": "solr", "synonyms": "a, b"},
        [],
    ],
)
def test_a_synonym_map_that_is_none_is_refused(service: Service, body: Any) -> None:
    assert service.ask("POST", "/synonymmaps", body).status == 400


def test_statistics_tell_documents_storage_and_vectors(service: Service) -> None:
    service.create(TEXT, vector()).upload_documents([{"id": f"k{n}", "vec": [1.0, 2.0, 3.0]} for n in range(10)])
    told = service.indexes.get_index_statistics("docs")
    assert told.document_count == 10
    assert told.vector_index_size == 10 * 3 * 4
    assert told.storage_size > told.vector_index_size


def test_service_statistics_sum_all_indexes(service: Service) -> None:
    service.create(TEXT, name="one").upload_documents([{"id": "a"}])
    service.create(TEXT, name="two").upload_documents([{"id": "a"}, {"id": "b"}])
    service.indexes.create_alias(SearchAlias(name="alias", indexes=["one"]))
    told = service.indexes.get_service_statistics()
    assert told.counters.document_counter.usage == 3
    assert told.counters.index_counter.usage == 2
    assert told.counters.alias_counter.usage == 1
    assert told.limits.max_fields_per_index == 1000


def test_statistics_have_the_members_that_the_documents_show(service: Service) -> None:
    folder = openapi.SPECS / "azure-search-2026-04-01" / "examples"
    for file, path in (
        ("SearchServiceGetServiceStatistics.json", "/servicestats"),
        ("SearchServiceGetIndexStatistics.json", "/indexes('docs')/search.stats"),
    ):
        if path.startswith("/indexes"):
            service.create(TEXT)
        shown = json.loads((folder / file).read_bytes())["responses"]["200"]["body"]
        told = {name: one for name, one in service.ask("GET", path).json().items() if not name.startswith("@")}
        assert _members(told) == _members(shown) | {"quota"} if path == "/servicestats" else _members(shown)


def _members(value: Any) -> set[str]:
    whole = cast("dict[str, Any]", value if isinstance(value, dict) else {})
    return set(whole) | {name for one in whole.values() for name in _members(one)}


def test_more_indexes_than_the_quota_are_refused(service: Service) -> None:
    for n in range(50):
        service.create(TEXT, name=f"docs-{n}")
    with pytest.raises(HttpResponseError, match="quota") as refused:
        service.create(TEXT, name="one-too-many")
    assert refused.value.status_code == 429


@pytest.mark.parametrize(("accept", "there"), [("minimal", True), ("none", False)])
def test_metadata_is_there_for_who_wants_it(service: Service, accept: str, there: bool) -> None:
    service.create(TEXT).upload_documents([{"id": "a"}])
    answer = service.ask("GET", "/indexes('docs')/docs('a')", Accept=f"application/json;odata.metadata={accept}")
    assert ("@odata.context" in answer.json()) is there
    assert answer.headers["odata-version"] == "4.0"


def test_raw_requests_of_the_sdk_are_answered_as_its_own(service: Service) -> None:
    documents = service.create(TEXT)
    body = {"value": [{"@search.action": "upload", "id": "a", "text": "x"}]}
    request = HttpRequest("POST", "/indexes('docs')/docs/search.index", params={"api-version": "2026-04-01"}, json=body)
    assert documents.send_request(request).json()["value"][0]["statusCode"] == 201
    definition_ = HttpRequest("GET", "/indexes('docs')", params={"api-version": "2026-04-01"})
    assert service.indexes.send_request(definition_).json()["name"] == "docs"


def test_a_long_read_goes_on_by_the_parameters_of_the_next_page(service: Service) -> None:
    documents = service.create(TEXT)
    for start in range(0, 2500, 1000):
        documents.upload_documents([{"id": f"k{n:05}"} for n in range(start, min(start + 1000, 2500))])
    found = [row["id"] for row in documents.search("*", order_by=["id"], top=2400)]
    assert found == [f"k{n:05}" for n in range(2400)]
    page = service.ask("POST", "/indexes('docs')/docs/search.post.search", {"search": "*", "top": 2400}).json()
    assert page["@search.nextPageParameters"] | {"search": "*"} == {"search": "*", "top": 1400, "skip": 1000}
    assert page["@odata.nextLink"].endswith("/indexes('docs')/docs/search.post.search?api-version=2026-04-01")


def test_the_next_page_of_a_read_by_url_is_a_link(service: Service) -> None:
    documents = service.create(TEXT)
    documents.upload_documents([{"id": f"k{n:03}"} for n in range(120)])
    found: list[str] = []
    path: str | None = "/indexes('docs')/docs?search=*&$orderby=id"
    version: str | None = "2026-04-01"
    while path is not None:
        page = service.ask("GET", path, version=version).json()
        found += [row["id"] for row in page["value"]]
        link: str | None = page.get("@odata.nextLink")
        path, version = (link.removeprefix(service.url) if link else None), None
    assert found == [f"k{n:03}" for n in range(120)]


@pytest.mark.parametrize("body", [{"search": "*", "facet": ["a"]}, {"$top": 1}, [], "x"])
def test_a_query_with_parameters_that_there_are_none_of_is_refused(service: Service, body: Any) -> None:
    service.create(TEXT)
    assert service.ask("POST", "/indexes('docs')/docs/search.post.search", body).status == 400


@pytest.mark.parametrize("query", ["$top=many", "$count=maybe", "nonsense=1", "$skip=1.5"])
def test_a_query_by_url_with_values_that_are_none_is_refused(service: Service, query: str) -> None:
    service.create(TEXT)
    assert service.ask("GET", f"/indexes('docs')/docs?search=*&{query}").status == 400


def test_a_vector_finds_its_neighbours_and_stays_hidden(service: Service) -> None:
    documents = service.create(TEXT, vector())
    documents.upload_documents([{"id": "a", "vec": [1.0, 0.0, 0.0]}, {"id": "b", "vec": [0.0, 1.0, 0.0]}])
    body = {"vectorQueries": [{"kind": "vector", "vector": [0.9, 0.1, 0.0], "fields": "vec", "k": 2}]}
    rows = service.ask("POST", "/indexes('docs')/docs/search.post.search", body).json()["value"]
    assert [row["id"] for row in rows] == ["a", "b"]
    assert all("vec" not in row for row in rows)


def test_an_index_that_was_changed_by_its_model_is_the_same_index(service: Service) -> None:
    service.create(TEXT)
    index = service.indexes.get_index("docs")
    index.fields.append(SearchIndex(definition("docs", field("more"))).fields[1])
    changed = service.indexes.create_or_update_index(index)
    assert [one.name for one in changed.fields] == ["id", "text", "more"]
