"""A cluster goes back in its own place: nothing of it is lost, wherever its folders lie, and the way back works."""

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from dbops import process
from dbops.engine import clock
from dbops.operations.clusters.reach import ready as reaching
from dbops.operations.clusters.reach.facts import Target
from dbops.operations.clusters.restore import goals, in_place_observe, in_place_ready
from dbops.operations.clusters.restore.facts import Goal
from dbops.operations.clusters.restore.in_place_apply import Told
from dbops.servers import account, alive, postgres, stanza

import bare_cluster
import in_place
from clustering import TARGET, Cluster, under_backup


@pytest.fixture
def live(folder: Path) -> Generator[Cluster]:
    with under_backup(folder) as cluster:
        cluster.keep("first")
        yield cluster
        in_place.stop(cluster)


def segment_of_now(live: Cluster) -> str:
    with live.connect() as connection:
        row = connection.execute("SELECT pg_walfile_name(pg_current_wal_lsn())").fetchone()
    assert row is not None
    return row[0]


def archived(live: Cluster, segment: str) -> bool:
    return bool(list(live.repository.glob(f"archive/main/*/*/{segment}-*")))


def with_wal_elsewhere(live: Cluster, wal: Path) -> None:
    postgres.stop(live.server)
    (live.server.data / "pg_wal").rename(wal)
    (live.server.data / "pg_wal").symlink_to(wal)
    postgres.start(live.server)


@contextmanager
def followed(live: Cluster) -> Generator[None]:
    """Let somebody stream from it, as a standby does."""
    place = in_place.folder_of_account(live.folder / "received")
    with live.connect() as connection:
        connection.execute("SELECT pg_create_physical_replication_slot('receiver')")
        who = ("-S", "receiver", "-d", f"{live.conninfo} application_name=elsewhere", "--no-loop")
        follower = subprocess.Popen(
            [postgres.program("pg_receivewal", live.server), "-D", place, *who],
            user=account.name(),
            cwd="/",
            stderr=subprocess.DEVNULL,
        )
        while not connection.execute("SELECT FROM pg_stat_replication WHERE state = 'streaming'").fetchall():
            connection.execute("SELECT pg_sleep(0.02)")
    try:
        yield
    finally:
        follower.terminate()
        follower.wait(30)


def test_a_cluster_spread_over_three_folders_goes_back_and_forth(live: Cluster) -> None:
    wal, space = live.folder / "wal", in_place.folder_of_account(live.folder / "space")
    with_wal_elsewhere(live, wal)
    with live.connect() as connection:
        connection.execute(f"CREATE TABLESPACE elsewhere LOCATION '{space}'".encode())
        connection.execute("CREATE TABLE spaced (n int) TABLESPACE elsewhere; INSERT INTO spaced VALUES (1)")
    in_place.full(live)
    then = live.keep("second")
    with live.connect() as connection:
        connection.execute("UPDATE spaced SET n = 2")
    live.switch()
    live.keep("not archived")
    tail = segment_of_now(live)
    assert not archived(live, tail)

    with followed(live):
        planned = in_place.restore(live, "--at", then.isoformat(), "--plan")
        assert planned.code == 0, planned.err
        done = in_place.restore(live, "--at", then.isoformat())

    assert done.code == 3, done.err  # somebody has to rebuild what followed
    assert {"DBB681", "DBB682", "DBB683"} <= set(done.codes)
    assert [one["name"] for one in done.found["standbys"]] == ["elsewhere"]
    assert live.notes() == ["first", "second"]
    with live.connect() as connection:
        assert connection.execute("SELECT n FROM spaced").fetchall() == [(1,)]
    assert done.found["timeline"] == 2
    settings = (live.server.data / "postgresql.auto.conf").read_text().splitlines()
    assert not [line for line in settings if line.startswith("recovery_target")]  # a later standby would stop there
    assert (live.server.data / "pg_wal").readlink() == wal
    for aside in done.found["aside"]:
        assert Path(aside).is_dir()
    assert len(done.found["aside"]) == 3
    assert (Path(done.found["wal"]) / tail).is_file()
    assert archived(live, tail)
    assert live.pgbackrest("info", "--output=text").out.count(b"full backup") == 2

    in_place.type_in(done.found["way_back"])
    assert live.notes() == ["first", "second", "not archived"]
    with live.connect() as connection:
        assert connection.execute("SELECT n FROM spaced").fetchall() == [(2,)]
    assert (live.server.data / "pg_wal").readlink() == wal


