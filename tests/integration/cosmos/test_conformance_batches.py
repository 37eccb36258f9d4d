"""Atomic batches, and changes to parts of an item."""

from typing import Any

import pytest
from azure.core import MatchConditions
from azure.cosmos.exceptions import (
    CosmosAccessConditionFailedError,
    CosmosBatchOperationError,
    CosmosHttpResponseError,
    CosmosResourceNotFoundError,
)

from dbops.servers.emulator import Server

from cosmos_account import ask, everything, fresh_container

_KEY = {"x-ms-documentdb-partitionkey": '["a"]'}


def _batch_headers(**more: str) -> dict[str, str]:
    return {**_KEY, "x-ms-cosmos-is-batch-request": "True", "x-ms-cosmos-batch-atomic": "True", **more}


# -- batches


def test_a_batch_knows_all_six_operations(container: Any) -> None:
    container.create_item({"id": "old", "ws": "a", "n": 1})
    container.create_item({"id": "gone", "ws": "a"})
    results = container.execute_item_batch(
        [
            ("create", ({"id": "new", "ws": "a"},)),
            ("upsert", ({"id": "up", "ws": "a"},)),
            ("upsert", ({"id": "up", "ws": "a", "n": 2},)),
            ("replace", ("old", {"id": "old", "ws": "a", "n": 3})),
            ("patch", ("old", [{"op": "incr", "path": "/n", "value": 4}])),
            ("read", ("old",)),
            ("delete", ("gone",)),
        ],
        "a",
    )
    assert [one["statusCode"] for one in results] == [201, 201, 200, 200, 200, 200, 204]
    assert results[5]["resourceBody"]["n"] == 7
    assert results[5]["eTag"] == container.read_item("old", "a")["_etag"]
    assert sorted(one["id"] for one in everything(container)) == ["new", "old", "up"]


@pytest.mark.parametrize(
    ("failing", "status"),
    [
        (("create", ({"id": "there", "ws": "a"},)), 409),
        (("replace", ("missing", {"id": "missing", "ws": "a"})), 404),
        (("read", ("missing",)), 404),
        (("delete", ("missing",)), 404),
        (("delete", ("there",), {"if_match_etag": '"stale"'}), 412),
        (("replace", ("there", {"id": "there", "ws": "a"}), {"if_match_etag": '"stale"'}), 412),
        (("patch", ("there", [{"op": "remove", "path": "/no"}])), 400),
        (
            ("patch", ("there", [{"op": "set", "path": "/n", "value": 1}]), {"filter_predicate": "from c where c.n=9"}),
            412,
        ),
        (("create", ({"id": "x", "ws": "another key"},)), 400),
    ],
)
def test_a_failed_operation_undoes_the_whole_batch(container: Any, failing: Any, status: int) -> None:
    container.create_item({"id": "there", "ws": "a", "n": 0})
    before = container.read_item("there", "a")
    operations = [
        ("create", ({"id": "1", "ws": "a"},)),
        ("upsert", ({"id": "there", "ws": "a", "n": 1},)),
        failing,
        ("create", ({"id": "2", "ws": "a"},)),
    ]
    with pytest.raises(CosmosBatchOperationError) as error:
        container.execute_item_batch(operations, "a")
    failed: Any = error.value
    assert [one["statusCode"] for one in failed.operation_responses] == [424, 424, status, 424]
    assert (failed.status_code, failed.error_index) == (status, 2)
    assert everything(container) == [before]


def test_a_failed_batch_is_answered_with_207(account: Server, container: Any) -> None:
    answer = ask(
        account,
        "POST",
        f"/{container.container_link}/docs",
        [{"operationType": "Read", "id": "missing"}],
        _batch_headers(),
    )
    assert (answer.status, answer.body[0]["statusCode"]) == (207, 404)


