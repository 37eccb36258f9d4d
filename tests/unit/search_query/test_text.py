from collections.abc import Iterator

import pytest

from dbops.sandbox.emulators.search.query import Invalid, Unsupported
from dbops.sandbox.emulators.search.query.words import of

from questions import Index, definition, field, index

TEXTS = {
    "1": "The quick brown fox, jumps over the lazy dog",
    "2": "A quick wi-fi hotel near the river; don't worry",
    "3": "Brown river hotels of example.com cost 3.14",
    "4": "quick quick quick",
    "5": "",
}


@pytest.fixture(scope="module")
def texts() -> Iterator[Index]:
    with index(
        field("text"),
        field("lines", "Collection(Edm.String)"),
        field("code", analyzer="keyword"),
        field("inner", "Edm.ComplexType", fields=[field("title")]),
        field("silent", searchable=False),
        field("odd", analyzer="my_own"),
        field("alias", synonymMaps=["same"]),
        field("german", analyzer="de.microsoft"),
    ) as built:
        for n, (key, text) in enumerate(TEXTS.items()):
            built.put({"id": key, "text": text, "code": f"AB {n}", "silent": "unheard"})
        built.put({"id": "6", "lines": ["red fish", "blue fish"], "inner": {"title": "Großes É"}, "german": "Haus"})
        yield built


FIELDS = "text,lines,code,inner/title,german"


@pytest.mark.parametrize(
    ("text", "mode", "found"),
    [
        ("fox", "any", "1"),
        ("FOX", "any", "1"),
        ("fox river", "any", "123"),
        ("fox river", "all", ""),
        ("brown river", "all", "3"),
        ("brown + river", "any", "3"),
        ("brown | wi", "all", "123"),
        ("quick -brown", "all", "24"),
        ("quick -brown", "any", "12456"),
        ("-quick", "any", "356"),
        ("-(quick | brown)", "any", "56"),
        ("(fox | hotel) + quick", "any", "12"),
        ("brown quick + river", "any", "23"),  # from left to right: (brown or quick) and river
        ('"quick brown"', "any", "1"),
        ('"brown quick"', "any", ""),
        ('"lazy dog" hotel', "all", ""),
        ("hote*", "any", "23"),
        ("ri* -hotel", "all", "3"),
        ("wi-fi", "any", "2"),
        ("wi-fox", "any", "12"),
        ("wi-fox", "all", ""),
        ("don't", "any", "2"),
        ("example.com", "any", "3"),
        ("example", "any", ""),
        ("3.14", "any", "3"),
        ("14", "any", ""),
        ("unheard", "any", ""),
        ("!!!", "any", ""),
        ('"', "any", ""),
        ("((fox", "any", "1"),
        ("fox)", "any", "1"),
        ("\\-fox", "any", "1"),
        ("großes é", "all", "6"),
        ("e", "any", ""),
        ('"red fish"', "any", "6"),
        ('"fish blue"', "any", ""),
        ("AB", "any", ""),
        ('"AB 1"', "any", "2"),
        ('"ab 1"', "any", ""),
        ("haus", "any", "6"),
        ("*", "any", "123456"),
        ("  ", "any", "123456"),
    ],
)
def test_a_simple_query_finds(texts: Index, text: str, mode: str, found: str) -> None:
    assert set(texts.ids(search=text, searchMode=mode, searchFields=FIELDS)) == set(found)


@pytest.mark.parametrize(
    ("text", "mode", "found"),
    [
        ("fox river", "any", "123"),
        ("fox river", "all", ""),
        ("brown AND river", "any", "3"),
        ("brown && river", "any", "3"),
        ("fox OR river", "all", "123"),
        ("quick NOT brown", "any", "24"),
        ("quick -brown", "any", "24"),
        ("+quick river", "any", "124"),
        ("NOT quick", "any", ""),
        ("(fox OR hotel) AND quick", "any", "12"),
        ("text:fox code:fox", "any", "1"),
        ("code:fox", "any", ""),
        ("lines:(red AND blue)", "any", "6"),
        ("inner/title:großes", "any", "6"),
        ('"quick brown" OR lines:"blue fish"', "any", "16"),
        ("hot*", "any", "23"),
        ("and", "any", ""),
    ],
)
def test_a_query_in_the_full_syntax_finds(texts: Index, text: str, mode: str, found: str) -> None:
    assert set(texts.ids(search=text, queryType="full", searchMode=mode, searchFields=FIELDS)) == set(found)


@pytest.mark.parametrize(
    "text", ["fox~", "fox^2", "f?x", "*ox", "f*x", "/fo./", "[a TO b]", '"quick fox"~3', "text:[a TO c]"]
)
def test_the_rest_of_the_full_syntax_is_not_imitated(texts: Index, text: str) -> None:
    with pytest.raises(Unsupported, match="fuzzy, boosted, wildcard, range and regular-expression"):
        texts.ids(search=text, queryType="full", searchFields=FIELDS)


@pytest.mark.parametrize("text", ["(fox", "fox)", "AND fox", "fox AND", '"fox', "NOT", "missing:fox", "silent:unheard"])
def test_what_is_no_query_in_the_full_syntax_is_refused(texts: Index, text: str) -> None:
    with pytest.raises(Invalid):
        texts.ids(search=text, queryType="full", searchFields=FIELDS)


