"""Items one by one: created, read, replaced, deleted; etags, ids, partition keys, unique keys, expiry."""

import time
from typing import Any

import pytest
from azure.core import MatchConditions
from azure.cosmos.exceptions import (
    CosmosAccessConditionFailedError,
    CosmosHttpResponseError,
    CosmosResourceExistsError,
    CosmosResourceNotFoundError,
)
from azure.cosmos.partition_key import NonePartitionKeyValue, NullPartitionKeyValue

from cosmos_account import ask, everything, fresh_container
from dbops.servers.emulator import Server

_IF_UNCHANGED = MatchConditions.IfNotModified
_ENOUGH_S = 15.0


def _status(error: pytest.ExceptionInfo[CosmosHttpResponseError]) -> int | None:
    return error.value.status_code


# -- created, read, replaced, deleted


def test_a_created_item_carries_what_the_service_adds(container: Any) -> None:
    made = container.create_item({"id": "1", "ws": "a", "n": 1.5, "text": "é \u2603"})
    assert {"_rid", "_self", "_etag", "_attachments", "_ts"} <= set(made)
    assert container.read_item("1", "a") == made


def test_an_item_cannot_be_created_twice_in_one_partition(container: Any) -> None:
    container.create_item({"id": "1", "ws": "a"})
    with pytest.raises(CosmosResourceExistsError):
        container.create_item({"id": "1", "ws": "a"})


def test_the_same_id_lives_in_two_partitions(container: Any) -> None:
    for key in ("a", "b"):
        container.create_item({"id": "1", "ws": key})
    assert len(everything(container)) == 2


def test_a_missing_item_is_404(container: Any) -> None:
    with pytest.raises(CosmosResourceNotFoundError):
        container.read_item("1", "a")


def test_the_right_id_with_the_wrong_key_is_404(container: Any) -> None:
    container.create_item({"id": "1", "ws": "a"})
    with pytest.raises(CosmosResourceNotFoundError):
        container.read_item("1", "b")


def test_an_upsert_creates_and_then_replaces(container: Any) -> None:
    container.upsert_item({"id": "1", "ws": "a", "n": 1})
    first = container.read_item("1", "a")
    second = container.upsert_item({"id": "1", "ws": "a", "n": 2})
    assert (second["n"], second["_rid"]) == (2, first["_rid"])
    assert second["_etag"] != first["_etag"]


def test_a_replaced_item_loses_what_the_new_one_lacks(container: Any) -> None:
    container.create_item({"id": "1", "ws": "a", "old": 1})
    assert "old" not in container.replace_item("1", {"id": "1", "ws": "a", "new": 2})


def test_replacing_a_missing_item_is_404(container: Any) -> None:
    with pytest.raises(CosmosResourceNotFoundError):
        container.replace_item("1", {"id": "1", "ws": "a"})


def test_a_replace_cannot_change_the_id(container: Any) -> None:
    container.create_item({"id": "1", "ws": "a"})
    with pytest.raises(CosmosHttpResponseError) as error:
        container.replace_item("1", {"id": "2", "ws": "a"})
    assert _status(error) == 400


def test_a_deleted_item_is_gone(container: Any) -> None:
    container.create_item({"id": "1", "ws": "a"})
    container.delete_item("1", "a")
    with pytest.raises(CosmosResourceNotFoundError):
        container.delete_item("1", "a")


def test_all_items_of_a_partition_are_deleted_at_once(container: Any) -> None:
    for name, key in (("1", "a"), ("2", "a"), ("3", "b")):
        container.create_item({"id": name, "ws": key})
    container.delete_all_items_by_partition_key("a")
    assert [one["id"] for one in everything(container)] == ["3"]


def test_a_write_answers_without_the_item_when_asked(container: Any) -> None:
    assert container.create_item({"id": "1", "ws": "a"}, no_response=True) == {}
    assert container.read_item("1", "a")["id"] == "1"


def test_what_a_client_claims_of_the_service_is_overwritten(container: Any) -> None:
    made = container.create_item({"id": "1", "ws": "a", "_ts": 1, "_etag": "mine", "_rid": "x", "_self": "y"})
    assert made["_ts"] > 1
    assert made["_etag"] != "mine"


def test_many_items_are_read_at_once(container: Any) -> None:
    for n in range(20):
        container.create_item({"id": str(n), "ws": f"w{n % 3}"})
    found = container.read_items([(str(n), f"w{n % 3}") for n in range(0, 20, 2)])
    assert sorted(int(one["id"]) for one in found) == list(range(0, 20, 2))


# -- etags


@pytest.mark.parametrize("verb", ["replace", "upsert", "delete"])
def test_a_stale_etag_is_refused_with_412(container: Any, verb: str) -> None:
    stale = container.create_item({"id": "1", "ws": "a"})["_etag"]
    container.upsert_item({"id": "1", "ws": "a", "n": 2})
    item = {"id": "1", "ws": "a"}
    arguments = {"replace": ("1", item), "upsert": (item,), "delete": ("1", "a")}[verb]
    with pytest.raises(CosmosAccessConditionFailedError):
        getattr(container, f"{verb}_item")(*arguments, etag=stale, match_condition=_IF_UNCHANGED)
    assert container.read_item("1", "a")["n"] == 2


