"""kill -9 anywhere in `backup init`: the next run finishes it, the end is the same, and no lock is left."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from dbops.servers import postgres

from bare_cluster import Bare, bare
from killing import Zygote, kills, moment

_CHAIN = 4
_RESET = ("archive_command", "archive_timeout")


@pytest.fixture
def live(folder: Path) -> Generator[Bare]:
    with bare(folder, encrypted=True, archiving=True) as made:
        yield made
        postgres.stop(made.server, within_s=0.1)  # it would wait for an archiver that has nowhere to put anything


@pytest.fixture
def silent(folder: Path) -> Generator[Bare]:
    """A cluster that does not archive at all: it needs a restart."""
    with bare(folder) as made:
        yield made
        postgres.stop(made.server, within_s=0.1)


def forget(live: Bare) -> None:
    """Bring the cluster back to where nobody backs it up."""
    with live.connect() as connection:
        for name in _RESET:
            connection.execute(f"ALTER SYSTEM RESET {name}".encode())
        connection.execute("SELECT pg_reload_conf()")
    for entry in live.conf.parent.iterdir():
        shutil.rmtree(entry) if entry.is_dir() else entry.unlink()


def test_killed_runs_are_finished_by_the_next_one(
    live: Bare, zygote: Zygote, record_property: Callable[[str, object], None]
) -> None:
    init = ("backup", "init", "--yes", "--lock-wait", "30s", "--config", live.toml)
    clean_s = zygote.finished(*init).seconds
    conf, include = live.conf.read_text(), live.include.read_text()
    done = 0
    while done < kills(60):
        forget(live)
        for _ in range(_CHAIN):
            ended = zygote.run(*init, kill_after=moment(clean_s))
            assert ended.killed or ended.code == 0, ended.err
            done += ended.killed
        zygote.finished(*init)
        assert (live.conf.read_text(), live.include.read_text()) == (conf, include)
        assert live.codes() == set()
        second = zygote.finished(*init, "--plan", "--output", "json")
        assert json.loads(second.out)["data"]["steps"] == []
    record_property("kills", f"backup init: {done} kills, a clean run takes {clean_s:.2f} s")


def test_a_run_that_is_killed_while_it_restarts_the_server_leaves_no_server_that_is_down(
    silent: Bare, zygote: Zygote
) -> None:
    init = ("backup", "init", "--yes", "--restart", "--lock-wait", "30s", "--config", str(silent.toml))
    running = silent.server.data / "postmaster.pid"
    with subprocess.Popen(
        [Path(sys.executable).with_name("dbops"), *init], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as ours:
        while running.exists():
            assert ours.poll() is None
        ours.kill()  # the old server is gone, the new one is not there yet
    tries = 0
    while (ended := zygote.run(*init)).code == 75 and tries < 40:  # it is on its way up
        tries += 1
    assert ended.code == 0, ended.err
    assert silent.setting("archive_mode") == "on"
    assert silent.codes() == {"DBB116"}
