"""What is wrong is a 400 with a reason, what is not built a 501 with a name; nothing is guessed."""

import re
from typing import Any

import pytest

from dbops.sandbox.emulators.cosmos import sql


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "SELECT was expected"),
        ("SELECT", "an expression was expected"),
        ("SELECT * FROM c WHERE", "an expression was expected"),
        ("SELECT * FROM c WHERE c.a =", "an expression was expected"),
        ("SELECT * FROM c WHERE c.a = 'x", "invalid token at position 28"),
        ("SELECT * FROM c WHERE c.a = 1 1", "the query should end here"),
        ("SELECT * FROM c; DROP c", "invalid token"),
        ("SELECT c.value FROM c", "near 'value'"),
        ("SELECT * FROM c WHERE c.order = 1", "near 'order'"),
        ("SELECT * FROM c WHERE d.a = 1", "Identifier 'd' could not be resolved"),
        ("SELECT * FROM c AS d WHERE c.a = 1", "Identifier 'c' could not be resolved"),
        ("SELECT *", "single input set"),
        ("SELECT VALUE * FROM c", "VALUE wants an expression"),
        ("SELECT * FROM c JOIN t IN c.tags", "single input set"),
        ("SELECT c.a, c.b.a FROM c", "'a' is specified more than once"),
        ("SELECT * FROM c JOIN c IN c.tags", "single input set"),
        ("SELECT c.a FROM c JOIN c IN c.tags", "alias 'c' is specified more than once"),
        ("SELECT * FROM c LIMIT 3", "should end here"),
        ("SELECT * FROM c OFFSET 3", "LIMIT was expected"),
        ("SELECT TOP 1 * FROM c OFFSET 1 LIMIT 1", "not allowed in one query"),
        ("SELECT TOP 1.5 * FROM c", "TOP wants a whole number"),
        ("SELECT TOP @text * FROM c", "TOP value must be a whole number"),
        ("SELECT TOP @minus * FROM c", "TOP value must be a whole number"),
        ("SELECT * FROM c WHERE c.a = @nowhere", "@nowhere"),
        ("SELECT * FROM c WHERE NONSENSE(c.a)", "'NONSENSE' is not a recognized built-in function"),
        ("SELECT * FROM c WHERE LOWER(c.a, c.b) = 'x'", "LOWER function requires"),
        ("SELECT * FROM c ORDER BY c.a + 1", "could not be mapped to a document path"),
        ("SELECT * FROM c ORDER BY c", "could not be mapped to a document path"),
        ("SELECT t FROM c JOIN t IN c.tags ORDER BY t.x", "could not be mapped to a document path"),
        ("SELECT * FROM c WHERE COUNT(1) > 1", "may not appear in the WHERE clause"),
        ("SELECT c.a, COUNT(1) FROM c", "'c.a' is invalid in the select list"),
        ("SELECT c.b, COUNT(1) FROM c GROUP BY c.a", "'c.b' is invalid in the select list"),
        ("SELECT * FROM c GROUP BY c.a", "not allowed with GROUP BY"),
        ("SELECT c.a FROM c GROUP BY c.a ORDER BY c.a", "not allowed together with 'GROUP BY'"),
        ("SELECT VALUE SUM(COUNT(1)) FROM c", "without an aggregate inside"),
        ("SELECT VALUE COUNT(1, 2) FROM c", "one argument"),
        ("SELECT * FROM c WHERE c.a LIKE 'x' ESCAPE 'ab'", "one character"),
        ("SELECT * FROM c WHERE c.a = '\\q'", "unknown escape"),
        ("SELECT * FROM c WHERE c.a = 1e999", "too large"),
    ],
)
def test_a_wrong_query_is_refused_with_its_reason(text: str, why: str) -> None:
    with pytest.raises(sql.Invalid, match=re.escape(why)):
        sql.compile(text, {"@text": "x", "@minus": -1})


def test_a_scalar_subquery_has_one_result_at_most() -> None:
    query = sql.compile("SELECT VALUE (SELECT VALUE t FROM t IN c.tags) FROM c", {})
    assert list(query.run([{"tags": [1]}, {"tags": []}])) == [1]
    with pytest.raises(sql.Invalid, match="cardinality"):
        list(query.run([{"tags": [1, 2]}]))


@pytest.mark.parametrize(
    ("text", "feature"),
    [
        ("SELECT * FROM c WHERE ST_DISTANCE(c.a, c.b) < 1", "ST_DISTANCE"),
        ("SELECT TOP 5 * FROM c ORDER BY c.a", None),
        ("SELECT VALUE VectorDistance(c.v, [1.0]) FROM c", "VECTORDISTANCE"),
        ("SELECT * FROM c WHERE FullTextContains(c.a, 'x')", "FULLTEXTCONTAINS"),
        ("SELECT * FROM c WHERE udf.twice(c.a) = 2", "user-defined functions"),
        ("SELECT * FROM c WHERE (c.a & 1) = 1", "bitwise operator &"),
        ("SELECT * FROM c WHERE ~c.a = 1", "bitwise operator ~"),
        ("SELECT * FROM c WHERE c.a || 'x' = 'y'", "|| beside"),
        ("SELECT * FROM c WHERE 'y' = c.a || 'x'", "|| beside"),
        ("SELECT VALUE 1 + c.a || 'x' FROM c", "|| beside"),
        ("SELECT * FROM c WHERE NOT c.a = 1", "NOT before a comparison"),
        ("SELECT * FROM c WHERE NOT c.a IN (1)", "NOT before a comparison"),
        ("SELECT * FROM c WHERE NOT c.a LIKE 'x'", "NOT before a comparison"),
        ("SELECT * FROM (SELECT VALUE c.a FROM c) AS x", "a subquery as the first input"),
        ("SELECT t FROM c JOIN t IN (SELECT VALUE t FROM t IN c.tags)", "IN over a subquery"),
        ("SELECT VALUE COUNT(1) FROM c ORDER BY c.a", "ORDER BY with an aggregate"),
        ("SELECT VALUE DateTimeAdd('d', 1, c.a) FROM c", "DATETIMEADD"),
        (f"SELECT VALUE {'(' * 3000}1{')' * 3000}", "nested this deep"),
    ],
)
def test_what_is_not_built_is_named(text: str, feature: str | None) -> None:
    if feature is None:
        sql.compile(text, {})
        return
    with pytest.raises(sql.Unsupported, match=re.escape(feature)):
        sql.compile(text, {})


def test_a_regular_expression_that_python_cannot_read_is_not_guessed() -> None:
    query = sql.compile("SELECT VALUE REGEXMATCH(c.a, '[') FROM c", {})
    with pytest.raises(sql.Unsupported, match="regular expression"):
        list(query.run([{"a": "x"}]))


@pytest.mark.parametrize("text", ["", "where c.a = 1", "from c order by c.a", "from c where c.a = 1 group by c.a"])
def test_a_condition_is_from_and_where_and_nothing_else(text: str) -> None:
    with pytest.raises(sql.Invalid):
        sql.condition(text)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("SELECT c.a, COUNT(1) AS n FROM c GROUP BY c.a", sql.Invalid),
        ("SELECT VALUE COUNT(1) + 1 FROM c", sql.Invalid),
        ("SELECT DISTINCT VALUE COUNT(1) FROM c", sql.Unsupported),
    ],
)
def test_what_the_sdk_cannot_merge_has_no_plan(text: str, error: type[Exception]) -> None:
    query = sql.compile(text, {})
    documents: list[dict[str, Any]] = [{"a": 1}]
    assert len(list(query.run(documents))) == 1
    with pytest.raises(error):
        sql.plan(query)
