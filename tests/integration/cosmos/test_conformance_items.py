"""Items one by one: created, read, replaced, deleted; etags, ids, and what each answer tells."""

from typing import Any

import pytest
from azure.core import MatchConditions
from azure.cosmos.exceptions import (
    CosmosAccessConditionFailedError,
    CosmosHttpResponseError,
    CosmosResourceExistsError,
    CosmosResourceNotFoundError,
)

from dbops.servers.emulator import Server

from cosmos_account import ask, everything

_IF_UNCHANGED = MatchConditions.IfNotModified


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
