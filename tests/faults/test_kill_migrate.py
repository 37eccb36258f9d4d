"""`migrate up` under kill -9, lost servers, locks that are never granted, and overlapping runs."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from dbops.servers import alive
from dbops.servers import postgres as pg

from killing import Zygote, kills, moment
from migrating import FOLDER, OWNER, Databases, catalog_of, difference, expected, make_databases, rows

Dbops = Callable[..., subprocess.CompletedProcess[str]]

_CHAIN = 5
_LOOP = "%DO $$%pg_sleep%"
_SLOW = '''"""A revision that takes until there is a table go."""

from alembic import op

revision = "2026_12_01_0000"
down_revision = "2026_11_20_0400"
LOOP = """
DO $$
BEGIN
    WHILE NOT EXISTS (SELECT FROM pg_class WHERE relname = 'go') LOOP
        PERFORM pg_sleep(0.05);
    END LOOP;
END $$"""


def upgrade() -> None:
    op.execute("CREATE TABLE slow (id uuid PRIMARY KEY)")
    op.execute(LOOP)


def downgrade() -> None:
    op.execute("DROP TABLE slow")
'''


@pytest.fixture
def databases(server: str, folder: Path) -> Generator[Databases]:
    made = make_databases(server, folder, "audit", "workflow", "agent_studio")
    yield made
    made.drop()


@contextmanager
def started(databases: Databases, *words: str) -> Generator[subprocess.Popen[str]]:
    """Start the installed program; it is ended with the block."""
    argv = [Path(sys.executable).with_name("dbops"), "migrate", *words, "--config", databases.config, "-o", "json"]
    env = {**os.environ, "TMPDIR": str(databases.folder)}
    pipe = subprocess.PIPE
    process = subprocess.Popen(argv, cwd=databases.folder, env=env, stdout=pipe, stderr=pipe, text=True)
    with process:
        try:
            yield process
        finally:
            process.kill()


def await_that(question: Callable[[], object], within_s: float = 60.0) -> None:
    """Ask again until it is so: what we wait for happens in another process."""
    deadline = time.monotonic() + within_s
    while not question():
        assert time.monotonic() < deadline, "it never came to that"
        threading.Event().wait(0.02)


def is_migrating(connection: psycopg.Connection, query: str) -> bool:
    found = connection.execute(
        "SELECT FROM pg_stat_activity WHERE usename = %s AND state = 'active' AND query LIKE %s", (OWNER, query)
    )
    return found.rowcount > 0


def slow_history(databases: Databases) -> None:
    """Give audit a revision that ends when the test says so."""
    place = databases.folder / "slow"
    shutil.copytree(FOLDER, place, ignore=shutil.ignore_patterns("__pycache__"))
    (place / "postgres" / "audit" / "2026_12_01_0000_slow.py").write_text(_SLOW)
    databases.configure(place)


def test_killed_runs_are_finished_by_the_next_one(
    zygote: Zygote, databases: Databases, record_property: Callable[[str, object], None]
) -> None:
    up = ("migrate", "up", "--yes", "--config", databases.config)
    clean = zygote.finished(*up)
    done = 0
    while done < kills(50):
        databases.create()
        for _ in range(_CHAIN):
            ended = zygote.run(*up, kill_after=moment(clean.seconds))
            assert ended.killed or ended.code == 0, ended.err
            done += ended.killed
        zygote.finished(*up)
        for target in databases.targets:
            assert difference(expected(target), catalog_of(databases.conninfo(target))) == {}
            with rows(databases.conninfo(target)) as connection:
                told = connection.execute("SELECT kind, detail ->> 'revision' FROM dbops.entries ORDER BY id")
                assert len(set(seen := told.fetchall())) == len(seen), "each revision was done once"
    record_property("kills", f"migrate up: {done} kills, a clean run takes {clean.seconds:.2f} s")


def test_a_killed_downgrade_is_finished_by_the_next_one_and_loses_no_row(zygote: Zygote, databases: Databases) -> None:
    asked = ("--yes", "--config", databases.config, "--target", "audit")
    down = ("migrate", "down", "--to", "base", *asked)
    zygote.finished("migrate", "up", *asked)
    with rows(databases.conninfo("audit")) as connection:
        connection.execute("INSERT INTO retention_policies (event_type, retention_days) VALUES ('login', 30)")
    clean = zygote.finished(*down)
    for _ in range(kills(10)):
        zygote.run("migrate", "up", *asked, kill_after=moment(clean.seconds * 2))
        zygote.run(*down, kill_after=moment(clean.seconds * 2))
    zygote.finished("migrate", "up", *asked)
    assert difference(expected("audit"), catalog_of(databases.conninfo("audit"))) == {}
    with rows(databases.conninfo("audit")) as connection:
        assert connection.execute("SELECT event_type FROM retention_policies").fetchall() == [("login",)]


def test_the_worker_dies_with_its_dbops_and_what_it_was_in_is_undone(databases: Databases) -> None:
    slow_history(databases)
    with started(databases, "up", "--target", "audit") as process, rows(databases.conninfo("audit")) as connection:
        await_that(lambda: is_migrating(connection, _LOOP))
        family = alive.family(process.pid)
        process.send_signal(signal.SIGKILL)
        assert alive.await_end(family, 10)
        await_that(lambda: not is_migrating(connection, _LOOP))
    assert difference(expected("audit"), catalog_of(databases.conninfo("audit"))) == {}


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_a_revision_that_takes_long(databases: Databases, number: signal.Signals, code: int) -> None:
    slow_history(databases)
    with started(databases, "up", "--target", "audit") as process, rows(databases.conninfo("audit")) as connection:
        await_that(lambda: is_migrating(connection, _LOOP))
        process.send_signal(number)
        out, _ = process.communicate(timeout=25)
        assert process.returncode == code, out
        await_that(lambda: not is_migrating(connection, _LOOP))
    assert difference(expected("audit"), catalog_of(databases.conninfo("audit"))) == {}


def test_a_server_that_is_lost_in_the_middle_is_75_and_the_next_run_goes_on(dbops: Dbops, folder: Path) -> None:
    home = folder / "server"
    with pg.running(pg.Server(home, durable=False, wal_segment_mb=1), "lost") as server:
        databases = make_databases(pg.conninfo(server, password="lost"), folder, "audit")
        slow_history(databases)
        with started(databases, "up") as process:
            with rows(databases.conninfo("audit")) as connection:
                await_that(lambda: is_migrating(connection, _LOOP))
            pg.stop(server)
            out, _ = process.communicate(timeout=60)
        assert process.returncode == 75, out
        envelope = json.loads(out)
        assert envelope["findings"][0]["target"] == "audit"
        pg.start(server)
        assert difference(expected("audit"), catalog_of(databases.conninfo("audit"))) == {}
        databases.configure()  # without the slow one
        done = dbops("migrate", "up", "--config", databases.config)
        assert done.returncode == 0, done.stderr


def test_a_lock_that_is_never_granted_is_11_names_its_holder_and_changes_nothing(
    dbops: Dbops, databases: Databases
) -> None:
    asked = ("migrate", "up", "--yes", "--target", "audit", "--config", databases.config)
    assert dbops(*asked, "--to", "2026_11_20_0300").returncode == 0
    before = catalog_of(databases.conninfo("audit"))
    with psycopg.connect(databases.conninfo("audit", application_name="the shop")) as holder:
        holder.execute("LOCK TABLE compliance_reports IN ROW EXCLUSIVE MODE")
        done = dbops(*asked, "--patience", "2s", "--output", "json")
        assert done.returncode == 11, done.stderr
        message = json.loads(done.stdout)["findings"][0]["message"]
        assert f"backend {holder.info.backend_pid} of postgres (the shop, idle in transaction" in message
        assert "its transaction is" in message
        assert catalog_of(databases.conninfo("audit")) == before
    assert dbops(*asked).returncode == 0
    assert difference(expected("audit"), catalog_of(databases.conninfo("audit"))) == {}


def test_an_application_never_waits_longer_than_one_attempt(databases: Databases) -> None:
    with started(databases, "up", "--target", "audit", "--to", "2026_11_20_0300") as first:
        first.communicate(timeout=60)
    with (
        psycopg.connect(databases.conninfo("audit")) as holder,
        rows(databases.conninfo("audit", options="-c lock_timeout=5s")) as application,
        started(databases, "up", "--target", "audit") as process,
    ):
        holder.execute("LOCK TABLE compliance_reports IN ROW EXCLUSIVE MODE")
        await_that(lambda: is_migrating(application, "CREATE INDEX %"))
        for _ in range(5):  # it queues behind our request, and comes through when that gives up
            application.execute("UPDATE compliance_reports SET status = status")
        holder.rollback()
        out, _ = process.communicate(timeout=60)
    assert process.returncode == 0, out


def test_of_two_runs_at_once_one_waits_or_is_11(databases: Databases) -> None:
    slow_history(databases)
    asked = ("up", "--target", "audit")
    with started(databases, *asked) as first, rows(databases.conninfo("audit")) as connection:
        await_that(lambda: is_migrating(connection, _LOOP))
        with started(databases, *asked) as second:
            out, _ = second.communicate(timeout=60)
            assert second.returncode == 11
            assert json.loads(out)["findings"][0]["code"] == "locked"
        with started(databases, *asked, "--lock-wait", "60s") as third:
            await_that(lambda: len(runs(connection)) > 1)
            connection.execute("CREATE TABLE go (id int)")
            assert [json.loads(one.communicate(timeout=60)[0])["exit_code"] for one in (first, third)] == [0, 0]
        told = connection.execute("SELECT count(*) FROM dbops.entries WHERE detail ->> 'revision' = '2026_12_01_0000'")
        assert told.fetchone() == (1,)


def runs(connection: psycopg.Connection) -> set[str]:
    """Name the runs of dbops that are connected."""
    found = connection.execute("SELECT application_name FROM pg_stat_activity WHERE application_name LIKE 'dbops %'")
    return {name.split()[1] for (name,) in found.fetchall()}


def test_what_a_killed_lint_leaves_is_ended_by_the_next_one(databases: Databases, folder: Path) -> None:
    asked = ("lint", "--target", "audit")
    left = 0
    for _ in range(kills(5)):
        with started(databases, *asked) as process:
            await_that(lambda: list(folder.glob("dbops-lint-*")))
            threading.Event().wait(random.uniform(0.0, 1.5))
            process.kill()
            process.communicate(timeout=60)
        left += bool(list(folder.glob("dbops-lint-*")))
    assert left, "nothing was killed in the middle"
    with started(databases, *asked) as process:
        out, _ = process.communicate(timeout=60)
    assert process.returncode == 0, out
    assert list(folder.glob("dbops-lint-*")) == []
    assert not [pid for pid in alive.everybody() if str(folder / "dbops-lint-") in " ".join(alive.argv_of(pid))]
