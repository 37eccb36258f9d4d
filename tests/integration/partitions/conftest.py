"""A shop whose events are partitioned by month."""

from collections.abc import Generator
from pathlib import Path

import pytest

from partitioning import EVENTS, Shop


@pytest.fixture
def shop(database: str, folder: Path) -> Generator[Shop]:
    made = Shop(database, folder, events={})
    made.sql(EVENTS)
    yield made
    made.close()
