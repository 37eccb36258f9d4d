"""The three truths: true, false and undefined, through every operator."""

from itertools import product
from typing import Any

import pytest

from dbops.sandbox.emulators.cosmos import sql

NOTHING = object()
TRUTHS = {"true": True, "false": False, "undefined": NOTHING}
EXAMPLES = {
    "undefined": "undefined",
    "null": "null",
    "boolean": "true",
    "number": "1",
    "string": "'a'",
    "array": "[1]",
    "object": "{'a': 1}",
}


def value_of(expression: str) -> Any:
    found = list(sql.compile(f"SELECT VALUE {expression}", {}).run([]))
    return found[0] if found else NOTHING


def test_and_is_false_with_a_false_and_undefined_with_an_undefined() -> None:
    for left, right in product(TRUTHS, repeat=2):
        truths = {left, right}
        wanted = False if "false" in truths else NOTHING if "undefined" in truths else True
        assert value_of(f"{left} AND {right}") is wanted


def test_or_is_true_with_a_true_and_undefined_with_an_undefined() -> None:
    for left, right in product(TRUTHS, repeat=2):
        truths = {left, right}
        wanted = True if "true" in truths else NOTHING if "undefined" in truths else False
        assert value_of(f"{left} OR {right}") is wanted


def test_not_turns_truth_and_leaves_the_rest_undefined() -> None:
    assert value_of("NOT true") is False
    assert value_of("NOT false") is True
    for other in ("undefined", "null", "0", "''"):
        assert value_of(f"NOT {other}") is NOTHING


def test_what_is_no_boolean_counts_as_undefined_for_and_and_or() -> None:
    for other in ("null", "1", "'true'", "[]"):
        assert value_of(f"{other} AND true") is NOTHING
        assert value_of(f"{other} AND false") is False
        assert value_of(f"true OR {other}") is True
        assert value_of(f"false OR {other}") is NOTHING


@pytest.mark.parametrize("sign", ["<", "<=", ">", ">="])
def test_only_primitives_of_one_type_have_an_order(sign: str) -> None:
    for (left, a), (right, b) in product(EXAMPLES.items(), repeat=2):
        found = value_of(f"{a} {sign} {b}")
        if left == right and left in {"null", "boolean", "number", "string"}:
            assert found is ("=" in sign)
        else:
            assert found is NOTHING, (a, sign, b)


def test_values_of_two_types_are_unequal_and_undefined_is_neither() -> None:
    for (left, a), (right, b) in product(EXAMPLES.items(), repeat=2):
        if "undefined" in {left, right}:
            assert value_of(f"{a} = {b}") is NOTHING
            assert value_of(f"{a} != {b}") is NOTHING
        else:
            assert value_of(f"{a} = {b}") is (left == right)
            assert value_of(f"{a} != {b}") is (left != right)


@pytest.mark.parametrize(("sign", "result"), [("+", 2), ("-", 0), ("*", 1), ("/", 1), ("%", 0)])
def test_arithmetic_wants_two_numbers(sign: str, result: int) -> None:
    for (left, a), (right, b) in product(EXAMPLES.items(), repeat=2):
        found = value_of(f"{a} {sign} {b}")
        assert found == (result if left == right == "number" else NOTHING)


def test_between_in_and_like_of_an_undefined_value_are_undefined() -> None:
    for test in ("BETWEEN 1 AND 2", "NOT BETWEEN 1 AND 2", "IN (1)", "NOT IN (1)", "LIKE 'a'", "NOT LIKE 'a'"):
        assert value_of(f"undefined {test}") is NOTHING
    assert value_of("1 IN (undefined)") is False
    assert value_of("1 BETWEEN 0 AND '2'") is NOTHING
    assert value_of("5 BETWEEN 'x' AND 2") is False
    assert value_of("1 LIKE '1'") is NOTHING


def test_the_question_marks_ask_for_undefined_and_for_true() -> None:
    assert value_of("undefined ?? 1") == 1
    assert value_of("null ?? 1") is None
    assert value_of("undefined ?? undefined ?? 2") == 2
    assert value_of("true ? 1 : 2") == 1
    for other in ("false", "undefined", "null", "1"):
        assert value_of(f"{other} ? 1 : 2") == 2
    assert value_of("false ? 1 : true ? 2 : 3") == 2


def test_undefined_leaves_no_trace_in_objects_and_arrays() -> None:
    assert value_of("{'a': undefined, 'b': null}") == {"b": None}
    assert value_of("[undefined, 1, undefined]") == [1]


def test_a_condition_that_is_not_true_chooses_nothing() -> None:
    for condition in ("undefined", "null", "1", "'true'", "false", "c.nothing", "c.nothing = c.nothing"):
        assert list(sql.compile(f"SELECT * FROM c WHERE {condition}", {}).run([{"id": "1"}])) == []


def test_two_paths_of_which_one_leads_nowhere_are_neither_equal_nor_unequal() -> None:
    query = sql.compile("SELECT VALUE [c.a = c.b, c.a != c.b, c.b = c.a, c.b != c.a, c.b = c.b] FROM c", {})
    assert list(query.run([{"a": 1}, {}, {"a": 1, "b": 1}])) == [[], [], [True, False, True, False, True]]
