"""A PostgreSQL server in a folder: made, started, taken over, stopped, whatever was killed before."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from dbops import process
from dbops.errors import DbopsError, Refused, Unreachable
from dbops.servers import account, alive, sockets
from dbops.servers import postgres as pg

PASSWORD = "one of these"


def described(folder: Path, name: str = "pg") -> pg.Server:
    return pg.Server(folder / name, durable=False, wal_segment_mb=1)


def answer(server: pg.Server, question: str) -> str:
    with psycopg.connect(pg.conninfo(server, password=PASSWORD)) as conn:
        row = conn.execute(question.encode()).fetchone()
    assert row is not None
    return str(row[0])


def test_a_new_cluster_is_utf8_has_checksums_and_asks_for_passwords(folder: Path) -> None:
    with pg.running(described(folder), PASSWORD) as server:
        assert answer(server, "SHOW server_encoding") == "UTF8"
        assert answer(server, "SHOW data_checksums") == "on"
        assert answer(server, "SHOW wal_segment_size") == "1MB"
        assert answer(server, "SELECT datcollate FROM pg_database WHERE datname = 'template1'") == "C.UTF-8"
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(pg.conninfo(server, password="another"))


@pytest.mark.parametrize("name", ["a b", 'o\'clock "now"', "größe,$HOME", "back\\slash", "long-" * 24])
def test_hostile_folder_names_are_served(folder: Path, name: str) -> None:
    with pg.running(described(folder, name), PASSWORD) as server:
        assert answer(server, "SHOW data_directory") == str(server.data)
        place = sockets.folder(server.home, server.socket_name)
    assert place is not None
    assert not (place / server.socket_name).exists()
    assert place.parent == server.home or not place.exists()


def test_starting_twice_is_starting_once(folder: Path) -> None:
    with pg.running(described(folder), PASSWORD) as server:
        assert pg.start(server) == pg.pid(server) == pg.start(server)


def test_nothing_is_left_after_a_stop(folder: Path) -> None:
    with pg.running(described(folder), PASSWORD) as server:
        running = pg.pid(server)
        assert running is not None
        everybody = alive.family(running)
        assert len(everybody) > 3
    assert [pid for pid in everybody if alive.is_alive(pid)] == []


def test_a_killed_server_is_started_again_with_its_data(folder: Path) -> None:
    with pg.running(described(folder), PASSWORD) as server:
        with psycopg.connect(pg.conninfo(server, password=PASSWORD)) as conn:
            conn.execute("CREATE TABLE kept AS SELECT 42 AS answer")
        for _ in range(3):
            killed = pg.pid(server)
            assert killed is not None
            os.kill(killed, signal.SIGKILL)
            assert pg.start(server) != killed
        assert answer(server, "SELECT answer FROM kept") == "42"


def test_a_stopped_child_of_a_killed_server_is_waited_for(folder: Path) -> None:
    with pg.running(described(folder), PASSWORD) as server:
        killed = pg.pid(server)
        assert killed is not None
        child = alive.family(killed)[1]
        os.kill(child, signal.SIGSTOP)
        os.kill(killed, signal.SIGKILL)
        assert alive.await_end([killed], 10)
        waker = subprocess.Popen(["sh", "-c", f"sleep 0.3; kill -CONT {child}"])
        pg.start(server)
        waker.wait()
        assert not alive.is_alive(child)
        assert answer(server, "SELECT 1") == "1"


def test_a_stop_ends_the_children_of_a_killed_server(folder: Path) -> None:
    with pg.running(described(folder), PASSWORD) as server:
        killed = pg.pid(server)
        assert killed is not None
        child = alive.family(killed)[1]
        os.kill(child, signal.SIGSTOP)
        os.kill(killed, signal.SIGKILL)
        assert alive.await_end([killed], 10)
        assert pg.left_over(server)
    assert not alive.is_alive(child)
    assert not pg.left_over(server)


def test_a_server_that_hangs_is_not_taken_for_ready(folder: Path) -> None:
    with pg.running(described(folder), PASSWORD) as server:
        assert pg.is_ready(server)
        hanging = pg.pid(server)
        assert hanging is not None
        os.kill(hanging, signal.SIGSTOP)
        try:
            assert not pg.is_ready(server)
            with pytest.raises(Unreachable, match="takes no connections yet"):
                pg.start(server, within_s=0.2)
        finally:
            os.kill(hanging, signal.SIGCONT)


def test_a_server_outlives_its_killed_starter_and_is_taken_over(folder: Path) -> None:
    server = described(folder)
    code = (
        "import os, signal, sys; from pathlib import Path; from dbops.servers import postgres as pg\n"
        "server = pg.Server(Path(sys.argv[1]), durable=False, wal_segment_mb=1)\n"
        f"pg.create(server, {PASSWORD!r}); pg.start(server); os.kill(os.getpid(), signal.SIGKILL)"
    )
    starter = subprocess.run([sys.executable, "-c", code, str(server.home)], timeout=60)
    assert starter.returncode == -signal.SIGKILL
    orphan = pg.pid(server)
    assert orphan is not None
    try:
        assert pg.start(server) == orphan
        assert answer(server, "SELECT 1") == "1"
    finally:
        pg.stop(server)
    assert not alive.is_alive(orphan)


@pytest.mark.parametrize("moment", ["half an initdb", "a foreign pid file"])
def test_what_an_earlier_run_left_is_cleared(folder: Path, moment: str) -> None:
    server = described(folder)
    if moment == "half an initdb":
        account.make_folder(server.home)
        account.make_folder(server.home / "data.new")
        (server.home / "data.new" / "PG_VERSION").write_text("15\n")
    with pg.running(server, PASSWORD):
        running = pg.pid(server)
        assert running is not None
        if moment == "a foreign pid file":
            lock = server.data / "postmaster.pid"
            # PostgreSQL only believes in processes of its own account.
            sleeper = process.start(["sleep", "60"], log=folder / "log", user=account.name())
            stale = lock.read_text().replace(f"{running}\n", f"{sleeper.pid}\n", 1)
            os.kill(running, signal.SIGKILL)
            assert alive.await_end([running], 10)
            lock.write_text(stale)
            pg.start(server)
            alive.end(sleeper.pid)
        assert answer(server, "SELECT 1") == "1"


def test_a_server_that_dies_at_once_says_why(folder: Path) -> None:
    server = pg.Server(folder / "pg", durable=False, settings=(("shared_buffers", "nonsense"),))
    with pytest.raises(DbopsError, match="shared_buffers"), pg.running(server, PASSWORD):
        pass


def test_a_closed_parent_is_named(folder: Path) -> None:
    closed = folder / "closed"
    closed.mkdir(mode=0o600)
    with pytest.raises(Refused, match=f"cannot enter {closed}"):
        account.refuse_closed(closed / "inner" / "sandbox")
    assert account.closed_parent(folder / "open") is None
