"""Expiring on real repositories: what goes, what stays, and what pgBackRest alone would have removed besides."""

from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest

from dbops.engine import clock
from dbops.engine.finding import Verdict
from dbops.errors import LockBusy, Refused
from dbops.operations.clusters import locks, remembered
from dbops.operations.clusters.expire import sizes
from dbops.operations.clusters.expire.apply import options
from dbops.operations.clusters.expire.facts import ExpireSet, Sized
from dbops.operations.clusters.expire.said import read
from dbops.operations.clusters.reach import ready as reaching
from dbops.operations.clusters.reach.facts import Target
from dbops.operations.clusters.remembered import Depth, Remembered
from dbops.operations.clusters.restore import goals
from dbops.operations.clusters.restore import ready as restoring
from dbops.operations.clusters.restore.apply import Told
from dbops.operations.clusters.restore.facts import Wanted
from dbops.operations.vault import ready as vault
from dbops.servers import account

import clustering
from clustering import TARGET
from expiring import Shelf


@pytest.fixture
def shelf(stocked: Shelf) -> Shelf:
    stocked.reset()
    return stocked


def test_set_by_set_and_then_wal_up_to_the_oldest_that_stays(shelf: Shelf) -> None:
    shelf.reset(keep=1)
    f1, d1, i1, d2, f2, i2, f3 = shelf.made[1]
    start = shelf.starts()[f3]
    before, second = shelf.wal(), shelf.wal(2)
    steps, found = shelf.expire(clock.now())
    assert steps[:-2] == [f"expire repo1 {one}" for one in (d2, i1, d1, f1, i2, f2)] + ["expire repo1 wal"]
    assert shelf.labels() == shelf.folders() == [f3]
    assert shelf.wal() == [name for name in before if name >= start]
    assert shelf.labels(2) == [shelf.made[2][1]]
    assert len(shelf.wal(2)) < len(second)
    assert "DBB402" not in {one.code for one in found}
    assert shelf.verified() == ""
    assert shelf.expire(clock.now())[0] == []


def test_a_retention_in_its_own_configuration_removes_nothing_more(shelf: Shelf) -> None:
    shelf.reset(keep=2)
    f1, _, _, d2, *rest = shelf.made[1]
    bare = shelf.live.pgbackrest("expire", f"--set={d2}", "--dry-run", "--log-level-console=detail")
    trap = read(bare.out.decode(), 1)
    assert trap.wal, "alone it would remove WAL between the sets that stay"
    assert trap.others, "and sets or WAL of the other repository"
    before, start = shelf.wal(), shelf.starts()
    shelf.expire(clock.now(), steps=4)
    assert shelf.labels() == rest
    assert shelf.wal() == before  # a set alone takes no WAL along
    shelf.expire(clock.now())
    assert shelf.wal() == [name for name in before if name >= start[rest[0]]]
    assert f1 not in shelf.folders()


def test_a_held_set_keeps_what_it_needs_and_not_its_siblings(shelf: Shelf) -> None:
    f1, d1, i1, _, _, _, f3 = shelf.made[1]
    shelf.reset(keep=1, hold=[{"label": i1, "reason": "the incident of May"}])
    before = shelf.wal()
    _, found = shelf.expire(clock.now())
    assert shelf.labels() == [f1, d1, i1, f3]
    assert shelf.wal() == [name for name in before if name >= shelf.starts()[f1]]
    assert "DBB404" in {one.code for one in found}
    assert shelf.verified() == ""


def test_the_promised_span_keeps_the_set_that_leads_into_it(shelf: Shelf) -> None:
    f2 = shelf.made[1][4]
    [reached] = [one for one in shelf.stanza().backups if one.label == f2]
    now = clock.now()
    span = now - reached.stopped - timedelta(milliseconds=500)
    shelf.reset(keep=1, keep_for=f"{span.total_seconds():.3f}s")
    shelf.expire(now)
    assert shelf.labels() == list(shelf.made[1][4:])


def test_damage_that_would_take_a_held_chain_along_is_refused(shelf: Shelf) -> None:
    f1, d1, i1 = shelf.made[1][:3]
    shelf.reset(keep=1, hold=[{"label": i1, "reason": "evidence"}])
    for name in ("backup.manifest", "backup.manifest.copy"):
        (shelf.set_folder(d1) / name).unlink()
    there = shelf.folders()
    with pytest.raises(Refused, match=f"also remove the set {d1}"):
        shelf.expire(clock.now())
    assert shelf.folders() == there
    assert f1 in shelf.labels()


def test_a_removal_that_was_killed_halfway_is_finished(shelf: Shelf) -> None:
    shelf.reset(keep=1)
    for name in ("backup.manifest", "backup.manifest.copy"):
        (shelf.set_folder(shelf.made[1][3]) / name).unlink()  # the first thing that its removal does
    _, found = shelf.expire(clock.now())
    assert shelf.folders() == [shelf.made[1][-1]]
    assert "DBB402" not in {one.code for one in found}