def test_the_present_etag_is_accepted(container: Any) -> None:
    etag = container.create_item({"id": "1", "ws": "a"})["_etag"]
    container.replace_item("1", {"id": "1", "ws": "a", "n": 2}, etag=etag, match_condition=_IF_UNCHANGED)
    assert container.read_item("1", "a")["n"] == 2


def test_each_version_has_another_etag(container: Any) -> None:
    etags = {container.upsert_item({"id": "1", "ws": "a"})["_etag"] for _ in range(20)}
    assert len(etags) == 20


def test_a_reader_that_has_the_version_gets_304(account: Server, container: Any) -> None:
    etag = container.create_item({"id": "1", "ws": "a"})["_etag"]
    headers = {"x-ms-documentdb-partitionkey": '["a"]', "if-none-match": etag}
    answer = ask(account, "GET", f"/{container.container_link}/docs/1", headers=headers)
    assert (answer.status, answer.body, answer.headers["etag"]) == (304, None, etag)


# -- ids and bodies that the service refuses


@pytest.mark.parametrize("name", ["a/b", "a\\b", "a?b", "a#b", "end ", "", "x" * 1024, 7, None])
def test_the_service_refuses_such_ids(account: Server, container: Any, name: Any) -> None:
    headers = {"x-ms-documentdb-partitionkey": '["a"]'}
    body = {"id": name, "ws": "a"}
    assert ask(account, "POST", f"/{container.container_link}/docs", body, headers).status == 400


@pytest.mark.parametrize("name", ["a b", "é☃", "a.b-c_d~", "100%", "x" * 1023, "a+b&c=d"])
def test_other_ids_are_written_read_and_deleted(container: Any, name: str) -> None:
    container.create_item({"id": name, "ws": "a"})
    assert container.read_item(name, "a")["id"] == name
    container.delete_item(name, "a")


def test_an_item_of_two_mebibytes_is_refused_with_413(container: Any) -> None:
    container.create_item({"id": "1", "ws": "a", "text": "x" * (2 * 1024 * 1024 - 1000)})
    with pytest.raises(CosmosHttpResponseError) as error:
        container.create_item({"id": "2", "ws": "a", "text": "x" * (2 * 1024 * 1024)})
    assert _status(error) == 413


@pytest.mark.parametrize("body", [b"{", b"[]", b'"text"', b'{"id": "1", "n": NaN}'])
def test_what_is_no_json_object_is_refused(account: Server, container: Any, body: bytes) -> None:
    headers = {"x-ms-documentdb-partitionkey": '["a"]'}
    assert ask(account, "POST", f"/{container.container_link}/docs", body, headers).status == 400


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


def test_an_expired_item_gives_its_unique_value_back(client: Any) -> None:
    made = fresh_container(client, default_ttl=-1, unique_key_policy={"uniqueKeys": [{"paths": ["/mail"]}]})
    made.create_item({"id": "1", "ws": "a", "mail": "m", "ttl": 1})
    _await_gone(made, "1")
    made.create_item({"id": "2", "ws": "a", "mail": "m"})


@pytest.mark.parametrize("ttl", [0, -2, 1.5, "1", True])
def test_such_times_to_live_are_refused(container: Any, ttl: Any) -> None:
    with pytest.raises(CosmosHttpResponseError) as error:
        container.create_item({"id": "1", "ws": "a", "ttl": ttl})
    assert _status(error) == 400


# -- what each answer tells beside


def test_writes_cost_more_than_reads_and_size_costs(container: Any) -> None:
    def charge(call: Any) -> float:
        return float(call.get_response_headers()["x-ms-request-charge"])

    small = charge(container.create_item({"id": "1", "ws": "a"}))
    large = charge(container.create_item({"id": "2", "ws": "a", "text": "x" * 100_000}))
    assert charge(container.read_item("1", "a")) == 1.0 < small < large


def test_a_session_token_names_the_range_and_grows(container: Any) -> None:
    first = container.create_item({"id": "1", "ws": "a"}).get_response_headers()
    second = container.create_item({"id": "2", "ws": "a"}).get_response_headers()
    assert first["x-ms-session-token"].split(":")[0] == first["x-ms-documentdb-partitionkeyrangeid"]
    number = [int(one["x-ms-session-token"].rpartition("#")[2]) for one in (first, second)]
    assert number[0] < number[1]


def test_a_session_ahead_of_the_account_is_not_available(account: Server, container: Any) -> None:
    container.create_item({"id": "1", "ws": "a"})
    headers = {"x-ms-documentdb-partitionkey": '["a"]', "x-ms-session-token": "0:0#999999999"}
    answer = ask(account, "GET", f"/{container.container_link}/docs/1", headers=headers)
    assert (answer.status, answer.headers["x-ms-substatus"]) == (404, "1002")


def test_a_consistency_stronger_than_the_account_is_refused(account: Server, container: Any) -> None:
    headers = {"x-ms-documentdb-partitionkey": '["a"]', "x-ms-consistency-level": "Strong"}
    assert ask(account, "GET", f"/{container.container_link}/docs/1", headers=headers).status == 400
