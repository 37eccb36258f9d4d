"""One vault of each kind."""

from collections.abc import Generator
from pathlib import Path

import pytest

from dbops.config.model import Place
from dbops.stores import vault
from dbops.stores.vault import Store

import azurite
import moto_s3
import places


@pytest.fixture(scope="session")
def azure(base: Path) -> Generator[azurite.Azurite]:
    with azurite.running(base / "azurite") as server:
        yield server


@pytest.fixture(scope="session")
def s3(base: Path) -> Generator[moto_s3.Moto]:
    with moto_s3.running(base / "moto") as server:
        yield server


@pytest.fixture(params=places.KINDS)
def place(request: pytest.FixtureRequest, folder: Path) -> Place:
    match request.param:
        case "folder":
            return places.folder_place(folder)
        case "azurite":
            return places.azurite_place(folder, request.getfixturevalue("azure"))
        case _:
            return places.s3_place(folder, request.getfixturevalue("s3"))


@pytest.fixture
def store(place: Place) -> Store:
    return vault.connect(place, target="vault")
