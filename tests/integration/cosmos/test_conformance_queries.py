"""Where queries run and how their results come: one partition, one range, everywhere; pages and tokens."""

import random
from itertools import chain
from typing import Any

import pytest
from azure.cosmos.exceptions import CosmosHttpResponseError

from dbops.servers.emulator import Server

from cosmos_account import ALL, ask, connected, everything, filled, fresh_container

_QUERY = {"x-ms-documentdb-isquery": "true", "content-type": "application/query+json"}
_ACROSS = {**_QUERY, "x-ms-documentdb-query-enablecrosspartition": "True"}


@pytest.fixture(scope="module")
def numbers(client: Any) -> Any:
    """500 documents i0, i1, ... in 40 partitions, with n, a few kinds, and arrays."""
    made = fresh_container(client)
    for key in range(40):
        made.execute_item_batch(
            [
                ("create", ({"id": f"i{n}", "ws": f"w{key}", "n": n, "kind": f"k{n % 3}", "tags": [n % 5, n % 2]},))
                for n in range(key, 500, 40)
            ],
            f"w{key}",
        )
    return made


# -- in one partition


def test_a_partition_key_alone_keeps_other_partitions_out(numbers: Any) -> None:
    found = list(numbers.query_items(ALL, partition_key="w7"))
    assert {one["ws"] for one in found} == {"w7"}
    assert len(found) == 13


def test_a_partition_is_ordered_limited_and_counted_by_the_server(numbers: Any) -> None:
    def ask_one(text: str) -> list[Any]:
        return list(numbers.query_items(text, partition_key="w7"))

    assert ask_one("SELECT TOP 2 VALUE c.n FROM c ORDER BY c.n DESC") == [487, 447]
    assert ask_one("SELECT VALUE c.n FROM c ORDER BY c.n OFFSET 1 LIMIT 2") == [47, 87]
    assert ask_one("SELECT VALUE COUNT(1) FROM c") == [13]
    assert ask_one("SELECT VALUE AVG(c.n) FROM c") == [247]


def test_groups_are_counted_in_one_partition(numbers: Any) -> None:
    found = list(numbers.query_items("SELECT c.kind, COUNT(1) AS found FROM c GROUP BY c.kind", partition_key="w7"))
    assert {one["kind"]: one["found"] for one in found} == {"k0": 4, "k1": 5, "k2": 4}


def test_a_query_that_names_its_partition_in_its_text_needs_no_permission(account: Server, numbers: Any) -> None:
    body = {"query": "SELECT VALUE c.n FROM c WHERE c.ws = 'w7' ORDER BY c.n"}
    answer = ask(account, "POST", f"/{numbers.container_link}/docs", body, _QUERY)
    assert (answer.status, answer.body["Documents"][:3]) == (200, [7, 47, 87])


def test_parameters_are_values_and_never_text(numbers: Any) -> None:
    parameters = [{"name": "@ws", "value": "w7' OR true"}, {"name": "@n", "value": 7}]
    assert everything(numbers, "SELECT * FROM c WHERE c.ws = @ws", parameters=parameters) == []
    assert [one["id"] for one in everything(numbers, "SELECT * FROM c WHERE c.n = @n", parameters=parameters)] == ["i7"]


# -- everywhere


def test_a_query_over_all_partitions_has_to_be_allowed(numbers: Any) -> None:
    with pytest.raises(CosmosHttpResponseError) as error:
        list(numbers.query_items(ALL))
    assert error.value.status_code == 400


