"""What the service lets an index be, through the SDK."""

from typing import Any

import pytest
from azure.core import MatchConditions
from azure.core.exceptions import (
    HttpResponseError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
)
from azure.search.documents.indexes.models import SearchIndex

from searching import VECTORS, Service, definition, field, vector

GOOD = field("text")
_INT, _GEO, _COMPLEX = "Edm.Int32", "Edm.GeographyPoint", "Edm.ComplexType"
_FEW = [field("a")]


def test_a_new_index_is_answered_with_201_and_an_etag_and_a_changed_one_with_200_and_another(service: Service) -> None:
    new = service.ask("PUT", "/indexes('docs')", definition("docs", GOOD), Prefer="return=representation")
    changed = service.ask("PUT", "/indexes('docs')", definition("docs", GOOD), Prefer="return=representation")
    assert (new.status, changed.status) == (201, 200)
    assert new.json()["@odata.etag"] != changed.json()["@odata.etag"]


def test_a_change_whose_sender_wants_nothing_back_is_answered_with_204(service: Service) -> None:
    service.create(GOOD)
    assert service.ask("PUT", "/indexes/docs", definition("docs", GOOD)).status == 204


def test_an_index_that_exists_is_not_created_again(service: Service) -> None:
    service.create(GOOD)
    with pytest.raises(ResourceExistsError, match="already exists"):
        service.create(GOOD)


def test_what_is_not_said_of_a_field_is_written_out(service: Service) -> None:
    service.create(field("n", _INT), field("tags", "Collection(Edm.String)"), field("place", _GEO), vector())
    fields = {one["name"]: one for one in service.ask("GET", "/indexes('docs')").json()["fields"]}
    flags = ("searchable", "filterable", "sortable", "facetable", "retrievable", "stored")
    assert {name: [one[flag] for flag in flags] for name, one in fields.items()} == {
        "id": [True, True, True, True, True, True],
        "n": [False, True, True, True, True, True],
        "tags": [True, True, False, True, True, True],
        "place": [False, True, True, False, True, True],
        "vec": [True, False, False, False, False, True],
    }


def test_an_algorithm_gets_its_documented_parameters(service: Service) -> None:
    service.create(vector())
    algorithm = service.ask("GET", "/indexes('docs')").json()["vectorSearch"]["algorithms"][0]
    assert algorithm["hnswParameters"] == {"metric": "cosine", "m": 4, "efConstruction": 400, "efSearch": 500}


def test_what_the_emulator_does_not_know_is_kept(service: Service) -> None:
    whole = definition("docs", field("text", novelty={"a": 1}), novelty=[1, 2])
    service.ask("PUT", "/indexes('docs')", whole)
    kept = service.ask("GET", "/indexes('docs')").json()
    assert kept["novelty"] == [1, 2]
    assert kept["fields"][1]["novelty"] == {"a": 1}


def test_a_definition_that_was_read_can_be_written_back(service: Service) -> None:
    service.create(GOOD, vector(), scoringProfiles=[{"name": "p", "text": {"weights": {"text": 2}}}])
    index = service.indexes.get_index("docs")
    assert service.indexes.create_or_update_index(index).fields == index.fields


def test_definitions_are_listed_by_name_and_cut_to_what_was_selected(service: Service) -> None:
    service.create(GOOD, name="b-index")
    service.create(GOOD, name="a_index")
    assert list(service.indexes.list_index_names()) == ["a_index", "b-index"]
    assert service.ask("GET", "/indexes?$select=name").json()["value"] == [{"name": "a_index"}, {"name": "b-index"}]
    assert [len(one.fields) for one in service.indexes.list_indexes()] == [2, 2]


def test_an_absent_index_is_404(service: Service) -> None:
    with pytest.raises(ResourceNotFoundError):
        service.indexes.get_index("absent")
    with pytest.raises(ResourceNotFoundError):
        service.documents("absent").upload_documents([{"id": "a"}])
    assert service.ask("DELETE", "/indexes('absent')").status == 404


def test_a_deleted_index_takes_its_documents_with_it(service: Service) -> None:
    service.create(GOOD).upload_documents([{"id": "a"}])
    service.indexes.delete_index("docs")
    assert service.create(GOOD).get_document_count() == 0


def test_a_change_with_an_old_etag_is_refused(service: Service) -> None:
    service.create(GOOD)
    old = service.indexes.get_index("docs")
    service.indexes.create_or_update_index(service.indexes.get_index("docs"))
    with pytest.raises(ResourceModifiedError):
        service.indexes.create_or_update_index(old, match_condition=MatchConditions.IfNotModified)
    with pytest.raises(ResourceModifiedError):
        service.indexes.delete_index(old, match_condition=MatchConditions.IfNotModified)
    assert list(service.indexes.list_index_names()) == ["docs"]


