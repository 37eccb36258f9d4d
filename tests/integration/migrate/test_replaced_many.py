"""Statements that write many rows are replayed in one; whatever they write, both tables hold the same after each."""

from collections.abc import Generator

import psycopg
import pytest

from dbops.operations.migrate.shapes.replaced import Replaced

from replacing import CHANGE, Connection, different, do, fill, run

SHAPE = Replaced(
    table="public.parts",
    by="public.parts_v2",
    create="""CREATE TABLE public.parts_v2 (
        id bigint PRIMARY KEY, place bigint UNIQUE, above bigint, said text, note text DEFAULT 'new')""",
    key=("id",),
    same=("above",),
    up={"place": "-r.place", "said": "upper(r.said)"},
    down={"place": "-r.place", "said": "lower(r.said)"},
)
_TABLE = """CREATE TABLE public.parts (
    id int PRIMARY KEY, place int UNIQUE, above int REFERENCES parts ON DELETE CASCADE, said text, visits int)"""
_STATEMENTS = (
    "UPDATE parts SET said = 'all of them'",
    "UPDATE parts_v2 SET said = 'ALL BUT ONE' WHERE id > 1",
    "UPDATE parts SET visits = visits + 1",  # nothing of it is carried over
    "UPDATE parts SET place = place - 1000",
    (
        "UPDATE parts_v2 SET place = s.place FROM (SELECT id, place - 1 AS place FROM parts_v2 ORDER BY place) s"
        " WHERE parts_v2.id = s.id"
    ),  # each takes what another had
    "INSERT INTO parts SELECT n, n, NULL, 'more' FROM generate_series(1001, 1200) n",
    (
        "INSERT INTO parts_v2 (id, place, said) SELECT n, -n, 'MERGED' FROM generate_series(1101, 1300) n"
        " ON CONFLICT (id) DO UPDATE SET said = excluded.said"
    ),
    (
        "MERGE INTO parts p USING generate_series(1201, 1400) n ON p.id = n"
        " WHEN MATCHED THEN UPDATE SET said = 'merged'"
        " WHEN NOT MATCHED THEN INSERT VALUES (n, n, NULL, 'new by merge')"
    ),
    "UPDATE parts SET id = id + 5000 WHERE id > 1000",
    "SET session_replication_role = replica",
    "UPDATE parts_v2 SET said = 'REPLICA' WHERE id > 5000",
    "SET session_replication_role = origin",
    "UPDATE parts SET above = 1 WHERE id BETWEEN 2 AND 100",
    "DELETE FROM parts WHERE id = 1",  # and those below it
    (
        "WITH gone AS (DELETE FROM parts WHERE id > 5000 RETURNING *)"
        " INSERT INTO parts SELECT id, place, NULL, 'came back' FROM gone WHERE id > 6100"
    ),
    "DELETE FROM parts_v2 WHERE id > 250",
)


@pytest.fixture
def connection(database: str) -> Generator[Connection]:
    with psycopg.connect(database, autocommit=True) as opened:
        run(opened, _TABLE)
        run(opened, "INSERT INTO parts SELECT n, n, NULL, 'part ' || n FROM generate_series(1, 300) n")
        do(opened, SHAPE.expand(CHANGE))
        yield opened


def test_old_and_new_hold_the_same_after_every_statement(connection: Connection) -> None:
    fill(connection, SHAPE)
    run(connection, "UPDATE parts_v2 SET note = 'kept' WHERE id > 200")
    for statement in _STATEMENTS:
        run(connection, statement)
        assert different(connection, SHAPE) == [], statement
    with connection.cursor().copy("COPY parts (id, place, said) FROM STDIN") as copy:
        copy.write("".join(f"{n}\t{n}\tcopied\n" for n in range(2000, 2100)))
    assert different(connection, SHAPE) == []
    seen = "SELECT count(*) FILTER (WHERE note = 'kept'), count(*) FILTER (WHERE said = 'COPIED') FROM parts_v2"
    assert run(connection, seen) == [(50, 100)]


def test_rows_that_were_not_carried_over_yet_are_by_their_first_write(connection: Connection) -> None:
    run(connection, "UPDATE parts SET said = 'written' WHERE id <= 200")
    assert run(connection, "SELECT count(*), max(said) FROM parts_v2") == [(200, "WRITTEN")]
    run(connection, "DELETE FROM parts WHERE id > 100")
    assert run(connection, "SELECT count(*) FROM parts_v2") == [(100,)]
    assert different(connection, SHAPE) == []


def test_what_triggers_assign_over_there_is_taken_back_for_each_of_many(connection: Connection) -> None:
    fill(connection, SHAPE)
    run(
        connection,
        """CREATE FUNCTION sign() RETURNS trigger LANGUAGE plpgsql AS
        $$BEGIN NEW.said = NEW.said || ' BY ' || NEW.id; RETURN NEW; END$$;
        CREATE TRIGGER sign BEFORE INSERT OR UPDATE ON parts_v2 FOR EACH ROW
            WHEN (NEW.said NOT LIKE '%BY%') EXECUTE FUNCTION sign();""",
    )
    run(connection, "UPDATE parts SET said = 'written'")
    run(connection, "INSERT INTO parts SELECT n, n, NULL, 'new' FROM generate_series(301, 400) n")
    assert different(connection, SHAPE) == []
    assert run(connection, "SELECT said FROM parts WHERE id IN (7, 301)") == [("written by 7",), ("new by 301",)]


def test_a_key_that_moves_takes_what_only_the_new_table_knows_along(connection: Connection) -> None:
    fill(connection, SHAPE)
    run(connection, "UPDATE parts_v2 SET note = 'kept by ' || id")
    run(connection, "UPDATE parts SET id = id + 1000, place = place + 1000, said = 'moved'")
    assert different(connection, SHAPE) == []
    assert run(connection, "SELECT count(*) FROM parts_v2 WHERE note = 'kept by ' || id - 1000") == [(300,)]


def test_partitions_are_carried_over_whoever_writes_them_by_which_name(database: str) -> None:
    shape = Replaced(
        table="public.days",
        by="public.days_v2",
        create="CREATE TABLE public.days_v2 (day int, id int, said text, PRIMARY KEY (day, id))",
        key=("day", "id"),
        same=("said",),
    )
    with psycopg.connect(database, autocommit=True) as connection:
        run(
            connection,
            "CREATE TABLE days (day int, id int, said text, PRIMARY KEY (day, id)) PARTITION BY RANGE (day);"
            "CREATE TABLE days_1 PARTITION OF days FOR VALUES FROM (1) TO (2);"
            "CREATE TABLE days_2 PARTITION OF days FOR VALUES FROM (2) TO (3)",
        )
        do(connection, shape.expand(CHANGE))
        for statement in (
            "INSERT INTO days SELECT 1, n, 'by its parent' FROM generate_series(1, 50) n",
            "INSERT INTO days_2 SELECT 2, n, 'by itself' FROM generate_series(1, 50) n",
            "UPDATE days_1 SET said = 'by itself', id = id + 1000",
            "UPDATE days SET day = 2 WHERE id > 1020",
            "INSERT INTO days_v2 SELECT 1, n, 'from there' FROM generate_series(1, 50) n",
            "UPDATE days_v2 SET said = 'from there'",
            "DELETE FROM days_2 WHERE id < 40",
            "DELETE FROM days_v2 WHERE id < 20",
        ):
            run(connection, statement)
            assert different(connection, shape) == [], statement
        assert run(connection, "SELECT count(*), min(said) FROM days_v2") == [(92, "from there")]