@pytest.mark.parametrize(
    "text",
    [
        "SELECT * FROM c ORDER BY c.n",
        "SELECT TOP 1 * FROM c",
        "SELECT VALUE MAX(c.n) FROM c",
        "SELECT DISTINCT c.kind FROM c",
        "SELECT * FROM c OFFSET 0 LIMIT 1",
    ],
)
def test_the_server_leaves_the_merge_to_the_client(account: Server, numbers: Any, text: str) -> None:
    path, body = f"/{numbers.container_link}/docs", {"query": text}
    refused = ask(account, "POST", path, body, _ACROSS)
    assert (refused.status, refused.headers["x-ms-substatus"]) == (400, "1004")
    plan = ask(account, "POST", path, body, _QUERY | {"x-ms-cosmos-is-query-plan-request": "True"}).body
    assert plan["queryRanges"] == [{"min": "", "max": "FF", "isMinInclusive": True, "isMaxInclusive": False}]
    assert plan["queryInfo"]["hasSelectValue"] == ("VALUE" in text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SELECT VALUE c.n FROM c ORDER BY c.n", list(range(500))),
        ("SELECT VALUE c.n FROM c ORDER BY c.n DESC", list(range(499, -1, -1))),
        ("SELECT TOP 5 VALUE c.n FROM c ORDER BY c.n", [0, 1, 2, 3, 4]),
        ("SELECT VALUE c.n FROM c ORDER BY c.n OFFSET 100 LIMIT 3", [100, 101, 102]),
        ("SELECT VALUE COUNT(1) FROM c", [500]),
        ("SELECT VALUE COUNT(1) FROM c WHERE c.n < 10", [10]),
        ("SELECT VALUE SUM(c.n) FROM c", [124750]),
        ("SELECT VALUE MIN(c.n) FROM c", [0]),
        ("SELECT VALUE MAX(c.n) FROM c", [499]),
        ("SELECT VALUE AVG(c.n) FROM c", [249.5]),
        ("SELECT DISTINCT VALUE c.kind FROM c ORDER BY c.kind", ["k0", "k1", "k2"]),
    ],
)
def test_the_client_merges_what_the_ranges_answer(numbers: Any, text: str, expected: list[Any]) -> None:
    assert everything(numbers, text) == expected


def test_an_order_keeps_the_whole_documents(numbers: Any) -> None:
    found = everything(numbers, "SELECT * FROM c ORDER BY c.n")
    assert [one["id"] for one in found] == [f"i{n}" for n in range(500)]
    assert found[0]["_etag"]


def test_groups_across_partitions_are_refused_because_the_client_cannot_merge_them(numbers: Any) -> None:
    with pytest.raises(CosmosHttpResponseError) as error:
        everything(numbers, "SELECT c.kind, COUNT(1) AS n FROM c GROUP BY c.kind")
    assert error.value.status_code == 400
    assert "GroupBy" in str(error.value)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("SELECT * FROM c WHERE c.n BETWEEN 10 AND 19", 10),
        ("SELECT * FROM c WHERE c.kind IN ('k0', 'k1')", 334),
        ("SELECT * FROM c WHERE c.id LIKE 'i49%'", 11),
        ("SELECT * FROM c WHERE ARRAY_CONTAINS(c.tags, 4)", 100),
        ("SELECT * FROM c WHERE EXISTS (SELECT VALUE t FROM t IN c.tags WHERE t = 4)", 100),
        ("SELECT VALUE t FROM c JOIN t IN c.tags", 1000),
        ("SELECT * FROM c WHERE NOT IS_DEFINED(c.missing)", 500),
        ("SELECT * FROM c WHERE c.id = 'i77'", 1),
        ("SELECT * FROM c WHERE c.kind = 'k2' AND c.n < 100", 33),
        ("SELECT * FROM c WHERE c.ws = 'w3'", 13),
    ],
)
def test_filters_run_over_all_partitions(numbers: Any, text: str, count: int) -> None:
    assert len(everything(numbers, text)) == count


def test_an_order_over_two_paths_needs_a_composite_index(client: Any) -> None:
    made = filled(fresh_container(client), 10)
    with pytest.raises(CosmosHttpResponseError) as error:
        everything(made, "SELECT * FROM c ORDER BY c.a, c.b DESC")
    assert error.value.status_code == 400
    assert "composite index" in str(error.value)


@pytest.mark.parametrize("order", ["c.a ASC, c.b DESC", "c.a DESC, c.b ASC"])
def test_a_composite_index_serves_its_order_and_the_reverse(client: Any, order: str) -> None:
    index = [[{"path": "/a", "order": "ascending"}, {"path": "/b", "order": "descending"}]]
    made = fresh_container(client, indexing_policy={"compositeIndexes": index})
    for n in range(30):
        made.create_item({"id": str(n), "ws": f"w{n}", "a": n % 3, "b": n})
    found = [(one["a"], one["b"]) for one in everything(made, f"SELECT * FROM c ORDER BY {order}")]
    turn = 1 if "a ASC" in order else -1
    assert found == sorted(((n % 3, n) for n in range(30)), key=lambda one: (turn * one[0], -turn * one[1]))


def test_a_composite_index_does_not_serve_another_order(client: Any) -> None:
    index = [[{"path": "/a", "order": "ascending"}, {"path": "/b", "order": "descending"}]]
    made = fresh_container(client, indexing_policy={"compositeIndexes": index})
    with pytest.raises(CosmosHttpResponseError):
        everything(made, "SELECT * FROM c ORDER BY c.a ASC, c.b ASC")


