"""Feed ranges, the change feed, and reading on from where one stopped."""

import time
from datetime import UTC, datetime, timedelta
from itertools import chain, pairwise
from typing import Any

import pytest
from azure.cosmos.exceptions import CosmosHttpResponseError

from dbops.servers import emulator
from dbops.servers.emulator import Server

from cosmos_account import ALL, ask, connected, everything, filled, fresh_container, server

_FEED = {"a-im": "Incremental Feed"}


def _ids(found: Any) -> list[str]:
    return [one["id"] for one in found]


def _changes(container: Any, **options: Any) -> tuple[list[Any], str]:
    found = list(container.query_items_change_feed(**options))
    return found, container.client_connection.last_response_headers["etag"]


# -- ranges


def test_a_container_has_four_ranges_that_cover_everything(account: Server, container: Any) -> None:
    assert len(list(container.read_feed_ranges())) == 4
    told = ask(account, "GET", f"/{container.container_link}/pkranges").body["PartitionKeyRanges"]
    ends = [(one["minInclusive"], one["maxExclusive"]) for one in told]
    assert (ends[0][0], ends[-1][1]) == ("", "FF")
    assert all(left[1] == right[0] for left, right in pairwise(ends))


def test_who_knows_the_newest_range_gets_304(account: Server, container: Any) -> None:
    path = f"/{container.container_link}/pkranges"
    etag = ask(account, "GET", path).headers["etag"]
    again = ask(account, "GET", path, headers={"if-none-match": etag})
    assert (again.status, again.headers["etag"]) == (304, etag)


@pytest.mark.parametrize("path", ["/ws", ["/ws", "/id"]])
def test_every_item_is_in_exactly_one_range(client: Any, path: Any) -> None:
    made = fresh_container(client, path)
    for n in range(80):
        made.create_item({"id": f"i{n}", "ws": f"w{n}"})
    parts = [_ids(made.query_items(ALL, feed_range=one)) for one in made.read_feed_ranges()]
    assert all(parts)
    assert sorted(chain.from_iterable(parts)) == sorted(f"i{n}" for n in range(80))


def test_a_container_of_the_first_hash_version_has_its_items_in_ranges_too(account: Server, client: Any) -> None:
    database = fresh_container(client).container_link.split("/")[1]
    wish = {"id": "v1", "partitionKey": {"paths": ["/ws"], "kind": "Hash", "version": 1}}
    assert ask(account, "POST", f"/dbs/{database}/colls", wish).status == 201
    made = client.get_database_client(database).get_container_client("v1")
    for n in range(80):
        made.create_item({"id": f"i{n}", "ws": f"w{n}"})
    parts = [_ids(made.query_items(ALL, feed_range=one)) for one in made.read_feed_ranges()]
    assert all(parts)
    assert sum(map(len, parts)) == 80


def test_the_range_of_a_partition_key_holds_its_items_alone(container: Any) -> None:
    filled(container, 70)
    mine = container.feed_range_from_partition_key("w3")
    found = list(container.query_items(ALL, feed_range=mine))
    assert {one["ws"] for one in found} == {"w3"}
    assert len(found) == 10


def test_a_range_that_never_was_is_gone(account: Server, container: Any) -> None:
    headers = {"x-ms-documentdb-partitionkeyrangeid": "77", **_FEED}
    answer = ask(account, "GET", f"/{container.container_link}/docs", headers=headers)
    assert (answer.status, answer.headers["x-ms-substatus"]) == (410, "1002")


def test_a_range_is_ordered_limited_and_counted_by_the_server(container: Any) -> None:
    filled(container, 200, keys=40)
    whole: list[int] = []
    for one in container.read_feed_ranges():
        numbers = list(container.query_items("SELECT VALUE c.n FROM c ORDER BY c.n DESC", feed_range=one))
        assert numbers == sorted(numbers, reverse=True)
        assert list(container.query_items("SELECT VALUE COUNT(1) FROM c", feed_range=one)) == [len(numbers)]
        assert list(container.query_items("SELECT VALUE MAX(c.n) FROM c", feed_range=one)) == numbers[:1]
        assert (
            list(container.query_items("SELECT TOP 2 VALUE c.n FROM c ORDER BY c.n DESC", feed_range=one))
            == numbers[:2]
        )
        whole += numbers
    assert sorted(whole) == list(range(200))


