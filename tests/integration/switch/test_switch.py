"""Readers follow by and by; at the end the catalog follows in one transaction, and the baseline is taken."""

import threading
from collections.abc import Generator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from dbops.engine.patience import Ramp
from dbops.errors import CouldNotVerify, LockBusy, Refused, UsageError
from dbops.operations.migrate import record
from dbops.operations.migrate.life import State, Told
from dbops.operations.migrate.rollback import ready as rolling_back
from dbops.operations.migrate.switch import ready
from dbops.operations.migrate.switch.facts import Override

import changing
import renaming

_SWAP = "ALTER TABLE users RENAME TO people"
_SWAP_BACK = "ALTER TABLE people RENAME TO users"


@pytest.fixture
def live(counting: str, folder: Path) -> Generator[changing.Example]:
    with changing.example(counting, folder) as example:
        renaming.write(example)
        renaming.upgrade(example)
        renaming.rows(example, 100)
        yield example


def evidence(live: changing.Example, kind: str) -> Told | None:
    with live.connect() as connection:
        return renaming.known(live).evidence(kind, record.here(connection))


def test_readers_follow_by_percent_and_all_of_them_begin_the_soak(live: changing.Example) -> None:
    with pytest.raises(Refused, match="is expanded, not verified"):
        renaming.switch(live, 10)
    assert renaming.verify(live)[0] == 0
    renaming.switch(live, 10)
    assert (renaming.observed(live).percent, renaming.known(live).state) == (10, State.VERIFIED)
    assert renaming.ids(renaming.switch(live)) == ["switch", "baseline"]
    assert (renaming.observed(live).percent, renaming.known(live).state) == (100, State.SWITCHED)
    taken = evidence(live, "baseline")
    assert taken is not None
    primary = taken.detail["servers"]["primary"]
    assert primary["dealloc"] == 0
    assert primary["reset"] is not None
    assert all(len(row) == 4 for row in primary["calls"])
    assert renaming.ids(renaming.switch(live)) == [], "to switch again does nothing"
    with pytest.raises(Refused) as caught:
        renaming.switch(live, 50)
    assert "dbops migrate rollback" in str(caught.value.hint)


def test_a_baseline_whose_server_forgot_is_taken_anew(live: changing.Example) -> None:
    assert renaming.verify(live)[0] == 0
    renaming.switch(live)
    with live.connect(live.admin) as admin:
        admin.execute("SELECT pg_stat_statements_reset()")
    assert renaming.ids(renaming.switch(live)) == ["baseline"]
    with live.connect(live.admin) as admin:
        admin.execute("DROP EXTENSION pg_stat_statements")
    assert renaming.ids(renaming.switch(live)) == [], "what cannot be read now may be readable again"
    renaming.move(live, State.SWITCHED)
    assert renaming.codes(renaming.switch(live)) == {"DBM411"}


def test_a_switch_is_refused_once_the_triggers_were_changed(live: changing.Example) -> None:
    assert renaming.verify(live)[0] == 0
    [(trigger,)] = live.execute("SELECT tgname FROM pg_trigger WHERE tgname LIKE '~dbops%'")
    live.execute(f'ALTER TABLE users DISABLE TRIGGER "{trigger}"')
    with pytest.raises(Refused, match="verified under other triggers"):
        renaming.switch(live)
    renaming.switch(live, 0)  # fewer readers can do no harm


def test_without_proof_of_the_way_back_somebody_has_to_say_why(live: changing.Example) -> None:
    renaming.write(live, down="r.full_name || r.id")
    renaming.fill(live)
    assert renaming.verify(live)[0] == 4
    with pytest.raises(Refused, match="is backfilled, not verified"):
        renaming.switch(live)
    with pytest.raises(UsageError, match="no such gate"):
        renaming.switch(live, overrides=[Override("soak", "no time")])
    it = renaming.switch(live, overrides=[Override("reverse", "ids are not shown")])
    assert "DBM412" in renaming.codes(it)
    assert renaming.known(live).state is State.SWITCHED
    override = evidence(live, "override")
    assert override is not None
    assert override.detail == {"gate": "reverse", "reason": "ids are not shown"}


def test_an_override_of_the_way_back_does_not_stand_for_the_way_there(live: changing.Example) -> None:
    renaming.write(live, up="r.name || r.id")
    renaming.fill(live)
    assert renaming.verify(live)[0] == 4
    with pytest.raises(Refused, match="was found to differ"):
        renaming.switch(live, overrides=[Override("reverse", "ids are not shown")])


def test_in_a_clone_nothing_is_known_until_it_is_verified_there(live: changing.Example) -> None:
    assert renaming.verify(live)[0] == 0
    with live.connect(live.admin) as admin:  # what a clone has: entries that were made in another database
        admin.execute("ALTER TABLE dbops.entries DISABLE TRIGGER only_append")
        admin.execute("UPDATE dbops.entries SET system_identifier = system_identifier - 1")
        admin.execute("UPDATE dbops.jobs SET system_identifier = system_identifier - 1")
        admin.execute("ALTER TABLE dbops.entries ENABLE TRIGGER only_append")
    with pytest.raises(CouldNotVerify, match="unknown here, verify it again"):
        renaming.switch(live, 10)
    with pytest.raises(CouldNotVerify, match="unknown here, verify it again"):
        renaming.act(live, rolling_back.rollback)
    assert renaming.verify(live)[0] == 0
    assert not renaming.known(live).elsewhere
    renaming.switch(live, 10)


def test_the_catalog_follows_whole_and_tells_who_is_in_the_way(live: changing.Example) -> None:
    renaming.write(live, swap=_SWAP, swap_back=_SWAP_BACK)
    assert renaming.verify(live)[0] == 0
    ramp = Ramp(timeout=timedelta(milliseconds=700), attempts=3, first_pause=timedelta(milliseconds=1))
    with psycopg.connect(live.app) as reader:
        reader.execute("SELECT FROM users")
        with pytest.raises(LockBusy, match=r"blocked by backend .*SELECT FROM users"):
            renaming.switch(live, ramp=ramp)
        assert (renaming.observed(live).percent, renaming.known(live).state) == (0, State.VERIFIED)
    renaming.switch(live)
    assert live.execute("SELECT count(*) FROM people") == [(100,)]
    assert renaming.known(live).state is State.SWITCHED


def test_two_switches_at_once_are_one(live: changing.Example) -> None:
    assert renaming.verify(live)[0] == 0
    failed: list[BaseException] = []

    def switch() -> None:
        run = replace(live.run(), lock_wait=timedelta(seconds=60))
        opening = ready.switch(
            live.config, live.toml, changing.TARGET, run, run.started, change=renaming.CHANGE, percent=100
        )
        try:
            with opening as it:
                for step in it.plan.steps:
                    it.apply(step)
        except BaseException as error:  # noqa: BLE001  # told below, in the test's own thread
            failed.append(error)

    threads = [threading.Thread(target=switch) for _ in range(2)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert failed == []
    states = [one.detail["state"] for one in renaming.known(live).entries if one.kind == "state"]
    assert states.count("switched") == 1