# -- pages


@pytest.mark.parametrize("size", [1, 7, 100, 1000])
@pytest.mark.parametrize(
    "text", [ALL, "SELECT * FROM c WHERE c.n >= 0", "SELECT VALUE {id: c.id, t: t} FROM c JOIN t IN c.tags"]
)
def test_pages_of_any_size_bring_everything_once(numbers: Any, text: str, size: int) -> None:
    pages = [
        list(page)
        for page in numbers.query_items(text, enable_cross_partition_query=True, max_item_count=size).by_page()
    ]
    found = [(one["id"], one.get("t")) for page in pages for one in page]
    assert max(map(len, pages)) <= size
    assert len(found) == (1000 if "JOIN" in text else 500)
    assert len({one[0] for one in found}) == 500


@pytest.mark.parametrize("text", [ALL, "SELECT * FROM c WHERE c.n >= 0", "SELECT VALUE t FROM c JOIN t IN c.tags"])
def test_a_token_goes_on_exactly_there(numbers: Any, text: str) -> None:
    options: dict[str, Any] = {"enable_cross_partition_query": True, "max_item_count": 90}
    whole = [list(page) for page in numbers.query_items(text, **options).by_page()]
    token, parts = None, list[list[Any]]()
    while True:
        pages = numbers.query_items(text, **options).by_page(token)
        parts.append(list(next(pages)))
        token = pages.continuation_token
        if token is None:
            break
    assert parts == whole


def test_a_token_of_one_range_goes_on_exactly_there(numbers: Any) -> None:
    for one in numbers.read_feed_ranges():
        whole = [item["id"] for item in numbers.query_items(ALL, feed_range=one)]
        pages = numbers.query_items(ALL, feed_range=one, max_item_count=20).by_page()
        begun, token = [item["id"] for item in next(pages)], pages.continuation_token
        rest = numbers.query_items(ALL, feed_range=one, max_item_count=20).by_page(token)
        assert begun + [item["id"] for page in rest for item in page] == whole


def test_a_page_goes_on_after_items_that_were_deleted_meanwhile(client: Any) -> None:
    made = filled(fresh_container(client), 120, keys=1)
    pages = made.query_items(ALL, partition_key="w0", max_item_count=50).by_page()
    begun, token = [one["id"] for one in next(pages)], pages.continuation_token
    for name in begun[-3:]:
        made.delete_item(name, "w0")
    rest = [one["id"] for page in made.query_items(ALL, partition_key="w0").by_page(token) for one in page]
    assert sorted(begun + rest) == sorted(f"i{n}" for n in range(120))


def test_a_token_of_another_query_is_refused(numbers: Any) -> None:
    pages = numbers.query_items(ALL, partition_key="w1", max_item_count=5).by_page()
    next(pages)
    with pytest.raises(CosmosHttpResponseError) as error:
        list(numbers.query_items("SELECT c.id FROM c", partition_key="w1").by_page(pages.continuation_token))
    assert error.value.status_code == 400


@pytest.mark.parametrize("token", ["nonsense", "W10=", "e30="])
def test_a_token_that_is_none_is_refused(numbers: Any, token: str) -> None:
    with pytest.raises(CosmosHttpResponseError) as error:
        list(numbers.query_items(ALL, partition_key="w1").by_page(token))
    assert error.value.status_code == 400


def test_large_documents_make_small_pages(client: Any) -> None:
    made = fresh_container(client)
    for n in range(12):
        made.create_item({"id": str(n), "ws": "a", "text": "x" * 1_000_000})
    pages = [len(list(page)) for page in made.query_items(ALL, partition_key="a", max_item_count=1000).by_page()]
    assert sum(pages) == 12
    assert max(pages) <= 5


def test_all_items_are_read_without_a_query(numbers: Any) -> None:
    assert len(list(numbers.read_all_items(max_item_count=33))) == 500


def test_a_query_tells_its_charge_and_its_count(numbers: Any) -> None:
    list(numbers.query_items(ALL, partition_key="w7"))
    told = numbers.client_connection.last_response_headers
    assert float(told["x-ms-request-charge"]) > 2
    assert told["x-ms-item-count"] == "13"


