"""The gate that stands in the revision itself: what opens it, what keeps it closed."""

from collections.abc import Generator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from dbops.operations.migrate import changes, record
from dbops.operations.migrate.shapes.shape import OldNames
from dbops.stores import ledger

import changing


@pytest.fixture
def live(server: str, folder: Path) -> Generator[changing.Example]:
    with changing.example(server, folder) as example:
        example.execute("CREATE TABLE things (id int PRIMARY KEY, a text)")
        yield example


def held_up(live: changing.Example) -> bool:
    try:
        live.execute(changes.gate("things-b", OldNames("things", ("a",))))
    except psycopg.errors.ObjectNotInPrerequisiteState:
        return True
    return False


def test_rows_that_a_policy_hides_from_their_owner_are_rows(live: changing.Example) -> None:
    owner = conninfo_to_dict(live.owner)["user"]
    assert not held_up(live)
    live.execute("INSERT INTO things VALUES (1, 'a')")
    live.execute("ALTER TABLE things ENABLE ROW LEVEL SECURITY")
    live.execute("ALTER TABLE things FORCE ROW LEVEL SECURITY")
    live.execute(f'ALTER ROLE "{owner}" NOBYPASSRLS', dsn=live.admin)
    assert live.execute("SELECT count(*) FROM things") == [(0,)]
    assert held_up(live)


def test_a_leave_is_over_when_it_was_ended(live: changing.Example) -> None:
    live.execute("INSERT INTO things VALUES (1, 'a')")
    assert held_up(live)
    with live.connect(live.admin) as connection:
        ledger.apply(connection, ledger.install(None, owner=None), target=changing.TARGET)
        run = live.run()
        for kind, closed in (("leave", False), ("leave ended", True), ("leave", False)):
            record.prove(connection, run, target=changing.TARGET, change="things-b", kind=kind, evidence={})
            connection.execute("GRANT USAGE ON SCHEMA dbops TO PUBLIC")
            connection.execute("GRANT SELECT ON dbops.entries TO PUBLIC")
            assert held_up(live) is closed


def test_a_leave_of_the_future_opens_nothing(live: changing.Example) -> None:
    """A clock that went backwards would make it last."""
    live.execute("INSERT INTO things VALUES (1, 'a')")
    with live.connect(live.admin) as connection:
        ledger.apply(connection, ledger.install(None, owner=None), target=changing.TARGET)
        connection.execute("GRANT USAGE ON SCHEMA dbops TO PUBLIC")
        connection.execute("GRANT SELECT ON dbops.entries TO PUBLIC")
        for late, closed in (("2 hours", True), ("1 minute", False), ("-23 hours", False), ("-25 hours", True)):
            default = f"ALTER TABLE dbops.entries ALTER at SET DEFAULT clock_timestamp() + interval '{late}'"
            connection.execute(sql.SQL(default))  # pyright: ignore[reportArgumentType]
            where = {"target": changing.TARGET, "change": "things-b"}
            record.prove(connection, live.run(), **where, kind="leave", evidence={})
            assert held_up(live) is closed, late
