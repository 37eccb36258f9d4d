"""The changes of a database, as the verbs that work on one find them."""

from collections.abc import Generator
from pathlib import Path

import pytest

from conftest import Dbops
from dbops.errors import Refused, UsageError
from dbops.operations.migrate import open_changes
from dbops.operations.migrate.life import State

import changing

_HEAD = """
from dataclasses import dataclass
from dbops.operations.migrate import changes
from dbops.operations.migrate.shapes.shape import Do, OldNames


class Shape:
    table = "things"
    def expand(self, change): return (Do("ALTER TABLE things ADD COLUMN b text"),)
    def undo(self, change): return (Do("ALTER TABLE things DROP COLUMN b"),)
    def contract(self, change): return (Do("ALTER TABLE things DROP COLUMN a"),)
    def old_names(self): return OldNames("things", ("a",))


shape = Shape()
change = "things-b"
impact = "things carry a b"
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
            head=_HEAD + 'phase = "expand"\n',
        )
        yield example


def observed(live: changing.Example) -> open_changes.Known:
    return open_changes.observe(live.config, live.toml, changing.TARGET, live.run())


def test_a_change_is_known_before_it_is_expanded_and_refused_by_name(live: changing.Example) -> None:
    known = observed(live)
    assert [(one.id, one.impact, one.expanded, one.life.state) for one in known.changes] == [
        ("things-b", "things carry a b", False, State.PLANNED)
    ]
    assert known.open == ()
    with pytest.raises(Refused, match="2026_01_01_0002 is to run"):
        open_changes.expanded(known, "things-b")
    with pytest.raises(UsageError, match="no change 'other'; known are: things-b"):
        open_changes.one(known, "other")


def test_an_expanded_change_has_its_shape_its_control_and_its_jobs(live: changing.Example, dbops: Dbops) -> None:
    assert dbops("migrate", "up", "--yes", "--config", live.toml).returncode == 0
    live.execute("INSERT INTO dbops.controls (change, paused, rows_per_s, actor) VALUES ('things-b', true, 7, 'me')")
    live.execute("INSERT INTO dbops.readers VALUES ('things-b', 10)")
    live.execute(
        "INSERT INTO dbops.jobs (change, kind, part, parts, work, run, batch_rows,"
        " system_identifier, database_oid, timeline) VALUES ('things-b', 'verify', 0, 1, 'w', 'r', 100, 1, 2, 3)"
    )
    known = observed(live)
    change, shape = open_changes.expanded(known, "things-b")
    assert (change.open, change.paused, change.percent) == (True, True, 10)
    assert change.control is not None
    assert change.control.rows_per_s == 7
    assert [(job.kind, job.batch_rows, job.place.timeline) for job in change.jobs] == [("verify", 100, 3)]
    assert shape.table == "things"
    assert known.here != change.jobs[0].place
