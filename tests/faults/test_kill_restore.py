"""kill -9 anywhere in `pitr restore`: the next run ends and removes what is left, and restores."""

import json
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from conftest import fresh
from dbops.servers import alive

import clustering
from clustering import Cluster
from killing import Zygote, kills, moment

_CHAIN = 3


@pytest.fixture(scope="module")
def live(base: Path) -> Generator[Cluster]:
    folder = fresh(base, "restore-k")
    folder.mkdir(mode=0o711)
    folder.chmod(0o711)
    with clustering.under_backup(folder) as made:
        made.keep("one")
        made.pgbackrest("backup", "--type=full", "--no-expire-auto")
        made.keep("two")
        made.switch()
        yield made


def test_killed_restores_leave_nothing_that_the_next_run_does_not_remove(
    live: Cluster, zygote: Zygote, record_property: Callable[[str, object], None]
) -> None:
    restore = ("pitr", "restore", "--latest", "--verify", "--config", live.toml)
    clean = zygote.finished(*restore)
    done = cut = 0
    while done < kills(60):
        for _ in range(_CHAIN):
            ended = zygote.run(*restore, kill_after=moment(clean.seconds * 1.6))
            assert ended.killed or ended.code == 0, ended.err
            done += ended.killed
            cut += bool(_left(live))
        told = json.loads(zygote.finished(*restore, "--output", "json").out)
        assert told["data"]["restored"][0]["verdict"] == "good"
        assert _left(live) == []
        assert live.notes() == ["one", "two"]
    assert cut
    record_property(
        "kills", f"pitr restore: {done} kills, {cut} left something, a clean run takes {clean.seconds:.2f} s"
    )


def test_killed_cleaning_is_finished_by_the_next_one(
    live: Cluster, zygote: Zygote, record_property: Callable[[str, object], None]
) -> None:
    clean = ("pitr", "clean", "--all", "--config", live.toml)
    done = 0
    for _ in range(kills(10)):
        zygote.finished("pitr", "restore", "--immediate", "--keep", "--config", live.toml)
        ended = zygote.run(*clean, kill_after=moment(0.5))
        done += ended.killed
        zygote.finished(*clean)
        assert _left(live) == []
    record_property("kills", f"pitr clean: {done} kills")


def _left(live: Cluster) -> list[str]:
    room = live.folder / "state" / "scratch"
    files = [entry.name for entry in room.iterdir()] if room.exists() else []
    servers = alive.serving(lambda argv: str(room) in " ".join(argv))
    return files + [" ".join(alive.argv_of(pid)) for pid in servers]
