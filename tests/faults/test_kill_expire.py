"""kill -9 anywhere in `backup expire`: the next run finishes it, and what stays is whole."""

import json
import os
import signal
import subprocess
from collections.abc import Callable

from dbops import process
from dbops.servers import account, alive
from dbops.stores import pgbackrest

import clustering
from clustering import TARGET
from expiring import Shelf
from killing import Zygote, kills, moment

_CHAIN = 5


def test_killed_expiring_is_finished_by_the_next_run(
    stocked: Shelf, zygote: Zygote, record_property: Callable[[str, object], None]
) -> None:
    expire = ("backup", "expire", "--confirm", TARGET, "--config", stocked.live.toml)
    held = [{"label": stocked.made[1][1], "reason": "evidence"}]
    stocked.reset(keep=1, hold=held)
    clean = zygote.finished(*expire)
    wanted = stocked.labels(), stocked.folders(), stocked.wal(), stocked.labels(2), stocked.folders(2), stocked.wal(2)
    assert wanted[0] == [*stocked.made[1][:2], stocked.made[1][-1]]
    done, cut = 0, 0
    while done < kills(60):
        stocked.reset(keep=1, hold=held)
        for _ in range(_CHAIN):
            ended = zygote.run(*expire, kill_after=moment(clean.seconds))
            assert ended.killed or ended.code == 0, ended.err
            done += ended.killed
            assert set(wanted[0]) <= set(stocked.labels())
            assert set(wanted[2]) <= set(stocked.wal())
            cut += wanted[0] != stocked.labels() != list(stocked.made[1])
        zygote.finished(*expire)
        now = stocked.labels(), stocked.folders(), stocked.wal(), stocked.labels(2), stocked.folders(2), stocked.wal(2)
        assert now == wanted
        assert stocked.verified() == ""
        told = json.loads(zygote.finished(*expire[:2], "--plan", *expire[4:], "--output", "json").out)
        assert told["data"]["steps"] == []
        _nothing_holds_the_lock(stocked)
    record_property(
        "kills", f"backup expire: {done} kills, {cut} between sets, a clean run takes {clean.seconds:.2f} s"
    )


def _nothing_holds_the_lock(shelf: Shelf) -> None:
    [stanza] = pgbackrest.info(shelf.config.cluster[TARGET], target=TARGET)
    assert not stanza.backup_running
    shelf.live.pgbackrest("expire", "--repo1-retention-full=9999999", "--repo2-retention-full=9999999", "--dry-run")


def test_workers_of_a_killed_backup_do_not_keep_it_from_its_work(stocked: Shelf, zygote: Zygote) -> None:
    expire = ("backup", "expire", "--confirm", TARGET, "--config", stocked.live.toml, "--output", "json")
    stocked.reset(keep=1)
    workers = _killed_backup(stocked)
    done = stocked.live.pgbackrest("expire", "--dry-run", ok=(0, 50))
    assert done.code == 50, "the lock was free, and nothing was tried"
    told = json.loads(zygote.finished(*expire).out)
    assert {one["code"] for one in told["findings"]} >= {"DBB411"}
    assert not any(alive.is_alive(pid) for pid in workers)
    assert stocked.labels() == [stocked.made[1][-1]]
    _nothing_holds_the_lock(stocked)


def _killed_backup(shelf: Shelf) -> list[int]:
    """Kill a backup while its workers copy; return them: they hold the lock, and have nobody to work for."""
    place = shelf.config.cluster[TARGET]
    words = [process.find("pgbackrest"), f"--config={place.pgbackrest_config}", f"--stanza={place.stanza}"]
    with (shelf.live.folder / "killed.log").open("w") as log:
        main = subprocess.Popen(
            [*words, "--type=full", "--repo=1", "backup"],
            user=account.uid(), stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd="/",
            env={**os.environ, "PGPASSWORD": clustering.PASSWORD},
        )  # fmt: skip
        while not (found := _workers(main.pid)):
            assert main.poll() is None, "it ended before it was killed"
        for pid in found:
            os.kill(pid, signal.SIGSTOP)  # one that is idle would notice that nobody speaks to it any more
        main.kill()
        main.wait()
    return found


def _workers(main: int) -> list[int]:
    wanted = f"--exec-id={main}-"
    told = {pid: alive.argv_of(pid) or () for pid in alive.everybody()}
    return [
        pid for pid, argv in told.items() if argv[-1:] == ("backup:local",) and any(w.startswith(wanted) for w in argv)
    ]
