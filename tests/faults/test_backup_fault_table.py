"""The faults that verifying does not meet: targets, full disks, servers that end, runs that meet."""

import fcntl
import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from conftest import fresh
from dbops.servers import account, alive, postgres

import clustering
from clustering import TARGET, Cluster

ANY = tuple(range(256))
_DBOPS = Path(sys.executable).with_name("dbops")


@pytest.fixture(scope="module")
def live(base: Path) -> Generator[Cluster]:
    """A full backup, WAL behind it, and a timeline that was left for another one."""
    folder = fresh(base, "fault-table")
    folder.mkdir(mode=0o711)
    folder.chmod(0o711)
    with clustering.under_backup(folder) as made:
        made.keep("zero")
        made.pgbackrest("backup", "--type=full", "--no-expire-auto")
        yield made


class Rows:
    """Collects the rows; each holds what dbops said, and what the bare tool says at the same moment."""

    def __init__(self, live: Cluster, record: Callable[[str, object], None]) -> None:
        self._live, self._record = live, record

    def add(self, fault: str, command: str, told: dict[str, Any], code: int) -> dict[str, Any]:
        assert told["exit_code"] == code, told
        [first, *_] = told["findings"]
        verify = self._live.pgbackrest("verify", "--output=text", "--log-level-console=off", ok=ANY)
        said = " ".join(verify.out.decode("utf-8", "replace").split()) or "nothing"
        check = self._live.pgbackrest("check", "--archive-timeout=1", ok=ANY)
        ours = f"{command}: exit {code}, {first['code']}"
        row = f"| {fault} | {ours} | exit {verify.code}, {said[:60]} | exit {check.code} |"
        self._record("fault rows", row)
        return first


@pytest.fixture
def rows(live: Cluster, record_property: Callable[[str, object], None]) -> Rows:
    return Rows(live, record_property)


