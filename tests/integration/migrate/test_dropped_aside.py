"""A table that is put away is in nobody's way, keeps its rows, and comes back with all that it had."""

from collections.abc import Generator
from pathlib import Path

import pytest

import adding
import changing
from migrating import catalog_of

_TABLES = """
    CREATE TABLE houses (id int PRIMARY KEY); CREATE TABLE owners (id int PRIMARY KEY);
    CREATE TABLE rooms (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, number serial, above int REFERENCES rooms,
        house int CONSTRAINT in_house REFERENCES houses ON DELETE CASCADE, owner int REFERENCES owners);
    ALTER TABLE rooms ADD CONSTRAINT loose FOREIGN KEY (number) REFERENCES owners NOT VALID;
    CREATE INDEX rooms_house ON rooms (house);
    INSERT INTO houses VALUES (1), (2); INSERT INTO owners VALUES (1), (2);
    INSERT INTO rooms (house, owner, above) VALUES (1, 1, 1), (2, 2, 1)"""
_ALL = 'Dropped("rooms")'
_CONTRACT, _BACK = "changes._do(shape.contract(change))", "changes.put_back(change, shape)"
_KEPT = "SELECT oid::regclass FROM pg_class WHERE relnamespace = 'dbops_attic'::regnamespace AND relkind = 'r'"


@pytest.fixture
def live(server: str, folder: Path) -> Generator[changing.Example]:
    with changing.example(server, folder) as example:
        adding.first(example, _TABLES)
        adding.follow(example, 2, "dropped", _ALL, up=_CONTRACT, down=_BACK)
        yield example


def test_rows_that_nobody_sees_block_nothing_and_do_not_go_along(live: changing.Example) -> None:
    adding.run(live, to="2026_01_01_0001")
    before = catalog_of(live.admin, comments=True)
    adding.run(live)
    live.execute("DELETE FROM houses WHERE id = 1; DELETE FROM owners WHERE id = 2")
    [(kept,)] = live.execute(_KEPT)
    assert live.execute(f"SELECT house, owner FROM {kept} ORDER BY id") == [(1, 1), (2, 2)]
    with pytest.raises(Exception, match='violates foreign key constraint "in_house"'):
        adding.run(live, "downgrade", "-1")
    live.execute("UPDATE rooms SET house = NULL, owner = 1")  # it is back: its rows can be corrected
    adding.run(live, "downgrade", "-1")
    assert catalog_of(live.admin, comments=True) == before
    assert live.execute("INSERT INTO rooms (house, number) VALUES (2, 1) RETURNING id") == [(3,)]


def test_a_table_of_the_same_name_can_be_put_away_after_it(live: changing.Example) -> None:
    adding.run(live)
    made = 'op.execute("CREATE TABLE rooms (id serial PRIMARY KEY, number serial)")'
    live.revision(3, f"def upgrade() -> None:\n    {made}\n")
    adding.follow(live, 4, "dropped", _ALL, up=_CONTRACT, down=_BACK, change="again")
    adding.run(live, to="2026_01_01_0003")
    before = catalog_of(live.admin, comments=True)
    adding.run(live)
    assert len(live.execute(_KEPT)) == 2
    adding.run(live, "downgrade", "-1")
    assert catalog_of(live.admin, comments=True) == before


def test_a_column_that_counts_by_itself_comes_back_counting(live: changing.Example) -> None:
    adding.run(live, to="2026_01_01_0001")
    live.execute("CREATE TABLE tickets (id int PRIMARY KEY, number int GENERATED ALWAYS AS IDENTITY)")
    before = catalog_of(live.admin, comments=True)
    adding.follow(live, 2, "dropped", 'Dropped("tickets", ("number",))', up=_CONTRACT, down=_BACK)
    adding.run(live)
    live.execute("INSERT INTO tickets VALUES (1), (2)")
    adding.run(live, "downgrade", "-1")
    assert catalog_of(live.admin, comments=True) == before
    assert live.execute("SELECT id, number FROM tickets") == [(1, 1), (2, 2)]


def test_who_cannot_go_back_is_told_where_the_old_values_are(live: changing.Example) -> None:
    adding.run(live, to="2026_01_01_0001")
    live.execute("CREATE TABLE tickets (number int PRIMARY KEY)")
    new = 'new=(New("wide", "bigint", not_null=True),), up={"wide": "r.number"}, down={"number": "r.wide::int"}'
    carry = 'carry=(Constraint("tickets", "tickets_wide", "PRIMARY KEY (wide)"),)'
    shape = f'Columns("tickets", old=("number",), {new}, {carry})'
    adding.shape(live, 2, "columns", shape)
    adding.follow(live, 3, "columns", shape, up=_CONTRACT, down="changes.no_way_back(change)")
    adding.run(live)
    with pytest.raises(Exception, match=r"before is in tickets\.dbops_gone_\w+_number still: a change of its own"):
        adding.run(live, "downgrade", "-1")
