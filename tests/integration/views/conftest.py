"""A database for the tests of views."""

from collections.abc import Generator
from pathlib import Path

import pytest

from views_shop import Shop


@pytest.fixture
def shop(database: str, folder: Path) -> Generator[Shop]:
    place = Shop(database, folder)
    yield place
    place.close()
