"""kill -9 anywhere in `sandbox seed`: the next run ends in the very content of a run that was left alone."""

import json
import threading
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from dbops.errors import ExitCode
from dbops.sandbox.facts import DATABASES
from dbops.stores import postgres as store

import seeding
from killing import Zygote, kills, moment

_CHAIN = 5


@pytest.fixture
def box(zygote: Zygote, folder: Path) -> Generator[Path]:
    """A sandbox with schemas and nothing in them."""
    place = folder / "sandbox"
    zygote.finished("sandbox", "up", "--fast", "--dir", place)
    zygote.finished("migrate", "up", "--config", place / "dbops.toml", "--yes")
    yield place
    zygote.finished("sandbox", "down", "--purge", "--yes", "--dir", place)


def test_a_killed_seed_goes_on_and_ends_in_the_same_content(
    zygote: Zygote, box: Path, record_property: Callable[[str, object], None]
) -> None:
    seed = ("sandbox", "seed", "--dir", box)
    clean = zygote.finished(*seed)
    wanted = seeding.digests(box)
    done = chains = 0
    while done < kills(50):
        chains += 1
        seeding.emptied(box)
        for _ in range(_CHAIN):
            ended = zygote.run(*seed, kill_after=moment(clean.seconds))
            assert ended.killed or ended.code == 0, ended.err
            done += ended.killed
        zygote.finished(*seed)
        assert seeding.digests(box) == wanted
        again = json.loads(zygote.finished(*seed, "--output", "json").out)["data"]["steps"]
        assert {step["target"] for step in again} <= {"cache"}
    record_property("kills", f"sandbox seed: {done} kills in {chains} chains, a clean run takes {clean.seconds:.2f} s")


def test_a_table_is_filled_whole_or_not_at_all(zygote: Zygote, box: Path) -> None:
    counts = {table.name: table.rows for table in seeding.TABLES["agent_studio"](seeding.KNOWN)}
    for _ in range(kills(10)):
        seeding.emptied(box)
        zygote.run("sandbox", "seed", "--dir", box, "-t", "agent_studio", kill_after=moment(1.5))
        with seeding.database(box, "agent_studio") as connection:
            store.reap_dead_runs(connection, "agent_studio")
            for name, rows in counts.items():
                found = connection.execute(f"SELECT count(*) FROM {name}".encode()).fetchone()
                assert found in ((0,), (rows,)), name


def test_two_seeds_at_once_are_one(zygote: Zygote, box: Path) -> None:
    """The second one meets a lock, or finds everything done."""
    with seeding.database(box, "audit") as connection:
        name = "dbops:audit:seed"
        connection.execute("SELECT pg_advisory_lock(hashtextextended(%s, 0::bigint))", (name,))
        ended = zygote.run("sandbox", "seed", "--dir", box, "-t", "audit")
        assert ended.code == ExitCode.LOCKED
        assert "another dbops is at work on audit (seed)" in ended.err
        waiting = threading.Timer(1.0, connection.execute, ("SELECT pg_advisory_unlock_all()",))
        waiting.start()
        zygote.finished("sandbox", "seed", "--dir", box, "-t", "audit", "--lock-wait", "1m")
        waiting.join()


def test_a_server_that_is_lost_is_told_and_the_next_run_goes_on(zygote: Zygote, box: Path) -> None:
    seed = ("sandbox", "seed", "--dir", box, "-t", "policycortex")
    with seeding.database(box, "validation") as other:
        ended = threading.Event()

        def cut() -> None:
            """End every backend of the seed as soon as it copies."""
            while not ended.is_set():
                other.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND query LIKE 'COPY%%'",
                    (DATABASES["policycortex"],),
                )

        cutting = threading.Thread(target=cut)
        cutting.start()
        lost = zygote.run(*seed)
        ended.set()
        cutting.join()
    assert lost.code in (ExitCode.UNREACHABLE, ExitCode.FAILED), lost.err
    assert "Traceback" not in lost.err
    zygote.finished(*seed)
    assert json.loads(zygote.finished(*seed, "--output", "json").out)["data"]["steps"] == []