def test_an_etag_that_is_current_lets_a_change_through(service: Service) -> None:
    service.create(GOOD)
    index = service.indexes.get_index("docs")
    changed = service.indexes.create_or_update_index(index, match_condition=MatchConditions.IfNotModified)
    service.indexes.delete_index(changed, match_condition=MatchConditions.IfNotModified)
    assert list(service.indexes.list_index_names()) == []


def test_an_index_that_must_be_new_is_refused_when_it_is_not(service: Service) -> None:
    body = definition("docs", GOOD)
    assert service.ask("PUT", "/indexes('docs')", body, If_None_Match="*").status == 201
    assert service.ask("PUT", "/indexes('docs')", body, If_None_Match="*").status == 412


def test_an_index_that_must_exist_is_refused_when_it_does_not(service: Service) -> None:
    assert service.ask("PUT", "/indexes('docs')", definition("docs", GOOD), If_Match="*").status == 412


def test_an_index_never_gets_an_etag_again_that_it_had_before_it_was_deleted(service: Service) -> None:
    service.create(GOOD)
    before = service.indexes.get_index("docs").e_tag
    service.indexes.delete_index("docs")
    service.create(GOOD)
    assert service.indexes.get_index("docs").e_tag != before


def test_the_name_in_the_url_must_be_the_one_in_the_body(service: Service) -> None:
    assert service.ask("PUT", "/indexes('other')", definition("docs", GOOD)).status == 400


@pytest.mark.parametrize("name", ["Docs", "a--b", "a__b", "-a", "a", "a" * 129, "a.b", "ä-b", ""])
def test_a_name_that_no_index_may_have_is_refused(service: Service, name: str) -> None:
    answer = service.ask("POST", "/indexes", definition(name, GOOD))
    assert answer.status == 400
    assert "Invalid index name" in answer.message


def _nested(levels: int) -> dict[str, Any]:
    return field("deep", _COMPLEX, fields=[_nested(levels - 1)]) if levels > 1 else field("leaf")


_REFUSED: dict[str, tuple[list[dict[str, Any]], dict[str, Any]]] = {
    "a second key": ([field("other", key=True)], {}),
    "a name that begins with a digit": ([field("1st")], {}),
    "a name with a dash": ([field("a-b")], {}),
    "a reserved name": ([field("azureSearchThing")], {}),
    "a name twice, in other letters": ([field("text"), field("Text")], {}),
    "an unknown type": ([field("a", "Edm.Decimal")], {}),
    "a single number of a vector": ([field("a", "Edm.Single")], {}),
    "a sortable collection": ([field("a", "Collection(Edm.String)", sortable=True)], {}),
    "a sortable field of a complex collection": (
        [field("a", "Collection(Edm.ComplexType)", fields=[field("b", sortable=True)])],
        {},
    ),
    "a facetable place": ([field("a", _GEO, facetable=True)], {}),
    "a searchable number": ([field("a", _INT, searchable=True)], {}),
    "an analyzer that nobody knows": ([field("a", analyzer="klingon.lucene")], {}),
    "an analyzer of a number": ([field("a", _INT, analyzer="keyword")], {}),
    "half a pair of analyzers": ([field("a", searchAnalyzer="keyword")], {}),
    "an analyzer beside a pair of them": (
        [field("a", analyzer="simple", searchAnalyzer="stop", indexAnalyzer="stop")],
        {},
    ),
    "a complex field without fields": ([field("a", _COMPLEX, fields=[])], {}),
    "a filterable complex field": ([field("a", _COMPLEX, fields=_FEW, filterable=True)], {}),
    "a key inside a complex field": ([field("a", _COMPLEX, fields=[field("k", key=True)])], {}),
    "more than 1000 fields": ([field(f"f{n}") for n in range(1000)], {}),
    "fields eleven levels deep": ([_nested(11)], {}),
    "41 complex collections": ([field(f"c{n}", "Collection(Edm.ComplexType)", fields=_FEW) for n in range(41)], {}),
    "a vector without dimensions": (
        [field("v", "Collection(Edm.Single)", vectorSearchProfile="plain")],
        {"vectorSearch": VECTORS},
    ),
    "a vector of one dimension": ([vector(dimensions=1)], {}),
    "a vector of too many dimensions": ([vector(dimensions=4097)], {}),
    "a vector without a profile": ([field("v", "Collection(Edm.Single)", dimensions=3)], {}),
    "a vector with an unknown profile": ([vector() | {"vectorSearchProfile": "absent"}], {}),
    "a filterable vector": ([vector(filterable=True)], {}),
    "a vector that cannot be searched": ([vector(searchable=False)], {}),
    "a vector that is shown but not stored": ([vector(retrievable=True, stored=False)], {}),
    "dimensions of a text": ([field("a", dimensions=3)], {}),
    "a text that is not stored": ([field("a", stored=False)], {}),
    "a synonym map that is not there": ([field("a", synonymMaps=["absent"])], {}),
    "a profile with an unknown algorithm": (
        [GOOD],
        {"vectorSearch": {"profiles": [{"name": "p", "algorithm": "absent"}]}},
    ),
    "an algorithm of an unknown kind": ([GOOD], {"vectorSearch": {"algorithms": [{"name": "a", "kind": "magic"}]}}),
    "a metric that does not fit": (
        [GOOD],
        {"vectorSearch": {"algorithms": [{"name": "a", "kind": "hnsw", "hnswParameters": {"metric": "taxi"}}]}},
    ),
    "two suggesters": (
        [GOOD],
        {
            "suggesters": [
                {"name": name, "searchMode": "analyzingInfixMatching", "sourceFields": ["text"]} for name in "ab"
            ]
        },
    ),
    "a suggester over an unknown field": (
        [GOOD],
        {"suggesters": [{"name": "s", "searchMode": "analyzingInfixMatching", "sourceFields": ["absent"]}]},
    ),
    "a suggester over a number": (
        [field("n", _INT)],
        {"suggesters": [{"name": "s", "searchMode": "analyzingInfixMatching", "sourceFields": ["n"]}]},
    ),
    "a weight of an unknown field": ([GOOD], {"scoringProfiles": [{"name": "p", "text": {"weights": {"absent": 2}}}]}),
    "a scoring function over a field that is not filterable": (
        [field("n", _INT, filterable=False)],
        {"scoringProfiles": [{"name": "p", "functions": [{"type": "magnitude", "fieldName": "n", "boost": 2}]}]},
    ),
    "a default scoring profile that is not there": ([GOOD], {"defaultScoringProfile": "absent"}),
    "two scoring profiles of one name": ([GOOD], {"scoringProfiles": [{"name": "p"}, {"name": "P"}]}),
    "a semantic configuration over an unknown field": (
        [GOOD],
        {"semantic": {"configurations": [{"name": "s", "prioritizedFields": {"titleField": {"fieldName": "absent"}}}]}},
    ),
    "a default semantic configuration that is not there": ([GOOD], {"semantic": {"defaultConfiguration": "absent"}}),
}


