"""A table that a subscription writes, and one that a publication sends, while another takes its place."""

import threading
import time
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from psycopg import errors
from psycopg.conninfo import make_conninfo

from conftest import fresh
from dbops.operations.migrate.shapes.renamed import RenamedTable
from dbops.operations.migrate.shapes.replaced import Replaced
from dbops.servers import postgres as pg

from replacing import CHANGE, Connection, different, do, fill, ready, run, swap, swap_back

SHAPE = Replaced(
    table="public.rooms",
    by="public.rooms_v2",
    create="CREATE TABLE public.rooms_v2 (id int PRIMARY KEY, cents int)",
    key=("id",),
    up={"cents": "r.euros * 100"},
    down={"euros": "r.cents / 100"},
)
_TABLE = (
    "CREATE TABLE rooms (id int PRIMARY KEY, euros int); INSERT INTO rooms SELECT n, n FROM generate_series(0, 50) n"
)


@dataclass
class Pair:
    """Two databases; what is written to `rooms` of the first comes to that of the second."""

    sender: Connection
    receiver: Connection

    def arrives(self, table: str, column: str, mark: int) -> None:
        """Wait for a row that is written behind all others."""
        run(self.sender, f"UPDATE rooms SET {column} = {mark} WHERE id = 0")
        deadline = time.monotonic() + 30
        while run(self.receiver, f"SELECT {column} FROM {table} WHERE id = 0") != [(mark,)]:
            assert time.monotonic() < deadline, "nothing arrives"
            threading.Event().wait(0.01)


@pytest.fixture(scope="module")
def pair(base: Path) -> Generator[Pair]:
    settings = (("wal_level", "logical"),)
    with pg.running(pg.Server(fresh(base, "sending"), durable=False, wal_segment_mb=1, settings=settings), "x") as live:
        server = pg.conninfo(live, password="x")
        with psycopg.connect(server, autocommit=True) as admin:
            run(admin, "CREATE DATABASE sending")
            run(admin, "CREATE DATABASE receiving")
        places = [make_conninfo(server, dbname=name) for name in ("sending", "receiving")]
        with (
            psycopg.connect(places[0], autocommit=True) as sender,
            psycopg.connect(places[1], autocommit=True) as receiver,
        ):
            for connection in (sender, receiver):
                run(connection, _TABLE)
            run(sender, "CREATE PUBLICATION sent FOR TABLE rooms")
            run(sender, "SELECT pg_create_logical_replication_slot('received', 'pgoutput')")
            told = places[0].replace("'", "''")
            with_ = "WITH (create_slot = false, copy_data = false, streaming = true)"
            run(receiver, f"CREATE SUBSCRIPTION received CONNECTION '{told}' PUBLICATION sent {with_}")
            yield Pair(sender, receiver)
            run(receiver, "ALTER SUBSCRIPTION received DISABLE; ALTER SUBSCRIPTION received SET (slot_name = NONE)")
            run(receiver, "DROP SUBSCRIPTION received")


def test_what_a_subscription_writes_is_carried_over_and_keeps_the_names_as_they_are(pair: Pair) -> None:
    do(pair.receiver, SHAPE.expand(CHANGE))
    fill(pair.receiver, SHAPE)
    for number, statement in enumerate((
        "INSERT INTO rooms SELECT n, n FROM generate_series(51, 150) n",
        "UPDATE rooms SET euros = euros + 1; UPDATE rooms SET id = -id WHERE id > 100",
        "DELETE FROM rooms WHERE id % 3 = 1",
        "TRUNCATE rooms; INSERT INTO rooms VALUES (0, 0), (7, 70)",
    )):  # fmt: skip
        run(pair.sender, statement)
        pair.arrives("rooms", "euros", 1000 + number)
        assert different(pair.receiver, SHAPE) == [], statement
    assert run(pair.receiver, "SELECT id, cents FROM rooms_v2 ORDER BY id") == [(0, 100300), (7, 7000)]
    with pytest.raises(
        errors.ObjectNotInPrerequisiteState, match=r"subscription received writes public\.rooms, and would"
    ):
        ready(pair.receiver, SHAPE.before_swap(CHANGE))
    do(pair.receiver, SHAPE.undo(CHANGE))
    with pytest.raises(
        errors.ObjectNotInPrerequisiteState, match=r"subscription received writes public\.rooms: it would"
    ):
        do(pair.receiver, RenamedTable("public.rooms", "halls").expand(CHANGE))
    pair.arrives("rooms", "euros", 1)


def test_a_publication_goes_over_to_the_table_that_serves_and_no_row_is_missing(pair: Pair) -> None:
    run(pair.sender, "TRUNCATE rooms; INSERT INTO rooms VALUES (0, 0)")
    run(pair.receiver, "ALTER TABLE rooms ADD cents int")  # what will be sent has to have its place first
    do(pair.sender, SHAPE.expand(CHANGE))
    fill(pair.sender, SHAPE)
    run(pair.sender, "INSERT INTO rooms VALUES (8, 80)")
    swap(pair.sender, SHAPE)
    run(pair.sender, "INSERT INTO rooms VALUES (9, 900); INSERT INTO rooms_v2 VALUES (10, 100)")
    pair.arrives("rooms", "cents", 5)
    swap_back(pair.sender, SHAPE)
    run(pair.sender, "INSERT INTO rooms VALUES (11, 110)")
    pair.arrives("rooms", "euros", 6)
    swap(pair.sender, SHAPE)
    do(pair.sender, SHAPE.contract(CHANGE))
    run(pair.sender, "DELETE FROM rooms WHERE id = 8; INSERT INTO rooms VALUES (12, 12000)")
    pair.arrives("rooms", "cents", 7)
    assert run(pair.receiver, "SELECT id, euros, cents FROM rooms WHERE id > 7 ORDER BY id") == [
        (9, None, 900),
        (10, None, 10000),
        (11, 110, None),
        (12, None, 12000),
    ]
    assert run(pair.sender, "SELECT tablename FROM pg_publication_tables") == [("rooms",)]


def test_a_publication_of_columns_that_go_is_named(pair: Pair) -> None:
    run(pair.sender, "CREATE TABLE lots (id int PRIMARY KEY, euros int)")
    run(pair.sender, "CREATE PUBLICATION parts FOR TABLE lots (id, euros)")
    create = "CREATE TABLE public.lots_v2 (id int PRIMARY KEY, cents int)"
    shape = Replaced("public.lots", "public.lots_v2", create, ("id",), up=SHAPE.up, down=SHAPE.down)
    do(pair.sender, shape.expand(CHANGE))
    with pytest.raises(
        errors.ObjectNotInPrerequisiteState, match="in publication parts uses column euros, which lots_v2"
    ):
        ready(pair.sender, shape.before_swap(CHANGE))