def test_without_its_name_nothing_happens(live: Cluster) -> None:
    in_place.full(live)
    then = live.keep("second")
    live.keep("third")
    live.switch()
    refused = in_place.restore(live, "--at", then.isoformat(), confirmed=False)
    assert refused.code == 7
    assert live.notes() == ["first", "second", "third"]
    assert not list(live.server.home.glob("*.before-*"))


def with_configuration_in(live: Cluster, etc: Path) -> Path:
    """Set it up as Debian does: the data directory holds no configuration."""
    postgres.stop(live.server)
    for name in ("postgresql.conf", "pg_hba.conf", "pg_ident.conf", "dbops.conf"):
        shutil.move(live.server.data / name, etc / name)
    with (etc / "postgresql.conf").open("a", encoding="utf-8") as file:
        file.write(f"\ndata_directory = '{live.server.data}'\n")
        file.writelines(f"{kind}_file = '{etc}/pg_{kind}.conf'\n" for kind in ("hba", "ident"))
    settings = ("-c", f"config_file={etc}/postgresql.conf")
    argv = [postgres.program("postgres", live.server), "-D", live.server.data, *settings]
    process.start(argv, log=live.server.log, cwd=live.server.home, user=account.name())
    wait_for(live)
    return etc


def test_a_configuration_in_another_folder_stays_there(live: Cluster) -> None:
    etc = with_configuration_in(live, in_place.folder_of_account(live.folder / "etc"))
    in_place.full(live)  # a set without a configuration file
    then = live.keep("second")
    live.keep("third")
    live.switch()

    done = in_place.restore(live, "--at", then.isoformat())

    assert done.code == 0, done.err
    assert live.notes() == ["first", "second"]
    assert not (live.server.data / "postgresql.conf").exists()
    with live.connect() as connection:
        assert connection.execute("SHOW config_file").fetchone() == (f"{etc}/postgresql.conf",)
    in_place.type_in(done.found["way_back"])
    assert live.notes() == ["first", "second", "third"]
    with live.connect() as connection:
        assert connection.execute("SHOW config_file").fetchone() == (f"{etc}/postgresql.conf",)


