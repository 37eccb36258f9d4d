"""`dbops migrate status` and `history` of open changes, through the installed program."""

from collections.abc import Generator
from pathlib import Path

import pytest

from conftest import Dbops

import changing
import contracting
import renaming
from contracting import CHANGE, ask, through


@pytest.fixture
def live(server: str, folder: Path) -> Generator[changing.Example]:
    with changing.example(server, folder) as example:
        yield example


def test_an_open_change_has_a_line_with_its_phase_and_the_gates_that_are_missing(
    dbops: Dbops, live: changing.Example
) -> None:
    contracting.switched(live)
    contracting.configure(live, "old_clients = ['shop 1.*']", "soak = '2h'")
    told = ask(dbops, live, "status")
    [database] = told["data"]["databases"]
    [change] = database["changes"]
    assert (change["change"], change["phase"], change["readers"]) == (CHANGE, "soak", 100)
    assert change["impact"] == "users have a full name"
    assert change["missing"] == ["soak", "rehearsal"]
    assert change["unlooked"] == ["dependants", "statements", "backup"]
    ask(dbops, live, "contract", CHANGE, "--write", code=9)
    [change] = ask(dbops, live, "status")["data"]["databases"][0]["changes"]
    assert {"soak", "statements", "backup", "rehearsal"} <= set(change["missing"])
    assert change["unlooked"] == []


def test_status_keeps_whom_it_saw_connected_as_evidence(dbops: Dbops, live: changing.Example) -> None:
    contracting.switched(live)
    contracting.configure(live, "old_clients = ['shop 1.*']")
    contracting.alone(live)
    with contracting.named(live, "shop 1.7"):
        ask(dbops, live, "status")
    ask(dbops, live, "status")
    [kept] = contracting.entries(live, "clients")  # the second look, right behind it, found nobody and is not kept
    assert kept == {"patterns": ["shop 1.*"], "seen": {"shop 1.*": 1}, "ours": 0, "servers": ["primary"]}


def test_history_tells_the_steps_of_a_change_and_its_overrides_for_ever(dbops: Dbops, live: changing.Example) -> None:
    contracting.switched(live)
    gates = ("soak", "statements", "clients", "backup", "rehearsal")
    ask(dbops, live, "contract", CHANGE, "--write", *through(*gates))
    [after] = ask(dbops, live, "status")["next_actions"]
    assert after.startswith(f"dbops migrate contract {CHANGE} --target {changing.TARGET} --plan")
    ask(dbops, live, "contract", CHANGE, "--yes", *through(*gates))
    told = ask(dbops, live, "history")
    said = [one["said"] for one in told["data"]["changes"]]
    assert said[0] == f"expanded by revision {renaming.EXPAND}"
    assert any(text.startswith("compared 100 rows: clean") for text in said)
    assert "gate soak, which was no, overridden: a test" in said
    assert said[-2] == f"contracted by revision {renaming.EXPAND}_contract"
    assert said[-1].startswith(f"revision {renaming.EXPAND}_contract took")
    assert all(one["actor"] and one["age_s"] >= 0 for one in told["data"]["changes"])
    shown = dbops("migrate", "history", "-t", changing.TARGET, "--config", live.toml)
    assert "change users-full-name: users have a full name" in shown.stdout
    assert "overridden: a test" in shown.stdout
    assert not shown.stdout.startswith("database"), "one database needs no column"


def test_a_copy_of_the_database_is_told_as_unknown(dbops: Dbops, live: changing.Example) -> None:
    contracting.switched(live)
    with contracting.copied(live):
        [change] = ask(dbops, live, "status")["data"]["databases"][0]["changes"]
        assert change["elsewhere"] is True
        refused = ask(dbops, live, "contract", CHANGE, *through(*contracting.GATES), code=5)
        assert "unknown here, re-verify" in refused["findings"][0]["message"]
