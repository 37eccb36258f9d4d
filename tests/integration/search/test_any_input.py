"""Whatever a client sends, it gets an answer of the service: a refusal, and never the emulator's own confusion."""

import copy
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import orjson
from hypothesis import given
from hypothesis import strategies as st

from dbops.sandbox.emulators.search.application import Search
from dbops.sandbox.emulators.web import Reply, Request

from searching import ADMIN, SETTINGS, VECTORS, VERSION, definition, field, vector

_WHOLE = definition(
    "docs",
    field("text", synonymMaps=[], analyzer="simple"),
    field("n", "Edm.Int32"),
    field("tags", "Collection(Edm.String)", searchAnalyzer="mine", indexAnalyzer="mine"),
    field("place", "Edm.GeographyPoint"),
    field("address", "Edm.ComplexType", fields=[field("city"), field("since", "Edm.DateTimeOffset")]),
    field("rooms", "Collection(Edm.ComplexType)", fields=[field("beds", "Edm.Int64"), field("x", "Edm.Double")]),
    vector(),
    vectorSearch=VECTORS,
    analyzers=[{"name": "mine", "@odata.type": "#Microsoft.Azure.Search.CustomAnalyzer", "tokenizer": "standard_v2"}],
    suggesters=[{"name": "s", "searchMode": "analyzingInfixMatching", "sourceFields": ["text"]}],
    scoringProfiles=[
        {
            "name": "p",
            "text": {"weights": {"text": 2}},
            "functions": [{"type": "magnitude", "fieldName": "n", "boost": 2, "magnitude": {}}],
        }
    ],
    defaultScoringProfile="p",
    semantic={
        "defaultConfiguration": "c",
        "configurations": [
            {
                "name": "c",
                "prioritizedFields": {
                    "titleField": {"fieldName": "text"},
                    "prioritizedContentFields": [{"fieldName": "text"}],
                    "prioritizedKeywordsFields": [{"fieldName": "tags"}],
                },
            }
        ],
    },
    corsOptions={"allowedOrigins": ["*"]},
)
_DOCUMENT = {
    "@search.action": "mergeOrUpload",
    "id": "a",
    "text": "x",
    "n": 1,
    "tags": ["t"],
    "place": {"type": "Point", "coordinates": [1.0, 2.0]},
    "address": {"city": "Ulm", "since": "2020-01-01T00:00:00Z"},
    "rooms": [{"beds": 1, "x": 0.5}],
    "vec": [1.0, 2.0, 3.0],
}
_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5)
    | st.sampled_from(["text", "id", "Edm.String", "Collection(Edm.Single)", "NaN", "a" * 1100]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def _places(node: Any, above: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """List the way to every value in a JSON value."""
    inside: list[tuple[str | int, Any]] = []
    if isinstance(node, dict):
        inside = list(cast("dict[str | int, Any]", node).items())
    elif isinstance(node, list):
        inside = list(enumerate(cast("list[Any]", node)))
    return [above, *(place for name, one in inside for place in _places(one, (*above, name)))]


def _spoilt(whole: Any, places: list[tuple[str | int, ...]], values: list[Any]) -> Any:
    spoilt = copy.deepcopy(whole)
    for place, value in zip(places, values, strict=True):
        if not place:
            return value
        inside = spoilt
        try:
            for name in place[:-1]:
                inside = inside[name]
            if isinstance(place[-1], str) or not isinstance(inside, dict):  # JSON has no numbers for names
                inside[place[-1]] = value
        except (TypeError, KeyError, IndexError):
            continue  # the value before put something else there
    return spoilt


def _spoils(whole: Any) -> st.SearchStrategy[Any]:
    places = st.lists(st.sampled_from(_places(whole)), min_size=1, max_size=2)
    return st.tuples(places, st.tuples(_JSON, _JSON)).map(
        lambda two: _spoilt(whole, two[0], list(two[1])[: len(two[0])])
    )


@contextmanager
def _service() -> Generator[Search]:
    with tempfile.TemporaryDirectory() as folder:
        search = Search(Path(folder), SETTINGS)
        try:
            yield search
        finally:
            search.close()


def _ask(search: Search, method: str, path: str, body: Any) -> Reply:
    headers = {"api-key": ADMIN, "prefer": "return=representation"}
    return search(Request(method, path, {"api-version": VERSION}, headers, orjson.dumps(body), "http://x"))


def test_the_whole_definition_and_the_document_are_good() -> None:
    with _service() as search:
        assert _ask(search, "PUT", "/indexes('docs')", _WHOLE).status == 201
        assert _ask(search, "POST", "/indexes('docs')/docs/search.index", {"value": [_DOCUMENT]}).status == 200


@given(_spoils(_WHOLE))
def test_a_definition_of_anything_is_taken_or_refused(told: Any) -> None:
    with _service() as search:
        made = _ask(search, "POST", "/indexes", told)
        assert made.status in (201, 400, 501), made.body
        if made.status == 201:
            name = orjson.loads(made.body)["name"]
            assert _ask(search, "PUT", f"/indexes('{name}')", orjson.loads(made.body)).status == 200


@given(_spoils(_WHOLE))
def test_a_change_into_anything_is_taken_or_refused(told: Any) -> None:
    with _service() as search:
        _ask(search, "PUT", "/indexes('docs')", _WHOLE)
        assert _ask(search, "PUT", "/indexes('docs')", told).status in (200, 400, 501)


@given(_spoils({"value": [_DOCUMENT]}))
def test_a_batch_of_anything_is_taken_or_refused(told: Any) -> None:
    with _service() as search:
        _ask(search, "PUT", "/indexes('docs')", _WHOLE)
        for _ in range(2):  # new, and merged into what is there
            assert _ask(search, "POST", "/indexes('docs')/docs/search.index", told).status in (200, 207, 400)
        assert _ask(search, "GET", "/indexes('docs')/docs('a')", None).status in (200, 404)


@given(_spoils({"name": "a-b", "indexes": ["docs"]}), _spoils({"name": "s-s", "format": "solr", "synonyms": "a, b"}))
def test_an_alias_or_a_synonym_map_of_anything_is_taken_or_refused(alias: Any, synonyms: Any) -> None:
    with _service() as search:
        _ask(search, "PUT", "/indexes('docs')", _WHOLE)
        assert _ask(search, "POST", "/aliases", alias).status in (201, 400, 409)
        assert _ask(search, "POST", "/synonymmaps", synonyms).status in (201, 400)
        assert _ask(search, "GET", "/indexes", None).status == 200


@given(st.text("/('%')a.$docsindexe ", max_size=40))
def test_any_path_gets_an_answer(path: str) -> None:
    with _service() as search:
        assert 200 <= _ask(search, "GET", "/" + path, None).status < 502
