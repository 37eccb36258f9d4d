"""`dbops migrate contract`, through the installed program: gates, the written revision, what runs it."""

from collections.abc import Generator
from pathlib import Path

import pytest

from conftest import Dbops
from dbops.operations.migrate.compare import ready as compare
from dbops.operations.migrate.life import State
from dbops.operations.migrate.switch import ready as switch

import changing
import contracting
import renaming
from contracting import CHANGE, ask, evidence, gates, through

UNLOOKED = through("soak", "statements", "clients", "backup", "rehearsal")
FILE = "2026_01_01_0002_contract_users_full_name.py"


@pytest.fixture
def live(server: str, folder: Path) -> Generator[changing.Example]:
    with changing.example(server, folder) as example:
        yield example


def columns(live: changing.Example) -> list[str]:
    asked = "SELECT attname FROM pg_attribute WHERE attrelid = 'users'::regclass AND attnum > 0 AND NOT attisdropped"
    return [name for (name,) in live.execute(f"{asked} ORDER BY attnum")]


def test_each_gate_tells_why_it_is_closed_and_what_opens_it(dbops: Dbops, live: changing.Example) -> None:
    contracting.switched(live)
    told = ask(dbops, live, "contract", CHANGE, "--write", code=9)
    assert gates(told) == {
        "verified": "yes",
        "soak": "no",
        "dependants": "yes",
        "statements": "unknown",
        "clients": "unknown",
        "backup": "unknown",
        "rehearsal": "unknown",
    }
    assert not (live.history / FILE).exists()
    refused = told["findings"][-1]
    assert (refused["code"], "soak (no), statements (unknown)" in refused["message"]) == ("refused", True)
    assert all(one["hint"] for one in told["findings"])
    assert columns(live) == ["id", "name", "full_name"]


def test_a_contraction_is_written_committed_and_run(dbops: Dbops, live: changing.Example) -> None:
    contracting.switched(live)
    contracting.git(live, "init", "-q")
    contracting.git(live, "add", "migrations")
    contracting.git(live, "commit", "-q", "-m", "Expand")
    none = ask(dbops, live, "contract", CHANGE, *UNLOOKED, code=9)
    assert "--write" in none["findings"][-1]["hint"]
    ask(dbops, live, "contract", CHANGE, "--write", *UNLOOKED)
    first = (live.history / FILE).read_bytes()
    (live.history / FILE).unlink()
    ask(dbops, live, "contract", CHANGE, "--write", *UNLOOKED)
    assert (live.history / FILE).read_bytes() == first, "id and content are always the same"
    uncommitted = ask(dbops, live, "contract", CHANGE, *UNLOOKED, "--yes", code=9)
    assert "is not committed" in uncommitted["findings"][-1]["message"]
    contracting.git(live, "add", "migrations")
    contracting.git(live, "commit", "-q", "-m", "Contract")
    (live.history / FILE).write_bytes(first + b"\n# changed\n")
    changed = ask(dbops, live, "contract", CHANGE, *UNLOOKED, "--yes", code=9)
    assert "differs from what is committed" in changed["findings"][-1]["message"]
    (live.history / FILE).write_bytes(first)
    held = dbops("migrate", "up", "--yes", "--config", live.toml)
    assert held.returncode == 9
    assert "no gate was passed" in held.stderr
    assert f"dbops migrate contract {CHANGE}" in held.stderr
    assert columns(live) == ["id", "name", "full_name"]
    done = ask(dbops, live, "contract", CHANGE, *UNLOOKED, "--yes")
    assert [step["id"] for step in done["data"]["steps"]] == ["leave", "2026_01_01_0002_contract"]
    assert columns(live) == ["id", "full_name"]
    assert renaming.known(live).state is State.CONTRACTED
    assert {one["gate"] for one in contracting.entries(live, "override")} == {*UNLOOKED} & {*contracting.GATES}
    again = ask(dbops, live, "contract", CHANGE)
    assert again["data"]["plans"][0]["outcome"] == "nothing to do"
    back = dbops("migrate", "down", "-t", changing.TARGET, "--to", renaming.EXPAND, "--yes", "--config", live.toml)
    assert back.returncode == 9
    assert "cannot be made anew" in back.stderr


def test_a_fresh_database_goes_through_the_gate_of_the_revision(
    dbops: Dbops, live: changing.Example, server: str, base: Path
) -> None:
    contracting.switched(live)
    ask(dbops, live, "contract", CHANGE, "--write", *UNLOOKED)
    place = base / f"fresh_{live.folder.name}"
    place.mkdir(mode=0o711)
    with changing.example(server, place) as fresh:
        for file in live.history.glob("*.py"):
            fresh.history.mkdir(parents=True, exist_ok=True)
            (fresh.history / file.name).write_bytes(file.read_bytes())
        up = dbops("migrate", "up", "--yes", "--config", fresh.toml)
        assert up.returncode == 0, up.stderr
        assert columns(fresh) == ["id", "full_name"]