def test_a_lost_data_directory_is_served_with_the_configuration_that_lies_elsewhere(
    live: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = in_place.folder_of_account(live.folder / "etc")
    etc = with_configuration_in(
        live, in_place.folder_of_account(in_place.folder_of_account(root / "15") / live.folder.name)
    )
    in_place.full(live)
    live.keep("second")
    live.switch()
    postgres.stop(live.server)
    shutil.rmtree(live.server.data)
    monkeypatch.setattr(in_place_observe, "DEBIAN", root)
    run = live.run("pitr restore")

    def choose(timeline: int | None) -> Goal:
        moment = Target("latest", timeline=timeline)
        return goals.goal(reaching.plan_target(live.config, TARGET, moment, run, clock.now()))

    told = Told()
    with in_place_ready.in_place(live.config, TARGET, run, choose, wanted="latest", delta=False, told=told) as planned:
        for step in planned.plan.steps:
            planned.apply(step)

    assert [one.code for one in told.findings] == []
    assert live.notes() == ["first", "second"]
    assert not (live.server.data / "postgresql.conf").exists()
    with live.connect() as connection:
        assert connection.execute("SHOW config_file").fetchone() == (f"{etc}/postgresql.conf",)


def test_a_cluster_with_an_encrypted_repository_goes_back_and_forth(folder: Path) -> None:
    with bare_cluster.bare(
        folder, encrypted=True, data_directory=str(folder / "postgres" / "data"), run_as=account.name()
    ) as bare:
        bare.init(restart=True)
        home = stanza.Stanza(folder / "pgbackrest", TARGET)
        live = Cluster(folder, bare.server, home)
        then = live.keep("first")
        live.keep("second")
        live.switch()

        done = in_place.restore(live, "--at", then.isoformat())

        assert done.code == 0, done.err
        assert live.notes() == ["first"]
        live.switch()  # it archives into the same repository
        in_place.type_in(done.found["way_back"])
        assert live.notes() == ["first", "second"]
        live.switch()
        assert "a pass = of its own" not in done.err + str(done.told)


def wait_for(live: Cluster) -> None:
    while True:
        try:
            live.connect().close()
        except psycopg.OperationalError:
            continue
        return


def test_the_last_rows_of_a_server_that_crashed_come_back(live: Cluster) -> None:
    in_place.full(live)
    live.keep("not archived")
    pid = postgres.pid(live.server)
    assert pid is not None
    members = alive.family(pid)
    for member in members:
        os.kill(member, signal.SIGKILL)
    alive.await_end(members, 10)

    done = in_place.restore(live, "--latest")

    assert done.code == 0, done.err
    assert live.notes() == ["first", "not archived"]


def test_a_cluster_whose_disk_is_gone_comes_back(live: Cluster) -> None:
    in_place.full(live)
    live.keep("second")
    live.switch()
    postgres.stop(live.server)
    shutil.rmtree(live.server.data)

    done = in_place.restore(live, "--latest")

    assert done.code == 0, done.err
    assert live.notes() == ["first", "second"]
    assert done.found["way_back"] == []
    assert done.found["aside"] == []
    assert done.found["wal"] is None


def test_delta_restores_over_the_files_of_now_and_keeps_the_wal(live: Cluster) -> None:
    wal = live.folder / "wal"
    with_wal_elsewhere(live, wal)
    in_place.full(live)
    then = live.keep("second")
    live.switch()
    live.keep("not archived")
    tail = segment_of_now(live)

    done = in_place.restore(live, "--at", then.isoformat(), "--delta")

    assert done.code == 0, done.err
    assert live.notes() == ["first", "second"]
    assert done.found["way_back"] == []
    assert not list(live.server.home.glob("*.before-*"))
    assert archived(live, tail)
    assert any(len(one.name) == 24 for one in Path(done.found["wal"]).iterdir())
    assert (live.server.data / "pg_wal").readlink() == wal


def test_an_archive_that_does_not_take_the_last_rows_stops_it_before_anything_moves(live: Cluster) -> None:
    in_place.full(live)
    then = live.keep("second")
    live.keep("third")
    live.switch()
    with live.connect() as connection:
        connection.execute("ALTER SYSTEM SET archive_command = 'false'")
        connection.execute("SELECT pg_reload_conf()")
    live.keep("not archived")
    archive = live.repository / "archive" / "main"
    info = (archive / "archive.info").read_bytes(), (archive / "archive.info.copy").read_bytes()
    folders = [one for one in archive.rglob("*") if one.is_dir()]

    def broken(mode: int) -> None:
        for each in folders:
            each.chmod(mode)

    broken(0o500)
    stopped = in_place.restore(live, "--at", then.isoformat())
    broken(0o700)
    assert stopped.code != 0
    assert "cannot be archived" in stopped.err
    assert (live.server.data / "global" / "pg_control").exists()
    assert not list(live.server.home.glob("*.before-*"))
    assert info == ((archive / "archive.info").read_bytes(), (archive / "archive.info.copy").read_bytes())

    done = in_place.restore(live, "--at", then.isoformat())
    assert done.code == 0, done.err
    assert live.notes() == ["first", "second"]
    in_place.type_in(done.found["way_back"])
    assert live.notes() == ["first", "second", "third", "not archived"]


def test_another_moment_while_one_is_under_way_is_refused(live: Cluster) -> None:
    in_place.full(live)
    then = live.keep("second")
    later = live.keep("third")
    live.keep("fourth")
    live.switch()
    repository = live.repository / "backup" / "main"
    bundles = [one for one in repository.rglob("*") if one.is_file() and one.parent.name == "bundle"]
    for one in bundles:
        one.chmod(0)
        one.rename(one.with_suffix(".gone"))
    failed = in_place.restore(live, "--at", then.isoformat())
    assert failed.code == 4, failed.err
    assert "go back: " in failed.err
    other = in_place.restore(live, "--at", later.isoformat())
    assert other.code == 9
    assert "is under way" in other.err
    for one in bundles:
        one.with_suffix(".gone").rename(one)
        one.chmod(0o600)
    done = in_place.restore(live, "--at", then.isoformat())
    assert done.code == 0, done.err
    assert live.notes() == ["first", "second"]


def test_what_somebody_put_back_by_hand_is_not_gone_on_with(live: Cluster) -> None:
    in_place.full(live)
    then = live.keep("second")
    live.keep("third")
    live.switch()
    sets = [one for one in (live.repository / "backup" / "main").iterdir() if not one.is_symlink()]
    bundles = [one for each in sets for one in each.glob("bundle")]
    for one in bundles:
        one.rename(one.with_name("gone"))
    failed = in_place.restore(live, "--at", then.isoformat())
    for one in bundles:
        one.with_name("gone").rename(one)
    hint = failed.told["findings"][-1]["hint"]
    in_place.type_in(re.split(r" && ", hint.partition("go back: ")[2]))
    assert live.notes() == ["first", "second", "third"]
    done = in_place.restore(live, "--at", then.isoformat())
    assert done.code == 0, done.err
    assert live.notes() == ["first", "second"]
