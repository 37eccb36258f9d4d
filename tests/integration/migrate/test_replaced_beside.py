"""A replacement beside others at work: who writes while rows are carried over, who reads while names are exchanged."""

import threading
import time
from collections.abc import Generator

import psycopg
import pytest
from psycopg import errors
from psycopg.conninfo import make_conninfo

from dbops.operations.migrate import catalog
from dbops.operations.migrate.shapes.replaced import Replaced

from replacing import CHANGE, Connection, different, do, fill, ready, run, swap

SHAPE = Replaced(
    table="public.notes",
    by="public.notes_v2",
    create="CREATE TABLE public.notes_v2 (id int PRIMARY KEY, body text, length int, writer name DEFAULT current_user)",
    key=("id",),
    up={"body": "r.text", "length": "length(r.text)", "writer": "r.writer"},
    down={"text": "r.body", "writer": "r.writer"},
)
WRITER = "replaced_writer"
_WAITS = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"


@pytest.fixture
def connection(database: str) -> Generator[Connection]:
    with psycopg.connect(database, autocommit=True) as opened:
        run(opened, "CREATE TABLE notes (id int PRIMARY KEY, text text, writer name DEFAULT current_user)")
        run(opened, "INSERT INTO notes SELECT n, 'note ' || n FROM generate_series(1, 10) n")
        yield opened


@pytest.fixture
def writer(connection: Connection, database: str) -> Generator[Connection]:
    """Who may write the old table, sees only own rows, and is to have no right on the new one."""
    run(connection, f"CREATE ROLE {WRITER} LOGIN PASSWORD 'writer'")
    run(connection, f"GRANT SELECT, INSERT, UPDATE, DELETE ON notes TO {WRITER}")
    run(connection, "ALTER TABLE notes ENABLE ROW LEVEL SECURITY; ALTER TABLE notes FORCE ROW LEVEL SECURITY")
    run(connection, "CREATE POLICY own ON notes USING (notes.writer = current_user)")
    try:
        with psycopg.connect(make_conninfo(database, user=WRITER, password="writer"), autocommit=True) as opened:
            yield opened
    finally:
        run(connection, f"DROP OWNED BY {WRITER}")
        run(connection, f"DROP ROLE {WRITER}")


def wait_for_a_waiter(connection: Connection) -> None:
    deadline = time.monotonic() + 30
    while run(connection, _WAITS) == [(0,)]:
        assert time.monotonic() < deadline, "nobody waits for a lock"


def test_a_row_that_goes_while_it_is_carried_over_does_not_come_back(connection: Connection, database: str) -> None:
    do(connection, SHAPE.expand(CHANGE))
    with psycopg.connect(database) as going, psycopg.connect(database, autocommit=True) as filling:
        run(going, "DELETE FROM notes WHERE id = 3")
        run(going, "UPDATE notes SET text = 'newer' WHERE id = 4")
        run(going, "UPDATE notes SET id = 50 WHERE id = 5")
        thread = threading.Thread(target=fill, args=(filling, SHAPE))
        thread.start()
        wait_for_a_waiter(connection)
        going.commit()
        thread.join(60)
    assert different(connection, SHAPE) == []
    assert run(connection, "SELECT id, body FROM notes_v2 WHERE id IN (3, 4, 5, 50) ORDER BY id") == [
        (4, "newer"),
        (50, "note 5"),
    ]


def test_a_write_waits_for_the_batch_that_holds_its_row(connection: Connection, database: str) -> None:
    do(connection, SHAPE.expand(CHANGE))
    with psycopg.connect(database) as filling, psycopg.connect(database, autocommit=True) as writing:
        run(filling, f"SET dbops.backfill = '{CHANGE}'")
        fill(filling, SHAPE)
        thread = threading.Thread(target=run, args=(writing, "UPDATE notes SET text = 'later' WHERE id < 3"))
        thread.start()
        wait_for_a_waiter(connection)
        filling.commit()
        thread.join(60)
    assert different(connection, SHAPE) == []
    assert run(connection, "SELECT count(*) FROM notes_v2 WHERE body = 'later'") == [(2,)]


