"""The emulators that the stores of Azure talk to, one of each per worker."""

from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from dbops.servers import emulator
from dbops.servers.emulator import Server

KEY = "Y29zbW9zLWtleS1vZi1hLXRlc3Q="
ADMIN, QUERY = "admin-key-of-a-test", "query-key-of-a-test"


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COSMOS_KEY", KEY)
    monkeypatch.setenv("SEARCH_KEY", ADMIN)
    monkeypatch.setenv("SEARCH_QUERY_KEY", QUERY)


@pytest.fixture(scope="session")
def cosmos_server(base: Path) -> Generator[Server]:
    settings: dict[str, Any] = {"key": KEY, "databases": ["workflows", "audit"], "partitions": 3}
    with emulator.running(Server(base / "cosmos-of-stores", "cosmos", settings)) as server:
        yield server


@pytest.fixture(scope="session")
def search_server(base: Path) -> Generator[Server]:
    settings: dict[str, Any] = {"key": ADMIN, "query_key": QUERY, "visible_after_s": 0}
    with emulator.running(Server(base / "search-of-stores", "search", settings)) as server:
        yield server
