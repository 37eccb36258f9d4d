"""Whatever is asked, there is an answer or one of the two refusals; anything else is a bug."""

from contextlib import suppress
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dbops.sandbox.emulators.search.query import Invalid, Unsupported

from questions import Index

ODATA = """
    name stars score open built tags years flags place secret plain address address/city rooms rooms/type r t r/rate t/x
    any( all( any() r: t: ( ) , / : and or not eq ne gt ge lt le null true false NaN INF -INF 5 -5 1.5 1e5
    99999999999999999999 'x' 'it''s' '' 2024-01-01T00:00:00Z 2024-13-01T00:00:00Z 0001-01-01T00:00:00+14:00 ' "
    search.in( search.ismatch( geo.distance( search.score() 'full' 'all' geography'POINT(1 asc desc é 😀 \\
"""
QUERY = """
    a b* "a b" " + - | ( ) * ~ ^ : AND OR NOT && || ! name:a name:( tags:
    \\ \\+ ? / [ ] { } é 漢 😀 . , ' -a +a ** *a \x00
"""
FACET = "name stars score built tags rooms/type missing , : count sort values interval 0 1 5 -1 value -count 1|2 day x"


def soup(words: str) -> st.SearchStrategy[str]:
    """Mix the words of a language, well and badly."""
    mixed = st.lists(st.sampled_from(words.split()), max_size=10)
    return st.builds(str.join, st.sampled_from([" ", ""]), mixed) | st.text(max_size=8)


anything: st.SearchStrategy[Any] = (
    st.none()
    | st.booleans()
    | st.integers(-2, 3)
    | st.floats()
    | st.text(max_size=3)
    | st.sampled_from([[], {}, [1], {"a": 1}])
)
vectors: st.SearchStrategy[Any] = st.fixed_dictionaries(
    {"kind": st.sampled_from(["vector", "vector", "vector", "text", None])},
    optional={
        "vector": st.lists(st.floats(), min_size=2, max_size=2) | st.lists(st.integers(-3, 3), max_size=3) | anything,
        "fields": st.sampled_from(["v", "v", "v,v"]) | soup("name missing , v") | anything,
        "k": st.integers(1, 3) | anything,
        "weight": st.floats(0.1, 2) | anything,
        "exhaustive": anything,
    },
)
requests: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {},
    optional={
        "filter": soup(ODATA) | st.just("stars gt 1"),
        "orderby": soup("name stars score open missing tags , asc desc search.score()"),
        "select": soup("name stars address/city rooms/type rooms secret , * missing place v"),
        "search": soup(QUERY),
        "searchFields": soup("name tags address/city , missing stars"),
        "searchMode": st.sampled_from(["any", "all", "some", None]),
        "queryType": st.sampled_from(["simple", "full", "semantic", "x", None]),
        "facets": st.lists(soup(FACET), max_size=2) | anything,
        "top": st.integers(-1, 1001) | anything,
        "skip": st.integers(-1, 5) | anything,
        "count": anything,
        "vectorQueries": st.lists(vectors, min_size=1, max_size=2) | anything,
        "vectorFilterMode": st.sampled_from(["preFilter", "postFilter"]) | anything,
        "minimumCoverage": anything,
    },
)
often = settings(
    max_examples=400,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def ask(built: Index, **request: Any) -> None:
    with suppress(Invalid, Unsupported):
        built.ask(**request)


@often
@given(soup(ODATA))
def test_any_filter_is_answered_or_refused(hotels: Index, asked: str) -> None:
    ask(hotels, filter=asked)


@often
@given(soup(QUERY), st.sampled_from(["simple", "full"]), st.sampled_from(["any", "all"]))
def test_any_text_is_answered_or_refused(hotels: Index, asked: str, syntax: str, mode: str) -> None:
    ask(hotels, search=asked, queryType=syntax, searchMode=mode)


@often
@given(st.text(max_size=20))
def test_a_simple_query_is_never_refused(hotels: Index, asked: str) -> None:
    hotels.ask(search=asked)


@often
@given(requests)
def test_any_request_is_answered_or_refused(hotels: Index, asked: dict[str, Any]) -> None:
    ask(hotels, **asked)