def test_who_may_write_one_table_needs_no_right_on_the_other(connection: Connection, writer: Connection) -> None:
    do(connection, SHAPE.expand(CHANGE))
    fill(connection, SHAPE)
    run(connection, f"REVOKE ALL ON notes_v2 FROM {WRITER}")
    run(writer, "INSERT INTO notes VALUES (20, 'mine'), (21, 'too')")
    run(writer, "UPDATE notes SET text = 'changed' WHERE id = 20")
    run(writer, "DELETE FROM notes WHERE id IN (1, 21)")
    assert different(connection, SHAPE) == []
    assert run(connection, f"SELECT id, body, length FROM notes_v2 WHERE writer = '{WRITER}'") == [(20, "changed", 7)]
    with pytest.raises(errors.InsufficientPrivilege):
        run(writer, "SELECT * FROM notes_v2")


def test_the_new_table_gives_the_rights_and_keeps_the_policies_of_the_old(
    connection: Connection, writer: Connection
) -> None:
    do(connection, SHAPE.expand(CHANGE))
    fill(connection, SHAPE)
    run(writer, "INSERT INTO notes_v2 (id, body, length) VALUES (30, 'mine', 4)")
    assert run(writer, "SELECT id FROM notes_v2") == run(writer, "SELECT id FROM notes") == [(30,)]
    swap(connection, SHAPE)
    assert run(writer, "SELECT id, body FROM notes") == [(30, "mine")]
    with pytest.raises(errors.InsufficientPrivilege, match="row-level security"):
        run(writer, "INSERT INTO notes VALUES (31, 'of another', 10, 'postgres')")


def test_an_owner_whom_row_security_binds_is_refused(connection: Connection) -> None:
    role = "replaced_owner"
    run(connection, f"CREATE ROLE {role}")
    try:
        run(connection, f"ALTER TABLE notes OWNER TO {role}")
        run(connection, "ALTER TABLE notes ENABLE ROW LEVEL SECURITY; ALTER TABLE notes FORCE ROW LEVEL SECURITY")
        with pytest.raises(errors.ObjectNotInPrerequisiteState, match="forced upon its owner") as refused:
            do(connection, SHAPE.expand(CHANGE))
        assert refused.value.diag.message_hint == f"ALTER ROLE {role} BYPASSRLS"
        assert run(connection, "SELECT to_regclass('notes_v2')") == [(None,)]
    finally:
        run(connection, "ALTER TABLE notes OWNER TO current_user")
        run(connection, f"DROP ROLE {role}")


def test_what_triggers_assign_on_one_side_is_taken_over_on_the_other(connection: Connection) -> None:
    run(
        connection,
        """CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS
        $$BEGIN NEW.text = upper(NEW.text); RETURN NEW; END$$;
        CREATE TRIGGER shout BEFORE INSERT OR UPDATE ON notes FOR EACH ROW EXECUTE FUNCTION shout();
        CREATE FUNCTION sign() RETURNS trigger LANGUAGE plpgsql AS
        $$BEGIN UPDATE notes SET text = text || '.' WHERE id = NEW.id; RETURN NULL; END$$;
        CREATE TRIGGER sign AFTER UPDATE ON notes FOR EACH ROW
            WHEN (NEW.text NOT LIKE '%.') EXECUTE FUNCTION sign();""",
    )
    do(connection, SHAPE.expand(CHANGE))
    fill(connection, SHAPE)
    for statement in (
        "UPDATE notes_v2 SET body = 'hello', length = 5 WHERE id = 1",
        "INSERT INTO notes_v2 VALUES (60, 'new', 3)",
        "UPDATE notes SET text = 'old' WHERE id = 2",
        "INSERT INTO notes VALUES (61, 'older')",
    ):
        run(connection, statement)
        assert different(connection, SHAPE) == [], statement
    assert run(connection, "SELECT body, length FROM notes_v2 WHERE id IN (1, 60) ORDER BY id") == [
        ("HELLO.", 6),
        ("NEW", 3),
    ]


