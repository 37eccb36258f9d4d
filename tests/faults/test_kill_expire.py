"""kill -9 anywhere in `backup expire`: the next run finishes it, and what stays is whole."""

import json
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

import expiring
from clustering import TARGET
from dbops.stores import pgbackrest
from expiring import Shelf

from killing import Zygote, kills, moment

_CHAIN = 5


@pytest.fixture(scope="module")
def shelf(base: Path) -> Generator[Shelf]:
    with expiring.shelf(base / "expire-k") as made:
        yield made


def test_killed_expiring_is_finished_by_the_next_run(
    shelf: Shelf, zygote: Zygote, record_property: Callable[[str, object], None]
) -> None:
    expire = ("backup", "expire", "--confirm", TARGET, "--config", shelf.live.toml)
    held = [{"label": shelf.made[1][1], "reason": "evidence"}]
    shelf.reset(keep=1, hold=held)
    clean = zygote.finished(*expire)
    wanted = shelf.labels(), shelf.folders(), shelf.wal(), shelf.labels(2), shelf.folders(2), shelf.wal(2)
    assert wanted[0] == [*shelf.made[1][:2], shelf.made[1][-1]]
    done, cut = 0, 0
    while done < kills(60):
        shelf.reset(keep=1, hold=held)
        for _ in range(_CHAIN):
            ended = zygote.run(*expire, kill_after=moment(clean.seconds))
            assert ended.killed or ended.code == 0, ended.err
            done += ended.killed
            assert set(wanted[0]) <= set(shelf.labels())
            assert set(wanted[2]) <= set(shelf.wal())
            cut += wanted[0] != shelf.labels() != list(shelf.made[1])
        zygote.finished(*expire)
        now = shelf.labels(), shelf.folders(), shelf.wal(), shelf.labels(2), shelf.folders(2), shelf.wal(2)
        assert now == wanted
        assert shelf.verified() == ""
        told = json.loads(zygote.finished(*expire[:2], "--plan", *expire[4:], "--output", "json").out)
        assert told["data"]["steps"] == []
        _nothing_holds_the_lock(shelf)
    record_property(
        "kills", f"backup expire: {done} kills, {cut} between sets, a clean run takes {clean.seconds:.2f} s"
    )


def _nothing_holds_the_lock(shelf: Shelf) -> None:
    [stanza] = pgbackrest.info(shelf.config.cluster[TARGET], target=TARGET)
    assert not stanza.backup_running
    shelf.live.pgbackrest("expire", "--repo1-retention-full=9999999", "--repo2-retention-full=9999999", "--dry-run")
