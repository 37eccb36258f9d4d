"""Readers follow by and by; at the end the catalog follows in one transaction, and the baseline is taken."""

import json
import threading
from collections.abc import Callable, Generator
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

import changing
import renaming
from conftest import Dbops
from dbops.engine.patience import Ramp
from dbops.errors import LockBusy
from dbops.operations.migrate import record
from dbops.operations.migrate.life import State, Told
from dbops.operations.migrate.switch import ready

Ask = Callable[..., tuple[int, dict[str, Any]]]
_SWAP = "ALTER TABLE users RENAME TO people"
_SWAP_BACK = "ALTER TABLE people RENAME TO users"


@pytest.fixture
def live(counting: str, folder: Path) -> Generator[changing.Example]:
    with changing.example(counting, folder) as example:
        renaming.write(example)
        renaming.upgrade(example)
        renaming.rows(example, 100)
        yield example


@pytest.fixture
def ask(live: changing.Example, dbops: Dbops) -> Ask:
    def run(verb: str, *more: str) -> tuple[int, dict[str, Any]]:
        words = ("migrate", verb, renaming.CHANGE, "-t", changing.TARGET, "-o", "json", *more)
        ended = dbops(*words, "--config", live.toml)
        assert "Traceback" not in ended.stderr, ended.stderr
        return ended.returncode, json.loads(ended.stdout)

    return run


def evidence(live: changing.Example, kind: str) -> Told | None:
    with live.connect() as connection:
        return renaming.known(live).evidence(kind, record.here(connection))


def test_readers_follow_by_percent_and_all_of_them_begin_the_soak(live: changing.Example, ask: Ask) -> None:
    code, told = ask("switch", "--percent", "10")
    assert (code, "not verified" in told["findings"][0]["message"]) == (9, True)
    assert ask("verify")[0] == 0
    assert ask("switch", "--percent", "10")[0] == 0
    assert (renaming.observed(live).percent, renaming.known(live).state) == (10, State.VERIFIED)
    code, told = ask("switch", "--percent", "100")
    assert (code, [step["id"] for step in told["data"]["steps"]]) == (0, ["switch", "baseline"])
    assert (renaming.observed(live).percent, renaming.known(live).state) == (100, State.SWITCHED)
    taken = evidence(live, "baseline")
    assert taken is not None
    primary = taken.detail["servers"]["primary"]
    assert primary["dealloc"] == 0
    assert primary["reset"] is not None
    assert all(len(row) == 4 for row in primary["calls"])
    again, told = ask("switch", "--percent", "100")
    assert (again, told["data"]["steps"]) == (0, [])
    code, told = ask("switch", "--percent", "50")
    assert (code, "dbops migrate rollback" in told["findings"][0]["hint"]) == (9, True)


def test_a_baseline_whose_server_forgot_is_taken_anew(live: changing.Example, ask: Ask) -> None:
    assert ask("verify")[0] == 0
    assert ask("switch")[0] == 0
    with live.connect(live.admin) as admin:
        admin.execute("SELECT pg_stat_statements_reset()")
    code, told = ask("switch")
    assert (code, [step["id"] for step in told["data"]["steps"]]) == (0, ["baseline"])
    with live.connect(live.admin) as admin:
        admin.execute("DROP EXTENSION pg_stat_statements")
    live.execute("DELETE FROM dbops.readers")
    renaming.move(live, State.SWITCHED)
    code, told = ask("switch")
    assert (code, {one["code"] for one in told["findings"]}) == (3, {"DBM411"})


def test_a_switch_is_refused_once_the_triggers_were_changed(live: changing.Example, ask: Ask) -> None:
    assert ask("verify")[0] == 0
    [(trigger,)] = live.execute("SELECT tgname FROM pg_trigger WHERE tgname LIKE '~dbops%'")
    live.execute(f'ALTER TABLE users DISABLE TRIGGER "{trigger}"')
    code, told = ask("switch")
    assert (code, "other triggers" in told["findings"][0]["message"]) == (9, True)
    assert ask("switch", "--percent", "0")[0] == 0, "fewer readers can do no harm"


def test_without_proof_of_the_way_back_somebody_has_to_say_why(live: changing.Example, ask: Ask) -> None:
    renaming.write(live, down="r.full_name || r.id")
    renaming.fill(live)
    assert ask("verify")[0] == 4
    code, told = ask("switch")
    assert (code, "differs on the way back" in told["findings"][0]["message"] or "not verified" in str(told)) == (
        9,
        True,
    )
    assert ask("switch", "--override", "reverse")[0] == 2
    code, told = ask("switch", "--override", "reverse", "--reason", "ids are not shown")
    assert (code, "DBM412" in {one["code"] for one in told["findings"]}) == (3, True)
    assert renaming.known(live).state is State.SWITCHED
    override = evidence(live, "override")
    assert override is not None
    assert override.detail == {"gate": "reverse", "reason": "ids are not shown"}


def test_in_a_clone_nothing_is_known_until_it_is_verified_there(live: changing.Example, ask: Ask) -> None:
    assert ask("verify")[0] == 0
    with live.connect(live.admin) as admin:  # what a clone has: entries that were made in another database
        admin.execute("ALTER TABLE dbops.entries DISABLE TRIGGER only_append")
        admin.execute("UPDATE dbops.entries SET system_identifier = system_identifier - 1")
        admin.execute("UPDATE dbops.jobs SET system_identifier = system_identifier - 1")
        admin.execute("ALTER TABLE dbops.entries ENABLE TRIGGER only_append")
    for verb in ("switch", "rollback"):
        code, told = ask(verb)
        assert (code, "verify it again" in told["findings"][0]["message"]) == (5, True), verb
    assert ask("verify")[0] == 0
    assert not renaming.known(live).elsewhere
    assert ask("switch", "--percent", "10")[0] == 0


def test_the_catalog_follows_whole_and_tells_who_is_in_the_way(live: changing.Example, ask: Ask) -> None:
    renaming.write(live, swap=_SWAP, swap_back=_SWAP_BACK)
    assert ask("verify")[0] == 0
    run = live.run()
    ramp = Ramp(timeout=timedelta(milliseconds=300), attempts=2, first_pause=timedelta(milliseconds=1))
    with psycopg.connect(live.app) as reader:
        reader.execute("SELECT FROM users")
        opening = ready.switch(
            live.config, live.toml, changing.TARGET, run, run.started, change=renaming.CHANGE, percent=100, ramp=ramp
        )
        with opening as it, pytest.raises(LockBusy, match=r"blocked by backend .*SELECT FROM users"):
            it.apply(it.plan.steps[0])
        assert (renaming.observed(live).percent, renaming.known(live).state) == (0, State.VERIFIED)
    assert ask("switch")[0] == 7
    assert ask("switch", "--yes")[0] == 0
    assert live.execute("SELECT count(*) FROM people") == [(100,)]
    assert renaming.known(live).state is State.SWITCHED


def test_two_switches_at_once_are_one(live: changing.Example, ask: Ask) -> None:
    assert ask("verify")[0] == 0
    codes: list[int] = []
    threads = [threading.Thread(target=lambda: codes.append(ask("switch", "--lock-wait", "60s")[0])) for _ in range(2)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert codes == [0, 0]
    states = [one.detail["state"] for one in renaming.known(live).entries if one.kind == "state"]
    assert states.count("switched") == 1
