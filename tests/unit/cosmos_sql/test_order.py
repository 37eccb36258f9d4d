"""The laws of equality and order, over all values that JSON has."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from dbops.sandbox.emulators.cosmos import sql

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**53), 2**53),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=5),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=6,
)
TYPES: list[Any] = [type(None), bool, float, str, list, dict]
NOTHING = object()


def place(value: Any) -> int:
    """The type's place in the documented order, written down once more."""
    return TYPES.index(float if type(value) is int else type(value))


def value_of(expression: str, **values: Any) -> Any:
    parameters = {f"@{name}": value for name, value in values.items()}
    found = list(sql.compile(f"SELECT VALUE {expression}", parameters).run([]))
    return found[0] if found else NOTHING


def alike(left: Any, right: Any) -> bool:
    if place(left) != place(right):
        return False
    if place(left) == 4:
        return len(left) == len(right) and all(alike(a, b) for a, b in zip(left, right, strict=True))
    if place(left) == 5:
        return set(left) == set(right) and all(alike(left[key], right[key]) for key in left)
    return left == right


@given(VALUES, VALUES)
def test_equality_is_that_of_type_and_content(left: Any, right: Any) -> None:
    assert value_of("@a = @b", a=left, b=right) is alike(left, right)
    assert value_of("@a != @b", a=left, b=right) is not alike(left, right)
    assert value_of("ARRAY_CONTAINS([@a], @b)", a=left, b=right) is alike(left, right)
    assert value_of("@a IN (@b)", a=left, b=right) is alike(left, right)


@given(VALUES, VALUES)
def test_equality_with_a_constant_is_equality(left: Any, right: Any) -> None:
    query = sql.compile("SELECT VALUE [c.v = @b, @b = c.v, c.v = c.w, c.v IN (c.w)] FROM c", {"@b": right})
    assert list(query.run([{"v": left, "w": right}])) == [[alike(left, right)] * 4]


@given(SCALARS, SCALARS)
def test_exactly_one_of_less_equal_and_greater_holds_within_a_type(left: Any, right: Any) -> None:
    found = [value_of(f"@a {sign} @b", a=left, b=right) for sign in ("<", "=", ">")]
    if place(left) == place(right):
        assert found.count(True) == 1
        assert value_of("@a <= @b", a=left, b=right) is not found[2]
        assert value_of("@a >= @b", a=left, b=right) is not found[0]
    else:
        assert found == [NOTHING, False, NOTHING]


@given(st.lists(VALUES, max_size=12))
def test_a_sorted_column_has_the_types_in_order_and_each_type_sorted(values: list[Any]) -> None:
    documents = [{"v": value} for value in values]
    found = list(sql.compile("SELECT VALUE c.v FROM c ORDER BY c.v", {}).run(documents))
    assert [place(value) for value in found] == sorted(place(value) for value in values)
    for kind in range(4):
        column = [value for value in found if place(value) == kind]
        assert column == sorted(column, key=lambda value: 0 if value is None else value)


@given(st.lists(VALUES, max_size=12))
def test_a_single_order_leaves_out_what_has_no_value_and_nothing_else(values: list[Any]) -> None:
    documents: list[dict[str, Any]] = [{"n": n, "v": value} for n, value in enumerate(values)]
    found = list(sql.compile("SELECT VALUE c.n FROM c ORDER BY c.v", {}).run([*documents, {"n": -1}, {"n": -2}]))
    assert sorted(found) == list(range(len(values)))


def test_an_order_by_a_path_that_the_policy_names_keeps_what_has_no_value() -> None:
    documents: list[dict[str, Any]] = [{"n": 1, "v": {"w": 2}}, {"n": 2}, {"n": 3, "v": {"w": None}}]
    query = sql.compile("SELECT VALUE c.n FROM c ORDER BY c.v.w", {}, explicit=["/v/w"])
    assert list(query.run(documents)) == [2, 3, 1]


@given(st.lists(st.tuples(st.none() | st.integers(0, 2), st.integers(0, 2)), max_size=12))
def test_a_composite_order_keeps_undefined_first_and_ties_in_place(pairs: list[tuple[int | None, int]]) -> None:
    documents: list[dict[str, Any]] = [
        {"b": b, "n": n} if a is None else {"a": a, "b": b, "n": n} for n, (a, b) in enumerate(pairs)
    ]
    found = list(sql.compile("SELECT VALUE c FROM c ORDER BY c.a, c.b DESC", {}).run(documents))
    assert found == sorted(documents, key=lambda one: (one.get("a", -1), -one["b"], one["n"]))


@given(st.lists(VALUES, max_size=12))
def test_distinct_keeps_the_first_of_those_alike(values: list[Any]) -> None:
    wanted: list[Any] = []
    for value in values:
        if not any(alike(value, one) for one in wanted):
            wanted.append(value)
    assert list(sql.compile("SELECT DISTINCT VALUE c.v FROM c", {}).run([{"v": value} for value in values])) == wanted


@given(st.lists(st.integers(0, 9), max_size=12), st.integers(0, 14), st.integers(0, 14))
def test_a_window_is_a_slice_of_the_whole(values: list[int], offset: int, limit: int) -> None:
    documents = [{"v": value} for value in values]
    whole = list(sql.compile("SELECT VALUE c.v FROM c ORDER BY c.v", {}).run(documents))
    window = sql.compile(f"SELECT VALUE c.v FROM c ORDER BY c.v OFFSET {offset} LIMIT {limit}", {})
    assert list(window.run(documents)) == whole[offset : offset + limit]
    top = sql.compile(f"SELECT TOP {limit} VALUE c.v FROM c ORDER BY c.v", {})
    assert list(top.run(documents)) == whole[:limit]
