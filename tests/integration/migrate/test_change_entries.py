"""What the ledger keeps of a change: states by revisions, leave to contract, and readers who follow by and by."""

from collections.abc import Generator
from pathlib import Path

import psycopg
import pytest

from conftest import Dbops
from dbops.operations.migrate import record
from dbops.operations.migrate.life import Life, State

import changing

_SHAPE = """
from dataclasses import dataclass
from dbops.operations.migrate import changes
from dbops.operations.migrate.shapes.shape import Do, OldNames


class Shape:
    table = "things"
    def expand(self, change): return (Do("ALTER TABLE things ADD COLUMN b text DEFAULT 'x::y'"),)
    def undo(self, change): return (Do("ALTER TABLE things DROP COLUMN b"),)
    def contract(self, change): return (Do("ALTER TABLE things DROP COLUMN a"),)
    def old_names(self): return OldNames("things", ("a",))


shape = Shape()
change = "things-b"
"""


@pytest.fixture
def live(server: str, folder: Path) -> Generator[changing.Example]:
    with changing.example(server, folder) as example:
        example.revision(
            1,
            "def upgrade() -> None:\n    op.execute('CREATE TABLE things (id int PRIMARY KEY, a text)')\n\n\n"
            "def downgrade() -> None:\n    op.execute('DROP TABLE things')\n",
        )
        example.revision(
            2,
            "def upgrade() -> None:\n    changes.expand(change, shape)\n\n\n"
            "def downgrade() -> None:\n    changes.undo(change, shape)\n",
            head=_SHAPE + 'phase = "expand"\n',
        )
        yield example


def contraction(live: changing.Example) -> None:
    body = "def upgrade() -> None:\n    changes.contract(change, shape)\n\n\ndef downgrade() -> None:\n    pass\n"
    live.revision(3, body, head=_SHAPE + 'phase = "contract"\n')


def known(live: changing.Example) -> Life:
    with live.connect() as connection:
        return record.read(connection, target=changing.TARGET)["things-b"]


def test_revisions_move_the_change_that_they_are_phases_of(live: changing.Example, dbops: Dbops) -> None:
    up = ("migrate", "up", "--yes", "--config", live.toml)
    assert dbops(*up).returncode == 0
    assert (known(live).state, known(live).elsewhere) == (State.EXPANDED, False)
    assert live.execute("INSERT INTO things VALUES (1, 'a') RETURNING b") == [("x::y",)]
    back = dbops("migrate", "down", "-t", changing.TARGET, "--to", "2026_01_01_0001", "--yes", "--config", live.toml)
    assert back.returncode == 0, back.stderr
    assert known(live).state is State.ROLLED_BACK


def test_a_contraction_is_held_up_until_this_database_gave_leave(live: changing.Example, dbops: Dbops) -> None:
    up = ("migrate", "up", "--yes", "--config", live.toml)
    assert dbops(*up).returncode == 0
    live.execute("INSERT INTO things VALUES (1, 'a')")
    contraction(live)
    held = dbops(*up)
    assert held.returncode != 0
    assert "no gate was passed" in held.stderr
    with live.connect() as connection:
        run = live.run()
        record.prove(connection, run, target=changing.TARGET, change="things-b", kind="leave", evidence={})
    assert dbops(*up).returncode == 0
    assert known(live).state is State.CONTRACTED


def test_a_table_without_rows_is_contracted_without_proof(live: changing.Example, dbops: Dbops) -> None:
    contraction(live)
    assert dbops("migrate", "up", "--yes", "--config", live.toml).returncode == 0
    assert known(live).state is State.CONTRACTED


def test_readers_follow_by_percent_and_keep_their_answer(live: changing.Example, dbops: Dbops) -> None:
    assert dbops("migrate", "up", "--yes", "--config", live.toml).returncode == 0
    with live.connect() as owner, psycopg.connect(live.app, autocommit=True) as app:
        ask = "SELECT array_agg(n) FROM generate_series(1, 2000) n WHERE dbops.read_new('things-b', n::text)"

        def followers(percent: int) -> set[int]:
            owner.execute(
                "INSERT INTO dbops.readers VALUES ('things-b', %s)"
                " ON CONFLICT (change) DO UPDATE SET percent = excluded.percent",
                (percent,),
            )
            row = app.execute(ask).fetchone()
            return set((row and row[0]) or ())

        none, some, more, every = (followers(percent) for percent in (0, 10, 50, 100))
    assert none == set()
    assert some < more < every == set(range(1, 2001))
    assert 120 < len(some) < 280
    with psycopg.connect(live.app, autocommit=True) as app, pytest.raises(psycopg.errors.InsufficientPrivilege):
        app.execute("SELECT * FROM dbops.readers")
