"""`dbops backup expire`, through the installed program, on real repositories."""

import fcntl
import json
import os
from collections.abc import Callable
from subprocess import CompletedProcess
from typing import Any

import psycopg
import pytest

from dbops.engine import locks
from dbops.operations.clusters import locks as backup_locks
from dbops.servers import account

from clustering import TARGET
from expiring import Shelf

Dbops = Callable[..., CompletedProcess[str]]
Ask = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def shelf(stocked: Shelf) -> Shelf:
    stocked.reset(keep=2)
    return stocked


@pytest.fixture
def expire(dbops: Dbops, shelf: Shelf) -> Ask:
    def ask(*words: str) -> tuple[int, dict[str, Any]]:
        done = dbops("backup", "expire", *words, "--config", shelf.live.toml, "--output", "json")
        assert done.stdout, done.stderr
        envelope = json.loads(done.stdout)
        assert envelope["exit_code"] == done.returncode
        return done.returncode, envelope

    return ask


def test_the_plan_tells_what_goes_what_stays_and_why(expire: Ask, shelf: Shelf) -> None:
    code, told = expire("--plan")
    assert code == 0
    f1, d1, i1, d2, f2, *_ = shelf.made[1]
    steps = [step["id"] for step in told["data"]["steps"]]
    assert steps == [*(f"expire repo1 {one}" for one in (d2, i1, d1, f1)), "expire repo1 wal", "expire repo2 wal"]
    [cluster] = told["data"]["clusters"]
    first, second = cluster["repositories"]
    assert (first["before"]["sets"], first["after"]["sets"]) == (7, 3)
    assert first["before"]["first"] < first["after"]["first"]
    assert first["kept"][0] == {"label": f2, "reasons": ["its full backup is within the newest 2 good ones"]}
    assert second["expired"] == []
    assert second["after"]["segments"] < second["before"]["segments"]
    assert shelf.labels() == list(shelf.made[1])


def test_people_see_the_window_before_and_after(dbops: Dbops, shelf: Shelf) -> None:
    done = dbops("backup", "expire", "--plan", "--verbose", "--config", shelf.live.toml)
    assert done.returncode == 0
    assert "what can be brought back" in done.stdout
    assert "any moment from" in done.stdout
    assert f"{shelf.made[1][-1]} stays" in done.stdout
    assert "loses data" in done.stdout


def test_without_a_terminal_it_wants_the_target_named_where_nothing_was_verified(expire: Ask, shelf: Shelf) -> None:
    assert expire()[0] == 7
    assert expire("--yes")[0] == 7
    assert shelf.labels() == list(shelf.made[1])
    code, told = expire("--confirm", TARGET)
    assert (code, told["data"]["plans"][0]["outcome"]) == (0, "done")
    assert shelf.labels() == shelf.folders() == list(shelf.made[1][4:])
    code, told = expire("--yes")
    assert (code, told["data"]["plans"][0]["outcome"]) == (0, "nothing to do")
    assert shelf.verified() == ""


def test_only_wal_wants_yes(expire: Ask, shelf: Shelf) -> None:
    shelf.reset(keep=7)
    assert expire()[0] == 7
    before = len(shelf.wal())
    assert expire("--yes")[0] == 0
    assert len(shelf.wal()) < before
    assert shelf.labels() == list(shelf.made[1])


def test_beside_another_dbops_it_is_busy(expire: Ask, shelf: Shelf) -> None:
    run = shelf.live.run("backup run")
    with locks.on_this_host(run, TARGET, backup_locks.SUBJECT):
        code, told = expire("--confirm", TARGET)
        assert code == 11
        assert run.id in told["findings"][0]["message"]
        assert expire("--confirm", TARGET, "--skip-if-running")[0] == 0
    assert shelf.labels() == list(shelf.made[1])


def test_beside_a_verification_it_is_busy(expire: Ask, shelf: Shelf) -> None:
    run = shelf.live.run("backup verify")
    with backup_locks.reading(run, TARGET):
        code, told = expire("--confirm", TARGET)
        assert code == 11
        assert f"run {run.id} (backup verify)" in told["findings"][0]["message"]
        assert expire("--plan")[0] == 0
    assert shelf.labels() == list(shelf.made[1])


