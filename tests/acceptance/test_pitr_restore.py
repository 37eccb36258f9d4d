"""`dbops pitr restore` beside a live cluster: what was there at the moment is there, what came later is not."""

import json
from collections.abc import Callable, Generator
from datetime import datetime, timedelta
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import psycopg
import pytest

from conftest import fresh
from dbops import process
from dbops.engine import clock
from dbops.servers import account, alive, postgres, scratch

import clustering
from clustering import Cluster

Dbops = Callable[..., CompletedProcess[str]]


@pytest.fixture(scope="module")
def world(base: Path) -> Generator[tuple[Cluster, dict[str, datetime]]]:
    """A cluster with a full backup between its first row and four others; all of its WAL is archived."""
    folder = fresh(base, "pitr")
    folder.mkdir(mode=0o711)
    folder.chmod(0o711)
    with clustering.under_backup(folder) as live:
        moments = {"before": live.keep("before")}
        with live.connect() as connection:
            connection.execute("CREATE EXTENSION postgres_fdw")
            connection.execute("CREATE SERVER elsewhere FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host 'production')")
            away = "CONNECTION 'host=production dbname=x' PUBLICATION p WITH (connect = false)"
            connection.execute(f"CREATE SUBSCRIPTION following {away}".encode())
            connection.execute("CREATE SCHEMA cron; CREATE TABLE cron.job AS SELECT 'DELETE FROM kept' AS command")
            connection.execute("CREATE ROLE reader")
            connection.execute("ALTER TABLE kept ENABLE ROW LEVEL SECURITY")
            connection.execute("CREATE POLICY own ON kept TO reader USING (note <> 'secret')")
            connection.execute("ALTER SYSTEM SET listen_addresses = '127.0.0.1'")  # at the next start, in the copy too
        live.pgbackrest("backup", "--type=full", "--no-expire-auto")
        moments["one"] = live.keep("one")
        with live.connect() as connection:
            connection.execute("SELECT pg_create_restore_point('release')")
        moments["two"] = live.keep("two")
        moments["three"] = live.keep("three")
        live.switch()
        yield live, moments


def _restore(dbops: Dbops, live: Cluster, *more: str | Path, code: int = 0) -> dict[str, Any]:
    done = dbops("pitr", "restore", "--config", live.toml, "--output", "json", *more)
    assert done.returncode == code, done.stdout + done.stderr
    return json.loads(done.stdout)


def _notes(told: dict[str, Any]) -> list[str]:
    connect = told["data"]["restored"][0]["connect"]
    where = f"host={connect['socket']} port={connect['port']} user={connect['user']} dbname=postgres"
    with psycopg.connect(where) as connection:
        return [note for (note,) in connection.execute("SELECT note FROM kept ORDER BY id")]


def _clean(dbops: Dbops, live: Cluster) -> None:
    done = dbops("pitr", "clean", "--all", "--config", live.toml)
    assert done.returncode == 0, done.stderr
    assert not _left(live)


def _left(live: Cluster) -> list[str]:
    """What is left of scratch copies: folders and servers."""
    room = live.folder / "state" / "scratch"
    files = [entry.name for entry in room.iterdir()] if room.exists() else []
    servers = alive.serving(lambda argv: Path(argv[0]).name == "postgres" and str(live.server.data) not in argv)
    return files + [" ".join(alive.argv_of(pid)) for pid in servers if str(live.folder) in " ".join(alive.argv_of(pid))]


