"""`dbops migrate rehearse` through the installed program: what it plans and tells, its codes, and what it leaves."""

import signal
import subprocess
import sys
import time
from collections.abc import Generator
from pathlib import Path

import pytest

from conftest import Dbops
from dbops.operations.migrate.life import State
from dbops.servers import alive

import changing
import contracting
import renaming
from contracting import CHANGE, ask, gates


@pytest.fixture
def live(server: str, folder: Path) -> Generator[changing.Example]:
    with changing.example(server, folder) as example:
        yield example


def begin(live: changing.Example, **texts: str) -> None:
    renaming.write(live, **texts)
    renaming.upgrade(live, "2026_01_01_0001")
    renaming.rows(live, 100)


def test_a_rehearsal_opens_its_gate_and_history_tells_what_it_foretold(dbops: Dbops, live: changing.Example) -> None:
    begin(live)
    planned = ask(dbops, live, "rehearse", CHANGE, "--plan")
    steps = [one["id"] for one in planned["data"]["steps"]]
    assert steps == ["copy", "expand", "backfill", "verify", "switch", "contract", "prove"]
    assert renaming.known(live).entries == ()
    done = ask(dbops, live, "rehearse", CHANGE, "--clients", "2")
    assert [(one["name"], one["error"]) for one in done["data"]["phases"]] == [(name, None) for name in steps[1:-1]]
    locks = {(one["name"], held["mode"]) for one in done["data"]["phases"] for held in one["locks"]}
    assert {mode for _, mode in locks} <= {"ACCESS EXCLUSIVE", "SHARE ROW EXCLUSIVE", "EXCLUSIVE", "SHARE"}
    ask(dbops, live, "up", "--yes")
    ask(dbops, live, "backfill", CHANGE)
    ask(dbops, live, "verify", CHANGE)
    told = [one["said"] for one in ask(dbops, live, "history")["data"]["changes"]]
    took = [text.partition(" took ")[0] for text in told if "were predicted" in text]
    assert took == [f"revision {renaming.EXPAND}", "backfill", "verify"]
    ask(dbops, live, "switch", CHANGE, "--percent", "100", "--yes", code=None)
    assert renaming.known(live).state is State.SWITCHED
    assert gates(ask(dbops, live, "contract", CHANGE, "--write", code=9))["rehearsal"] == "yes"
    besides = ask(dbops, live, "history")["data"]["foretold"]
    assert [one["phase"] for one in besides] == ["expand", "backfill", "verify", "switch"]
    assert all(one["predicted_ms"] > 0 and one["rehearsed"] and one["unforetold"] is None for one in besides)
    held = {(one["relation"], one["mode"]) for one in besides[0]["locks"] if one["predicted_held_ms"] > 0}
    assert held == {("public.users", "ACCESS EXCLUSIVE"), ("public.users", "SHARE ROW EXCLUSIVE")}
    assert (besides[1]["rows"], besides[2]["rows"]) == (100, 200)
    shown = dbops("migrate", "history", "-t", changing.TARGET, "--config", live.toml).stdout
    assert "rows/s (foretold)" in shown
    again = ask(dbops, live, "rehearse", CHANGE, "--clients", "0")
    assert [one["name"] for one in again["data"]["phases"]] == ["verify", "contract"]
    assert renaming.known(live).state is State.SWITCHED


def test_what_fails_on_the_copy_is_bad_and_closes_the_gate(dbops: Dbops, live: changing.Example) -> None:
    begin(live, up="upper(r.name)")
    told = ask(dbops, live, "rehearse", CHANGE, code=4)
    assert [one["code"] for one in told["findings"]] == ["DBM601"]
    assert "verify failed on the copy: 100 of 100 rows of public.users differ" in told["findings"][0]["message"]
    assert [one["name"] for one in told["data"]["phases"]] == ["expand", "backfill", "verify"]
    [proof] = contracting.entries(live, "rehearsed")
    assert (proof["ok"], [one["failed"] for one in proof["phases"]]) == (False, [False, False, True])
    assert "name 1" not in str(proof)
    [said] = [one["said"] for one in ask(dbops, live, "history")["data"]["changes"]]
    assert ", and it failed, plan " in said


def test_a_table_that_is_renamed_is_rehearsed_to_its_end(dbops: Dbops, live: changing.Example) -> None:
    begin(live)
    about = ("--change", "people", "--impact", "none: the old name stays as a view")
    (live.history / f"{renaming.EXPAND}_revision.py").unlink()
    ask(dbops, live, "new", "rename-table", "--table", "public.users", "--to", "people", *about)
    told = ask(dbops, live, "rehearse", "people", "--clients", "2")
    assert [one["name"] for one in told["data"]["phases"]] == ["expand", "verify", "switch", "contract"]
    assert told["findings"] == []


def begun(live: changing.Example, base: Path) -> tuple[subprocess.Popen[bytes], Path, int]:
    """Start a rehearsal, and wait until its server takes connections: process, folder, pid of the server."""
    argv = [Path(sys.executable).with_name("dbops"), "migrate", "rehearse", CHANGE, "-t", changing.TARGET]
    env = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(live.folder), "TMPDIR": str(base), "LANG": "C.UTF-8"}
    log = (live.folder / "rehearsal.log").open("wb")
    with log:
        process = subprocess.Popen([*argv, "--config", live.toml], env=env, stdout=log, stderr=log)
    deadline = time.monotonic() + 60
    while True:
        for place in base.glob(f"dbops-*-{process.pid}-*"):
            pidfile = place / "server" / "data" / "postmaster.pid"
            lines = pidfile.read_text().splitlines() if pidfile.exists() else []
            if len(lines) > 7 and lines[7].strip() == "ready":
                return process, place, int(lines[0])
        assert process.poll() is None, (live.folder / "rehearsal.log").read_text()
        assert time.monotonic() < deadline, "the server of the copy does not start"
        time.sleep(0.01)


def test_nothing_stays_of_one_that_is_stopped_or_killed(dbops: Dbops, live: changing.Example, base: Path) -> None:
    begin(live, swap="SELECT pg_sleep(60)")  # so that neither is over before it is met
    stopped, place, server = begun(live, base)
    stopped.send_signal(signal.SIGINT)
    assert stopped.wait(60) == 130, (live.folder / "rehearsal.log").read_text()
    assert (place.exists(), alive.is_alive(server)) == (False, False)
    killed, place, server = begun(live, base)
    killed.kill()
    killed.wait(60)
    assert place.exists()
    renaming.write(live)
    ask(dbops, live, "rehearse", CHANGE, "--clients", "0")
    assert (place.exists(), alive.is_alive(server)) == (False, False)
    assert [one["ok"] for one in contracting.entries(live, "rehearsed")] == [True]
