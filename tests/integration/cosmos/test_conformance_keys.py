"""Rules of a container: partition keys, unique keys, and when items expire."""

import time
from typing import Any

import pytest
from azure.cosmos.exceptions import (
    CosmosHttpResponseError,
    CosmosResourceExistsError,
    CosmosResourceNotFoundError,
)
from azure.cosmos.partition_key import NonePartitionKeyValue, NullPartitionKeyValue

from dbops.servers.emulator import Server

from cosmos_account import ask, everything, fresh_container

_ENOUGH_S = 15.0


def _status(error: pytest.ExceptionInfo[CosmosHttpResponseError]) -> int | None:
    return error.value.status_code


# -- partition keys


@pytest.mark.parametrize("key", ["text", "", "é☃", 0, 7, -1.5, 1e300, True, False])
def test_a_partition_key_is_a_string_a_number_or_a_boolean(container: Any, key: Any) -> None:
    container.create_item({"id": "1", "ws": key})
    assert container.read_item("1", key)["ws"] == key
    assert len(list(container.query_items("SELECT * FROM c", partition_key=key))) == 1


def test_a_partition_key_of_null_is_not_a_missing_one(container: Any) -> None:
    container.create_item({"id": "1", "ws": None, "is": "null"})
    container.create_item({"id": "1", "is": "missing"})
    assert container.read_item("1", NullPartitionKeyValue)["is"] == "null"
    assert container.read_item("1", NonePartitionKeyValue)["is"] == "missing"


def test_one_and_one_point_zero_are_the_same_key(container: Any) -> None:
    container.create_item({"id": "1", "ws": 1})
    assert container.read_item("1", 1.0)["id"] == "1"


def test_true_and_one_are_different_keys(container: Any) -> None:
    container.create_item({"id": "1", "ws": True})
    with pytest.raises(CosmosResourceNotFoundError):
        container.read_item("1", 1)


def test_an_item_must_carry_the_key_that_the_request_names(account: Server, container: Any) -> None:
    headers = {"x-ms-documentdb-partitionkey": '["b"]'}
    answer = ask(account, "POST", f"/{container.container_link}/docs", {"id": "1", "ws": "a"}, headers)
    assert (answer.status, answer.headers["x-ms-substatus"]) == (400, "1001")


def test_a_partition_key_cannot_be_an_object(account: Server, container: Any) -> None:
    headers = {"x-ms-documentdb-partitionkey": '[{"a": 1}]'}
    answer = ask(account, "POST", f"/{container.container_link}/docs", {"id": "1", "ws": {"a": 1}}, headers)
    assert answer.status == 400


def test_a_nested_path_is_a_partition_key(client: Any) -> None:
    made = fresh_container(client, "/a/b")
    made.create_item({"id": "1", "a": {"b": "deep"}})
    assert made.read_item("1", "deep")["id"] == "1"


def test_hierarchical_keys_are_read_whole_and_queried_by_their_beginning(client: Any) -> None:
    made = fresh_container(client, ["/tenant", "/user", "/session"])
    for tenant, user, session in (("t1", "u1", "s1"), ("t1", "u1", "s2"), ("t1", "u2", "s1"), ("t2", "u1", "s1")):
        made.create_item({"id": "1", "tenant": tenant, "user": user, "session": session})
    assert made.read_item("1", ["t1", "u2", "s1"])["user"] == "u2"
    assert len(list(made.query_items("SELECT * FROM c", partition_key=["t1", "u1"]))) == 2
    assert len(list(made.query_items("SELECT * FROM c", partition_key=["t1"]))) == 3


# -- unique keys


@pytest.fixture
def unique(client: Any) -> Any:
    return fresh_container(client, unique_key_policy={"uniqueKeys": [{"paths": ["/mail"]}, {"paths": ["/x", "/y/z"]}]})


def test_a_unique_value_is_taken_once_in_a_partition(unique: Any) -> None:
    unique.create_item({"id": "1", "ws": "a", "mail": "m", "x": 1})
    with pytest.raises(CosmosResourceExistsError):
        unique.create_item({"id": "2", "ws": "a", "mail": "m", "x": 2})
    unique.create_item({"id": "2", "ws": "b", "mail": "m", "x": 2})


def test_a_unique_value_is_free_again_when_its_item_changed_or_went(unique: Any) -> None:
    unique.create_item({"id": "1", "ws": "a", "mail": "m", "x": 1})
    unique.replace_item("1", {"id": "1", "ws": "a", "mail": "other", "x": 1})
    unique.create_item({"id": "2", "ws": "a", "mail": "m", "x": 2})
    unique.delete_item("2", "a")
    unique.create_item({"id": "3", "ws": "a", "mail": "m", "x": 3})


