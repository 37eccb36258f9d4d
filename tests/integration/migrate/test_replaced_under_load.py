"""The whole life of a replacement and of a rename, while an application writes, reads and reads for long."""

import random
from collections import Counter
from collections.abc import Iterable

import psycopg

from dbops.engine.patience import Ramp, patiently
from dbops.operations.migrate.shapes.renamed import RenamedTable
from dbops.operations.migrate.shapes.replaced import Replaced
from dbops.operations.migrate.shapes.shape import Do
from dbops.stores import postgres

from loading import Ask, Client, Load, under_load
from replacing import CHANGE, Connection, different, fill, run

SHAPE = Replaced(
    table="public.rooms",
    by="public.rooms_v2",
    create="CREATE TABLE public.rooms_v2 (LIKE public.rooms INCLUDING ALL)",
    key=("id",),
    same=("size", "owner"),
)
_WORLD = """
CREATE TABLE owners (id int PRIMARY KEY);
CREATE TABLE rooms (id serial PRIMARY KEY, size int NOT NULL, owner int NOT NULL REFERENCES owners);
CREATE TABLE things (id serial PRIMARY KEY, room int NOT NULL REFERENCES rooms ON DELETE CASCADE);
CREATE VIEW large AS SELECT id, size FROM rooms WHERE size > 50;
CREATE MATERIALIZED VIEW sizes AS SELECT sum(size) AS size FROM rooms;
INSERT INTO owners SELECT generate_series(0, 9);
INSERT INTO rooms (size, owner) SELECT n % 100, n % 10 FROM generate_series(1, 3000) n;
"""


def _room(chance: random.Random) -> tuple[int]:
    return (chance.randint(1, 3000),)


CLIENTS = (
    Client(
        "writes",
        (
            Ask("UPDATE rooms SET size = size + 1 WHERE id = %s", _room),
            Ask("INSERT INTO things (room) SELECT id FROM rooms WHERE id = %s FOR KEY SHARE", _room),
        ),
    ),
    Client(
        "comes and goes",
        (
            Ask("INSERT INTO rooms (size, owner) VALUES (1, 1)"),
            Ask("DELETE FROM rooms WHERE id = %s", _room),
        ),
    ),
    Client("reads", (Ask("SELECT count(size) FROM large"), Ask("SELECT size FROM sizes"))),
)


def patient(connection: Connection, statements: Iterable[Do]) -> None:
    """Do statements in one transaction, again while locks are not granted."""
    every = tuple(statements)

    def attempt(_timeout: object) -> None:
        with connection.transaction():
            run(connection, "SET LOCAL search_path = public; SET LOCAL lock_timeout = '300ms'")
            limit = "0" if any(one.alone for one in every) else "300ms"
            run(connection, f"SET LOCAL statement_timeout = '{limit}'")
            for one in every:
                run(connection, one.sql)

    def pause(_seconds: float) -> None:
        run(connection, "SELECT pg_sleep(0.05)")

    patiently(
        attempt, timed_out=postgres.NOT_GRANTED, what="a phase", target="a target", ramp=Ramp(attempts=200), pause=pause
    )


def replaced(connection: Connection, load: Load) -> None:
    patient(connection, SHAPE.expand(CHANGE))
    fill(connection, SHAPE)
    load.more(5)
    for ready, swap in (
        (SHAPE.before_swap, SHAPE.swap),
        (SHAPE.before_swap_back, SHAPE.swap_back),
        (SHAPE.before_swap, SHAPE.swap),
    ):
        for one in ready(CHANGE):
            patient(connection, (one,))
        patient(connection, swap(CHANGE))
        load.more(5)
    patient(connection, SHAPE.contract(CHANGE))
    load.more(5)


def test_nobody_fails_while_a_table_is_replaced(database: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        run(connection, _WORLD)
        with under_load(database, CLIENTS, long_read="SELECT count(*) FROM rooms", long_read_s=0.5) as load:
            replaced(connection, load)
        assert load.failures == Counter()
        assert load.long_reads > 1
        assert run(connection, "SELECT to_regclass('rooms_v2')") == [(None,)]
        orphans = "SELECT count(*) FROM things WHERE NOT EXISTS (SELECT FROM rooms WHERE rooms.id = room)"
        assert run(connection, orphans) == [(0,)]


def test_both_tables_are_alike_when_the_load_is_over(database: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        run(connection, _WORLD)
        with under_load(database, CLIENTS) as load:
            patient(connection, SHAPE.expand(CHANGE))
            fill(connection, SHAPE)
            load.more(5)
        assert load.failures == Counter()
        assert different(connection, SHAPE) == []


def test_nobody_fails_while_a_table_gets_another_name(database: str) -> None:
    shape = RenamedTable(table="public.rooms", to="chambers")
    with psycopg.connect(database, autocommit=True) as connection:
        run(connection, _WORLD)
        with under_load(database, CLIENTS, long_read="SELECT count(*) FROM rooms", long_read_s=0.5) as load:
            patient(connection, shape.expand(CHANGE))
            load.more(5)
            patient(connection, shape.undo(CHANGE))
            load.more(5)
        assert load.failures == Counter()
