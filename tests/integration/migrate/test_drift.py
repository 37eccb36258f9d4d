"""What a change put into the catalog is known again from any session, and missed when other hands were at it."""

from collections.abc import Generator
from pathlib import Path

import pytest

from conftest import Dbops
from dbops.engine.run import new as new_run
from dbops.operations.migrate import drift, open_changes
from dbops.stores import postgres

import changing

_CHANGE = "users-full-name"
_HEAD = f"""
from dbops.operations.migrate import changes
from dbops.operations.migrate.shapes.columns import Columns, New

change, phase, impact = "{_CHANGE}", "expand", "clients write full_name"
shape = Columns(table="users", old=("name",), new=(New("full_name", "text"),),
                up={{"full_name": "r.name"}}, down={{"name": "r.full_name"}})
"""


@pytest.fixture
def live(server: str, folder: Path, dbops: Dbops) -> Generator[changing.Example]:
    with changing.example(server, folder) as example:
        example.revision(
            1,
            "def upgrade() -> None:\n    op.execute(\"CREATE TABLE users (id int PRIMARY KEY, name text DEFAULT 'x')\")"
            "\n\n\ndef downgrade() -> None:\n    op.execute('DROP TABLE users')\n",
        )
        example.revision(
            2,
            "def upgrade() -> None:\n    changes.expand(change, shape)\n\n\n"
            "def downgrade() -> None:\n    changes.undo(change, shape)\n",
            head=_HEAD,
        )
        done = dbops("migrate", "up", "--yes", "--config", example.toml)
        assert done.returncode == 0, done.stderr
        yield example


def found(live: changing.Example) -> dict[str, str]:
    """Compare what the revision's session saw with what ours sees."""
    run = new_run("tests", live.folder / "state")
    known = open_changes.observe(live.config, live.toml, changing.TARGET, run)
    one = open_changes.one(known, _CHANGE)
    with postgres.connect(live.config.postgres[changing.TARGET], run, target=changing.TARGET) as connection:
        assert one.shape is not None
        now = drift.fingerprint(connection, _CHANGE, one.shape)
    before = drift.expected(one.life, known.here)
    assert before, "the transition noted nothing"
    return {name: code for code, name in drift.differences(before, now)}


def test_nothing_is_told_where_nobody_was_at_it(live: changing.Example) -> None:
    assert found(live) == {}


def test_what_other_hands_altered_or_removed_is_told(live: changing.Example) -> None:
    [(trigger, *_), (other, *_), *_] = live.execute(
        "SELECT tgname FROM pg_trigger WHERE tgrelid = 'users'::regclass ORDER BY tgname"
    )
    live.execute(f'ALTER TABLE users DISABLE TRIGGER "{trigger}"')
    live.execute(f'DROP TRIGGER "{other}" ON users')
    assert found(live) == {f"trigger {trigger}": "DBM502", f"trigger {other}": "DBM501"}