def test_an_override_wants_a_known_gate_and_a_reason(dbops: Dbops, live: changing.Example) -> None:
    contracting.expanded(live, rows=1)
    wrong = ask(dbops, live, "contract", CHANGE, "--override", "moon", "--reason", "full", code=2)
    assert "verified, soak, dependants" in wrong["findings"][0]["hint"]
    mute = ask(dbops, live, "contract", CHANGE, "--override", "soak", code=2)
    assert "wants a reason" in mute["findings"][0]["message"]


def test_what_was_altered_by_hand_is_refused_as_drift(dbops: Dbops, live: changing.Example) -> None:
    contracting.switched(live)
    [(trigger,)] = live.execute("SELECT tgname FROM pg_trigger WHERE tgname LIKE '~dbops%'")
    live.execute(f'ALTER TABLE users DISABLE TRIGGER "{trigger}"')
    told = ask(dbops, live, "contract", CHANGE, "--write", *UNLOOKED, code=9)
    assert "was altered by other hands" in told["findings"][0]["message"]
    live.execute(f'DROP TRIGGER "{trigger}" ON users')
    told = ask(dbops, live, "contract", CHANGE, "--write", *UNLOOKED, code=9)
    assert "is gone" in told["findings"][0]["message"]


def test_what_needs_the_old_is_named(dbops: Dbops, live: changing.Example) -> None:
    contracting.switched(live)
    live.execute("CREATE VIEW people AS SELECT id, name FROM users")
    live.execute("CREATE INDEX users_by_name ON users (name)")
    told = ask(dbops, live, "contract", CHANGE, "--write", *UNLOOKED, code=9)
    assert evidence(told)["dependants"] == "view public.people needs the old"
    live.execute("DROP VIEW people")
    done = ask(dbops, live, "contract", CHANGE, "--write", *UNLOOKED)
    assert "with it goes index public.users_by_name" in evidence(done)["dependants"]


_DROPPED = """
from dbops.operations.migrate import changes
from dbops.operations.migrate.shapes.dropped import Dropped

change = "users-full-name"
impact = "nobody reads the name any more"
shape = Dropped("public.users", ("name",))
phase = "expand"
"""


def test_a_column_is_dropped_in_two_stages_and_the_first_can_be_taken_back(
    dbops: Dbops, live: changing.Example
) -> None:
    table = "def upgrade() -> None:\n    op.execute('CREATE TABLE users (id int PRIMARY KEY, name text)')\n"
    live.revision(1, table + "\n\ndef downgrade() -> None:\n    op.execute('DROP TABLE users')\n")
    expand = "def upgrade() -> None:\n    changes.expand(change, shape)\n"
    live.revision(2, expand + "\n\ndef downgrade() -> None:\n    changes.undo(change, shape)\n", head=_DROPPED)
    renaming.upgrade(live)
    live.execute("INSERT INTO users VALUES (1, 'kept')")
    contracting.carry_out(compare.verify, live)
    contracting.carry_out(switch.switch, live, percent=100)
    ask(dbops, live, "contract", CHANGE, "--write", *UNLOOKED)
    assert "changes.put_back(change, shape)" in (live.history / FILE).read_text()
    planned = ask(dbops, live, "contract", CHANGE, "--plan", *UNLOOKED)
    assert planned["data"]["plans"][0]["risk"] == "blocks", "it is put out of the way, with all that is in it"
    ask(dbops, live, "contract", CHANGE, "--yes", *UNLOOKED)
    [put_away, identity] = sorted(columns(live), key=len, reverse=True)
    assert (put_away.startswith("dbops_gone_"), identity) == (True, "id")
    [change] = ask(dbops, live, "status")["data"]["databases"][0]["changes"]
    assert change["phase"] == "put away"
    hint = ask(dbops, live, "rollback", CHANGE, code=9)["findings"][-1]["hint"]
    assert f"down --target {changing.TARGET} --to {renaming.EXPAND} " in hint
    down = ("down", "--to", renaming.EXPAND, "--yes")
    ask(dbops, live, *down)
    assert live.execute("SELECT name FROM users") == [("kept",)]
    assert renaming.known(live).state is State.SWITCHED
    ask(dbops, live, "contract", CHANGE, "--yes", *UNLOOKED)
    written = ask(dbops, live, "contract", CHANGE, "--write")
    assert written["next_actions"][0].startswith("dbops migrate up ")
    assert dbops("migrate", "up", "--yes", "--config", live.toml).returncode == 7, "it loses data"
    early = dbops("migrate", "up", "--yes", "--confirm", changing.TARGET, "--config", live.toml)
    assert early.returncode == 9
    assert "is kept for 14 days" in early.stderr
    assert len(columns(live)) == 2
