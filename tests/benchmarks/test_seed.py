"""A seed beside what it is made of: the COPY of rows that were made before, and memory beside that of a small one."""

import json
import subprocess
import sys
import time
from collections.abc import Generator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from dbops.sandbox.environment import environment
from dbops.sandbox.facts import DATABASES
from dbops.sandbox.seed import copy
from dbops.sandbox.seed.databases import TABLES
from dbops.sandbox.seed.facts import MEDIUM, UNTIL
from dbops.sandbox.seed.world import World

_PROGRAM = Path(sys.executable).with_name("dbops")
_ROUNDS = 3
_MEASURED = """
import resource, sys
from dbops.cli import main
try:
    main(sys.argv[1:])
finally:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024, file=sys.stderr)
"""


@pytest.fixture
def box(folder: Path) -> Generator[Path]:
    place = folder / "sandbox"
    for words in (
        ("sandbox", "up", "--fast", "--dir", place),
        ("migrate", "up", "--yes", "--config", place / "dbops.toml"),
    ):
        subprocess.run([_PROGRAM, *words], check=True, capture_output=True)
    yield place
    subprocess.run([_PROGRAM, "sandbox", "down", "--purge", "--yes", "--dir", place], check=True, capture_output=True)


def seeded(box: Path, *words: str) -> tuple[float, int]:
    """Seconds and peak megabytes of one run."""
    began = time.perf_counter()
    argv = [sys.executable, "-c", _MEASURED, "sandbox", "seed", "--dir", str(box), *words]
    done = subprocess.run(argv, check=True, capture_output=True, text=True)
    return time.perf_counter() - began, int(done.stderr.split()[-1])


def test_a_gigabyte_takes_no_more_memory_than_a_little(box: Path, folder: Path) -> None:
    other = folder / "other"
    subprocess.run([_PROGRAM, "sandbox", "up", "--fast", "--dir", other], check=True, capture_output=True)
    subprocess.run(
        [_PROGRAM, "migrate", "up", "--yes", "--config", other / "dbops.toml"], check=True, capture_output=True
    )
    only = [word for target in DATABASES for word in ("-t", target)]
    small_s, small_mb = seeded(other, *only)
    subprocess.run([_PROGRAM, "sandbox", "down", "--purge", "--yes", "--dir", other], check=True, capture_output=True)
    medium_s, medium_mb = seeded(box, "--size", "medium", *only)
    rest_s, rest_mb = seeded(box, "--size", "medium")
    with psycopg.connect(environment(box)["DBOPS_SANDBOX_POSTGRES"]) as admin:
        query = "SELECT sum(pg_database_size(d)) FROM unnest(%s::text[]) d"
        row = admin.execute(query, (list(DATABASES.values()),)).fetchone()
    assert row is not None
    megabytes = int(row[0]) / 1e6
    print(f"\nsmall: {small_s:.1f} s, {small_mb} MB of memory; medium: {medium_s:.1f} s, {medium_mb} MB of memory")
    print(
        f"medium in PostgreSQL: {megabytes:.0f} MB; the other stores after it: {rest_s:.1f} s, {rest_mb} MB of memory"
    )
    assert megabytes >= 900
    assert medium_mb <= 1.3 * small_mb
    assert rest_mb <= 200  # entries go in requests of up to 15.5 MB, whatever their number


def test_rows_are_made_nearly_as_fast_as_the_server_takes_them(box: Path) -> None:
    """The rival sends blocks that lie ready in memory; both fill the same table, with all its indexes."""
    known = World(MEDIUM, UNTIL)
    table = next(one for one in TABLES["audit"](known) if one.name == "audit_events")
    admin = environment(box)["DBOPS_SANDBOX_POSTGRES"]
    best = {"ready": float("inf"), "made": float("inf")}
    blocks = list(table.blocks())
    into = sql.SQL("COPY {} ({}) FROM STDIN").format(
        sql.Identifier(table.name), sql.SQL(", ").join(map(sql.Identifier, table.columns))
    )
    with psycopg.connect(admin, dbname=DATABASES["audit"], autocommit=True) as connection:
        copy.partition(connection, copy.observe(connection, (table,), target="audit").partitions[table.name])
        for _ in range(_ROUNDS):
            for name, least in best.items():
                connection.execute("TRUNCATE audit_events")
                began = time.perf_counter()
                with connection.cursor() as cursor, cursor.copy(into) as writing:
                    for block in blocks if name == "ready" else table.blocks():
                        writing.write(block)
                best[name] = min(least, time.perf_counter() - began)
    ratio = best["made"] / best["ready"]
    print("\n" + json.dumps({name: round(seconds, 2) for name, seconds in best.items()}))
    print(f"{table.rows} rows made on the way beside rows that lie ready: {ratio:.2f}")
    assert ratio <= 1.5
