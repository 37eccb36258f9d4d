"""Filters in SQL against filters in Python: random documents, random filters, the service's documented rules."""

import math
from collections.abc import Callable
from datetime import datetime
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from questions import Index, field, index

Row = dict[str, Any]
Asked = tuple[str, Callable[[Row], bool]]

_LETTERS = "ab'é \"\\漢😀%_"
strings = st.text(_LETTERS, max_size=3)
integers = st.integers(-3, 3) | st.sampled_from([2**31 - 1, -(2**31)])
doubles = st.sampled_from([-1.5, -0.0, 0.0, 0.1, 1 / 3, 2.0, 1e300, 5e-324, "NaN", "INF", "-INF"])
dates = st.sampled_from(
    ["2024-01-01T00:00:00Z", "2024-01-01T01:00:00+01:00", "2023-12-31T23:59:59.999Z", "1969-07-20T20:17:40Z"]
)
simple: dict[str, st.SearchStrategy[Any]] = {
    "s": strings,
    "i": integers,
    "d": doubles,
    "b": st.booleans(),
    "t": dates,
}
KINDS = {"s": "Edm.String", "i": "Edm.Int32", "d": "Edm.Double", "b": "Edm.Boolean", "t": "Edm.DateTimeOffset"}


def parts() -> dict[str, st.SearchStrategy[Any]]:
    return {name: st.none() | values for name, values in simple.items()}


rooms = st.fixed_dictionaries({**parts(), "tags": st.lists(strings, max_size=2)})
documents = st.fixed_dictionaries(
    {
        **parts(),
        "tags": st.lists(strings, max_size=3),
        "nums": st.lists(integers, max_size=3),
        "halves": st.lists(doubles, max_size=3),
        "whole": st.none() | st.fixed_dictionaries(parts()),
        "rooms": st.lists(rooms, max_size=3),
    }
)


def comparable(kind: str, value: Any) -> Any:
    """Make a value that Python compares as the service does."""
    if kind == "s":
        return value.encode()
    if kind == "t":
        return datetime.fromisoformat(value)
    if kind == "d":
        return {"NaN": math.nan, "INF": math.inf, "-INF": -math.inf}.get(value, value)
    return value


def holds(kind: str, operator: str, left: Any, right: Any) -> bool:
    if left is None or right is None:
        return (left is right) == (operator == "eq") and operator in ("eq", "ne")
    a, b = comparable(kind, left), comparable(kind, right)
    return {"eq": a == b, "ne": a != b, "gt": a > b, "ge": a >= b, "lt": a < b, "le": a <= b}[operator]


def written(kind: str, value: Any) -> str:
    if value is None:
        return "null"
    if kind == "s":
        return "'" + value.replace("'", "''") + "'"
    if kind == "b":
        return "true" if value else "false"
    return value if isinstance(value, str) else repr(value)


_TURNED = {"gt": "lt", "ge": "le", "lt": "gt", "le": "ge", "eq": "eq", "ne": "ne"}


@st.composite
def comparisons(draw: st.DrawFn, kind: str, prefix: str, among: tuple[str, ...] = ()) -> Asked:
    """Draw a comparison of the field or variable `prefix`; the row is its value."""
    value = draw(st.none() | simple[kind] if not among else simple[kind])
    operators = ("eq", "ne") if kind == "b" or value is None else ("eq", "ne", "gt", "ge", "lt", "le")
    operator = draw(st.sampled_from(among or operators))
    text = written(kind, value)
    said = f"{prefix} {operator} {text}"
    if draw(st.booleans()):
        said = f"{text} {_TURNED[operator]} {prefix}"
    return said, lambda row: holds(kind, operator, row, value)  # pyright: ignore[reportUnknownLambdaType]


@st.composite
def about_fields(draw: st.DrawFn, prefix: str) -> Asked:
    kind = draw(st.sampled_from("sidbt"))
    way = draw(st.sampled_from(["compare", "truth", "in"]))
    if way == "truth":
        return f"{prefix}b", lambda row: row["b"] is True
    if way == "in":
        values = draw(st.lists(strings, max_size=3))
        told = "|".join(values).replace("'", "''")
        return f"search.in({prefix}s, '{told}', '|')", lambda row: row["s"] in [v for v in values if v]
    said, check = draw(comparisons(kind, f"{prefix}{kind}"))
    return said, lambda row: check(row[kind])


@st.composite
def about_tags(draw: st.DrawFn, prefix: str) -> Asked:
    value = draw(strings)
    text = written("s", value)
    way = draw(st.sampled_from(["any", "all", "none", "two", "in"]))
    if way == "any":
        return f"{prefix}tags/any(x: x eq {text})", lambda row: value in row["tags"]
    if way == "all":
        return f"{prefix}tags/all(x: x ne {text})", lambda row: value not in row["tags"]
    if way == "none":
        return f"{prefix}tags/any()", lambda row: bool(row["tags"])
    if way == "in":
        told = "" if not value else value.replace("'", "''")
        return f"{prefix}tags/any(x: search.in(x, '{told}', '|'))", lambda row: bool(value) and value in row["tags"]
    other = draw(strings)
    said = f"{prefix}tags/any(x: x eq {text} or x eq {written('s', other)})"
    return said, lambda row: value in row["tags"] or other in row["tags"]