@pytest.mark.parametrize("what", _REFUSED)
def test_a_definition_is_refused_that_has(service: Service, what: str) -> None:
    fields, more = _REFUSED[what]
    with pytest.raises(HttpResponseError) as refused:
        service.create(*fields, **more)
    assert refused.value.status_code == 400
    assert list(service.indexes.list_index_names()) == []


@pytest.mark.parametrize(
    "fields",
    [
        [],
        [field("a")],
        [field("id", _INT, key=True)],
        [field("id", key=True, retrievable=False)],
        [field("id", "Collection(Edm.String)", key=True)],
    ],
)
def test_an_index_needs_exactly_one_key_that_is_a_text_and_shown(
    service: Service, fields: list[dict[str, Any]]
) -> None:
    assert service.ask("POST", "/indexes", {"name": "docs", "fields": fields}).status == 400


_ALTERED: dict[str, dict[str, Any]] = {
    "type": field("text", _INT),
    "filterable": field("text", filterable=False),
    "sortable": field("text", sortable=False),
    "facetable": field("text", facetable=False),
    "searchable": field("text", searchable=False),
    "analyzer": field("text", analyzer="keyword"),
}


@pytest.mark.parametrize("attribute", _ALTERED)
def test_what_was_indexed_cannot_be_changed(service: Service, attribute: str) -> None:
    service.create(GOOD)
    with pytest.raises(HttpResponseError, match="Existing field 'text' cannot be changed") as refused:
        service.indexes.create_or_update_index(SearchIndex(definition("docs", _ALTERED[attribute])))
    assert refused.value.status_code == 400
    assert refused.value.error is not None
    assert refused.value.error.code == "OperationNotAllowed"


@pytest.mark.parametrize(
    ("before", "after", "path"),
    [
        (vector(), vector(dimensions=4), "vec"),
        (vector(), vector(stored=False), "vec"),
        (vector(), vector() | {"vectorSearchProfile": "far"}, "vec"),
        (field("c", _COMPLEX, fields=_FEW), field("c", _COMPLEX, fields=[field("a", _INT)]), "c/a"),
        (field("c", _COMPLEX, fields=_FEW), field("c", "Collection(Edm.ComplexType)", fields=_FEW), "c"),
    ],
)
def test_what_was_indexed_deeper_cannot_be_changed_either(
    service: Service, before: dict[str, Any], after: dict[str, Any], path: str
) -> None:
    service.create(before)
    answer = service.ask("PUT", "/indexes('docs')", definition("docs", after))
    assert (answer.status, answer.message) == (400, f"Existing field '{path}' cannot be changed.")


