"""`status` over a whole platform, beside the slowest single round trip."""

import json
import subprocess
import sys
import time
from pathlib import Path

import psycopg

from dbops.sandbox.environment import environment
from dbops.sandbox.facts import DATABASES

_ROUNDS = 10


def test_status_takes_the_slowest_round_trip_and_half_a_second(platform: Path) -> None:
    program = Path(sys.executable).with_name("dbops")
    admin = environment(platform)["DBOPS_SANDBOX_POSTGRES"]
    argv = [program, "status", "--config", platform / "dbops.toml", "--output", "json"]
    whole: list[float] = []
    single: list[float] = []
    slowest = 0.0
    for _ in range(_ROUNDS):
        began = time.perf_counter()
        told = json.loads(subprocess.run(argv, check=True, capture_output=True).stdout)
        whole.append(time.perf_counter() - began)
        slowest = max(one["latency_s"] for one in told["data"]["targets"])
        for database in DATABASES.values():
            began = time.perf_counter()
            with psycopg.connect(admin, dbname=database) as connection:
                connection.execute("SELECT 1")
            single.append(time.perf_counter() - began)
    took = min(whole)
    print(
        f"\nstatus over {len(DATABASES)} databases, their cluster and Redis: {took:.3f} s;"
        f" slowest round trip within it {slowest:.3f} s; one bare connection {max(single):.3f} s"
        f" (ratio {took / max(single):.1f})"
    )
    assert took <= slowest + 0.5
