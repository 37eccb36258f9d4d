"""A writer killed at random moments: never a readable half artifact, and the next run goes on."""

import json
import subprocess
import sys
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest

from dbops.config.model import Place
from dbops.copies import artifact
from dbops.engine.finding import Verdict
from dbops.stores import vault
from dbops.stores.vault import Store

import azurite
import moto_s3
import places
import writing
from killing import kills, moment

_CHAIN = 4  # kills until an artifact may be finished
_IDENTITY, _RECIPIENT = places.identity()

Write = Callable[[Place, int, float | None], dict[str, Any]]


@pytest.fixture
def write(folder: Path) -> Generator[Write]:
    argv = [sys.executable, writing.__file__]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"

        def one(place: Place, seed: int, kill_after: float | None) -> dict[str, Any]:
            assert process.stdin is not None
            assert process.stdout is not None
            request: dict[str, Any] = {"place": place.model_dump(mode="json"), "seed": seed, "kill_after": kill_after}
            request |= {"recipients": [_RECIPIENT] if seed % 2 else [], "log": str(folder / "log")}
            process.stdin.write(json.dumps(request) + "\n")
            process.stdin.flush()
            return json.loads(process.stdout.readline())

        yield one
        process.stdin.close()
        process.wait(10)


@pytest.fixture
def place(request: pytest.FixtureRequest, base: Path, folder: Path) -> Generator[Place]:
    match request.param:
        case "folder":
            yield places.folder_place(folder)
        case "azurite":
            with azurite.running(folder / "azurite") as server:
                yield places.azurite_place(folder, server)
        case _:
            with moto_s3.running(folder / "moto") as server:
                yield places.s3_place(folder, server)


@pytest.mark.parametrize(("place", "count"), [("folder", 60), ("azurite", 16), ("s3", 16)], indirect=["place"])
def test_no_half_artifact_can_be_read_and_the_next_run_finishes_it(
    place: Place,
    count: int,
    write: Write,
    folder: Path,
    record_property: Callable[[str, object], None],
) -> None:
    store = vault.connect(place, target="vault")
    assert write(place, 0, None)["code"] == 0, (folder / "log").read_text()
    clean_s = write(place, 1, None)["seconds"]
    killed = continued = 0
    seed = 2
    while killed < kills(count):
        for _ in range(_CHAIN):
            if write(place, seed, moment(clean_s))["code"] == -9:
                killed += 1
            nothing_is_half(store, up_to=seed)
        continued += any(isinstance(found, artifact.Construction) for found in artifact.listing(store))
        ended = write(place, seed, None)
        assert ended["code"] == 0, (folder / "log").read_text()
        wholes = [found for found in complete(store) if found.manifest.subject.source == f"source-{seed}"]
        assert wholes  # more than one when a kill came after the manifest
        for whole in wholes:
            has_the_content_of(store, whole, seed)
        seed += 1
    record_property("kills", f"{killed} killed, {continued} of {seed - 2} artifacts went on")
    if place.url.startswith("file"):
        assert not list((folder / "va ult").glob("**/*.unfinished-*")), "a finished run leaves nothing half written"


def complete(store: Store) -> list[artifact.Artifact]:
    return [found for found in artifact.listing(store) if isinstance(found, artifact.Artifact)]


def nothing_is_half(store: Store, up_to: int) -> None:
    """What has a manifest is whole, and what a construction calls complete is."""
    for found in artifact.listing(store):
        assert not isinstance(found, artifact.Broken), found.finding
        match found:
            case artifact.Artifact() if found.manifest.subject.source == f"source-{up_to}":
                has_the_content_of(store, found, up_to)
            case artifact.Construction(begun=begun):
                assert begun is not None or found.sizes == {}, found
            case _:
                assert artifact.verify(store, found, depth="listed").verdict is Verdict.GOOD


def has_the_content_of(store: Store, found: artifact.Artifact, seed: int) -> None:
    assert artifact.verify(store, found, depth="stored").verdict is Verdict.GOOD
    for name, data in writing.contents(seed).items():
        assert b"".join(artifact.read(store, found, name, identity=_IDENTITY)) == data
