"""A second copy in each kind of place is what the vault has, byte for byte, and is judged like it."""

from datetime import timedelta
from pathlib import Path

import pytest

from dbops.config.model import Config, Copy, Place, Platform, Vault
from dbops.engine import clock
from dbops.engine.run import Run, new
from dbops.errors import VerifiedBad
from dbops.operations.vault import check, ready
from dbops.operations.vault.facts import Wanted
from dbops.stores import vault as stores

import vaults


@pytest.fixture
def config(place: Place, folder: Path) -> Config:
    """A vault in a folder with three artifacts, and its second copy in the place that is tested."""
    near = folder / "near"
    for day, files in ((1, 2), (2, 20), (3, 1)):
        vaults.put(near, day=day, files=files, size=5_000_000 if files == 1 else 3000)
    far = Copy(**dict(place), max_age=timedelta(hours=1))
    return Config(platform=Platform(name="x"), vault=Vault(url=f"file://{near}", copies={"far": far}))


def copied(config: Config, run: Run) -> int:
    """Carry out the plan; return how many steps it had."""
    with ready.ready_copy(config, "far", run, clock.now()) as opened:
        for step in opened.plan.steps:
            opened.apply(step)
        return len(opened.plan.steps)


def test_a_copy_holds_every_object_of_every_artifact_and_then_lacks_nothing(config: Config, folder: Path) -> None:
    run = new("test", folder / "state")
    assert copied(config, run) == 3
    far = ready.connected(config, "far")
    near = vaults.contents(folder / "near")
    assert {entry.name: far.get(entry.name) for entry in far.listing()} == near
    assert copied(config, run) == 0
    held, copies = ready.looked(config, Wanted(), None, now=clock.now())
    assert check.check_vault(held, copies, clock.now()) == []


def test_what_verifications_have_found_goes_along_and_is_never_written_over(config: Config, folder: Path) -> None:
    run = new("test", folder / "state")
    near, far = (ready.connected(config, name) for name in (None, "far"))
    name = "remembered/cluster/main/full/20261121T040000Z-0000.json"
    near.put_new(name, b"{}")
    assert copied(config, run) == 4, "three artifacts, and all results together"
    assert far.get(name) == b"{}"
    assert copied(config, run) == 0
    near.put_new(f"{name}-2", b"[1]")
    assert copied(config, run) == 1
    held, copies = ready.looked(config, Wanted(), None, now=clock.now())
    assert check.check_vault(held, copies, clock.now()) == []


def test_what_an_interrupted_copy_has_left_is_completed(config: Config, folder: Path) -> None:
    run = new("test", folder / "state")
    copied(config, run)
    far = ready.connected(config, "far")
    wanted = {entry.name: far.get(entry.name) for entry in far.listing()}
    for name in wanted:
        if name.endswith("manifest.json") or "part-1" in name:
            far.delete(name)
    assert copied(config, run) == 3
    assert {entry.name: far.get(entry.name) for entry in far.listing()} == wanted


def test_a_file_that_another_has_put_there_is_bad_and_stays(config: Config, place: Place, folder: Path) -> None:
    far = stores.connect(place, target="far")
    name = "postgres/audit/20260803T020000.000Z-dump/part-0.jsonl"
    with far.writing(name) as sink:
        sink.write(b"something else")
    with pytest.raises(VerifiedBad, match="was not written over"):
        copied(config, new("test", folder / "state"))
    assert far.get(name) == b"something else"
    assert far.head("postgres/audit/20260803T020000.000Z-dump/manifest.json") is None