@st.composite
def about_numbers(draw: st.DrawFn) -> Asked:
    name, kind = draw(st.sampled_from([("nums", "i"), ("halves", "d")]))
    every = draw(st.booleans())
    # `ne` in any and `eq` in all stand alone, as the service wants it.
    together = ("gt", "ge", "lt", "le")
    one, check = draw(comparisons(kind, "x", ("eq", "ne", *together)))
    if draw(st.booleans()):
        one, check = draw(comparisons(kind, "x", together))
        two, check_two = draw(comparisons(kind, "x", together))
        if every:
            return f"{name}/all(x: {one} or {two})", lambda row: all(check(x) or check_two(x) for x in row[name])
        return f"{name}/any(x: {one} and {two})", lambda row: any(check(x) and check_two(x) for x in row[name])
    word = "all" if every else "any"
    return f"{name}/{word}(x: {one})", lambda row: (all if every else any)(check(x) for x in row[name])


@st.composite
def about_rooms(draw: st.DrawFn) -> Asked:
    said, check = draw(joined(about_fields("r/") | about_tags("r/")))
    if draw(st.booleans()):
        return f"rooms/any(r: {said})", lambda row: any(check(room) for room in row["rooms"])
    return f"rooms/all(r: {said})", lambda row: all(check(room) for room in row["rooms"])


@st.composite
def about_whole(draw: st.DrawFn) -> Asked:
    said, check = draw(about_fields("whole/"))
    nothing = dict.fromkeys(KINDS)
    return said, lambda row: check(row["whole"] or nothing)


def both(left: Asked, right: Asked) -> Asked:
    return f"({left[0]} and {right[0]})", lambda row: left[1](row) and right[1](row)


def either(left: Asked, right: Asked) -> Asked:
    return f"({left[0]} or {right[0]})", lambda row: left[1](row) or right[1](row)


def neither(one: Asked) -> Asked:
    return f"not ({one[0]})", lambda row: not one[1](row)


def joined(leaves: st.SearchStrategy[Asked]) -> st.SearchStrategy[Asked]:
    return st.recursive(
        leaves,
        lambda inner: st.builds(both, inner, inner) | st.builds(either, inner, inner) | st.builds(neither, inner),
        max_leaves=4,
    )


filters = joined(about_fields("") | about_tags("") | about_numbers() | about_rooms() | about_whole())


def _index() -> list[dict[str, Any]]:
    flat = [field(name, kind) for name, kind in KINDS.items()]
    tags = field("tags", "Collection(Edm.String)")
    return [
        *flat,
        tags,
        field("nums", "Collection(Edm.Int32)"),
        field("halves", "Collection(Edm.Double)"),
        field("whole", "Edm.ComplexType", fields=flat),
        field("rooms", "Collection(Edm.ComplexType)", fields=[*flat, tags]),
    ]


def filled(built: Index, rows: list[Row]) -> list[Row]:
    numbered = [{"id": str(n), **row} for n, row in enumerate(rows)]
    built.put(*numbered)
    return numbered


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(documents, max_size=5), st.lists(filters, min_size=1, max_size=4))
def test_sql_finds_what_a_naive_reading_of_the_filter_finds(rows: list[Row], asked: list[Asked]) -> None:
    with index(*_index()) as built:
        numbered = filled(built, rows)
        for said, check in asked:
            assert built.found(said) == {row["id"] for row in numbered if check(row)}, said


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(documents, max_size=8), filters, st.sampled_from("sidbt"), st.booleans())
def test_a_count_and_facets_speak_of_what_the_filter_leaves(
    rows: list[Row], asked: Asked, facet: str, descending: bool
) -> None:
    with index(*_index()) as built:
        numbered = filled(built, rows)
        order = f"{facet} desc" if descending else facet
        left = [row for row in numbered if asked[1](row)]
        answer = built.ask(filter=asked[0], count=True, facets=[f"{facet},count:99"], orderby=order)
        assert answer["@odata.count"] == len(left) == len(answer["value"])
        valued = [row for row in left if row[facet] is not None]
        assert sum(bucket["count"] for bucket in answer["@search.facets"][facet]) == len(valued)
        given_order = [row[facet] for row in answer["value"]]
        nulls = [value is None for value in given_order]
        assert nulls == sorted(nulls, reverse=not descending)
        sortable = [comparable(facet, v) for v in given_order if v is not None and v != "NaN"]
        assert sortable == sorted(sortable, reverse=descending)
