"""The account, its databases, its containers and their throughput, as azure-cosmos sees them."""

import base64
import uuid
from typing import Any

import pytest
from azure.core.exceptions import ClientAuthenticationError
from azure.cosmos import CosmosClient, PartitionKey, ThroughputProperties
from azure.cosmos.exceptions import CosmosHttpResponseError, CosmosResourceExistsError, CosmosResourceNotFoundError

from dbops.servers import emulator
from dbops.servers.emulator import Server

from cosmos_account import KEY, ask, connected, fresh_container

_COMPOSITE = [[{"path": "/a", "order": "ascending"}, {"path": "/b", "order": "descending"}]]


def _status(error: pytest.ExceptionInfo[CosmosHttpResponseError]) -> int | None:
    return error.value.status_code


@pytest.fixture
def database(client: Any) -> Any:
    return client.create_database(uuid.uuid4().hex)


# -- who may ask


def test_another_key_is_refused_with_401(account: Server) -> None:
    other = base64.b64encode(b"another key").decode()
    with pytest.raises((CosmosHttpResponseError, ClientAuthenticationError)) as error:
        CosmosClient(emulator.url(account), other)
    assert error.value.status_code == 401


def test_no_key_is_refused_with_401(account: Server) -> None:
    assert ask(account, "GET", "/dbs", headers={"authorization": ""}).status == 401


def test_a_signature_of_another_verb_is_refused(account: Server) -> None:
    taken = "type%3Dmaster%26ver%3D1.0%26sig%3DAAAA"
    assert ask(account, "DELETE", "/dbs/x", headers={"authorization": taken}).status == 401


def test_a_token_of_entra_is_told_as_not_implemented(account: Server) -> None:
    assert ask(account, "GET", "/dbs", headers={"authorization": "type%3Daad%26ver%3D1.0%26sig%3Dx"}).status == 501


def test_the_account_advertises_the_address_that_it_was_asked_at(account: Server) -> None:
    with connected(account) as client:
        told = client.get_database_account()
    assert told.WritableLocations[0]["databaseAccountEndpoint"] == f"{emulator.url(account)}/"
    assert told.ConsistencyPolicy["defaultConsistencyLevel"] == "Session"


def test_the_account_is_found_by_another_name_of_the_machine(account: Server, container: Any) -> None:
    with CosmosClient(f"http://localhost:{emulator.port(account)}", KEY) as opened:
        client: Any = opened
        assert (
            client.get_database_account()
            .ReadableLocations[0]["databaseAccountEndpoint"]
            .startswith("http://localhost:")
        )


# -- databases


def test_a_database_is_created_read_and_listed(client: Any, database: Any) -> None:
    assert database.read()["id"] == database.id
    assert database.id in [one["id"] for one in client.list_databases()]


def test_a_database_cannot_be_created_twice(client: Any, database: Any) -> None:
    with pytest.raises(CosmosResourceExistsError):
        client.create_database(database.id)
    assert client.create_database_if_not_exists(database.id).id == database.id


def test_a_deleted_database_is_gone_with_its_containers(client: Any, database: Any) -> None:
    database.create_container("c", PartitionKey("/k"))
    client.delete_database(database.id)
    with pytest.raises(CosmosResourceNotFoundError):
        database.read()
    with pytest.raises(CosmosResourceNotFoundError):
        database.get_container_client("c").read()


def test_databases_are_queried(client: Any, database: Any) -> None:
    found = client.query_databases(
        "SELECT * FROM d WHERE d.id = @id", parameters=[{"name": "@id", "value": database.id}]
    )
    assert [one["id"] for one in found] == [database.id]


@pytest.mark.parametrize("name", ["a/b", "a\\b", "a?b", "a#b", "end ", "", "x" * 256])
def test_the_service_refuses_such_names_of_databases(account: Server, name: str) -> None:
    assert ask(account, "POST", "/dbs", {"id": name}).status == 400


# -- containers


def test_a_container_is_created_read_and_listed(database: Any) -> None:
    database.create_container("c", PartitionKey("/k"))
    assert database.get_container_client("c").read()["partitionKey"] == {"paths": ["/k"], "kind": "Hash", "version": 2}
    assert [one["id"] for one in database.list_containers()] == ["c"]


