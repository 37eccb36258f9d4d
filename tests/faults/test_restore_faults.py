"""What can be wrong with a restore: each told in its class, in the server's own words, and nothing is left behind."""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Generator
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from conftest import fresh
from dbops.engine import clock
from dbops.errors import VerifiedBad
from dbops.operations.clusters.reach import ready as reaching
from dbops.operations.clusters.reach.facts import Target
from dbops.operations.clusters.restore import goals, ready
from dbops.operations.clusters.restore.apply import Told
from dbops.operations.clusters.restore.facts import Wanted
from dbops.stores import pgbackrest

import clustering
from clustering import TARGET, Cluster

Dbops = Callable[..., CompletedProcess[str]]

_FULL_DISK = """
import sys
from pathlib import Path
from dbops.config.load import load
from dbops.engine import clock, run
from dbops.errors import DbopsError
from dbops.operations.clusters.restore import ready
from dbops.operations.clusters.restore.apply import Told
from dbops.operations.clusters.restore.facts import Aim, Goal, Wanted
toml, label, disk = sys.argv[1:]
config = load(Path(toml)).config
goal = Goal(Aim(label), "latest", -(1 << 30), 1)  # somebody else fills the disk after it was looked at
one = run.new("pitr restore", Path(toml).parent / "state")
try:
    with ready.scratch(
        config, "main", one, lambda: goal, wanted=Wanted(), now=clock.now(), told=Told(), to=Path(disk) / "copy"
    ) as planned:
        for step in planned.plan.steps:
            planned.apply(step)
except DbopsError as error:
    print(type(error).__name__, error.message)
print(list(Path(disk).iterdir()))
"""


@pytest.fixture(scope="module")
def live(base: Path) -> Generator[Cluster]:
    folder = fresh(base, "restore-f")
    folder.mkdir(mode=0o711)
    folder.chmod(0o711)
    with clustering.under_backup(folder) as made:
        made.keep("one")
        made.pgbackrest("backup", "--type=full", "--no-expire-auto")
        for note in ("two", "three", "four"):
            made.keep(note)
            made.switch()
        yield made


def _told(done: CompletedProcess[str], code: int) -> dict[str, Any]:
    assert done.returncode == code, done.stdout + done.stderr
    return json.loads(done.stdout)["findings"][0]


def _nothing_left(live: Cluster) -> None:
    room = live.folder / "state" / "scratch"
    assert not room.exists() or not any(room.iterdir())


def _label(live: Cluster) -> str:
    [stanza] = pgbackrest.info(live.config.cluster[TARGET], target=TARGET)
    return stanza.backups[-1].label


def _carried_out(live: Cluster, goal: goals.Goal) -> None:
    run = live.run("pitr restore")
    opened = ready.scratch(live.config, TARGET, run, lambda: goal, wanted=Wanted(), now=clock.now(), told=Told())
    with opened as planned:
        for step in planned.plan.steps:
            planned.apply(step)


def test_wal_that_vanishes_after_the_plan_ends_the_restore_in_the_servers_own_words(live: Cluster) -> None:
    goal = goals.goal(reaching.plan_target(live.config, TARGET, Target("latest"), live.run(), clock.now()))
    [stanza] = pgbackrest.info(live.config.cluster[TARGET], target=TARGET)
    first = stanza.backups[-1].wal_start
    [file] = live.repository.glob(f"archive/{TARGET}/15-1/*/{first}-*")
    file.rename(live.folder / file.name)
    try:
        with pytest.raises(VerifiedBad) as error:
            _carried_out(live, goal)
    finally:
        (live.folder / file.name).rename(file)
    assert "could not locate required checkpoint record" in error.value.message
    _nothing_left(live)


def test_a_gap_is_told_before_a_byte_moves(dbops: Dbops, live: Cluster) -> None:
    [stanza] = pgbackrest.info(live.config.cluster[TARGET], target=TARGET)
    first = stanza.backups[-1].wal_start
    [file] = live.repository.glob(f"archive/{TARGET}/15-1/*/{first}-*")
    file.rename(live.folder / file.name)
    try:
        done = dbops("pitr", "restore", "--immediate", "--config", live.toml, "--output", "json")
    finally:
        (live.folder / file.name).rename(file)
    assert done.returncode in {4, 9}, done.stderr
    assert json.loads(done.stdout)["data"] is None
    _nothing_left(live)


def test_a_flipped_byte_in_the_repository_is_verified_bad(dbops: Dbops, live: Cluster) -> None:
    [bundle] = live.repository.glob(f"backup/{TARGET}/{_label(live)}/bundle/1")
    whole = bundle.read_bytes()
    middle = len(whole) // 2
    bundle.write_bytes(whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :])
    try:
        done = dbops("pitr", "restore", "--immediate", "--config", live.toml, "--output", "json")
    finally:
        bundle.write_bytes(whole)
    told = _told(done, 4)
    assert "cannot be restored" in told["message"]
    assert "backup verify" in told["hint"]
    _nothing_left(live)


def test_a_disk_that_is_too_small_is_refused_before_a_byte_moves(dbops: Dbops, live: Cluster, folder: Path) -> None:
    disk = folder / "disk"
    disk.mkdir()
    program = [str(Path(sys.executable).with_name("dbops")), "pitr", "restore", "--immediate", "--output", "json"]
    asked = [*program, "--config", str(live.toml), "--to", str(disk / "copy")]
    done = _on_a_small_disk(disk, asked)
    assert "are free" in _told(done, 9)["message"]


def test_a_disk_that_fills_up_is_no_evidence_against_the_backup(live: Cluster, folder: Path) -> None:
    disk = folder / "disk"
    disk.mkdir()
    done = _on_a_small_disk(disk, [sys.executable, "-c", _FULL_DISK, str(live.toml), _label(live), str(disk)])
    assert done.stdout.startswith("DbopsError the disk is full"), done.stdout + done.stderr
    assert done.stdout.endswith("[]\n"), done.stdout  # and the next one has room again
    _nothing_left(live)


def _on_a_small_disk(disk: Path, argv: list[str]) -> CompletedProcess[str]:
    """Run it where `disk` is a file system of a few megabytes, in a mount namespace of its own."""
    script = f"mount -t tmpfs -o size=8m,mode=0777 none {shlex.quote(str(disk))} && exec {shlex.join(argv)}"
    alone = ["unshare", "--mount", *(() if os.geteuid() == 0 else ("--map-root-user",)), "sh", "-c", script]
    env = {"PATH": os.environ["PATH"], "HOME": str(disk.parent)}
    return subprocess.run(alone, env=env, capture_output=True, text=True, timeout=120, check=False)
