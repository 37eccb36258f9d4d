"""Random conditions against an evaluation that shares nothing with the compiler: it walks tuples, case by case."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from dbops.sandbox.emulators.cosmos import sql

NOTHING = object()
Node = tuple[Any, ...]

PLACES = ["a", "b", "o.x", "o.y", "t"]
SCALARS: st.SearchStrategy[Any] = st.sampled_from([None, True, False, 0, 1, 2.5, "", "a", "b", "ab"])
DOCUMENTS: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {},
    optional={
        "a": SCALARS,
        "b": SCALARS,
        "o": st.dictionaries(st.sampled_from("xy"), SCALARS) | SCALARS,
        "t": st.lists(SCALARS, max_size=3) | SCALARS,
    },
)
OPERANDS: st.SearchStrategy[Node] = st.one_of(
    st.tuples(st.just("path"), st.sampled_from(PLACES)), st.tuples(st.just("constant"), SCALARS)
)
LEAVES: st.SearchStrategy[Node] = st.one_of(
    st.tuples(st.sampled_from(["=", "!=", "<", "<=", ">", ">="]), OPERANDS, OPERANDS),
    st.tuples(st.sampled_from(["IS_DEFINED", "IS_NULL", "IS_STRING", "IS_ARRAY"]), OPERANDS),
    st.tuples(st.just("IN"), OPERANDS, st.lists(OPERANDS, min_size=1, max_size=3)),
    st.tuples(st.just("BETWEEN"), OPERANDS, OPERANDS, OPERANDS),
    st.tuples(st.just("ARRAY_CONTAINS"), OPERANDS, OPERANDS),
    st.tuples(st.just("STARTSWITH"), OPERANDS, OPERANDS),
    st.tuples(st.just("EXISTS"), SCALARS),
    OPERANDS,
)
CONDITIONS: st.SearchStrategy[Node] = st.recursive(
    LEAVES,
    lambda inner: st.one_of(st.tuples(st.sampled_from(["AND", "OR"]), inner, inner), st.tuples(st.just("NOT"), inner)),
    max_leaves=8,
)


def written(node: Node) -> str:
    match node:
        case ("path", place):
            return f"c.{place}"
        case ("constant", value):
            return json.dumps(value)
        case ("AND" | "OR" as word, left, right):
            return f"({written(left)} {word} {written(right)})"
        case ("NOT", inner):
            return f"NOT ({written(inner)})"
        case ("IN", value, items):
            return f"{written(value)} IN ({', '.join(map(written, items))})"
        case ("BETWEEN", value, low, high):
            return f"({written(value)} BETWEEN {written(low)} AND {written(high)})"
        case ("EXISTS", value):
            return f"EXISTS(SELECT VALUE t FROM t IN c.t WHERE t = {json.dumps(value)})"
        case (name, one):
            return f"{name}({written(one)})"
        case (name, one, two) if name[0].isalpha():
            return f"{name}({written(one)}, {written(two)})"
        case (sign, left, right):
            return f"({written(left)} {sign} {written(right)})"
        case _:
            raise AssertionError(node)


def kind(value: Any) -> str:
    if value is NOTHING:
        return "undefined"
    return "number" if type(value) in {int, float} else type(value).__name__


def alike(left: Any, right: Any) -> bool:
    return kind(left) == kind(right) and json.dumps(left, sort_keys=True) == json.dumps(right, sort_keys=True)


def compared(sign: str, left: Any, right: Any) -> Any:
    if NOTHING in (left, right):
        return NOTHING
    if sign in {"=", "!="}:
        return alike(left, right) is (sign == "=")
    if kind(left) != kind(right) or kind(left) in {"list", "dict"}:
        return NOTHING
    a, b = (0, 0) if left is None else (left, right)
    return {"<": a < b, "<=": a <= b, ">": a > b, ">=": a >= b}[sign]


def both(left: Any, right: Any) -> Any:
    if left is False or right is False:
        return False
    return True if left is True and right is True else NOTHING


def turned(value: Any) -> Any:
    return not value if isinstance(value, bool) else NOTHING


def reached(value: Any, steps: list[str]) -> Any:
    if not steps:
        return value
    return reached(value.get(steps[0], NOTHING), steps[1:]) if kind(value) == "dict" else NOTHING


def evaluated(node: Node, document: dict[str, Any]) -> Any:
    def of(inner: Node) -> Any:
        return evaluated(inner, document)

    match node:
        case ("path", place):
            return reached(document, place.split("."))
        case ("constant", value):
            return value
        case ("AND", left, right):
            return both(of(left), of(right))
        case ("OR", left, right):
            return turned(both(turned(of(left)), turned(of(right))))
        case ("NOT", inner):
            return turned(of(inner))
        case ("IN", value, items):
            return NOTHING if of(value) is NOTHING else any(alike(of(value), of(item)) for item in items)
        case ("BETWEEN", value, low, high):
            return both(compared(">=", of(value), of(low)), compared("<=", of(value), of(high)))
        case ("EXISTS", value):
            return isinstance(document.get("t"), list) and any(alike(one, value) for one in document["t"])
        case ("ARRAY_CONTAINS", array, value):
            found, wanted = of(array), of(value)
            return (
                any(alike(one, wanted) for one in found) if kind(found) == "list" and wanted is not NOTHING else NOTHING
            )
        case ("STARTSWITH", value, part):
            whole, start = of(value), of(part)
            return whole[: len(start)] == start if kind(whole) == kind(start) == "str" else NOTHING
        case ("IS_DEFINED", value):
            return of(value) is not NOTHING
        case (("IS_NULL" | "IS_STRING" | "IS_ARRAY") as name, value):
            return kind(of(value)) == {"IS_NULL": "NoneType", "IS_STRING": "str", "IS_ARRAY": "list"}[name]
        case (sign, left, right):
            return compared(sign, of(left), of(right))
        case _:
            raise AssertionError(node)


@settings(max_examples=250)
@given(CONDITIONS, st.lists(DOCUMENTS, max_size=6))
def test_a_condition_means_what_it_says(condition: Node, documents: list[dict[str, Any]]) -> None:
    query = sql.compile(f"SELECT * FROM c WHERE {written(condition)}", {})
    assert list(query.run(documents)) == [one for one in documents if evaluated(condition, one) is True]
    for path, value in query.equalities.items():
        place: Node = ("path", path[1:].replace("/", "."))
        assert all(alike(evaluated(place, one), value) for one in query.run(documents))


@settings(max_examples=100)
@given(CONDITIONS, DOCUMENTS)
def test_the_value_of_a_condition_is_one_of_three(condition: Node, document: dict[str, Any]) -> None:
    found = list(sql.compile(f"SELECT VALUE [{written(condition)}] FROM c", {}).run([document]))
    value = evaluated(condition, document)
    assert found == [[] if value is NOTHING else [value]]
    met = sql.condition(f"from c where {written(condition)}")
    assert met(document) is (value is True)
