"""Patches as laws: what one undoes of the other, whatever the document is."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbops.sandbox.emulators.cosmos import keys, patch
from dbops.sandbox.emulators.cosmos.answers import Refused

_KEY = keys.scheme({"paths": ["/pk"], "kind": "Hash", "version": 2})
_NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=5).filter(
    lambda name: name not in {"id", "pk"} and not name.startswith("_")
)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=3),
    max_leaves=8,
)
_DOCUMENTS = st.dictionaries(_NAMES, _JSON, min_size=1, max_size=4)


def _at(name: str) -> str:
    return "/" + name.replace("~", "~0").replace("/", "~1")


def _done(document: dict[str, Any], *operations: dict[str, Any]) -> dict[str, Any]:
    changed = copy.deepcopy(document)
    patch.apply(changed, list(operations), _KEY)
    return changed


@given(_DOCUMENTS, _NAMES, _JSON)
def test_what_was_set_is_there_and_the_rest_as_before(document: dict[str, Any], name: str, value: Any) -> None:
    assert _done(document, {"op": "set", "path": _at(name), "value": value}) == {**document, name: value}


@given(_DOCUMENTS, _NAMES, _JSON)
def test_removing_undoes_adding(document: dict[str, Any], name: str, value: Any) -> None:
    document.pop(name, None)
    add = {"op": "add", "path": _at(name), "value": value}
    assert _done(document, add, {"op": "remove", "path": _at(name)}) == document


@given(_DOCUMENTS, _NAMES, st.data())
def test_moving_there_and_back_changes_nothing(document: dict[str, Any], name: str, data: st.DataObject) -> None:
    document.pop(name, None)
    document["kept"] = 1
    old = data.draw(st.sampled_from(sorted(document)))
    there = {"op": "move", "from": _at(old), "path": _at(name)}
    back = {"op": "move", "from": _at(name), "path": _at(old)}
    assert _done(document, there, back) == document


@given(st.lists(st.integers(), max_size=5), st.integers(0, 5), st.integers())
def test_an_array_grows_where_it_is_added_to(values: list[int], index: int, value: int) -> None:
    operation = {"op": "add", "path": f"/list/{index}", "value": value}
    if index > len(values):
        with pytest.raises(Refused):
            _done({"list": values}, operation)
        return
    assert _done({"list": values}, operation)["list"] == [*values[:index], value, *values[index:]]


@given(st.lists(st.integers(-100, 100), max_size=10))
def test_increments_add_up(steps: list[int]) -> None:
    operations = [{"op": "incr", "path": "/n", "value": step} for step in steps]
    assert _done({"n": 0}, *operations)["n"] == sum(steps)


@pytest.mark.parametrize("path", ["/pk", "/pk/deep", "/id", "/_etag", "/_ts/x", "", "/", "n", None, 7])
def test_paths_that_nobody_may_patch(path: Any) -> None:
    with pytest.raises(Refused) as error:
        _done({"id": "1", "pk": {}}, {"op": "set", "path": path, "value": 1})
    assert error.value.status == 400