def test_what_begins_with_a_hierarchical_key_is_counted_and_ordered(client: Any) -> None:
    made = fresh_container(client, ["/tenant", "/user"])
    for n in range(60):
        made.create_item({"id": f"i{n}", "tenant": f"t{n % 2}", "user": f"u{n}", "n": n})
    assert list(made.query_items("SELECT VALUE COUNT(1) FROM c", partition_key=["t1"])) == [30]
    found = list(made.query_items("SELECT VALUE c.n FROM c WHERE c.n > 9", partition_key=["t1"]))
    assert sorted(found) == list(range(11, 60, 2))
    feed = made.query_items_change_feed(feed_range=made.feed_range_from_partition_key(["t1"]), start_time="Beginning")
    assert sorted(one["n"] for one in feed) == list(range(1, 60, 2))


def test_the_ranges_of_keys_lie_within_those_of_the_container(container: Any) -> None:
    ranges = list(container.read_feed_ranges())
    mine = container.feed_range_from_partition_key("w3")
    assert [container.is_feed_range_subset(one, mine) for one in ranges].count(True) == 1


# -- the change feed


def test_the_feed_from_the_beginning_has_every_item_once(container: Any) -> None:
    filled(container, 250)
    container.upsert_item({"id": "i3", "ws": "w3", "n": -3})
    found, _ = _changes(container, start_time="Beginning")
    assert len(found) == 250
    assert [one["n"] for one in found if one["id"] == "i3"] == [-3]


def test_the_feed_of_one_key_is_in_the_order_of_the_writes(container: Any) -> None:
    for name in ("c", "a", "b"):
        container.create_item({"id": name, "ws": "x"})
        container.create_item({"id": name, "ws": "other"})
    container.upsert_item({"id": "a", "ws": "x", "again": True})
    found, _ = _changes(container, partition_key="x", start_time="Beginning")
    assert _ids(found) == ["c", "b", "a"]


def test_the_feed_comes_in_pages_and_misses_nothing(container: Any) -> None:
    filled(container, 250)
    pages = [
        list(page) for page in container.query_items_change_feed(start_time="Beginning", max_item_count=20).by_page()
    ]
    assert max(map(len, pages)) <= 20
    assert len({one["id"] for page in pages for one in page}) == 250


def test_a_reader_goes_on_where_it_stopped(container: Any) -> None:
    filled(container, 60)
    first, token = _changes(container, start_time="Beginning")
    container.create_item({"id": "new", "ws": "w1"})
    container.upsert_item({"id": "i7", "ws": "w0", "n": 1000})
    second, token = _changes(container, continuation=token)
    third, _ = _changes(container, continuation=token)
    assert len(first) == 60
    assert sorted(_ids(second)) == ["i7", "new"]
    assert third == []


def test_a_reader_of_one_range_goes_on_where_it_stopped(container: Any) -> None:
    filled(container, 60, keys=30)
    for one in container.read_feed_ranges():
        found, token = _changes(container, feed_range=one, start_time="Beginning")
        assert found
        container.upsert_item({"id": found[0]["id"], "ws": found[0]["ws"], "changed": True})
        again, _ = _changes(container, continuation=token)
        assert _ids(again) == [found[0]["id"]]


def test_the_feed_from_now_has_what_is_written_afterwards(container: Any) -> None:
    container.create_item({"id": "before", "ws": "a"})
    nothing, token = _changes(container, start_time="Now")
    container.create_item({"id": "after", "ws": "a"})
    found, _ = _changes(container, continuation=token)
    assert (nothing, _ids(found)) == ([], ["after"])


