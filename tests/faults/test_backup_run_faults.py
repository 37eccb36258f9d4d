"""kill -9 anywhere in `backup run`, and a repository that fills up: older backups are whole, the next run is clean."""

import fcntl
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from dbops.servers import account

import clustering
from killing import Zygote, kills, moment

_DBOPS = Path(sys.executable).with_name("dbops")
_ANY = tuple(range(256))


@pytest.fixture
def live(folder: Path) -> Generator[clustering.Cluster]:
    with clustering.under_backup(folder) as made:
        made.keep("before")
        with made.connect() as connection:
            connection.execute("CREATE TABLE filled AS SELECT g, md5(g::text) AS t FROM generate_series(1, 60000) g")
        yield made


def test_killed_runs_leave_a_whole_repository_and_nobody_with_its_lock(
    live: clustering.Cluster, zygote: Zygote, record_property: Callable[[str, object], None]
) -> None:
    config = ("--config", str(live.toml))
    clean = zygote.finished("backup", "run", "--type", "full", *config)
    done = 0
    while done < kills(20):
        for kind in ("full", "incr"):
            ended = zygote.run("backup", "run", "--type", kind, *config, kill_after=moment(1.5 * clean.seconds))
            assert ended.killed or ended.code in {0, 3}, ended.err
            done += ended.killed
        zygote.finished("backup", "run", *config)
        _nobody_holds(live.stanza.home / "lock" / "main-backup.lock")
    told = live.pgbackrest("verify", "--output=text").out.decode()
    assert told.strip() == "", told
    listed = json.loads(zygote.finished("backup", "list", "--output", "json", *config).out)
    sets = listed["data"]["clusters"][0]["sets"]
    assert all(one["complete"] for one in sets)
    whole = {one["label"] for one in sets}
    assert all(one["prior"] is None or one["prior"] in whole for one in sets)
    record_property("kills", f"backup run: {done} kills, a clean run takes {clean.seconds:.2f} s")


def _nobody_holds(lock: Path) -> None:
    if lock.exists():
        with lock.open() as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_set_that_was_whole_when_its_run_was_killed_is_listed_by_the_next(
    live: clustering.Cluster, zygote: Zygote
) -> None:
    config = ("--config", str(live.toml))
    zygote.finished("backup", "run", "--type", "full", *config)
    infos = {path: path.read_bytes() for path in (live.stanza.home / "repo" / "backup" / "main").glob("backup.info*")}
    zygote.finished("backup", "run", "--type", "incr", *config)
    for path, before in infos.items():  # the moment between the manifest of a set and the list of sets
        path.write_bytes(before)
    told = json.loads(zygote.finished("backup", "run", "--type", "incr", "--output", "json", *config).out)
    assert {one["severity"]: one["code"] for one in told["findings"]} == {"info": "DBB207"}
    listed = json.loads(zygote.finished("backup", "list", "--output", "json", *config).out)
    assert [one["kind"] for one in listed["data"]["clusters"][0]["sets"]] == ["full", "incr", "incr"]


def test_a_full_repository_is_told_by_its_path_and_with_room_the_next_run_is_clean(
    live: clustering.Cluster, record_property: Callable[[str, object], None]
) -> None:
    """The second repository lies on a small file system, in a mount namespace of the test's own."""
    second = account.make_folder(live.stanza.home / "second")
    text = live.stanza.config.read_text().replace("[main]", f"repo2-path={second}\nrepo2-retention-full=2\n[main]")
    live.stanza.config.write_text(text)
    live.pgbackrest("stanza-create")
    live.switch()
    run = f"{shlex.quote(str(_DBOPS))} backup run --type full --output json --config {shlex.quote(str(live.toml))}"
    small, kept = shlex.quote(str(second / "backup")), shlex.quote(str(live.folder / "kept"))
    script = "\n".join(
        (
            f"cp -a {small} {kept}",
            f"mount -t tmpfs -o size=1m,mode=0777 none {small}",
            f"cp -a {kept}/. {small}/",
            f"exec {run}",
        )
    )
    alone = ["unshare", "--mount", *(() if os.geteuid() == 0 else ("--map-root-user",)), "sh", "-c", script]
    full = subprocess.run(alone, capture_output=True, text=True, timeout=120, check=False)
    assert full.returncode == 1, full.stderr
    told = json.loads(full.stdout)
    messages = " ".join(finding["message"] for finding in told["findings"])
    assert "repository 2 is full" in messages
    assert str(second) in messages
    assert "Traceback" not in full.stderr
    verify = live.pgbackrest("verify", "--output=text", "--repo=2", ok=_ANY)
    said = " ".join(verify.out.decode().split()) or "nothing"
    check = live.pgbackrest("check", ok=_ANY)
    ours = f"backup run: exit 1, {told['findings'][0]['code']}"
    row = f"| disk full during a backup | {ours} | exit {verify.code}, {said[:60]} | exit {check.code} |"
    record_property("fault rows", row)
    again = subprocess.run(shlex.split(run), capture_output=True, text=True, timeout=120, check=False)
    assert again.returncode == 0, again.stderr
    assert [one["repository"] for one in json.loads(again.stdout)["data"]["backups"]] == [1, 2]
    assert live.pgbackrest("verify", "--output=text", "--repo=2").out.decode().strip() == ""