def ask(live: Cluster, *words: str) -> dict[str, Any]:
    done = subprocess.run(_argv(live, *words), capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout, done.stderr
    assert "Traceback" not in done.stderr
    return json.loads(done.stdout)


def _argv(live: Cluster, *words: str) -> list[str]:
    return [str(_DBOPS), *words, "--config", str(live.toml), "--output", "json"]


def _label(live: Cluster) -> str:
    return max(path.name for path in live.repository.glob(f"backup/{TARGET}/20*"))


def test_targets_that_lead_nowhere(live: Cluster, rows: Rows) -> None:
    before, _ = live.keep("one"), live.keep("behind it")  # with no commit between, the set would do
    live.switch()
    live.pgbackrest("backup", "--type=incr", "--no-expire-auto")
    inside = _label(live)
    live.keep("two")
    live.switch()
    table = (
        ("target before the window", ("--at", "2020-01-01T00:00:00Z"), "the first moment within reach"),
        ("target after the window", ("--lsn", "FF/0"), "beyond what is archived"),
        ("target inside the chosen set", ("--at", before.isoformat(), "--set", inside), "is before the end of set"),
        ("unknown restore point", ("--name", "nosuch"), "was not found"),
        ("unknown transaction", ("--xid", "4000000000"), "was not found"),
    )
    for fault, words, says in table:
        first = rows.add(fault, "pitr plan", ask(live, "pitr", "plan", *words), 9)
        assert says in first["message"]


def test_a_set_of_an_abandoned_timeline_is_not_taken_for_the_clusters_own(live: Cluster, rows: Rows) -> None:
    back, _ = live.keep("back"), live.keep("behind it")
    live.switch()
    live.pgbackrest("backup", "--type=incr", "--no-expire-auto")
    abandoned = _label(live)
    live.keep("gone")
    live.switch()
    way = ask(live, "pitr", "plan", "--at", back.isoformat())["data"]["options"]
    postgres.stop(live.server)
    live.pgbackrest("restore", "--delta", *way)
    postgres.start(live.server)
    with live.connect() as connection:
        while connection.execute("SELECT pg_is_in_recovery()").fetchone() == (True,):
            connection.execute("SELECT pg_sleep(0.02)")
    live.keep("new")
    live.switch()
    first = rows.add("abandoned timeline", "pitr plan", ask(live, "pitr", "plan", "--latest", "--set", abandoned), 9)
    assert "does not pass through set" in first["message"]


def test_a_tail_that_is_not_archived_is_told_by_the_window(live: Cluster, rows: Rows) -> None:
    live.toml.write_text(live.toml.read_text().replace("[vault]", '[cluster.main.objectives]\nrpo = "1ms"\n[vault]'))
    try:
        with _archiving_by(live, "false # pgbackrest"):
            live.keep("not archived")
            first = rows.add("unarchived tail", "pitr window", ask(live, "pitr", "window"), 6)
            assert first["code"] in {"DBB506", "DBB507"}
    finally:
        clustering.write_toml(live)


def test_a_broken_archive_command_is_told_by_the_next_backup(live: Cluster, rows: Rows) -> None:
    text = live.stanza.config.read_text()
    live.stanza.config.write_text(text.replace("[main]", "archive-timeout=1\n[main]"))
    try:
        with _archiving_by(live, "false # pgbackrest"):
            first = rows.add("broken archive_command", "backup run", ask(live, "backup", "run"), 1)
            assert "WAL is not being archived" in first["message"]
    finally:
        live.stanza.config.write_text(text)


@contextmanager
def _archiving_by(live: Cluster, command: str) -> Generator[None]:
    with live.connect() as connection:
        connection.execute(f"ALTER SYSTEM SET archive_command = '{command}'".encode())
        connection.execute("SELECT pg_reload_conf()")
    try:
        yield
    finally:
        with live.connect() as connection:
            connection.execute("ALTER SYSTEM RESET archive_command")
            connection.execute("SELECT pg_reload_conf()")
        live.switch()


def test_a_disk_that_is_too_small_for_the_restore(live: Cluster, rows: Rows, folder: Path) -> None:
    disk = folder / "disk"
    disk.mkdir()
    asked = _argv(live, "pitr", "restore", "--immediate", "--to", str(disk / "copy"))
    told = _on_a_small_disk(disk, "8m", asked)
    assert "are free" in rows.add("disk too small for a restore", "pitr restore", told, 9)["message"]


def test_a_disk_that_fills_up_during_the_restore(live: Cluster, rows: Rows, folder: Path) -> None:
    """It has room for what was measured, and none for so many files: no look ahead tells that."""
    disk = folder / "disk"
    disk.mkdir()
    asked = _argv(live, "pitr", "restore", "--immediate", "--to", str(disk / "copy"))
    told = _on_a_small_disk(disk, "500m,nr_inodes=300", asked)
    assert "the disk is full" in rows.add("disk full during a restore", "pitr restore", told, 1)["message"]


def _on_a_small_disk(disk: Path, size: str, argv: list[str]) -> dict[str, Any]:
    """Run it where `disk` is a small file system, in a mount namespace of its own."""
    mount = f"mount -t tmpfs -o size={size},mode=0777 none {shlex.quote(str(disk))}"
    alone = ["unshare", "--mount", *(() if os.geteuid() == 0 else ("--map-root-user",))]
    script = f"{mount} && exec {shlex.join(argv)}"
    done = subprocess.run([*alone, "sh", "-c", script], capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout, done.stderr
    assert "Traceback" not in done.stderr
    return json.loads(done.stdout)


def test_two_backups_at_once_end_as_one(live: Cluster, rows: Rows) -> None:
    lock = live.stanza.home / "lock" / "main-backup.lock"
    account.write_file(lock, "")
    with lock.open("r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(json.dumps({"execId": f"{os.getpid()}-0123abcd", "pid": os.getpid()}))
        file.flush()
        told = ask(live, "backup", "run")
        assert f"pid {os.getpid()} (" in rows.add("two backups at once", "backup run", told, 11)["message"]


def test_a_server_that_is_killed_during_the_backup(live: Cluster, rows: Rows) -> None:
    """The backup is held where its workers have begun: by then it is the server that ends it."""
    postmaster = postgres.pid(live.server)
    assert postmaster is not None
    with live.connect() as connection:
        connection.execute("CREATE TABLE large AS SELECT g, md5(g::text) AS t FROM generate_series(1, 100000) g")
        connection.execute("CHECKPOINT")
    text = live.stanza.config.read_text()
    slow = text.replace("compress-type=zst", "compress-type=gz").replace("compress-level=1", "compress-level=9")
    live.stanza.config.write_text(slow.replace("process-max=2", "process-max=1"))
    argv = _argv(live, "backup", "run", "--type", "full")
    run = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    _await_workers(live)
    os.kill(postmaster, signal.SIGKILL)
    out, err = run.communicate(timeout=120)
    live.stanza.config.write_text(text)
    told = json.loads(out)
    assert "Traceback" not in err
    assert "the server went away" in rows.add("server killed during a backup", "backup run", told, 75)["message"]
    postgres.start(live.server)


def _await_workers(live: Cluster) -> None:
    wanted = f"--config={live.stanza.config}"

    def ours(argv: alive.Argv) -> bool:
        return argv[0].endswith("pgbackrest") and wanted in argv

    while True:
        for pid in alive.serving(ours):
            if "backup" in alive.argv_of(pid) and len(alive.family(pid)) > 1:
                return
