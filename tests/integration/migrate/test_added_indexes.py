"""Indexes that are added to tables in use: whole, unique, on partitions; cut off, killed, and met again."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import event
from sqlalchemy.exc import IntegrityError

from conftest import Dbops
from dbops.engine.patience import Ramp
from dbops.errors import DbopsError, ExitCode, LockBusy, Refused
from dbops.operations.migrate import environment
from dbops.operations.migrate.apply import Doing, _watch  # pyright: ignore[reportPrivateUsage]

import adding
import changing
from migrating import catalog_of

_TABLE = """
CREATE TABLE things (id int PRIMARY KEY, a text, b int);
INSERT INTO things SELECT n, n, n % 7 FROM generate_series(1, 500) n"""
_PARTS = """
CREATE SCHEMA app;
CREATE TABLE app."Big Things" (id int, at date, a text) PARTITION BY RANGE (at);
CREATE TABLE app.p1 PARTITION OF app."Big Things" FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
CREATE TABLE app.p2 PARTITION OF app."Big Things" FOR VALUES FROM ('2026-02-01') TO ('2026-03-01')
    PARTITION BY LIST (id);
CREATE TABLE app.a_partition_that_has_quite_a_long_name_for_one_that_is_so_small PARTITION OF app.p2 DEFAULT;
INSERT INTO app."Big Things" SELECT n, date '2026-01-01' + n % 59, n FROM generate_series(1, 300) n
"""
_INDEX = """Index("things", "things_a", "(lower(a), b) WHERE b > 1")"""
_PARTED = """Index('app."Big Things"', "Big Index", "(a) INCLUDE (id)", partitioned=True)"""
_VALID = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('{}')"


@pytest.fixture
def live(server: str, folder: Path) -> Generator[changing.Example]:
    with changing.example(server, folder) as example:
        yield example


@contextmanager
def old_snapshot(live: changing.Example) -> Generator[int]:
    """Hold a transaction that a concurrent build has to wait for; it has touched no table of the test."""
    with psycopg.connect(live.admin) as other:
        other.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        other.execute("SELECT count(*) FROM pg_class")
        yield other.info.backend_pid


def until(true: Callable[[], bool]) -> None:
    for _ in range(1200):
        if true():
            return
        time.sleep(0.05)
    raise AssertionError("it did not come to pass")


def indexes(live: changing.Example, like: str) -> list[tuple[str, bool]]:
    rows = live.execute(
        "SELECT indexrelid::regclass::text, indisvalid FROM pg_index JOIN pg_class c ON c.oid = indexrelid"
        f" WHERE c.relname LIKE '{like}' ORDER BY 1"
    )
    return [(name, valid) for name, valid in rows]


def invalid(live: changing.Example) -> list[str]:
    return [
        str(name) for (name,) in live.execute("SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid")
    ]


def test_an_index_is_built_with_no_lock_that_stops_writers_and_taken_back(live: changing.Example) -> None:
    adding.first(live, _TABLE)
    adding.run(live)
    before = catalog_of(live.admin)
    adding.shape(live, 2, "index", _INDEX)
    seen = adding.run(live)
    assert indexes(live, "things_a") == [("things_a", True)]
    assert not any(one.locks for one in seen)
    adding.run(live, "downgrade", "-1")
    assert catalog_of(live.admin) == before


def test_an_index_that_a_killed_run_has_finished_is_taken_as_it_is(live: changing.Example) -> None:
    adding.first(live, _TABLE)
    adding.shape(live, 2, "index", _INDEX)
    adding.run(live)
    (made,) = live.execute("SELECT 'things_a'::regclass::oid")
    adding.unstamp(live, "2026_01_01_0001")
    adding.run(live)
    assert live.execute("SELECT 'things_a'::regclass::oid") == [made]


def test_an_index_of_that_name_which_is_another_one_is_refused(live: changing.Example) -> None:
    adding.first(live, _TABLE)
    adding.shape(live, 2, "index", _INDEX)
    adding.run(live, to="2026_01_01_0001")
    live.execute("CREATE INDEX things_a ON things (lower(a), b) WHERE b > 2")
    with pytest.raises(Refused, match="is another one"):
        adding.up(live)
    live.execute("DROP INDEX things_a")
    live.execute("CREATE INDEX things_a ON things (lower(a), b) WHERE b > 1")
    adding.up(live)


def test_an_invalid_leftover_is_dropped_in_a_step_that_the_plan_shows(live: changing.Example, dbops: Dbops) -> None:
    adding.first(live, _TABLE)
    # a bare revision, which would keep the invalid index in silence
    text = "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS things_b ON things (b)"
    body = f"def upgrade() -> None:\n    with op.get_context().autocommit_block():\n        op.execute({text!r})\n"
    live.revision(2, body + "\n\ndef downgrade() -> None:\n    pass\n")
    adding.run(live, to="2026_01_01_0001")
    with pytest.raises(psycopg.errors.UniqueViolation):
        live.execute("CREATE UNIQUE INDEX CONCURRENTLY things_b ON things (b)")
    assert invalid(live) == ["things_b"]
    live.execute("UPDATE things SET b = id")
    plan = dbops("migrate", "plan", "--config", live.toml)
    assert "drop index things_b, which a build that was cut off left invalid" in plan.stdout
    assert invalid(live) == ["things_b"]
    adding.up(live)
    assert indexes(live, "things_b") == [("things_b", True)]


def test_a_build_that_fails_leaves_no_invalid_index_and_tells_no_content(live: changing.Example) -> None:
    adding.first(live, _TABLE + "; UPDATE things SET a = 'a secret'")
    adding.shape(live, 2, "index", """Index("things", "things_a", "(a)", unique=True)""")
    with pytest.raises(DbopsError, match="could not create unique index") as failed:
        adding.up(live)
    assert "a secret" not in f"{failed.value.message} {failed.value.hint}"
    assert indexes(live, "things_a") == []
    live.execute("UPDATE things SET a = id")
    adding.up(live)


def test_a_build_that_waits_too_long_gives_up_names_who_and_leaves_nothing(
    live: changing.Example, dbops: Dbops
) -> None:
    adding.first(live, _TABLE)
    adding.shape(live, 2, "index", _INDEX)
    with old_snapshot(live) as pid:
        ended = dbops("migrate", "up", "--yes", "--patience", "1s", "--config", live.toml)
        assert ended.returncode == ExitCode.LOCKED, ended.stderr
        assert f"backend {pid}" in ended.stderr
        assert indexes(live, "things_a") == []
    adding.up(live)
    assert indexes(live, "things_a") == [("things_a", True)]


def test_somebody_elses_build_is_left_alone(live: changing.Example) -> None:
    adding.first(live, _TABLE)
    adding.shape(live, 2, "index", _INDEX)
    adding.run(live, to="2026_01_01_0001")
    statement = "CREATE INDEX CONCURRENTLY things_a ON things (lower(a), b) WHERE b > 1"
    other = threading.Thread(target=lambda: live.execute(statement, dsn=live.admin))
    with old_snapshot(live):
        other.start()
        until(lambda: invalid(live) == ["things_a"])
        with pytest.raises(Refused, match="being built by backend"):
            adding.up(live)
        assert invalid(live) == ["things_a"]
    other.join()
    adding.up(live)
    assert indexes(live, "things_a") == [("things_a", True)]


def test_the_next_run_ends_the_build_of_a_killed_one_and_builds_anew(live: changing.Example) -> None:
    adding.first(live, _TABLE)
    adding.shape(live, 2, "index", _INDEX)
    argv = [sys.executable, "-m", "dbops", "migrate", "up", "--yes", "--config", str(live.toml)]
    with old_snapshot(live):
        child = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until(lambda: invalid(live) == ["things_a"])
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
    adding.up(live)
    assert indexes(live, "things_a%") == [("things_a", True)]


def test_an_index_on_partitions_comes_to_every_one_also_to_new_ones(live: changing.Example) -> None:
    adding.first(live, _PARTS)
    adding.run(live)
    before = catalog_of(live.admin)
    adding.shape(live, 2, "index", _PARTED)
    seen = adding.run(live)
    assert not any(one.locks and one.scans for one in seen)
    live.execute("""CREATE TABLE app.p3 PARTITION OF app."Big Things" DEFAULT""")
    assert invalid(live) == []
    rows = live.execute("SELECT count(*) FROM pg_partition_tree('app.\"Big Index\"')")
    assert rows == [(5,)]
    live.execute("DROP TABLE app.p3")
    adding.run(live, "downgrade", "-1")
    assert catalog_of(live.admin) == before


def test_an_index_on_partitions_goes_on_from_wherever_it_was_cut_off(live: changing.Example) -> None:
    adding.first(live, _PARTS)
    adding.shape(live, 2, "index", _PARTED)
    adding.run(live)
    whole = catalog_of(live.admin)
    for cut in range(1, 6):
        adding.run(live, "downgrade", "-1")
        with pytest.raises(Refused, match="cut off"):
            adding.run(live, before=adding.stopping_after(cut))
        adding.run(live)
        assert catalog_of(live.admin) == whole
        assert invalid(live) == []


def test_a_part_of_an_index_that_was_left_invalid_is_dropped_by_the_plan(live: changing.Example) -> None:
    adding.first(live, _PARTS)
    text = """Index('app."Big Things"', "Big Index", "(id, at)", unique=True, partitioned=True)"""
    adding.shape(live, 2, "index", text)
    adding.run(live, to="2026_01_01_0001")
    live.execute("""INSERT INTO app."Big Things" VALUES (1, '2026-01-05'), (1, '2026-01-05')""")
    with pytest.raises(DbopsError, match="could not create unique index"):
        adding.up(live)
    live.execute("""DELETE FROM app."Big Things" WHERE a IS NULL""")
    with pytest.raises(psycopg.errors.UniqueViolation):
        live.execute('CREATE UNIQUE INDEX CONCURRENTLY "Big Index_p1" ON app.p1 ((1))')
    assert adding.up(live) == ["drop app.Big Index_p1", "2026_01_01_0002"]
    assert invalid(live) == []


def test_the_script_for_psql_builds_the_parts_too(
    live: changing.Example, dbops: Dbops, psql: Callable[[str, str], None]
) -> None:
    adding.first(live, _PARTS)
    adding.shape(live, 2, "index", _PARTED)
    told = dbops("migrate", "sql", "-t", changing.TARGET, "--config", live.toml)
    assert told.returncode == 0, told.stderr
    psql(live.owner, told.stdout)
    by_psql = catalog_of(live.admin)
    adding.unstamp(live, "2026_01_01_0001")
    adding.run(live)
    assert catalog_of(live.admin) == by_psql
    assert invalid(live) == []


def test_a_build_waits_for_nobody_inside_of_a_transaction(live: changing.Example) -> None:
    adding.first(live, _TABLE)
    body = "def upgrade() -> None:\n    op.execute('CREATE INDEX IF NOT EXISTS things_a ON things (a)')\n"
    live.revision(2, body + "\n\ndef downgrade() -> None:\n    pass\n")
    adding.run(live, to="2026_01_01_0001")
    live.execute("UPDATE things SET a = 'same'")
    with pytest.raises(psycopg.errors.UniqueViolation):
        live.execute("CREATE UNIQUE INDEX CONCURRENTLY things_a ON things (a)")
    with pytest.raises(Refused, match="is there, but invalid"):
        adding.run(live)


def test_what_builds_in_pieces_has_no_lock_timeout_and_all_else_keeps_its_own(live: changing.Example) -> None:
    live.execute("CREATE TABLE things (id int); INSERT INTO things VALUES (1), (1)")
    seen: list[tuple[str, str]] = []

    def look(_: Any, cursor: Any, statement: str, *_rest: Any) -> None:
        (found,) = cursor.connection.execute("SHOW lock_timeout").fetchone()
        seen.append((statement, found))

    with environment.open_connection(live.owner, live.run()) as connection:
        event.listen(connection.engine, "before_cursor_execute", look)
        connection.execution_options(isolation_level="AUTOCOMMIT")
        connection.exec_driver_sql("CREATE INDEX CONCURRENTLY a ON things (id)")
        connection.exec_driver_sql("SELECT 1")
        with pytest.raises(IntegrityError):
            connection.exec_driver_sql("CREATE UNIQUE INDEX CONCURRENTLY b ON things (id)")
        connection.exec_driver_sql("DROP INDEX CONCURRENTLY a")
        connection.exec_driver_sql("SELECT 2")
    assert [found for _, found in seen] == ["0", "4s", "0", "0", "4s"]


def test_the_name_of_a_part_is_the_same_in_both_languages(live: changing.Example) -> None:
    from dbops.operations.migrate.shapes.guarded import on_partition, partition_name

    for name, partition in (("i", "p"), ("i" * 40, "p" * 30), ("ä" * 20, "日本" * 9), ("It's", 'a "p"')):
        with live.connect() as connection:
            text = sql.SQL(f"SELECT {on_partition(name, '%s::text')}")  # pyright: ignore[reportArgumentType]
            count = on_partition(name, "%s::text").count("%s")
            row = connection.execute(text, (partition,) * count).fetchone()
        assert row == (partition_name(name, partition),)
        assert len(partition_name(name, partition).encode()) <= 63


def test_a_dead_build_is_waited_for(live: changing.Example) -> None:
    adding.first(live, _TABLE)
    adding.shape(live, 2, "index", _INDEX)
    adding.run(live, to="2026_01_01_0001")
    statement = "CREATE INDEX CONCURRENTLY things_a ON things (lower(a), b) WHERE b > 1"
    other = threading.Thread(target=lambda: live.execute(statement))
    with old_snapshot(live):
        other.start()
        until(lambda: invalid(live) == ["things_a"])
        with pytest.raises(LockBusy, match="is being built by backend"):
            adding.run(live)
    other.join()
    adding.run(live)
    assert indexes(live, "things_a") == [("things_a", True)]


def test_the_watcher_names_who_blocks_us_and_who_waits_behind_us(live: changing.Example) -> None:
    live.execute("CREATE TABLE things (id int)")
    queue = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'things'::regclass"
    with live.connect() as ours, live.connect() as looking, psycopg.connect(live.admin) as holder:
        holder.execute("SELECT count(*) FROM things")
        blocker = holder.info.backend_pid
        waiting = [
            threading.Thread(target=_until_cancelled, args=(ours, "ALTER TABLE things ADD b int")),
            threading.Thread(target=lambda: live.execute("SELECT 'behind', id FROM things", dsn=live.admin)),
        ]
        for number, thread in enumerate(waiting, 1):
            thread.start()
            until(lambda n=number: live.execute(queue) == [(n,)])

        @contextmanager
        def administrator() -> Generator[psycopg.Connection]:
            with psycopg.connect(live.admin, autocommit=True) as admin:
                yield admin

        ramp = Ramp(budget=timedelta(0))
        doing = Doing(changing.TARGET, looking, administrator, lambda *_: b"", ours.info.backend_pid, ramp, live.run())
        _watch(doing)
        holder.rollback()
        for thread in waiting:
            thread.join()
    assert f"blocked by backend {blocker} of postgres" in doing.blockers
    assert "1 waited behind us: backend" in doing.behind
    assert "'behind', id FROM things" in doing.behind
    assert doing.gave_up


def _until_cancelled(connection: psycopg.Connection, text: str) -> None:
    with pytest.raises(psycopg.errors.QueryCanceled):
        connection.execute(text.encode())