def test_a_moment_comes_back_in_a_scratch_copy_that_is_verified_and_removed(
    dbops: Dbops, world: tuple[Cluster, dict[str, datetime]]
) -> None:
    live, moments = world
    told = _restore(dbops, live, "--at", moments["two"].isoformat(), "--verify")
    restored = told["data"]["restored"][0]
    assert restored["verdict"] == "good"
    assert restored["looked"]["rows"] == 4  # before, one, two; a job
    assert restored["looked"]["indexes"] > 100
    assert restored["timeline"] == 2
    assert datetime.fromisoformat(restored["last_commit"]) < moments["two"]
    assert restored["writable_s"] >= restored["consistent_s"] >= restored["restored_s"] > 0
    assert restored["connect"] is None
    brought = {f["code"]: f["message"] for f in told["findings"]}
    assert list(brought) == ["DBB601", "DBB602", "DBB603"]
    assert "following" in brought["DBB602"]
    assert "1 in postgres" in brought["DBB603"]
    assert not _left(live)
    assert live.notes() == ["before", "one", "two", "three"]  # the cluster itself is as it was


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (("--latest",), ["before", "one", "two", "three"]),
        (("--name", "release"), ["before", "one"]),
        (("--immediate",), ["before"]),
    ],
)
def test_a_kept_copy_is_reached_by_what_was_told_and_can_do_no_harm(
    dbops: Dbops, world: tuple[Cluster, dict[str, datetime]], asked: tuple[str, ...], expected: list[str]
) -> None:
    live, _ = world
    told = _restore(dbops, live, *asked, "--keep")
    try:
        assert _notes(told) == expected
        stopped = told["data"]["restored"][0]["stopped_at"]
        assert stopped is None if asked == ("--latest",) else stopped.startswith("recovery stopping"), stopped
        home = Path(told["data"]["restored"][0]["folder"])
        pid = postgres.pid(scratch.at(home))
        assert pid is not None
        assert scratch.listeners(pid) == []
        connect = told["data"]["restored"][0]["connect"]
        with psycopg.connect(host=connect["socket"], user=connect["user"], dbname="postgres") as connection:
            for name in ("archive_mode", "listen_addresses", "max_logical_replication_workers"):
                row = connection.execute("SELECT current_setting(%s)", (name,)).fetchone()
                assert row is not None
                assert row[0] == scratch.HARMLESS[name]
            connection.execute("INSERT INTO kept (note) VALUES ('in the copy alone')")
    finally:
        _clean(dbops, live)


def test_a_read_only_copy_stays_at_its_target(dbops: Dbops, world: tuple[Cluster, dict[str, datetime]]) -> None:
    live, moments = world
    told = _restore(dbops, live, "--at", moments["one"].isoformat(), "--read-only", "--keep")
    try:
        assert told["data"]["restored"][0]["writable_s"] is None
        assert told["data"]["restored"][0]["timeline"] == 1
        assert _notes(told) == ["before", "one"]
    finally:
        _clean(dbops, live)


def test_a_copy_that_expired_is_removed_by_the_next_run(
    dbops: Dbops, world: tuple[Cluster, dict[str, datetime]]
) -> None:
    live, _ = world
    _restore(dbops, live, "--immediate", "--ttl", "1ms")
    assert _left(live)
    planned = _restore(dbops, live, "--immediate", "--plan")
    assert planned["data"]["steps"][0]["summary"].startswith("remove the scratch copy")
    assert _left(live)
    _restore(dbops, live, "--immediate")
    assert not _left(live)


def test_a_copy_that_expired_is_removed_by_the_next_backup_run(
    dbops: Dbops, world: tuple[Cluster, dict[str, datetime]]
) -> None:
    live, _ = world
    _restore(dbops, live, "--immediate", "--ttl", "1ms")
    asked = ("backup", "run", "--configuration-only", "--config", live.toml, "--output", "json")
    assert dbops(*asked, "--plan").returncode == 0
    assert _left(live)
    done = dbops(*asked)
    assert done.returncode == 0, done.stderr
    assert [one["code"] for one in json.loads(done.stdout)["findings"]] == ["DBB607"]
    assert not _left(live)


def test_a_copy_that_has_not_expired_stays(dbops: Dbops, world: tuple[Cluster, dict[str, datetime]]) -> None:
    live, _ = world
    _restore(dbops, live, "--immediate", "--ttl", "1h")
    try:
        done = dbops("pitr", "clean", "--config", live.toml)
        assert done.returncode == 0
        assert _left(live)
    finally:
        _clean(dbops, live)


def test_a_folder_that_is_not_empty_is_refused_and_stays_as_it_is(
    dbops: Dbops, world: tuple[Cluster, dict[str, datetime]], folder: Path
) -> None:
    live, _ = world
    (folder / "mine").mkdir()
    (folder / "mine" / "file").write_text("precious")
    told = _restore(dbops, live, "--immediate", "--to", folder / "mine", code=9)
    assert "not empty" in told["findings"][0]["message"]
    assert (folder / "mine" / "file").read_text() == "precious"
    assert not _left(live)


