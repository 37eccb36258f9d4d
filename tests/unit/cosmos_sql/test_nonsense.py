"""Whatever is asked, the answer is results or a refusal: never a crash."""

from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from dbops.sandbox.emulators.cosmos import sql
from dbops.sandbox.emulators.cosmos.sql.functions import ABSENT, FUNCTIONS
from dbops.sandbox.emulators.cosmos.sql.render import text_of_select
from dbops.sandbox.emulators.cosmos.sql.statements import parse

_WORDS = """SELECT VALUE DISTINCT TOP FROM JOIN IN WHERE GROUP BY ORDER ASC DESC OFFSET LIMIT AND OR NOT BETWEEN LIKE
ESCAPE EXISTS ARRAY AS * c c.a c.b.d t @p @q 1 0 -1 2.5 1e3 'x' '%' true false null undefined ( ) [ ] { } , . : ? ?? ||
+ - / % = != < >= COUNT( SUM( AVG( MAX( LOWER( ARRAY_CONTAINS( ABS( REGEXMATCH( SUBSTRING( item: GetCurrentTicks()"""
WORDS = _WORDS.split()
FRAGMENTS = st.sampled_from(
    [
        "SELECT * FROM c WHERE",
        "SELECT VALUE",
        "FROM c",
        "FROM t IN c.a",
        "JOIN t IN c.a",
        "(SELECT VALUE t FROM t IN c.a)",
        "c.a = 1",
        "GROUP BY c.a",
        "ORDER BY c.a",
        "OFFSET 0 LIMIT 1",
        "COUNT(1)",
        "SUM(c.a)",
    ]
)
OPERANDS = st.sampled_from(
    ["c", "c.a", "c.b.d", "c.a[0]", "c['b']", "1", "-2.5", "'x'", "null", "true", "undefined", "@p"]
)
EXPRESSIONS = st.recursive(
    OPERANDS,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["+", "%", "<", "=", "!=", "||", "??", "AND", "OR"]), inner).map(
            lambda parts: f"({' '.join(parts)})"
        ),
        st.tuples(inner, inner, inner).map(lambda three: f"({three[0]} ? {three[1]} : {three[2]})"),
        st.tuples(inner, inner, inner).map(lambda three: f"({three[0]} NOT BETWEEN {three[1]} AND {three[2]})"),
        st.tuples(inner, inner, inner).map(lambda three: f"({three[0]} IN ({three[1]}, {three[2]}))"),
        st.tuples(inner, inner).map(lambda two: f"({two[0]} LIKE {two[1]} ESCAPE '!')"),
        st.tuples(inner, inner).map(lambda two: f"{{'k': {two[0]}, l: [{two[1]}]}}"),
        st.tuples(inner, inner).map(lambda two: f"[{two[0]}, {two[1]}][0].d"),
        st.tuples(st.sampled_from(["LOWER", "ABS", "ARRAY_LENGTH", "TOSTRING", "IS_STRING", "NOT "]), inner).map(
            lambda two: f"({two[0]}({two[1]}))"
        ),
        inner.map(lambda one: f"EXISTS(SELECT VALUE t FROM t IN c.a WHERE t = {one})"),
        inner.map(lambda one: f"ARRAY(SELECT t, {one} AS u FROM t IN c.a)"),
        inner.map(lambda one: f"(SELECT VALUE COUNT({one}) FROM t IN c.a)"),
    ),
    max_leaves=6,
)
FORMS = st.sampled_from(
    [
        "SELECT VALUE {0} FROM c WHERE {1}",
        "SELECT DISTINCT TOP 3 {0}, {1} AS two FROM c",
        "SELECT VALUE [t, {0}] FROM c JOIN t IN c.a WHERE {1}",
        "SELECT VALUE [t, {0}] FROM c JOIN (SELECT VALUE {1}) AS t",
        "SELECT VALUE MAX({0}) FROM c WHERE {1}",
        "SELECT {0} AS k, COUNT({1}) AS n FROM c GROUP BY {0}",
        "SELECT VALUE {0} FROM c WHERE {1} ORDER BY c.a DESC OFFSET 1 LIMIT 2",
        "SELECT {0} AS k, {1} AS l FROM c ORDER BY c.a, c.b",
    ]
)
DOCUMENTS: list[dict[str, Any]] = [
    {"a": 1, "b": {"d": "x"}},
    {"a": "x", "b": None},
    {"a": [1, "x", {"d": 2}], "b": [True]},
    {"a": {"d": []}, "b": 2**60},
    {},
]
SMALL: st.SearchStrategy[Any] = st.sampled_from([
    None, True, 0, 1, -1, 2.5, 1e300, -1e300, 2**62, "", "a", "[", "1", "{}", [], [1, "a"], {}, {"a": 1}
])  # fmt: skip


def answered(text: str, parameters: dict[str, Any]) -> None:
    try:
        query = sql.compile(text, parameters)
        list(query.run(DOCUMENTS))
        sql.plan(query)
    except (sql.Invalid, sql.Unsupported):
        pass


@settings(max_examples=400)
@given(st.lists(st.sampled_from(WORDS) | FRAGMENTS, max_size=14), SMALL)
@example(["SELECT VALUE", "{", "item:", "COUNT(1)", "}", "FROM c", "GROUP BY c.a"], 1)
def test_words_in_any_order_are_answered_or_refused(words: list[str], value: Any) -> None:
    answered(" ".join(words), {"@p": value})


def results(text: str, parameters: dict[str, Any]) -> list[Any] | str:
    try:
        return list(sql.compile(text, parameters).run(DOCUMENTS))
    except (sql.Invalid, sql.Unsupported) as error:
        return str(error)


@settings(max_examples=400)
@given(FORMS, EXPRESSIONS, EXPRESSIONS, SMALL)
def test_a_query_written_back_answers_the_same(form: str, one: str, two: str, value: Any) -> None:
    text = form.format(one, two)
    answered(text, {"@p": value})
    again = text_of_select(parse(text))
    assert results(again, {"@p": value}) == results(text, {"@p": value})


@settings(max_examples=200)
@given(st.text(max_size=30))
def test_any_text_is_answered_or_refused(text: str) -> None:
    answered(text, {})
    answered(f"SELECT * FROM c WHERE {text}", {})
    answered(f"SELECT VALUE '{text}' FROM c", {})


@settings(max_examples=400)
@given(st.sampled_from(sorted(FUNCTIONS)), st.lists(SMALL, max_size=4))
def test_any_function_takes_any_values(name: str, values: list[Any]) -> None:
    parameters = {f"@p{n}": value for n, value in enumerate(values)}
    answered(f"SELECT VALUE {name}({', '.join(parameters)})", parameters)
    answered(f"SELECT VALUE {name}({', '.join(['c.nothing', *list(parameters)[1:]])}) FROM c", parameters)


@settings(max_examples=200)
@given(st.sampled_from(["+", "-", "*", "/", "%", "<", "=", "!=", ">=", "||", "??", "AND", "LIKE"]), SMALL, SMALL)
def test_any_operator_takes_any_values(sign: str, left: Any, right: Any) -> None:
    answered(f"SELECT VALUE @a {sign} @b", {"@a": left, "@b": right})


def test_no_function_is_both_there_and_absent() -> None:
    assert not ABSENT & set(FUNCTIONS)