def test_an_upsert_cannot_take_the_value_of_another_item(unique: Any) -> None:
    unique.create_item({"id": "1", "ws": "a", "mail": "m", "x": 1})
    unique.create_item({"id": "2", "ws": "a", "mail": "n", "x": 2})
    with pytest.raises(CosmosResourceExistsError):
        unique.upsert_item({"id": "2", "ws": "a", "mail": "m", "x": 2})
    assert unique.read_item("2", "a")["mail"] == "n"


def test_several_paths_are_unique_together(unique: Any) -> None:
    unique.create_item({"id": "1", "ws": "a", "mail": "1", "x": 1, "y": {"z": 1}})
    unique.create_item({"id": "2", "ws": "a", "mail": "2", "x": 1, "y": {"z": 2}})
    with pytest.raises(CosmosResourceExistsError):
        unique.create_item({"id": "3", "ws": "a", "mail": "3", "x": 1, "y": {"z": 2}})


def test_a_missing_unique_value_can_miss_once(unique: Any) -> None:
    unique.create_item({"id": "1", "ws": "a", "x": 1})
    with pytest.raises(CosmosResourceExistsError):
        unique.create_item({"id": "2", "ws": "a", "x": 2})


# -- expiry


def _await_gone(container: Any, name: str) -> None:
    deadline = time.monotonic() + _ENOUGH_S
    while time.monotonic() < deadline:
        if not everything(container, f"SELECT * FROM c WHERE c.id = '{name}'"):
            return
    raise AssertionError(f"{name} did not expire")


def test_an_item_expires_by_its_own_time_to_live(client: Any) -> None:
    made = fresh_container(client, default_ttl=-1)
    made.create_item({"id": "1", "ws": "a", "ttl": 1})
    made.create_item({"id": "2", "ws": "a"})
    _await_gone(made, "1")
    with pytest.raises(CosmosResourceNotFoundError):
        made.read_item("1", "a")
    assert [one["id"] for one in everything(made)] == ["2"]
    assert [one["id"] for one in made.query_items_change_feed(start_time="Beginning")] == ["2"]
    assert everything(made, "SELECT VALUE COUNT(1) FROM c") == [1]
    made.create_item({"id": "1", "ws": "a"})


def test_the_default_of_the_container_counts_unless_the_item_says_never(client: Any) -> None:
    made = fresh_container(client, default_ttl=1)
    made.create_item({"id": "1", "ws": "a", "ttl": -1})
    made.create_item({"id": "2", "ws": "a"})
    _await_gone(made, "2")
    assert made.read_item("1", "a")["id"] == "1"


def test_nothing_expires_where_the_container_has_no_time_to_live(client: Any, container: Any) -> None:
    container.create_item({"id": "old", "ws": "a", "ttl": 1})
    other = fresh_container(client, default_ttl=1)
    other.create_item({"id": "clock", "ws": "a"})
    _await_gone(other, "clock")
    assert container.read_item("old", "a")["id"] == "old"


def test_a_new_default_counts_for_items_that_are_there(client: Any) -> None:
    made = fresh_container(client)
    made.create_item({"id": "1", "ws": "a"})
    database = client.get_database_client(made.container_link.split("/")[1])
    database.replace_container(made, made.read()["partitionKey"], default_ttl=1)
    _await_gone(made, "1")


def _read_until_gone(container: Any, name: str) -> None:
    """Ask by the id: a query would sweep what expired."""
    deadline = time.monotonic() + _ENOUGH_S
    while time.monotonic() < deadline:
        container.read_item(name, "a")


def test_an_expired_item_gives_its_unique_value_back(client: Any) -> None:
    made = fresh_container(client, default_ttl=-1, unique_key_policy={"uniqueKeys": [{"paths": ["/mail"]}]})
    made.create_item({"id": "2", "ws": "a", "mail": "n"})
    made.create_item({"id": "1", "ws": "a", "mail": "m", "ttl": 1})
    with pytest.raises(CosmosResourceNotFoundError):
        _read_until_gone(made, "1")
    made.replace_item("2", {"id": "2", "ws": "a", "mail": "m"})


@pytest.mark.parametrize("ttl", [0, -2, 1.5, "1", True])
def test_such_times_to_live_are_refused(container: Any, ttl: Any) -> None:
    with pytest.raises(CosmosHttpResponseError) as error:
        container.create_item({"id": "1", "ws": "a", "ttl": ttl})
    assert _status(error) == 400