def test_a_batch_takes_a_hundred_operations_and_no_more(container: Any) -> None:
    documents = [{"id": str(n), "ws": "a"} for n in range(101)]
    with pytest.raises(CosmosHttpResponseError) as error:
        container.execute_item_batch([("create", (one,)) for one in documents], "a")
    assert error.value.status_code == 400
    assert len(container.execute_item_batch([("create", (one,)) for one in documents[:100]], "a")) == 100


def test_a_batch_over_two_mebibytes_is_refused_with_413(container: Any) -> None:
    documents = [{"id": str(n), "ws": "a", "text": "x" * 500_000} for n in range(5)]
    with pytest.raises(CosmosHttpResponseError) as error:
        container.execute_item_batch([("create", (one,)) for one in documents], "a")
    assert error.value.status_code == 413
    assert everything(container) == []


def test_an_empty_batch_is_refused(container: Any) -> None:
    with pytest.raises(CosmosHttpResponseError) as error:
        container.execute_item_batch([], "a")
    assert error.value.status_code == 400


def test_a_batch_works_with_hierarchical_keys(client: Any) -> None:
    made = fresh_container(client, ["/t", "/u"])
    made.execute_item_batch([("create", ({"id": "1", "t": "x", "u": "y"},))], ["x", "y"])
    assert made.read_item("1", ["x", "y"])["u"] == "y"


def test_a_batch_obeys_unique_keys(client: Any) -> None:
    made = fresh_container(client, unique_key_policy={"uniqueKeys": [{"paths": ["/mail"]}]})
    operations = [("create", ({"id": str(n), "ws": "a", "mail": "same"},)) for n in range(2)]
    with pytest.raises(CosmosBatchOperationError) as error:
        made.execute_item_batch(operations, "a")
    failed: Any = error.value
    assert (failed.status_code, failed.error_index) == (409, 1)
    made.create_item({"id": "1", "ws": "a", "mail": "same"})


def test_bulk_requests_are_told_as_not_implemented(account: Server, container: Any) -> None:
    headers = _batch_headers(**{"x-ms-cosmos-batch-atomic": "False"})
    answer = ask(account, "POST", f"/{container.container_link}/docs", [], headers)
    assert answer.status == 501


# -- patches


def _patched(container: Any, *operations: dict[str, Any], **options: Any) -> dict[str, Any]:
    item = {"id": "1", "ws": "a", "n": 1, "list": [1, 2, 3], "deep": {"x": {"y": 1}}, "text": "t"}
    container.upsert_item(item)
    changed = container.patch_item("1", "a", list(operations), **options)
    assert changed == container.read_item("1", "a")
    return {name: value for name, value in changed.items() if not name.startswith("_") and name not in {"id", "ws"}}


@pytest.mark.parametrize(
    ("operation", "change"),
    [
        ({"op": "add", "path": "/new", "value": {"a": 1}}, {"new": {"a": 1}}),
        ({"op": "add", "path": "/n", "value": 5}, {"n": 5}),
        ({"op": "add", "path": "/list/1", "value": 9}, {"list": [1, 9, 2, 3]}),
        ({"op": "add", "path": "/list/-", "value": 9}, {"list": [1, 2, 3, 9]}),
        ({"op": "add", "path": "/list/3", "value": 9}, {"list": [1, 2, 3, 9]}),
        ({"op": "set", "path": "/list/1", "value": 9}, {"list": [1, 9, 3]}),
        ({"op": "set", "path": "/deep/x/z", "value": None}, {"deep": {"x": {"y": 1, "z": None}}}),
        ({"op": "replace", "path": "/text", "value": "u"}, {"text": "u"}),
        ({"op": "remove", "path": "/list/0"}, {"list": [2, 3]}),
        ({"op": "remove", "path": "/deep/x/y"}, {"deep": {"x": {}}}),
        ({"op": "incr", "path": "/n", "value": 4}, {"n": 5}),
        ({"op": "incr", "path": "/n", "value": -0.5}, {"n": 0.5}),
        ({"op": "incr", "path": "/fresh", "value": 3}, {"fresh": 3}),
        ({"op": "set", "path": "/a~1b~0c", "value": 1}, {"a/b~c": 1}),
    ],
)
def test_a_patch_changes_one_place(container: Any, operation: dict[str, Any], change: dict[str, Any]) -> None:
    before = {"n": 1, "list": [1, 2, 3], "deep": {"x": {"y": 1}}, "text": "t"}
    assert _patched(container, operation) == before | change


