"""kill -9 anywhere in `sandbox up`: the next runs finish the work, and nothing is started twice."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from dbops.sandbox.facts import DATABASES
from dbops.servers import alive

from killing import Zygote, kills, moment

_CHAIN = 5
_ARCHIVED = ["archive.info", "000000010000000000000001-*"]


def servers(home: Path) -> list[str]:
    """Name what lives in a folder: servers, and programs of runs; but not what PostgreSQL starts to archive."""
    found = [alive.argv_of(pid) for pid in alive.everybody() if alive.is_alive(pid)]
    ours = [argv for argv in found if any(str(home) in word for word in argv[1:]) and "archive-push" not in str(argv)]
    return sorted(Path(argv[0]).name for argv in ours)


def test_a_killed_start_is_finished_by_the_next_one(
    zygote: Zygote, folder: Path, record_property: Callable[[str, object], None]
) -> None:
    home = folder / "sandbox"
    up = ("sandbox", "up", "--fast", "--dir", home)
    clean = zygote.finished(*up)
    zygote.finished("sandbox", "down", "--purge", "--yes", "--dir", home)
    done = chains = 0
    while done < kills(30):
        chains += 1
        for _ in range(_CHAIN):
            ended = zygote.run(*up, kill_after=moment(clean.seconds))
            assert ended.killed or ended.code == 0, ended.err
            done += ended.killed
        zygote.finished(*up)
        assert servers(home) == ["postgres", "python", "python", "redis-server"]
        told = json.loads(zygote.finished("sandbox", "status", "--dir", home, "--output", "json").out)["data"]
        assert told["complete"]
        assert told["databases"] == sorted(DATABASES.values())
        zygote.finished("status", "--config", home / "dbops.toml")
        zygote.finished("sandbox", "down", "--purge", "--yes", "--dir", home)
        assert servers(home) == []
        assert not home.exists()
    record_property("kills", f"sandbox up: {done} kills in {chains} chains, a clean run takes {clean.seconds:.2f} s")


@pytest.mark.parametrize("command", ["down", "purge"])
def test_a_killed_end_is_finished_by_the_next_one(zygote: Zygote, folder: Path, command: str) -> None:
    home = folder / "sandbox"
    zygote.finished("sandbox", "up", "--fast", "--dir", home)
    down = ("sandbox", "down", "--dir", home, *(("--purge", "--yes") if command == "purge" else ()))
    for _ in range(3):
        ended = zygote.run(*down, kill_after=moment(0.6))
        assert ended.killed or ended.code == 0, ended.err
    zygote.finished(*down)
    assert servers(home) == []
    assert home.exists() == (command == "down")
    zygote.finished("sandbox", "down", "--purge", "--yes", "--dir", home)


@pytest.mark.parametrize(
    "left",
    [["archive.info.pgbackrest.tmp"], ["archive.info"], ["archive.info", "backup.info.pgbackrest.tmp"], _ARCHIVED],
    ids=["before its first file", "before its second folder", "before its second file", "and the server archived"],
)
def test_a_stanza_whose_creation_was_killed_is_made_anew(zygote: Zygote, folder: Path, left: list[str]) -> None:
    home = folder / "sandbox"
    up = ("sandbox", "up", "--fast", "--dir", home)
    zygote.finished(*up)
    zygote.finished("sandbox", "down", "--dir", home)
    repository = home / "pgbackrest" / "repo"
    for name in left:
        whole = next(repository.rglob(name.removesuffix(".pgbackrest.tmp")))
        whole.rename(whole.with_name(name if name.endswith(".tmp") else whole.name))
    for path in sorted(repository.rglob("*"), reverse=True):
        if path.is_file() and not any(path.match(name) for name in left):
            path.unlink()
        elif path.is_dir() and not any(path.iterdir()):
            path.rmdir()
    zygote.finished(*up)
    told = json.loads(zygote.finished("sandbox", "status", "--dir", home, "--output", "json").out)["data"]
    assert told["complete"]
    zygote.finished("sandbox", "down", "--purge", "--yes", "--dir", home)