def test_a_folder_that_no_list_knows_is_cleared_with_the_wal(shelf: Shelf) -> None:
    shelf.reset(keep=7)
    left = shelf.set_folder("20200101-000000F")
    left.mkdir()
    account.give(left)
    steps, _ = shelf.expire(clock.now())
    assert steps[0] == "expire repo1 wal"
    assert "20200101-000000F" not in shelf.folders()
    assert shelf.labels() == list(shelf.made[1])


def test_a_repository_that_cannot_be_read_leaves_the_other_its_turn(shelf: Shelf) -> None:
    shelf.reset(keep=1)
    away = shelf.live.stanza.home / "repo2"
    away.rename(away.with_name("away"))
    away.mkdir()
    try:
        _, found = shelf.expire(clock.now())
        assert "DBB409" in {one.code for one in found}
        assert shelf.labels() == [shelf.made[1][-1]]
    finally:
        away.rmdir()
        away.with_name("away").rename(away)


def test_set_steps_name_one_set_of_one_repository(shelf: Shelf) -> None:
    told = options(ExpireSet(2, "20260101-000000F"))
    assert {"--repo=2", "--set=20260101-000000F", "--repo2-retention-full=9999999"} <= set(told)


def test_beside_another_run_it_waits_for_its_turn(shelf: Shelf) -> None:
    with (
        locks.held(shelf.config, TARGET, shelf.live.run("backup run")),
        pytest.raises(LockBusy, match="backup run"),
    ):
        shelf.expire(clock.now())


def _verified(
    shelf: Shelf, label: str, verdict: Verdict, depth: Depth = Depth.FULL, system_id: int | None = None
) -> None:
    run = shelf.live.run("backup verify")
    memory = remembered.memory(shelf.config, run.state_dir)
    told = Remembered(TARGET, 1, label, depth, verdict, clock.now(), run.id, system_id=system_id)
    remembered.remember(memory.store, TARGET, run, [told])


def test_what_a_scratch_restore_reads_is_not_expired_meanwhile(shelf: Shelf) -> None:
    shelf.reset(keep=1)
    run, before = shelf.live.run("pitr restore"), shelf.labels()

    def choose() -> goals.Goal:
        return goals.goal(reaching.plan_target(shelf.config, TARGET, Target("latest"), run, clock.now()))

    restore = partial(restoring.scratch, shelf.config, TARGET, run, choose, wanted=Wanted(), now=clock.now())
    with restore(told=Told()) as planned:
        for step in planned.plan.steps:
            planned.apply(step)
            with pytest.raises(LockBusy, match=run.id):
                shelf.expire(clock.now())
            assert shelf.labels() == before
    shelf.expire(clock.now())
    assert len(shelf.labels()) < len(before)


def test_the_last_verified_set_of_each_depth_stays(shelf: Shelf) -> None:
    f1, d1, i1, _, f2, _, f3 = shelf.made[1]
    shelf.reset(keep=1)
    _verified(shelf, d1, Verdict.GOOD, Depth.RESTORE)
    _verified(shelf, f2, Verdict.GOOD)
    _verified(shelf, i1, Verdict.GOOD, Depth.RESTORE, system_id=1)  # of another cluster
    shelf.expire(clock.now())
    assert shelf.labels() == [f1, d1, f2, f3]


def test_a_set_that_was_found_bad_counts_for_nothing(shelf: Shelf) -> None:
    *_, f2, i2, f3 = shelf.made[1]
    shelf.reset(keep=1)
    _verified(shelf, f3, Verdict.BAD)
    _, found = shelf.expire(clock.now())
    assert shelf.labels() == [f2, i2, f3]
    assert "DBB402" not in {one.code for one in found}


def test_sizes_are_remembered_and_growth_is_told(shelf: Shelf) -> None:
    shelf.reset(keep=7)
    now = clock.now()
    run = shelf.live.run("backup expire")
    store = remembered.memory(shelf.config, run.state_dir).store
    young, small = Sized(2, now - timedelta(hours=13), 1), Sized(1, now - timedelta(days=2), 1)
    sizes.remember(store, TARGET, run, (), [small, young])
    steps, found = shelf.expire(now)
    assert steps
    assert [one.code for one in found] == ["DBB403"]
    assert {one.repository for one in sizes.recall(store, TARGET)} == {1, 2}
    shelf.expire(now + timedelta(hours=1))
    assert len(sizes.recall(store, TARGET)) == 4  # not again within a few hours
    assert vault.looked_at(shelf.config, None, now=now).strangers.count == 0


def test_a_server_that_is_down_is_no_reason_not_to_expire(shelf: Shelf) -> None:
    away = {"dsn": "host=/nowhere port=1 user=postgres dbname=postgres", "backup": {"keep": 1}}
    clustering.write_toml(replace(shelf.live, more=away))
    _, found = shelf.expire(clock.now())
    assert {one.code for one in found} >= {"DBB290"}
    assert shelf.labels() == [shelf.made[1][-1]]