def test_a_container_cannot_be_created_twice(database: Any) -> None:
    database.create_container("c", PartitionKey("/k"))
    with pytest.raises(CosmosResourceExistsError):
        database.create_container("c", PartitionKey("/k"))


def test_a_container_of_a_missing_database_is_not_found(client: Any) -> None:
    with pytest.raises(CosmosResourceNotFoundError):
        client.get_database_client("nowhere").create_container("c", PartitionKey("/k"))


def test_containers_are_queried(database: Any) -> None:
    for name in ("a", "b"):
        database.create_container(name, PartitionKey("/k"))
    assert [one["id"] for one in database.query_containers("SELECT * FROM c WHERE c.id = 'b'")] == ["b"]


def test_a_container_has_the_indexing_policy_of_the_service(database: Any) -> None:
    policy = database.create_container("c", PartitionKey("/k")).read()["indexingPolicy"]
    assert policy["indexingMode"] == "consistent"
    assert policy["includedPaths"] == [{"path": "/*"}]
    assert policy["excludedPaths"] == [{"path": '/"_etag"/?'}]


def test_composite_indexes_are_kept(database: Any) -> None:
    made = database.create_container("c", PartitionKey("/k"), indexing_policy={"compositeIndexes": _COMPOSITE})
    assert made.read()["indexingPolicy"]["compositeIndexes"] == _COMPOSITE


def test_the_vector_policy_is_kept(database: Any) -> None:
    policy = {
        "vectorEmbeddings": [{"path": "/v", "dataType": "float32", "distanceFunction": "cosine", "dimensions": 8}]
    }
    made = database.create_container("c", PartitionKey("/k"), vector_embedding_policy=policy)
    assert made.read()["vectorEmbeddingPolicy"] == policy


def test_an_indexing_policy_without_the_root_is_refused(database: Any) -> None:
    with pytest.raises(CosmosHttpResponseError) as error:
        database.create_container("c", PartitionKey("/k"), indexing_policy={"includedPaths": [{"path": "/a/?"}]})
    assert _status(error) == 400


def test_a_container_without_a_partition_key_is_refused(account: Server, database: Any) -> None:
    assert ask(account, "POST", f"/dbs/{database.id}/colls", {"id": "c"}).status == 400


def test_a_default_time_to_live_of_zero_is_refused(database: Any) -> None:
    with pytest.raises(CosmosHttpResponseError) as error:
        database.create_container("c", PartitionKey("/k"), default_ttl=0)
    assert _status(error) == 400


def test_replacing_a_container_changes_its_policies_and_its_etag(database: Any) -> None:
    made = database.create_container("c", PartitionKey("/k"))
    before = made.read()
    database.replace_container(made, PartitionKey("/k"), default_ttl=60, indexing_policy={"indexingMode": "none"})
    after = made.read()
    assert (after["defaultTtl"], after["indexingPolicy"]["indexingMode"]) == (60, "none")
    assert after["_etag"] != before["_etag"]
    assert after["_rid"] == before["_rid"]


def test_a_partition_key_cannot_change(database: Any) -> None:
    made = database.create_container("c", PartitionKey("/k"))
    with pytest.raises(CosmosHttpResponseError) as error:
        database.replace_container(made, PartitionKey("/other"))
    assert _status(error) == 400


def test_unique_keys_cannot_change(account: Server, database: Any) -> None:
    definition = database.create_container("c", PartitionKey("/k")).read()
    definition["uniqueKeyPolicy"] = {"uniqueKeys": [{"paths": ["/a"]}]}
    assert ask(account, "PUT", f"/dbs/{database.id}/colls/c", definition).status == 400


def test_a_container_that_was_made_anew_is_found_by_a_client_that_knew_the_old_one(
    account: Server, database: Any
) -> None:
    made = database.create_container("c", PartitionKey("/k"))
    made.create_item({"id": "1", "k": "a"})
    with connected(account) as other:
        there = other.get_database_client(database.id)
        there.delete_container("c")
        there.create_container("c", PartitionKey("/k"))
    made.create_item({"id": "1", "k": "a"})
    assert made.read_item("1", "a")["id"] == "1"


