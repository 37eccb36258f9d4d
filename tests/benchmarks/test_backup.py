"""`backup run` beside the bare pgbackrest, on 1 GB: time and memory."""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from dbops.servers import account

import clustering

_ROUNDS = 5
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
        yield made


def timed(work: Callable[[], object], share: float) -> float:
    """Time it from a certain moment of a second on: pgBackRest waits for the next second before it copies."""
    time.sleep((share - time.time()) % 1)
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def peak(argv: list[str]) -> float:
    """Run a program; return the megabytes that it had at most, its children not counted."""
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    most = 0
    while process.poll() is None:
        try:
            status = Path(f"/proc/{process.pid}/status").read_text()
        except OSError:
            break
        told = [int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")]
        most = max([most, *told])
        time.sleep(0.02)
    assert process.wait() == 0
    return most / 1024


def test_a_run_costs_little_more_than_the_bare_tool(live: clustering.Cluster) -> None:
    ours = [str(Path(sys.executable).with_name("dbops")), "backup", "run", "--type", "full", "--quiet"]
    ours += ["--config", str(live.toml)]
    bare = ["pgbackrest", f"--config={live.stanza.config}", "--stanza=main", "--type=full", "--no-expire-auto"]
    as_owner = ["setpriv", f"--reuid={account.name()}", f"--regid={account.name()}", "--init-groups", "--"]
    bare = [*(as_owner if os.geteuid() == 0 else ()), *bare, "backup"]
    env = {**os.environ, "PGPASSWORD": clustering.PASSWORD}
    megabytes = peak(ours)
    theirs: list[float] = []
    mine: list[float] = []
    for number in range(_ROUNDS):
        share = number / _ROUNDS
        theirs.append(timed(lambda: subprocess.run(bare, check=True, capture_output=True, env=env), share))
        mine.append(timed(lambda: subprocess.run(ours, check=True, capture_output=True), share))
    allowed = 1.05 * min(theirs) + 0.5
    middle = statistics.median(mine) - statistics.median(theirs)
    print(
        f"\nfull backup of 1 GB: dbops {min(mine):.2f} s, bare pgbackrest {min(theirs):.2f} s,"
        f" {allowed:.2f} s allowed; in the middle of {_ROUNDS} it takes {middle:.2f} s more; dbops held"
        f" {megabytes:.0f} MB at most"
    )
    assert megabytes <= 200
    assert min(mine) <= allowed
