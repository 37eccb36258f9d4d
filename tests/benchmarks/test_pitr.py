"""`pitr restore` to writable beside the bare tools, on 1 GB: pgbackrest restore, postgres, and promotion."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from pathlib import Path

import psycopg
import pytest

from dbops.servers import account, alive, postgres

import clustering

_ROUNDS = 3
_ROWS = int(os.environ.get("DBOPS_BENCH_ROWS", "7_000_000"))  # as pgbench -s 70: 1 GB
_FILLED = f"""
    CREATE TABLE accounts AS SELECT g AS aid, 1 AS bid, 0 AS abalance, repeat(' ', 84) AS filler
      FROM generate_series(1, {_ROWS}) g"""


@pytest.fixture
def live(folder: Path) -> Generator[clustering.Cluster]:
    with clustering.under_backup(folder, segment_mb=16) as made:
        made.keep("before")
        with made.connect() as connection:
            connection.execute(_FILLED.encode())
            connection.execute("CHECKPOINT")
        made.pgbackrest("backup", "--type=full", "--no-expire-auto")
        made.keep("after")
        made.switch()
        yield made


def timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def bare(live: clustering.Cluster) -> float:
    """Restore, start and wait for writes, as a script of the bare tools would."""
    home = account.make_folder(live.folder / "bare")
    data = account.make_folder(home / "data")
    as_owner = ["setpriv", f"--reuid={account.name()}", f"--regid={account.name()}", "--init-groups", "--"]
    switch = as_owner if os.geteuid() == 0 else []
    config = [f"--config={live.stanza.config}", "--stanza=main", f"--pg1-path={data}"]
    cores = f"--process-max={len(os.sched_getaffinity(0))}"
    began = time.perf_counter()
    restore = [*switch, "pgbackrest", *config, cores, "--archive-mode=off", "restore"]
    subprocess.run(restore, check=True, capture_output=True)
    options = ["-c", f"unix_socket_directories={home}", "-c", "listen_addresses=", "-c", "port=5432"]
    server = [*switch, str(postgres.program("postgres")), "-D", str(data), *options]
    with (live.folder / "bare.log").open("w") as log:
        child = subprocess.Popen(server, stdout=log, stderr=log, cwd="/")
    try:
        while not _writable(home):
            assert child.poll() is None, (live.folder / "bare.log").read_text()
            time.sleep(0.02)
        return time.perf_counter() - began
    finally:
        alive.end(child.pid)
        child.wait()
        account.remove_folder(home)


def _writable(home: Path) -> bool:
    try:
        with psycopg.connect(host=str(home), user="postgres", password=clustering.PASSWORD) as connection:
            return connection.execute("SELECT pg_is_in_recovery()").fetchone() == (False,)
    except psycopg.OperationalError:
        return False


def test_a_restore_to_writable_costs_little_more_than_the_bare_tools(live: clustering.Cluster) -> None:
    program = str(Path(sys.executable).with_name("dbops"))
    restore = [program, "pitr", "restore", "--latest", "--keep", "--quiet", "--config", str(live.toml)]
    clean = [program, "pitr", "clean", "--all", "--quiet", "--config", str(live.toml)]
    theirs: list[float] = []
    mine: list[float] = []
    for _ in range(_ROUNDS):
        theirs.append(bare(live))
        mine.append(timed(lambda: subprocess.run(restore, check=True, capture_output=True)))
        subprocess.run(clean, check=True, capture_output=True)
    allowed = 1.10 * min(theirs) + 0.5
    print(
        f"\nrestore of 1 GB to writable: dbops {min(mine):.2f} s (choosing the way and telling included),"
        f" bare tools {min(theirs):.2f} s, {allowed:.2f} s allowed"
    )
    assert min(mine) <= allowed