def test_the_feed_from_a_moment_has_what_is_written_since(container: Any) -> None:
    first = container.create_item({"id": "before", "ws": "a"})["_ts"]
    deadline = time.monotonic() + 15
    while (last := container.upsert_item({"id": "after", "ws": "a"})["_ts"]) == first:
        assert time.monotonic() < deadline
    found, _ = _changes(container, start_time=datetime.fromtimestamp(last, UTC))
    assert _ids(found) == ["after"]
    early, _ = _changes(container, start_time=datetime.fromtimestamp(first, UTC) - timedelta(seconds=5))
    assert sorted(_ids(early)) == ["after", "before"]


def test_deletes_are_invisible(container: Any) -> None:
    filled(container, 10)
    container.delete_item("i0", "w0")
    found, token = _changes(container, start_time="Beginning")
    assert len(found) == 9
    container.delete_item("i1", "w1")
    assert _changes(container, continuation=token)[0] == []


def test_304_comes_at_the_end_only(account: Server, container: Any) -> None:
    filled(container, 50, keys=1)
    path = f"/{container.container_link}/docs"
    headers = {**_FEED, "x-ms-max-item-count": "7", "x-ms-documentdb-partitionkey": '["w0"]'}
    seen, answer = 0, ask(account, "GET", path, headers=headers)
    while answer.status == 200:
        seen += answer.body["_count"]
        answer = ask(account, "GET", path, headers=headers | {"if-none-match": answer.headers["etag"]})
    assert (seen, answer.status) == (50, 304)
    assert answer.headers["etag"]


def test_changes_carry_their_number(container: Any) -> None:
    filled(container, 5, keys=1)
    numbers = [one["_lsn"] for one in container.query_items_change_feed(start_time="Beginning")]
    assert numbers == sorted(set(numbers))
    assert "_lsn" not in container.read_item("i0", "w0")


def test_all_versions_and_deletes_are_told_as_not_implemented(container: Any) -> None:
    with pytest.raises(CosmosHttpResponseError) as error:
        list(container.query_items_change_feed(mode="AllVersionsAndDeletes"))
    assert error.value.status_code == 501


def test_a_broken_continuation_is_refused(account: Server, container: Any) -> None:
    headers = {**_FEED, "if-none-match": '"soon"'}
    assert ask(account, "GET", f"/{container.container_link}/docs", headers=headers).status == 400


# -- across a restart


def test_tokens_of_feed_and_query_outlive_a_restart(base: Any) -> None:
    live = server(base / "restarted")
    with emulator.running(live), connected(live) as client:
        made = filled(fresh_container(client), 300)
        pages = made.query_items(ALL, enable_cross_partition_query=True, max_item_count=50).by_page()
        begun, token = _ids(next(pages)), pages.continuation_token
        _, mark = _changes(made, start_time="Beginning")
        ordered = made.query_items(
            "SELECT VALUE c.n FROM c ORDER BY c.n", partition_key="w1", max_item_count=10
        ).by_page()
        first, behind = list(next(ordered)), ordered.continuation_token
    with emulator.running(live), connected(live) as client:
        made = client.get_database_client(made.container_link.split("/")[1]).get_container_client("docs")
        rest = made.query_items(ALL, enable_cross_partition_query=True, max_item_count=50).by_page(token)
        for page in rest:
            begun += _ids(page)
        assert sorted(begun) == sorted(f"i{n}" for n in range(300))
        assert _changes(made, continuation=mark)[0] == []
        again = made.query_items("SELECT VALUE c.n FROM c ORDER BY c.n", partition_key="w1", max_item_count=10)
        assert first + [n for page in again.by_page(behind) for n in page] == list(range(1, 300, 7))
        made.create_item({"id": "new", "ws": "w1"})
        assert _ids(_changes(made, continuation=mark)[0]) == ["new"]
        assert len(everything(made)) == 301