def test_the_size_of_a_container_is_told_on_demand(container: Any) -> None:
    container.create_item({"id": "1", "ws": "a"})
    container.read(populate_quota_info=True)
    assert "documentsCount=1" in container.client_connection.last_response_headers["x-ms-resource-usage"]


# -- throughput


def test_a_container_gets_400_units_when_nothing_is_said(container: Any) -> None:
    assert container.get_throughput().offer_throughput == 400


def test_throughput_is_given_read_and_replaced(client: Any) -> None:
    made = fresh_container(client, offer_throughput=600)
    assert made.get_throughput().offer_throughput == 600
    assert made.replace_throughput(1200).offer_throughput == 1200
    assert made.get_throughput().offer_throughput == 1200


def test_autoscale_is_given_read_and_replaced(client: Any) -> None:
    made = fresh_container(client, offer_throughput=ThroughputProperties(auto_scale_max_throughput=4000))
    assert made.get_throughput().auto_scale_max_throughput == 4000
    made.replace_throughput(ThroughputProperties(auto_scale_max_throughput=7000))
    assert made.get_throughput().auto_scale_max_throughput == 7000


@pytest.mark.parametrize("amount", [100, 450, 2_000_000])
def test_amounts_that_are_not_sold_are_refused(container: Any, amount: int) -> None:
    with pytest.raises(CosmosHttpResponseError) as error:
        container.replace_throughput(amount)
    assert _status(error) == 400


def test_an_offer_does_not_turn_into_autoscale_by_itself(container: Any) -> None:
    with pytest.raises((CosmosHttpResponseError, KeyError)):
        container.replace_throughput(ThroughputProperties(auto_scale_max_throughput=4000))
    assert container.get_throughput().offer_throughput == 400


def test_a_container_shares_the_throughput_of_its_database(account: Server, client: Any) -> None:
    database = client.create_database(uuid.uuid4().hex, offer_throughput=500)
    assert database.get_throughput().offer_throughput == 500
    link = database.create_container("c", PartitionKey("/k")).read()["_self"]
    # Not by the container's own get_throughput: for a missing offer it raises an AttributeError of its retry policy.
    answer = ask(
        account,
        "POST",
        "/offers",
        {"query": "SELECT * FROM root r WHERE r.resource=@link", "parameters": [{"name": "@link", "value": link}]},
        {"x-ms-documentdb-isquery": "true", "content-type": "application/query+json"},
    )
    assert (answer.status, answer.body["Offers"]) == (200, [])


def test_much_throughput_means_more_physical_partitions(client: Any) -> None:
    made = fresh_container(client, offer_throughput=60_000)
    assert len(list(made.read_feed_ranges())) == 6


# -- what is not there is told


@pytest.mark.parametrize("kind", ["sprocs", "triggers", "udfs", "users", "conflicts"])
def test_what_is_not_implemented_is_told_as_501(account: Server, container: Any, kind: str) -> None:
    answer = ask(account, "GET", f"/{container.container_link}/{kind}")
    assert answer.status == 501
    assert "does not implement" in answer.body["message"]


def test_a_container_that_changed_meanwhile_is_neither_replaced_nor_deleted(account: Server, container: Any) -> None:
    path, definition = f"/{container.container_link}", container.read()
    stale = {"if-match": '"stale"'}
    assert ask(account, "PUT", path, definition, stale).status == 412
    assert ask(account, "DELETE", path, headers=stale).status == 412
    assert ask(account, "PUT", path, definition, {"if-match": definition["_etag"]}).status == 200


def test_a_request_meant_for_the_container_before_is_told_so(account: Server, container: Any) -> None:
    headers = {"x-ms-documentdb-partitionkey": '["a"]', "x-ms-cosmos-intended-collection-rid": "AAAAAoAAAAM="}
    answer = ask(account, "GET", f"/{container.container_link}/docs/1", headers=headers)
    assert (answer.status, answer.headers["x-ms-substatus"]) == (400, "1024")