def test_a_patch_moves_a_value(container: Any) -> None:
    changed = _patched(container, {"op": "move", "from": "/deep/x", "path": "/moved"})
    assert (changed["moved"], changed["deep"]) == ({"y": 1}, {})


def test_patch_operations_see_each_other(container: Any) -> None:
    changed = _patched(
        container,
        {"op": "add", "path": "/made", "value": {}},
        {"op": "set", "path": "/made/n", "value": 1},
        {"op": "incr", "path": "/made/n", "value": 1},
    )
    assert changed["made"] == {"n": 2}


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "replace", "path": "/missing", "value": 1},
        {"op": "remove", "path": "/missing"},
        {"op": "add", "path": "/missing/deep", "value": 1},
        {"op": "set", "path": "/list/7", "value": 1},
        {"op": "incr", "path": "/text", "value": 1},
        {"op": "incr", "path": "/n", "value": "1"},
        {"op": "move", "from": "/missing", "path": "/x"},
        {"op": "set", "path": "/id", "value": "2"},
        {"op": "set", "path": "/ws", "value": "b"},
        {"op": "remove", "path": "/_ts"},
        {"op": "set", "path": "no slash", "value": 1},
        {"op": "unknown", "path": "/n", "value": 1},
    ],
)
def test_a_patch_that_does_not_fit_changes_nothing(container: Any, operation: dict[str, Any]) -> None:
    with pytest.raises(CosmosHttpResponseError) as error:
        _patched(container, {"op": "set", "path": "/first", "value": 1}, operation)
    assert error.value.status_code == 400
    assert "first" not in container.read_item("1", "a")


def test_a_patch_takes_ten_operations_and_no_more(container: Any) -> None:
    operations = [{"op": "incr", "path": "/n", "value": 1} for _ in range(11)]
    with pytest.raises(CosmosHttpResponseError) as error:
        _patched(container, *operations)
    assert error.value.status_code == 400
    assert _patched(container, *operations[:10])["n"] == 11


def test_a_patch_is_done_only_where_its_condition_holds(container: Any) -> None:
    change = {"op": "set", "path": "/done", "value": True}
    assert _patched(container, change, filter_predicate="from c where c.n = 1 and IS_DEFINED(c.text)")["done"]
    with pytest.raises(CosmosHttpResponseError) as error:
        _patched(container, change, filter_predicate="from c where c.n > 1")
    assert error.value.status_code == 412


def test_a_patch_with_a_stale_etag_is_412(container: Any) -> None:
    stale = container.create_item({"id": "1", "ws": "a", "n": 1})["_etag"]
    container.upsert_item({"id": "1", "ws": "a", "n": 2})
    with pytest.raises(CosmosAccessConditionFailedError):
        container.patch_item(
            "1",
            "a",
            [{"op": "incr", "path": "/n", "value": 1}],
            etag=stale,
            match_condition=MatchConditions.IfNotModified,
        )


def test_a_patch_of_a_missing_item_is_404(container: Any) -> None:
    with pytest.raises(CosmosResourceNotFoundError):
        container.patch_item("1", "a", [{"op": "set", "path": "/n", "value": 1}])


def test_a_patch_may_change_the_time_to_live(client: Any) -> None:
    made = fresh_container(client, default_ttl=-1)
    made.create_item({"id": "1", "ws": "a"})
    assert made.patch_item("1", "a", [{"op": "add", "path": "/ttl", "value": 3600}])["ttl"] == 3600
    with pytest.raises(CosmosHttpResponseError):
        made.patch_item("1", "a", [{"op": "set", "path": "/ttl", "value": "soon"}])
