"""One search emulator for all tests of a worker; each test finds it empty."""

from collections.abc import Generator
from pathlib import Path

import pytest

from dbops.servers import emulator

from searching import SETTINGS, Service


@pytest.fixture(scope="session")
def search_server(base: Path) -> Generator[emulator.Server]:
    with emulator.running(emulator.Server(base / "search", "search", SETTINGS)) as server:
        yield server


@pytest.fixture
def service(search_server: emulator.Server) -> Generator[Service]:
    with Service(search_server) as service:
        yield service
        service.empty()