def test_a_field_cannot_be_deleted(service: Service) -> None:
    service.create(GOOD, field("c", _COMPLEX, fields=[field("a"), field("b")]))
    without = service.ask("PUT", "/indexes('docs')", definition("docs", field("c", _COMPLEX, fields=[field("a")])))
    assert without.status == 400
    assert "cannot be deleted" in without.message


def test_the_metric_of_vectors_that_are_indexed_cannot_be_changed(service: Service) -> None:
    service.create(vector())
    algorithms = [{"name": "near", "kind": "hnsw", "hnswParameters": {"metric": "dotProduct"}}]
    search = {"profiles": [{"name": "plain", "algorithm": "near"}], "algorithms": algorithms}
    answer = service.ask("PUT", "/indexes('docs')", definition("docs", vector(), vectorSearch=search))
    assert answer.status == 400


def test_a_suggester_takes_no_field_that_was_there_before(service: Service) -> None:
    service.create(GOOD)
    suggester = {"name": "s", "searchMode": "analyzingInfixMatching", "sourceFields": ["text"]}
    assert service.ask("PUT", "/indexes('docs')", definition("docs", GOOD, suggesters=[suggester])).status == 400
    fresh = suggester | {"sourceFields": ["title"]}
    both = definition("docs", GOOD, field("title"), suggesters=[fresh])
    assert service.ask("PUT", "/indexes('docs')", both).status == 204


def test_an_analyzer_is_added_only_by_who_takes_the_downtime(service: Service) -> None:
    service.create(GOOD)
    custom = {"name": "mine", "@odata.type": "#Microsoft.Azure.Search.CustomAnalyzer", "tokenizer": "standard_v2"}
    index = SearchIndex(definition("docs", GOOD, field("more", analyzer="mine"), analyzers=[custom]))
    with pytest.raises(HttpResponseError, match="downtime"):
        service.indexes.create_or_update_index(index)
    changed = service.indexes.create_or_update_index(index, allow_index_downtime=True)
    assert [one.name for one in changed.fields] == ["id", "text", "more"]


def test_new_fields_are_null_or_empty_in_old_documents(service: Service) -> None:
    documents = service.create(GOOD)
    documents.upload_documents([{"id": "a", "text": "x"}])
    more = [field("n", _INT), field("tags", "Collection(Edm.String)"), field("c", _COMPLEX, fields=_FEW)]
    service.indexes.create_or_update_index(SearchIndex(definition("docs", GOOD, *more)))
    assert documents.get_document("a") == {"id": "a", "text": "x", "n": None, "tags": [], "c": None}
    documents.merge_documents([{"id": "a", "n": 1}])
    assert documents.get_document("a")["n"] == 1


def test_whether_a_stored_vector_is_shown_may_change_at_any_time(service: Service) -> None:
    documents = service.create(vector())
    documents.upload_documents([{"id": "a", "vec": [1.0, 0.5, 0.25]}])
    assert "vec" not in documents.get_document("a")
    service.indexes.create_or_update_index(SearchIndex(definition("docs", vector(retrievable=True))))
    assert documents.get_document("a")["vec"] == [1.0, 0.5, 0.25]


def test_what_only_queries_use_may_change(service: Service) -> None:
    service.ask("PUT", "/synonymmaps('syn')", {"name": "syn", "format": "solr", "synonyms": "a, b"})
    service.create(field("text", indexAnalyzer="simple", searchAnalyzer="simple"))
    altered = field("text", indexAnalyzer="simple", searchAnalyzer="stop", synonymMaps=["syn"], retrievable=False)
    more: dict[str, Any] = {
        "scoringProfiles": [{"name": "p", "text": {"weights": {"text": 2}}}],
        "defaultScoringProfile": "p",
        "semantic": {"configurations": [{"name": "s", "prioritizedFields": {"titleField": {"fieldName": "text"}}}]},
        "corsOptions": {"allowedOrigins": ["*"], "maxAgeInSeconds": 60},
    }
    assert service.ask("PUT", "/indexes('docs')", definition("docs", altered, **more)).status == 204
    kept = service.indexes.get_index("docs")
    assert kept.default_scoring_profile == "p"
    assert kept.fields[1].synonym_map_names == ["syn"]


@pytest.mark.parametrize("name", ["en.microsoft", "standard.lucene", "keyword", "zh-Hans.lucene"])
def test_analyzers_of_the_service_are_known_by_name(service: Service, name: str) -> None:
    service.create(field("text", analyzer=name))
    assert service.indexes.get_index("docs").fields[1].analyzer_name == name
