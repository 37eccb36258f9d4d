"""The asynchronous client meets the same service."""

import asyncio
from typing import Any

import pytest
from azure.core.pipeline.transport import AsyncioRequestsTransport
from azure.cosmos.aio import CosmosClient
from azure.cosmos.exceptions import CosmosBatchOperationError, CosmosResourceNotFoundError

from dbops.servers import emulator
from dbops.servers.emulator import Server

from cosmos_account import ALL, KEY, filled


class _Transport(AsyncioRequestsTransport):
    """The usual one wants aiohttp, which dbops does not need."""

    async def send(self, request: Any, **options: Any) -> Any:
        options.pop("read_timeout", None)
        return await super().send(request, **options)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]


def _run(account: Server, container: Any, work: Any) -> Any:
    async def with_client() -> Any:
        async with CosmosClient(emulator.url(account), KEY, transport=_Transport()) as client:
            database = client.get_database_client(container.container_link.split("/")[1])
            return await work(database.get_container_client("docs"))

    return asyncio.run(with_client())


def test_many_writers_at_once(account: Server, container: Any) -> None:
    async def work(there: Any) -> None:
        await asyncio.gather(*(there.create_item({"id": str(n), "ws": f"w{n % 5}"}) for n in range(100)))

    _run(account, container, work)
    assert len(list(container.read_all_items())) == 100


def test_queries_over_everything_and_in_order(account: Server, container: Any) -> None:
    filled(container, 100)

    async def work(there: Any) -> list[Any]:
        return [one async for one in there.query_items("SELECT VALUE c.n FROM c ORDER BY c.n DESC")]

    assert _run(account, container, work) == list(range(99, -1, -1))


def test_an_export_by_ranges(account: Server, container: Any) -> None:
    filled(container, 100)

    async def work(there: Any) -> list[str]:
        ranges = [one async for one in there.read_feed_ranges()]
        return [item["id"] for one in ranges async for item in there.query_items(ALL, feed_range=one)]

    assert sorted(_run(account, container, work)) == sorted(f"i{n}" for n in range(100))


def test_the_change_feed(account: Server, container: Any) -> None:
    filled(container, 100)

    async def work(there: Any) -> list[str]:
        return [one["id"] async for one in there.query_items_change_feed(start_time="Beginning", max_item_count=9)]

    assert sorted(_run(account, container, work)) == sorted(f"i{n}" for n in range(100))


def _index(error: Any) -> int:
    return error.error_index


def test_missing_items_and_failed_batches(account: Server, container: Any) -> None:
    async def work(there: Any) -> int:
        with pytest.raises(CosmosResourceNotFoundError):
            await there.read_item("1", "a")
        with pytest.raises(CosmosBatchOperationError) as error:
            await there.execute_item_batch([("create", ({"id": "1", "ws": "a"},)), ("read", ("2",))], "a")
        return _index(error.value)

    assert _run(account, container, work) == 1


def test_throttling_is_not_felt(faulty: Server, container: Any) -> None:
    rule = {"path": "/docs", "method": "POST", "status": 429, "headers": {"x-ms-retry-after-ms": "5"}, "times": 3}
    emulator.inject(faulty, rule)

    async def work(there: Any) -> str:
        return (await there.create_item({"id": "1", "ws": "a"}))["id"]

    assert _run(faulty, container, work) == "1"
