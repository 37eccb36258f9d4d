"""A replaced table is put away with its rows, comes back with what was written meanwhile, or goes when time is over."""

from collections.abc import Generator, Iterable

import psycopg
import pytest
from psycopg import errors

from dbops.operations.migrate.shapes.replaced import Replaced
from dbops.operations.migrate.shapes.shape import Do

from replacing import CHANGE, Connection, different, do, fill, ready, run, swap, swap_back

SHAPE = Replaced(
    table="public.rooms",
    by="public.rooms_v2",
    create="CREATE TABLE public.rooms_v2 (id bigint PRIMARY KEY, house int NOT NULL, cm int, note text)",
    key=("id",),
    same=("house",),
    up={"cm": "r.metres * 100"},
    down={"metres": "r.cm / 100"},
)
_WORLD = """
CREATE TABLE houses (id int PRIMARY KEY);
CREATE TABLE rooms (id serial PRIMARY KEY, house int NOT NULL REFERENCES houses ON DELETE CASCADE, metres int);
CREATE TABLE things (room int NOT NULL REFERENCES rooms);
COMMENT ON TABLE rooms IS 'where people sit';
INSERT INTO houses SELECT generate_series(1, 9);
INSERT INTO rooms (house, metres) SELECT n % 9 + 1, n FROM generate_series(1, 200) n;
INSERT INTO things SELECT generate_series(101, 110);
"""


@pytest.fixture
def connection(database: str) -> Generator[Connection]:
    """Have the old table put away."""
    with psycopg.connect(database, autocommit=True) as opened:
        run(opened, _WORLD)
        do(opened, SHAPE.expand(CHANGE))
        fill(opened, SHAPE)
        swap(opened, SHAPE)
        do(opened, SHAPE.contract(CHANGE))
        yield opened


def back(connection: Connection, statements: Iterable[Do]) -> None:
    """Do what is alone by itself, and before it all others at once, as revisions do."""
    every = tuple(statements)
    do(connection, [one for one in every if not one.alone])
    ready(connection, [one for one in every if one.alone])


def test_the_old_table_is_away_with_its_rows_and_in_nobodys_way(connection: Connection) -> None:
    assert run(connection, "SELECT to_regclass('rooms_v2')") == [(None,)]
    [(kept,)] = run(connection, "SELECT relname FROM pg_class WHERE relnamespace = 'dbops_attic'::regnamespace "
                                "AND relkind = 'r'")  # fmt: skip
    assert run(connection, f"SELECT count(*) FROM dbops_attic.{kept}") == [(200,)]
    assert run(connection, "SELECT count(*) FROM pg_trigger WHERE tgname LIKE '~dbops%'") == [(0,)]
    assert run(connection, "SELECT count(*) FROM pg_proc WHERE proname LIKE '~dbops%'") == [(0,)]
    run(connection, "DELETE FROM things; DELETE FROM houses WHERE id = 1")
    assert run(connection, f"SELECT count(*) FROM dbops_attic.{kept}") == [(200,)], "no key took its rows along"
    with pytest.raises(errors.ObjectNotInPrerequisiteState, match=r"rooms_v2 was put away at .* kept for 14 days"):
        do(connection, SHAPE.removal(CHANGE))
    do(connection, SHAPE.removal(CHANGE, "0 days"))
    assert run(connection, "SELECT count(*) FROM pg_class WHERE relnamespace = 'dbops_attic'::regnamespace") == [(0,)]
    run(connection, "INSERT INTO rooms (house, cm) VALUES (2, 5)")


def test_it_comes_back_with_what_was_written_meanwhile(connection: Connection) -> None:
    run(connection, "UPDATE rooms SET cm = 77700, note = 'new' WHERE id = 1; DELETE FROM rooms WHERE id IN (2, 3)")
    run(connection, "INSERT INTO rooms (house, cm) VALUES (4, 55500)")
    for _ in range(2):  # a second time as after a kill: it does no harm
        back(connection, SHAPE.put_back(CHANGE))
        assert different(connection, SHAPE.after_swap()) == []
    run(connection, "UPDATE rooms SET cm = 88800 WHERE id = 4; UPDATE rooms_v2 SET metres = 999 WHERE id = 100")
    run(connection, "DELETE FROM rooms_v2 WHERE id = 5")
    assert different(connection, SHAPE.after_swap()) == []
    swap_back(connection, SHAPE)
    assert different(connection, SHAPE) == []
    assert run(connection, "SELECT id, metres FROM rooms WHERE id IN (1, 2, 3, 4, 5, 100, 201) ORDER BY id") == [
        (1, 777), (4, 888), (100, 999), (201, 555)
    ]  # fmt: skip
    assert run(connection, "SELECT obj_description('rooms'::regclass)") == [("where people sit",)]
    run(connection, "DELETE FROM things; DELETE FROM houses WHERE id = 1")
    assert run(connection, "SELECT count(*) FROM rooms WHERE house = 1") == [(0,)], "its keys hold again"
    do(connection, SHAPE.undo(CHANGE))
    assert run(connection, "SELECT to_regclass('rooms_v2')") == [(None,)]