@pytest.mark.parametrize(
    "option",
    [
        {"populate_query_metrics": True},
        {"populate_index_metrics": True},
        {"enable_scan_in_query": True},
        {"max_item_count": -1},
        {"continuation_token_limit": 1},
        {"priority": "Low"},
        {"initial_headers": {"x-ms-documentdb-force-query-scan": "True"}},
        {"max_integrated_cache_staleness_in_ms": 1000},
    ],
)
def test_options_that_change_no_result(numbers: Any, option: dict[str, Any]) -> None:
    assert len(list(numbers.query_items("SELECT * FROM c WHERE c.n > 0", partition_key="w7", **option))) == 13


# -- what is wrong is told


@pytest.mark.parametrize("text", ["SELECT", "SELEC * FROM c", "SELECT * FROM c WHERE", "SELECT * FROM c ORDER BY 1"])
def test_a_query_that_is_wrong_is_refused_with_400(numbers: Any, text: str) -> None:
    with pytest.raises(CosmosHttpResponseError) as error:
        list(numbers.query_items(text, partition_key="w1"))
    assert error.value.status_code == 400


def test_a_feature_that_is_missing_is_told_as_501(numbers: Any) -> None:
    with pytest.raises(CosmosHttpResponseError) as error:
        list(numbers.query_items("SELECT TOP 1 * FROM c ORDER BY VectorDistance(c.v, [1.0])", partition_key="w1"))
    assert error.value.status_code == 501


def test_two_clients_see_the_same(account: Server, numbers: Any) -> None:
    with connected(account) as other:
        there = other.get_database_client(numbers.container_link.split("/")[1]).get_container_client("docs")
        key = f"w{random.randrange(40)}"
        assert list(there.query_items(ALL, partition_key=key)) == list(numbers.query_items(ALL, partition_key=key))


@pytest.mark.parametrize(("path", "served"), [("a.x", True), ("a.y", False), ("a", False), ("b", True), ("c", False)])
def test_an_order_needs_an_index(client: Any, path: str, served: bool) -> None:
    policy = {
        "includedPaths": [{"path": "/*"}, {"path": "/a/x/?"}],
        "excludedPaths": [{"path": "/a/*"}, {"path": "/c/?"}],
    }
    made = filled(fresh_container(client, indexing_policy=policy), 5)
    text = f"SELECT VALUE c.n FROM c WHERE c.n >= 0 ORDER BY c.{path}"
    if served:
        list(made.query_items(text, partition_key="w1"))
        return
    with pytest.raises(CosmosHttpResponseError) as error:
        list(made.query_items(text, partition_key="w1"))
    assert error.value.status_code == 400
    assert "excluded" in str(error.value)


def test_ordered_results_that_are_large_come_in_small_pages(client: Any) -> None:
    made = fresh_container(client)
    for n in range(8):
        made.create_item({"id": str(n), "ws": "a", "n": -n, "text": "x" * 1_000_000})
    pages = [
        [one["n"] for one in page]
        for page in made.query_items("SELECT * FROM c ORDER BY c.n", partition_key="a", max_item_count=1000).by_page()
    ]
    assert list(chain.from_iterable(pages)) == list(range(-7, 1))
    assert max(map(len, pages)) <= 5


@pytest.mark.parametrize("key", [None, "b"])
def test_an_order_by_a_path_that_the_policy_names_keeps_what_lacks_it(client: Any, key: str | None) -> None:
    policies: list[dict[str, Any]] = [
        {"includedPaths": [{"path": "/*"}]},
        {"includedPaths": [{"path": "/*"}, {"path": "/v/w/?"}]},
    ]
    found: list[list[str]] = []
    for policy in policies:
        container = fresh_container(client, indexing_policy=policy)
        for name, more in (("1", {"v": {"w": 2}}), ("2", {}), ("3", {"v": {"w": 1}})):
            container.create_item({"id": name, "ws": "b", **more})
        scope: dict[str, Any] = {"enable_cross_partition_query": True} if key is None else {"partition_key": key}
        found.append([one["id"] for one in container.query_items("SELECT * FROM c ORDER BY c.v.w", **scope)])
    assert found == [["3", "1"], ["2", "3", "1"]]


@pytest.mark.parametrize("value", [2**63, -(2**70), 1, 1.5, True, None, [1], {"a": 1}, "no such id"])
def test_an_id_is_compared_with_any_value(numbers: Any, value: Any) -> None:
    asked: list[dict[str, Any]] = [{"name": "@id", "value": value}]
    query = "SELECT * FROM c WHERE c.id = @id"
    assert list(numbers.query_items(query, asked, enable_cross_partition_query=True)) == []