def test_long_queries_are_answered_or_refused_and_never_break(texts: Index) -> None:
    assert texts.ids(search="fox " * 1000, searchFields="text") == ["1"]
    assert texts.ids(search="|".join(["fox + fox"] * 20), searchFields="text") == ["1"]
    assert texts.ids(search="(" * 40 + "fox" + ")" * 40, searchFields="text") == ["1"]
    with pytest.raises(Invalid, match="more than 1024 clauses"):
        texts.ids(search="fox " * 1100, searchFields="text")
    with pytest.raises(Invalid, match="100000 are allowed"):
        texts.ids(search="x" * 100_001, searchFields="text")
    for deep in ("|".join(["fox + fox"] * 200), "(" * 60 + "fox"):
        with pytest.raises(Unsupported, match="queries"):
            texts.ids(search=deep, searchFields="text")


def test_only_the_search_fields_are_searched(texts: Index) -> None:
    assert texts.ids(search="fish", searchFields="text") == []
    assert texts.ids(search="fish", searchFields="text, lines") == ["6"]
    with pytest.raises(Invalid, match="'missing' in the search field list does not exist"):
        texts.ids(search="fish", searchFields="missing")
    with pytest.raises(Invalid, match="'silent' in the search field list is not searchable"):
        texts.ids(search="fish", searchFields="silent")


def test_fields_whose_analysis_is_not_imitated_are_named_when_they_are_searched(texts: Index) -> None:
    with pytest.raises(Unsupported, match="analyzer my_own of 'odd'"):
        texts.ids(search="fox", searchFields="text,odd")
    with pytest.raises(Unsupported, match="synonym map of 'alias'"):
        texts.ids(search="fox", searchFields="alias")
    assert len(texts.ids(search="*")) == 6


def test_more_of_a_word_and_rarer_words_score_higher(texts: Index) -> None:
    rows = texts.rows(search="quick", searchFields="text")
    assert rows[0]["id"] == "4"
    scores = [row["@search.score"] for row in rows]
    assert scores == sorted(scores, reverse=True)
    assert min(scores) > 0.01
    assert texts.ids(search="quick fox", searchFields="text")[0] == "1"


def test_what_only_begins_alike_is_not_ranked(texts: Index) -> None:
    assert {row["@search.score"] for row in texts.rows(search="qui*", searchFields="text")} == {1.0}


def test_ties_of_an_order_are_broken_by_score() -> None:
    with index(field("text"), field("n", "Edm.Int32")) as built:
        built.put(
            {"id": "a", "text": "x y z w", "n": 1}, {"id": "b", "text": "x", "n": 1}, {"id": "c", "text": "x y", "n": 0}
        )
        assert built.ids(search="x", orderby="n") == ["c", "b", "a"]
        assert built.ids(search="x", orderby="search.score() desc") == ["b", "c", "a"]
        assert built.ids(search="x", orderby="search.score()") == ["a", "c", "b"]


def test_a_text_and_a_filter_and_a_count_work_together(texts: Index) -> None:
    answer = texts.ask(search="quick", searchFields="text", filter="id ne '4'", count=True, facets=["id"], top=1)
    assert answer["@odata.count"] == 2
    assert {bucket["value"] for bucket in answer["@search.facets"]["id"]} == {"1", "2"}


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("search.ismatch('fox', 'text')", "1"),
        ("not search.ismatch('quick', 'text')", "356"),
        ("search.ismatch('brown river', 'text', 'simple', 'all') or id eq '6'", "36"),
        ("search.ismatch('brown AND river', 'text', 'full', 'any')", "3"),
        ("search.ismatch('fox', 'text') eq true", "1"),
        ("search.ismatch('*', 'text')", "123456"),
    ],
)
def test_full_text_can_be_a_condition_of_a_filter(texts: Index, asked: str, found: str) -> None:
    assert texts.found(asked) == set(found)


def test_an_index_without_searchable_fields_matches_no_words() -> None:
    with index(field("n", "Edm.Int32")) as built:
        built.table.drop()
        plain = definition(field("n", "Edm.Int32"))
        plain["fields"][0]["searchable"] = False
        bare = Index.created(built.table.connection, plain)
        bare.put({"id": "a", "n": 1})
        assert bare.ids(search="a") == []
        assert bare.ids(search="-a") == ["a"]
        assert bare.ids(search="*") == ["a"]


def test_a_default_scoring_profile_is_not_imitated() -> None:
    with index(field("text"), defaultScoringProfile="boost") as built:
        built.put({"id": "a", "text": "x"})
        with pytest.raises(Unsupported, match="default scoring profile"):
            built.ids(search="x")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Hello, World!", ["hello", "world"]),
        ("don't stop", ["don't", "stop"]),
        ("a.b 1.5 1,000 a-b", ["a.b", "1.5", "1,000", "a", "b"]),
        ("snake_case", ["snake_case"]),
        ("漢字 かな mixed", ["漢", "字", "か", "な", "mixed"]),
        ("", []),
    ],
)
def test_words_are_cut_as_the_standard_analyzer_cuts(text: str, found: list[str]) -> None:
    assert of(text) == found
