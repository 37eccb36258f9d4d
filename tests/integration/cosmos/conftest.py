"""One emulated account per worker; each test gets a container of its own."""

from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from dbops.servers import emulator
from dbops.servers.emulator import Server

import cosmos_account


@pytest.fixture(scope="session")
def account(base: Path) -> Generator[Server]:
    with emulator.running(cosmos_account.server(base / "cosmos")) as live:
        yield live


@pytest.fixture(scope="session")
def client(account: Server) -> Generator[Any]:
    with cosmos_account.connected(account) as connected:
        yield connected


@pytest.fixture
def container(client: Any) -> Generator[Any]:
    """A container with the partition key /ws and four physical partitions."""
    made = cosmos_account.fresh_container(client)
    yield made
    client.delete_database(made.container_link.split("/")[1])


@pytest.fixture
def faulty(account: Server) -> Generator[Server]:
    """The account, for tests that break it; it works again afterwards."""
    yield account
    emulator.inject(account)