def test_a_folder_of_the_operator_is_emptied_but_stays(
    dbops: Dbops, world: tuple[Cluster, dict[str, datetime]], folder: Path
) -> None:
    live, _ = world
    (folder / "mine").mkdir()
    account.give(folder / "mine")
    _restore(dbops, live, "--immediate", "--to", folder / "mine")
    assert not any((folder / "mine").iterdir())
    _restore(dbops, live, "--immediate", "--to", folder / "new")
    assert not (folder / "new").exists()


def test_the_cluster_itself_is_never_restored_into(
    dbops: Dbops, world: tuple[Cluster, dict[str, datetime]], folder: Path
) -> None:
    live, _ = world
    (folder / "disguise").symlink_to(live.server.data)
    for place in (live.server.data, live.server.data / "new", folder / "disguise", live.repository / "scratch"):
        _restore(dbops, live, "--immediate", "--to", place, code=9)
    assert live.notes() == ["before", "one", "two", "three"]


def test_what_cannot_be_reached_is_refused_before_a_byte_moves(
    dbops: Dbops, world: tuple[Cluster, dict[str, datetime]]
) -> None:
    live, moments = world
    early = (moments["before"] - timedelta(hours=1)).isoformat()
    late = (clock.now() + timedelta(days=1)).isoformat()
    for asked in (("--at", early), ("--at", late), ("--name", "never"), ("--xid", "4000000")):
        told = _restore(dbops, live, *asked, code=9)
        assert told["data"] is None
        assert not _left(live)


def test_a_moment_needs_its_zone_and_only_one_way_of_naming_it(
    dbops: Dbops, world: tuple[Cluster, dict[str, datetime]]
) -> None:
    live, _ = world
    for asked in (("--at", "2026-08-01 12:00"), ("--latest", "--immediate"), (), ("--at", "noon")):
        _restore(dbops, live, *asked, code=2)


def test_a_difference_to_the_live_clusters_security_is_told(
    dbops: Dbops, world: tuple[Cluster, dict[str, datetime]]
) -> None:
    live, moments = world
    with live.connect() as connection:
        connection.execute("CREATE ROLE newcomer")
        connection.execute("ALTER TABLE kept DISABLE ROW LEVEL SECURITY")
    try:
        told = _restore(dbops, live, "--at", moments["one"].isoformat(), "--verify", code=3)
        assert {"DBB618", "DBB619"} <= {finding["code"] for finding in told["findings"]}
    finally:
        with live.connect() as connection:
            connection.execute("DROP ROLE newcomer")
            connection.execute("ALTER TABLE kept ENABLE ROW LEVEL SECURITY")


def test_the_bare_tool_restores_a_set_that_dbops_made(dbops: Dbops, folder: Path) -> None:
    with clustering.under_backup(folder) as live:
        live.keep("one")
        done = dbops("backup", "run", "--type", "full", "--config", live.toml)
        assert done.returncode in {0, 3}, done.stderr
        live.keep("two")
        live.switch()
        home = account.make_folder(folder / "bare")
        data = account.make_folder(home / "data")
        live.pgbackrest("restore", f"--pg1-path={data}", "--archive-mode=off")
        options = ["-c", f"unix_socket_directories={home}", "-c", "listen_addresses="]
        argv = [postgres.program("postgres"), "-D", data, *options]
        pid = process.start(argv, log=home / "log", user=account.name(), cwd=data).pid
        try:
            while not (notes := _asked(home)):
                assert alive.is_alive(pid), (home / "log").read_text()
        finally:
            alive.end(pid)
        assert notes == ["one", "two"]


def _asked(home: Path) -> list[str]:
    try:
        with psycopg.connect(host=str(home), user="postgres", password=clustering.PASSWORD) as connection:
            if connection.execute("SELECT pg_is_in_recovery()").fetchone() == (True,):
                return []
            return [note for (note,) in connection.execute("SELECT note FROM kept ORDER BY id")]
    except psycopg.OperationalError:
        return []
