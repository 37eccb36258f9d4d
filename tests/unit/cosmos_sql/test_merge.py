"""The plan: each range answers its own rewritten query, and what the SDK merges is the answer over all documents."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dbops.sandbox.emulators.cosmos import sql
from dbops.sandbox.emulators.cosmos.sql.render import text_of_select
from dbops.sandbox.emulators.cosmos.sql.statements import parse

from cosmos_ranges import merged

DOCUMENTS = st.fixed_dictionaries(
    {"n": st.integers(-3, 3), "s": st.text("ab", max_size=2)},
    optional={"o": st.integers(0, 3), "t": st.lists(st.sampled_from("xyz"), max_size=3)},
)
RANGES = st.lists(st.lists(DOCUMENTS, max_size=6), min_size=1, max_size=4)
FILTER = "{documentdb-formattableorderbyquery-filter}"


def over_all(text: str, ranges: list[list[dict[str, Any]]], **parameters: Any) -> list[Any]:
    documents = [document for part in ranges for document in part]
    return list(sql.compile(text, {f"@{name}": value for name, value in parameters.items()}).run(documents))


@settings(max_examples=60)
@given(RANGES, st.sampled_from(["", "DESC"]), st.sampled_from(["c.n", "c.o", "c.s"]), st.integers(0, 5))
def test_an_order_over_ranges_is_the_order_over_all(
    ranges: list[list[dict[str, Any]]], turned: str, by: str, count: int
) -> None:
    for head, tail in [("", ""), ("TOP @count ", ""), ("", " OFFSET 1 LIMIT @count")]:
        text = f"SELECT {head}VALUE {by} FROM c WHERE c.n > -3 ORDER BY {by} {turned}{tail}"
        assert merged(text, ranges, {"@count": count}) == over_all(text, ranges, count=count)


@settings(max_examples=60)
@given(RANGES)
def test_an_order_over_two_paths_is_the_order_over_all(ranges: list[list[dict[str, Any]]]) -> None:
    text = "SELECT c.n, c.s AS name FROM c ORDER BY c.n DESC, c.s ASC"
    assert merged(text, ranges) == over_all(text, ranges)


@settings(max_examples=60)
@given(
    RANGES,
    st.sampled_from(
        [
            "COUNT(1)",
            "COUNT(c.o)",
            "COUNTIF(c.n > 0)",
            "SUM(c.n)",
            "AVG(c.n)",
            "MIN(c.n)",
            "MAX(c.n)",
            "MIN(c.s)",
            "MAX(c.o)",
        ]
    ),
)
def test_an_aggregate_over_ranges_is_the_aggregate_over_all(ranges: list[list[dict[str, Any]]], call: str) -> None:
    text = f"SELECT VALUE {call} FROM c WHERE c.n != 2"
    # For an aggregate without a value the SDK answers None, where one partition answers nothing.
    assert merged(text, ranges) == (over_all(text, ranges) or [None])


@settings(max_examples=60)
@given(RANGES, st.integers(0, 4))
def test_distinct_over_ranges_is_distinct_over_all(ranges: list[list[dict[str, Any]]], count: int) -> None:
    for text in (
        "SELECT DISTINCT VALUE c.s FROM c",
        "SELECT DISTINCT c.n, c.s FROM c",
        "SELECT DISTINCT VALUE c.t FROM c",
    ):
        assert merged(text, ranges) == over_all(text, ranges)
    for text in (
        "SELECT DISTINCT VALUE c.n FROM c ORDER BY c.n",
        "SELECT DISTINCT VALUE c.s FROM c ORDER BY c.n",
        f"SELECT DISTINCT TOP {count} VALUE c.n FROM c ORDER BY c.n DESC",
        f"SELECT DISTINCT VALUE c.n FROM c ORDER BY c.n OFFSET 1 LIMIT {count}",
    ):
        assert sorted(map(str, merged(text, ranges))) == sorted(map(str, over_all(text, ranges)))


@settings(max_examples=60)
@given(RANGES, st.integers(0, 9), st.integers(0, 9))
def test_a_window_over_ranges_is_the_window_over_all(
    ranges: list[list[dict[str, Any]]], offset: int, limit: int
) -> None:
    for text in (f"SELECT * FROM c OFFSET {offset} LIMIT {limit}", f"SELECT TOP {limit} VALUE t FROM c JOIN t IN c.t"):
        assert merged(text, ranges) == over_all(text, ranges)


def test_ranges_whose_first_values_differ_in_type_are_the_sdks_to_refuse() -> None:
    with pytest.raises(ValueError, match=r"Expected (Number|String), but got (Number|String)"):
        merged("SELECT * FROM c ORDER BY c.v", [[{"v": 1}], [{"v": "a"}]])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("SELECT * FROM c", {"hasSelectValue": False, "rewrittenQuery": "", "distinctType": "None"}),
        (
            "SELECT * FROM c WHERE c.ws = 'w' ORDER BY c.n DESC",
            {
                "orderBy": ["Descending"],
                "orderByExpressions": ["c.n"],
                "rewrittenQuery": 'SELECT c._rid, [{"item": c.n}] AS orderByItems, c AS payload FROM c'
                f' WHERE (c.ws = "w") AND ({FILTER}) ORDER BY c.n DESC',
            },
        ),
        (
            "SELECT TOP 2 c.a FROM c ORDER BY c.n",
            {
                "top": 2,
                "rewrittenQuery": 'SELECT TOP 2 c._rid, [{"item": c.n}] AS orderByItems, {"a": c.a} AS payload FROM c'
                f" WHERE ({FILTER}) ORDER BY c.n ASC",
            },
        ),
        (
            "SELECT VALUE COUNT(1) FROM c",
            {
                "aggregates": ["Count"],
                "hasSelectValue": True,
                "rewrittenQuery": 'SELECT VALUE [{"item": COUNT(1)}] FROM c',
            },
        ),
        (
            "SELECT COUNT(1) AS n, MAX(c.v) AS m FROM c",
            {
                "aggregates": ["Count", "Max"],
                "hasSelectValue": False,
                "groupByAliasToAggregateType": {"n": "Count", "m": "Max"},
            },
        ),
        (
            "SELECT VALUE c.n FROM c OFFSET 3 LIMIT 2",
            {"offset": 3, "limit": 2, "rewrittenQuery": "SELECT VALUE c.n FROM c OFFSET 0 LIMIT 5"},
        ),
        ("SELECT DISTINCT VALUE c.n FROM c", {"distinctType": "Unordered"}),
        ("SELECT DISTINCT VALUE c.n FROM c ORDER BY c.n", {"distinctType": "Ordered"}),
        ("SELECT DISTINCT c.n, c.a FROM c ORDER BY c.n", {"distinctType": "Unordered"}),
    ],
)
def test_a_plan_tells_the_sdk_what_to_do(text: str, told: dict[str, Any]) -> None:
    plan = sql.plan(sql.compile(text, {}))
    assert {name: plan[name] for name in told} == told


@pytest.mark.parametrize(
    "text",
    [
        "SELECT * FROM c",
        "SELECT DISTINCT TOP 3 c.a, c['b c'] AS d, c.e[0] f FROM c AS c",
        "SELECT VALUE {a: -c.n, 'b': [1, 2.5, null, true, undefined]} FROM c",
        "SELECT VALUE t FROM c JOIN t IN c.tags JOIN (SELECT VALUE 1 FROM c) AS one WHERE NOT (t = 'x')",
        "SELECT * FROM c WHERE (NOT c.a) = true AND c.b NOT IN (1, 'x') OR c.c NOT BETWEEN 1 AND 2",
        "SELECT * FROM c WHERE c.a LIKE 'x!%' ESCAPE '!' AND (c.b ? 1 : 2) = (c.c ?? @p) AND c.d NOT LIKE 'y'",
        "SELECT * FROM c WHERE EXISTS(SELECT VALUE 1 FROM t IN c.t) AND ARRAY(SELECT t FROM t IN c.t) = []",
        "SELECT c.a, COUNT(1) AS n FROM c GROUP BY c.a",
        "SELECT * FROM c WHERE c['order'] = 'it\\'s \\u00e9 \"q\" \\n' ORDER BY c['order'] DESC OFFSET 1 LIMIT @n",
        "SELECT VALUE (c.a || 'x') FROM c WHERE c.a + 1 * 2 - 3 > 4",
    ],
)
def test_a_query_written_back_is_the_same_query(text: str) -> None:
    select = parse(text)
    assert text_of_select(parse(text_of_select(select))) == text_of_select(select)
    assert parse(text_of_select(select)).order == select.order
