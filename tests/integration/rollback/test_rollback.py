"""The way back from every phase before contract: nothing that a new writer wrote is lost."""

from collections.abc import Generator
from pathlib import Path

import pytest
from sqlalchemy.exc import DBAPIError

from dbops.engine.plan import Ready
from dbops.errors import Refused, VerifiedBad
from dbops.operations.migrate.life import State
from dbops.operations.migrate.rollback import plan, ready
from dbops.operations.migrate.switch.facts import Override

import changing
import renaming

_COLUMNS = "SELECT attname FROM pg_attribute WHERE attrelid = 'users'::regclass AND attnum > 0 AND NOT attisdropped"
_WRITTEN = "SELECT id, name FROM users WHERE id IN (7, 1001) ORDER BY id"


@pytest.fixture
def live(server: str, folder: Path) -> Generator[changing.Example]:
    with changing.example(server, folder) as example:
        renaming.write(example)
        renaming.upgrade(example)
        renaming.rows(example, 500)
        yield example


def back(live: changing.Example, *overrides: Override, write: bool = False) -> Ready[plan.Action]:
    """Go one phase back; return what was planned and met."""
    return renaming.act(live, ready.rollback, write=write, overrides=overrides)


def switched(live: changing.Example) -> None:
    renaming.verify(live)
    renaming.switch(live)


def test_from_switched_readers_go_back_and_what_new_clients_wrote_is_in_the_old(live: changing.Example) -> None:
    renaming.fill(live)
    switched(live)
    live.execute("INSERT INTO users (id, full_name) VALUES (1001, 'new')", dsn=live.app)
    live.execute("UPDATE users SET full_name = 'renamed' WHERE id = 7", dsn=live.app)
    it = back(live)
    assert renaming.ids(it) == ["lead back", "verify"]
    assert (renaming.observed(live).percent, renaming.known(live).state) == (0, State.VERIFIED)
    assert live.execute("SELECT id, name FROM users WHERE id IN (7, 1001) ORDER BY id") == [
        (7, "renamed"),
        (1001, "new"),
    ]
    assert renaming.ids(back(live)) == ["compare back", renaming.EXPAND]
    assert live.execute(_COLUMNS) == [("id",), ("name",)]
    assert live.execute("SELECT id, name FROM users WHERE id IN (7, 1001) ORDER BY id") == [
        (7, "renamed"),
        (1001, "new"),
    ]
    assert renaming.known(live).state is State.ROLLED_BACK


def test_a_switch_that_exchanged_names_is_taken_back_with_them(live: changing.Example) -> None:
    renaming.write(live, swap="ALTER TABLE users RENAME TO people", swap_back="ALTER TABLE people RENAME TO users")
    renaming.fill(live)
    switched(live)
    assert live.execute("SELECT count(*) FROM people") == [(500,)]
    back(live)
    assert live.execute("SELECT count(*) FROM users") == [(500,)]
    assert renaming.known(live).state is State.VERIFIED


def test_who_was_cut_off_between_the_two_steps_verifies_and_goes_no_further(live: changing.Example) -> None:
    renaming.fill(live)
    switched(live)
    run = live.run()
    opening = ready.rollback(live.config, live.toml, changing.TARGET, run, run.started, change=renaming.CHANGE)
    with opening as it:
        it.apply(it.plan.steps[0])
    assert renaming.known(live).state is State.BACKFILLED
    assert renaming.ids(back(live)) == ["verify"]
    assert renaming.known(live).state is State.VERIFIED


def test_what_only_the_new_holds_stops_the_undo_and_names_keys_alone(live: changing.Example) -> None:
    renaming.fill(live)
    renaming.verify(live)
    with live.connect(live.admin) as admin:
        admin.execute("SET session_replication_role = replica")
        admin.execute("UPDATE users SET full_name = 'secret' WHERE id IN (3, 400)")
    with pytest.raises(VerifiedBad, match="id = 3; id = 400") as caught:
        back(live)
    assert "secret" not in str(caught.value)
    assert ("full_name",) in live.execute(_COLUMNS)
    it = back(live, Override("reverse", "two test accounts"))
    assert [one.code for one in it.met] == ["DBM421"]
    assert live.execute(_COLUMNS) == [("id",), ("name",)]
    told = [one.detail for one in renaming.known(live).entries if one.kind == "override"]
    assert told == [{"gate": "reverse", "reason": "two test accounts"}]


def test_before_it_is_filled_it_is_undone_without_a_comparison(live: changing.Example) -> None:
    live.execute("INSERT INTO dbops.readers VALUES ('users-full-name', 10)")
    it = back(live)
    assert renaming.ids(it) == ["readers", renaming.EXPAND]
    assert any("not filled yet" in note for note in it.plan.steps[1].notes)
    assert any("would expand again" in note for note in it.plan.steps[1].notes)
    assert renaming.observed(live).percent == 0
    assert live.execute(_COLUMNS) == [("id",), ("name",)]
    with pytest.raises(Refused, match="is to run"):
        back(live)


def test_behind_other_revisions_a_revision_takes_it_back(live: changing.Example) -> None:
    body = (
        "def upgrade() -> None:\n    op.execute('CREATE TABLE other (id int)')\n\n\n"
        "def downgrade() -> None:\n    op.execute('DROP TABLE other')\n"
    )
    live.revision(3, body)
    renaming.upgrade(live)
    renaming.fill(live)
    with pytest.raises(Refused, match="2026_01_01_0003 came after 2026_01_01_0002"):
        back(live)
    it = back(live, write=True)
    assert renaming.ids(it) == ["compare back", "write"]
    [path] = live.history.glob("*_rollback_*.py")
    written = path.read_text(encoding="utf-8")
    assert "changes.rollback(change, shape)" in written
    path.unlink()
    back(live, write=True)
    assert path.read_text(encoding="utf-8") == written, "its id and its text follow from the change alone"
    assert renaming.ids(back(live, write=True)) == ["compare back"]
    live.execute("INSERT INTO dbops.readers VALUES ('users-full-name', 10)")
    with pytest.raises(DBAPIError, match="readers follow it"):
        renaming.upgrade(live)
    assert renaming.ids(back(live)) == ["readers", "compare back"]
    renaming.upgrade(live)
    assert live.execute(_COLUMNS) == [("id",), ("name",)]
    assert renaming.known(live).state is State.ROLLED_BACK


def test_after_contract_only_a_restore_helps(live: changing.Example) -> None:
    renaming.fill(live)
    body = "def upgrade() -> None:\n    changes.contract(change, shape)\n\n\ndef downgrade() -> None:\n    pass\n"
    renaming.contract(live, body)
    live.execute("DELETE FROM users")
    renaming.upgrade(live)
    with pytest.raises(Refused, match="its old names are gone") as caught:
        back(live)
    assert "dbops pitr plan" in str(caught.value.hint)
