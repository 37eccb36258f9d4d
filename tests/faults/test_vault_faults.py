"""A vault that is full, read-only, cut off or damaged: each is told in its class, and nothing half is readable."""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from dbops.config.model import Place
from dbops.copies import artifact
from dbops.engine.finding import Severity, Verdict
from dbops.errors import DbopsError, Unreachable
from dbops.stores import vault

import azurite
import cutting
import moto_s3
import places
import writing

_SHARED = Path(__file__).parent.parent


def in_its_own_mounts(*commands: str) -> "subprocess.CompletedProcess[str]":
    alone = ["unshare", "--mount", *(() if os.geteuid() == 0 else ("--map-root-user",))]
    return subprocess.run([*alone, "sh", "-c", "\n".join(commands)], capture_output=True, text=True, timeout=120)


def writes(place: Place, seed: int) -> str:
    """A program that writes one artifact and tells the exit code of its error."""
    program = f"""
import sys, json
sys.path.insert(0, {str(_SHARED)!r})
import writing
from dbops.config.model import Place
from dbops.errors import DbopsError
try:
    writing.write(Place.model_validate_json({json.dumps(place.model_dump(mode="json"))!r}), {seed}, [])
    print(json.dumps([0, None, None]))
except DbopsError as error:
    print(json.dumps([int(error.exit_code), error.message, error.hint]))
"""
    return shlex.join([sys.executable, "-c", program])


def told(done: "subprocess.CompletedProcess[str]") -> list[list[Any]]:
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("[")]


def test_a_full_disk_is_told_and_the_next_run_with_room_goes_on(folder: Path) -> None:
    place = places.folder_place(folder)
    root = shlex.quote(str(folder / "va ult"))
    kept = shlex.quote(str(folder / "kept"))
    done = in_its_own_mounts(
        f"mount -t tmpfs -o size=1m none {root}",
        writes(place, 4),
        f"find {root} -type f | grep -c unfinished",
        f"mount -o remount,size=64m {root}",
        writes(place, 4),
        f"cp -r {root} {kept}",
    )
    full, room = told(done)
    assert full[0] == 9
    assert "No space left" in full[1]
    assert "make room" in full[2]
    assert "0" in done.stdout.splitlines(), "what was half written is removed: the disk is full enough"
    assert room[0] == 0
    [found] = artifact.listing(vault.connect(Place(url=f"file://{folder}/kept"), target="vault"))
    assert isinstance(found, artifact.Artifact)


def test_a_disk_that_fills_up_at_the_manifest_leaves_a_construction(folder: Path) -> None:
    store = vault.connect(places.folder_place(folder), target="vault")
    with artifact.write(store, places.SUBJECT, run="a") as writer:
        with writer.file("a") as sink:
            sink.write(b"1")
        (folder / "va ult" / writer.folder / "manifest.json.unfinished-0").write_bytes(b"{")
    [found] = artifact.listing(store)
    assert isinstance(found, artifact.Construction)


def test_a_read_only_vault_refuses_to_be_written_and_can_be_read(folder: Path) -> None:
    place = places.folder_place(folder)
    store = vault.connect(place, target="vault")
    places.written(store, {"a": b"1"})
    root = shlex.quote(str(folder / "va ult"))
    done = in_its_own_mounts(
        f"mount --bind {root} {root}", f"mount -o remount,ro,bind {root}", writes(place, 4), f"ls {root} >/dev/null"
    )
    [[code, message, hint]] = told(done)
    assert code == 9
    assert "Read-only" in message
    assert "read and write" in hint


@pytest.fixture(params=["azurite", "s3"])
def cut_off(request: pytest.FixtureRequest, folder: Path) -> Generator[tuple[cutting.Cutting, Place, Place]]:
    """A proxy before a server, the place behind it, and the same place directly."""
    if request.param == "azurite":
        with azurite.running(folder / "azurite") as server, cutting.before(server.port) as proxy:
            direct = places.azurite_place(folder, server)
            endpoint = f"http://127.0.0.1:{proxy.port}/{azurite.ACCOUNT}"
            yield proxy, direct.model_copy(update={"endpoint": endpoint}), direct
    else:
        with moto_s3.running(folder / "moto") as server, cutting.before(server.port) as proxy:
            direct = places.s3_place(folder, server)
            yield proxy, direct.model_copy(update={"endpoint": f"http://127.0.0.1:{proxy.port}"}), direct


def test_connections_cut_at_random_bytes_lose_nothing(cut_off: tuple[cutting.Cutting, Place, Place]) -> None:
    proxy, through, direct = cut_off
    store = vault.connect(direct, target="vault")
    outcomes: list[DbopsError] = []
    for seed in range(8):
        proxy.most = (6 << 20) >> seed
        try:
            writing.write(through, seed, [])
        except DbopsError as error:
            outcomes.append(error)
        for found in artifact.listing(store):
            assert not isinstance(found, artifact.Broken)
            if isinstance(found, artifact.Artifact):
                assert artifact.verify(store, found, depth="content").verdict is Verdict.GOOD
        proxy.most = None
        writing.write(through, seed, [])
        sources = [
            found.manifest.subject.source for found in artifact.listing(store) if isinstance(found, artifact.Artifact)
        ]
        assert f"source-{seed}" in sources
    assert proxy.cuts
    assert {type(error) for error in outcomes} <= {Unreachable}, outcomes


def test_reading_through_cut_connections_is_right_or_could_not_be_verified(
    cut_off: tuple[cutting.Cutting, Place, Place],
) -> None:
    proxy, through, direct = cut_off
    found = places.written(vault.connect(direct, target="vault"), {"a": places.noise(20 << 20)})
    store = vault.connect(through, target="vault")
    seen: set[Verdict] = set()
    for share in (64, 20, 4, 1):
        proxy.most = share << 20 if share > 1 else 2000
        verified = artifact.verify(store, found, depth="content")
        seen.add(verified.verdict)
        assert {finding.severity for finding in verified.findings} <= {Severity.UNKNOWN}
    assert Verdict.BAD not in seen
    assert Verdict.COULD_NOT_VERIFY in seen


def test_a_vault_that_went_away_could_not_be_verified(folder: Path) -> None:
    store = vault.connect(places.folder_place(folder), target="vault")
    found = places.written(store, {"a": b"1"})
    (folder / "va ult").rename(folder / "unmounted")
    for depth in ("listed", "stored", "content"):
        verified = artifact.verify(store, found, depth=depth)
        assert [(each.severity, each.code) for each in verified.findings] == [(Severity.UNKNOWN, "unreachable")]
        assert verified.verdict is Verdict.COULD_NOT_VERIFY


def test_a_folder_that_may_not_be_read_could_not_be_verified_and_is_not_taken_for_empty(folder: Path) -> None:
    place = places.folder_place(folder)
    places.written(vault.connect(place, target="vault"), {"a": b"1"})
    (folder / "va ult").chmod(0o700)
    program = f"""
import os
from dbops.config.model import Place
from dbops.errors import DbopsError
from dbops.stores import vault
store = vault.connect(Place(url={place.url!r}), target="vault")
if os.geteuid() == 0:
    os.setgid(65534), os.setuid(65534)
else:
    os.chmod({str(folder / "va ult")!r}, 0)
try:
    print(list(store.listing()))
except DbopsError as error:
    print(int(error.exit_code))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "9", done.stderr
