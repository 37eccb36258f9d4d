"""Aggregates: what they count, what makes them undefined, and groups."""

from typing import Any

import pytest

from dbops.sandbox.emulators.cosmos import sql


def run(text: str, documents: list[dict[str, Any]]) -> list[Any]:
    return list(sql.compile(text, {}).run(documents))


@pytest.mark.parametrize(
    ("call", "values", "result"),
    [
        ("COUNT(1)", [1, None], [2]),
        ("COUNT(1)", [], [0]),
        ("COUNT(c.v)", [1, None, ...], [2]),
        ("COUNTIF(c.v > 1)", [1, 2, 3, "a", ...], [2]),
        ("SUM(c.v)", [1, 2.5, ...], [3.5]),
        ("SUM(c.v)", [1, "2"], []),
        ("SUM(c.v)", [1, None], []),
        ("SUM(c.v)", [], [0]),
        ("AVG(c.v)", [1, 2, ...], [1.5]),
        ("AVG(c.v)", [1, True], []),
        ("AVG(c.v)", [], []),
        ("MIN(c.v)", [3, 1, 2, ...], [1]),
        ("MIN(c.v)", ["a", 1, True, None], [None]),
        ("MAX(c.v)", ["a", 1, True, None], ["a"]),
        ("MAX(c.v)", [True, False], [True]),
        ("MAX(c.v)", [1, [2]], []),
        ("MIN(c.v)", [...], []),
        ("SUM(c.v) / COUNT(1)", [1, 2], [1.5]),
        ("{'n': COUNT(1), 'max': MAX(c.v)}", [1, 2], [{"n": 2, "max": 2}]),
    ],
)
def test_an_aggregate_over_values(call: str, values: list[Any], result: list[Any]) -> None:
    documents = [{} if value is ... else {"v": value} for value in values]
    assert run(f"SELECT VALUE {call} FROM c", documents) == result


def test_groups_are_by_value_and_type() -> None:
    documents = [{"k": 1}, {"k": True}, {"k": 1.0}, {"k": None}, {}, {"k": [1]}, {"k": [1.0]}, {}]
    assert run("SELECT c.k, COUNT(1) AS n FROM c GROUP BY c.k", documents) == [
        {"k": 1, "n": 2},
        {"k": True, "n": 1},
        {"k": None, "n": 1},
        {"n": 2},
        {"k": [1], "n": 2},
    ]


def test_a_group_may_be_an_expression_and_a_group_of_none_is_none() -> None:
    documents = [{"name": "Ada"}, {"name": "alan"}, {"name": "Bob"}]
    text = "SELECT LOWER(LEFT(c.name, 1)) AS first, COUNT(1) AS n FROM c GROUP BY LOWER(LEFT(c.name, 1))"
    assert run(text, documents) == [{"first": "a", "n": 2}, {"first": "b", "n": 1}]
    assert run(text, []) == []


def test_columns_without_a_name_are_numbered() -> None:
    assert run("SELECT COUNT(1), MAX(c.v) AS m, MIN(c.v) FROM c", [{"v": 1}, {"v": 2}]) == [{"$1": 2, "m": 2, "$2": 1}]


def test_items_of_arrays_are_aggregated_too() -> None:
    documents = [{"id": "a", "tags": ["x", "y"]}, {"id": "b", "tags": ["x"]}]
    assert run("SELECT t, COUNT(1) AS n FROM c JOIN t IN c.tags GROUP BY t", documents) == [
        {"t": "x", "n": 2},
        {"t": "y", "n": 1},
    ]


def test_an_aggregate_of_a_subquery_is_the_documents_own() -> None:
    documents: list[dict[str, Any]] = [{"v": [1, 2, 3]}, {"v": []}]
    assert run("SELECT VALUE (SELECT VALUE SUM(v) FROM v IN c.v) FROM c", documents) == [6, 0]