def test_while_the_bare_tool_makes_a_backup_it_is_busy(expire: Ask, shelf: Shelf) -> None:
    lock = shelf.live.stanza.home / "lock" / f"{shelf.live.stanza.name}-backup.lock"
    account.write_file(lock, '{"execId":"1-00000000","pid":1}', 0o640)
    with lock.open("r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        code, told = expire("--confirm", TARGET)
        assert code == 11
        assert f"pid {os.getpid()} " in told["findings"][0]["message"]
        assert expire("--plan")[0] == 0
    lock.unlink()
    assert shelf.labels() == list(shelf.made[1])


def test_a_held_set_that_is_nowhere_is_a_warning(expire: Ask, shelf: Shelf) -> None:
    shelf.reset(keep=7, hold=[{"label": "20200101-000000F", "reason": "typed wrongly"}])
    code, told = expire("--yes")
    assert code == 3
    assert {one["code"] for one in told["findings"]} == {"DBB406"}


def test_damage_is_refused_before_anything_goes(expire: Ask, shelf: Shelf) -> None:
    f1, d1, i1 = shelf.made[1][:3]
    shelf.reset(keep=1, hold=[{"label": i1, "reason": "evidence"}])
    for name in ("backup.manifest", "backup.manifest.copy"):
        (shelf.set_folder(d1) / name).unlink()
    code, told = expire("--confirm", TARGET)
    assert code == 9
    assert f"also remove the set {d1}" in told["findings"][0]["message"]
    assert f1 in shelf.folders()


def test_an_unknown_cluster_is_a_wrong_command_line(expire: Ask) -> None:
    assert expire("--target", "nowhere")[0] == 2


def test_a_plan_that_has_changed_is_refused(expire: Ask, shelf: Shelf) -> None:
    sha = expire("--plan")[1]["data"]["plans"][0]["sha"]
    assert expire("--confirm", TARGET, "--expect-plan", "0" * 64)[0] == 9
    assert expire("--confirm", TARGET, "--expect-plan", sha)[0] == 0
    assert shelf.labels() == list(shelf.made[1][4:])


def test_what_it_says_can_be_brought_back_can_be(expire: Ask, shelf: Shelf, dbops: Dbops) -> None:
    told = expire("--confirm", TARGET)[1]
    f2 = shelf.made[1][4]
    assert told["data"]["clusters"][0]["repositories"][0]["kept"][0]["label"] == f2
    config = ("--target", TARGET, "--config", shelf.live.toml, "--output", "json")
    done = dbops("pitr", "restore", "--at", shelf.moments[6].isoformat(), "--repository", "1", "--ttl", "1h", *config)
    assert done.returncode == 0, done.stderr
    [restored] = json.loads(done.stdout)["data"]["restored"]
    assert restored["label"] in shelf.made[1][4:6]
    at = restored["connect"]
    with psycopg.connect(host=at["socket"], port=at["port"], user=at["user"], dbname="postgres") as copy:
        assert copy.execute("SELECT count(*) FROM kept").fetchone() == (7,)  # one before each of the first seven sets
    assert dbops("pitr", "clean", "--all", *config[2:]).returncode == 0
    lost = dbops("pitr", "restore", "--at", shelf.moments[2].isoformat(), "--repository", "1", "--plan", *config)
    assert lost.returncode == 9, lost.stdout


def test_a_verified_newer_set_makes_yes_enough(expire: Ask, shelf: Shelf, dbops: Dbops) -> None:
    done = dbops("backup", "verify", "--target", TARGET, "--config", shelf.live.toml, "--output", "json")
    assert done.returncode == 0, done.stdout
    code, told = expire("--plan")
    assert {step["risk"] for step in told["data"]["steps"]} == {"blocks"}
    assert expire()[0] == 7
    code, told = expire("--yes")
    assert code == 0, told
    assert shelf.labels() == list(shelf.made[1][4:])