def test_what_cannot_be_made_alike_is_counted(connection: Connection) -> None:
    run(connection, "CREATE SCHEMA dbops; CREATE TABLE dbops.conflicts (change text)")
    run(
        connection,
        """CREATE FUNCTION dbops.conflict(change text) RETURNS void LANGUAGE sql AS
        'INSERT INTO dbops.conflicts VALUES ($1)'""",
    )
    do(connection, SHAPE.expand(CHANGE))
    fill(connection, SHAPE)
    run(connection, "UPDATE notes_v2 SET body = 'three', length = 3 WHERE id = 1")  # no text has this length
    assert run(connection, "SELECT change FROM dbops.conflicts") == []
    run(connection, "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'")
    run(connection, "CREATE TRIGGER no BEFORE DELETE ON notes_v2 FOR EACH ROW EXECUTE FUNCTION no()")
    run(connection, "DELETE FROM notes WHERE id = 2")
    assert run(connection, "SELECT change FROM dbops.conflicts") == [(CHANGE,)]


def test_an_exchange_that_has_to_wait_gives_up_and_leaves_nothing(connection: Connection, database: str) -> None:
    run(connection, "CREATE VIEW shown AS SELECT writer FROM notes")
    do(connection, SHAPE.expand(CHANGE))
    fill(connection, SHAPE)
    ready(connection, SHAPE.before_swap(CHANGE))
    before = catalog.observe(connection)
    with psycopg.connect(database) as reading, psycopg.connect(database, autocommit=True) as writing:
        run(reading, "SELECT count(*) FROM notes")
        with pytest.raises((errors.LockNotAvailable, errors.QueryCanceled)):
            do(connection, SHAPE.swap(CHANGE))
        assert catalog.observe(connection) == before
        run(writing, "SET lock_timeout = '50ms'")
        run(writing, "INSERT INTO notes VALUES (70, 'nobody is in the way')")
    assert different(connection, SHAPE) == []


@pytest.mark.parametrize(
    ("made", "named"),
    [
        (
            "CREATE FUNCTION all_notes() RETURNS SETOF notes LANGUAGE sql AS 'SELECT * FROM notes'",
            "all_notes\\(\\) cannot follow",
        ),
        ("CREATE TABLE kept (note notes)", "table public.kept cannot follow"),
        ("CREATE TABLE more () INHERITS (notes)", "has to do with inheritance"),
        ("CREATE VIEW shown AS SELECT text FROM notes", "view public.shown uses column text, which notes_v2 has not"),
        ("CREATE RULE quiet AS ON DELETE TO notes DO INSTEAD NOTHING", "has rules"),
    ],
)
def test_what_cannot_follow_is_named_before_anything_begins(connection: Connection, made: str, named: str) -> None:
    do(connection, SHAPE.expand(CHANGE))
    fill(connection, SHAPE)
    run(connection, made)
    with pytest.raises(errors.ObjectNotInPrerequisiteState, match=named) as refused:
        run(connection, SHAPE.before_swap(CHANGE)[0].sql)
    assert "notes_v2 cannot take the place of notes" in str(refused.value)


def test_what_a_trigger_of_another_table_writes_is_carried_over(connection: Connection) -> None:
    run(connection, "CREATE TABLE events (note int)")
    run(
        connection,
        """CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS
        $$BEGIN UPDATE notes SET text = 'noted' WHERE id = NEW.note; RETURN NULL; END$$;
        CREATE TRIGGER noted AFTER INSERT ON events FOR EACH ROW EXECUTE FUNCTION noted();""",
    )
    do(connection, SHAPE.expand(CHANGE))
    fill(connection, SHAPE)
    with connection.transaction():  # what kept our own write from going round ends with that write
        run(connection, "UPDATE notes SET text = 'first' WHERE id = 1")
        run(connection, "INSERT INTO events VALUES (1), (2)")
        run(connection, "UPDATE notes_v2 SET body = 'third', length = 5 WHERE id = 3")
        run(connection, "INSERT INTO events VALUES (3)")
    assert different(connection, SHAPE) == []
    assert run(connection, "SELECT count(*) FROM notes_v2 WHERE body = 'noted'") == [(3,)]
