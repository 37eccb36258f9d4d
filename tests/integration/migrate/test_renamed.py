"""A renamed table: the view under its old name does what the table did, for old clients and their rights."""

from collections.abc import Generator

import psycopg
import pytest
from psycopg import errors, sql
from psycopg.conninfo import make_conninfo

from dbops.operations.migrate import catalog
from dbops.operations.migrate.shapes.renamed import RenamedTable

from replacing import Connection, do, run

SHAPE = RenamedTable(table='public."Old users"', to="people")
_TABLE = """
CREATE TABLE "Old users" (
    id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, email text NOT NULL UNIQUE, state text NOT NULL DEFAULT 'new',
    owner name NOT NULL DEFAULT current_user, letters int GENERATED ALWAYS AS (length(email)) STORED);
ALTER TABLE "Old users" ENABLE ROW LEVEL SECURITY;
CREATE POLICY mine ON "Old users" USING (owner = current_user);
CREATE VIEW shown AS SELECT email FROM "Old users";
CREATE TABLE posts (by int REFERENCES "Old users");
ALTER TABLE "Old users" ALTER email SET STATISTICS 300;
COMMENT ON TABLE "Old users" IS 'people';
"""
READER = "renamed_reader"


@pytest.fixture
def connection(database: str) -> Generator[Connection]:
    with psycopg.connect(database, autocommit=True) as opened:
        run(opened, _TABLE)
        run(opened, f"CREATE ROLE {READER} LOGIN PASSWORD 'reader'")
        run(opened, f'GRANT SELECT, INSERT, UPDATE ON "Old users" TO {READER}')
        run(opened, f'GRANT DELETE ON "Old users" TO {READER} WITH GRANT OPTION')
        try:
            yield opened
        finally:
            run(opened, f"DROP OWNED BY {READER}")
            run(opened, f"DROP ROLE {READER}")


@pytest.fixture
def reader(connection: Connection, database: str) -> Generator[Connection]:
    with psycopg.connect(make_conninfo(database, user=READER, password="reader"), autocommit=True) as opened:
        yield opened


def test_old_clients_go_on_under_their_rights_and_policies(connection: Connection, reader: Connection) -> None:
    run(connection, """INSERT INTO "Old users" (email) VALUES ('of somebody else')""")
    do(connection, SHAPE.expand("a-change"))
    old = '"Old users"'
    assert run(reader, f"INSERT INTO {old} (email) VALUES ('a') RETURNING id, state, letters") == [(2, "new", 1)]
    assert run(reader, f"INSERT INTO {old} VALUES (DEFAULT, 'b', DEFAULT) RETURNING id, state") == [(3, "new")]
    upsert = f"INSERT INTO {old} (email) VALUES ('a') ON CONFLICT (email) DO UPDATE SET state = 'seen' RETURNING id"
    assert run(reader, upsert) == [(2,)]
    assert run(reader, f"SELECT email FROM {old} ORDER BY id FOR UPDATE") == [("a",), ("b",)]
    assert run(reader, f"UPDATE {old} SET email = 'c' WHERE id = 3 RETURNING letters") == [(1,)]
    assert run(reader, f"DELETE FROM {old} WHERE id = 3 RETURNING email") == [("c",)]
    assert run(reader, "SELECT email, state FROM people") == [("a", "seen")]
    assert run(connection, f"SELECT count(*) FROM {old}") == [(2,)]
    assert run(connection, "SELECT count(*) FROM shown") == [(2,)]


def test_what_a_view_cannot_do_fails_as_it_is_documented(connection: Connection) -> None:
    do(connection, SHAPE.expand("a-change"))
    for statement in (
        """COPY "Old users" FROM '/dev/null'""",
        """COPY "Old users" TO '/dev/null'""",
        'TRUNCATE "Old users"',
        """INSERT INTO "Old users" (email) VALUES ('a') ON CONFLICT ON CONSTRAINT "Old users_email_key" DO NOTHING""",
        'SELECT ctid FROM "Old users"',
        'CREATE TABLE more (by int REFERENCES "Old users" (id))',
    ):
        with pytest.raises(psycopg.Error):
            run(connection, statement)


def test_the_rights_on_the_view_are_those_on_the_table(connection: Connection) -> None:
    rights = "SELECT privilege_type, is_grantable FROM pg_class, aclexplode(relacl) WHERE oid = {}::regclass ORDER BY 1"
    before = connection.execute(sql.SQL(rights).format('"Old users"')).fetchall()
    run(connection, "ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO PUBLIC")
    do(connection, SHAPE.expand("a-change"))
    assert connection.execute(sql.SQL(rights).format('"Old users"')).fetchall() == before
    assert connection.execute(sql.SQL(rights).format("people")).fetchall() == before


def test_taken_back_everything_is_as_it_was(connection: Connection) -> None:
    before = catalog.observe(connection, comments=True)
    for _ in range(2):
        do(connection, SHAPE.expand("a-change"))
        run(connection, """INSERT INTO people (email) VALUES (clock_timestamp()::text)""")
        do(connection, SHAPE.undo("a-change"))
        assert catalog.observe(connection, comments=True) == before
    assert run(connection, 'SELECT count(*) FROM public."Old users"') == [(2,)]


def test_contracted_only_the_new_name_is_left(connection: Connection) -> None:
    do(connection, SHAPE.expand("a-change"))
    do(connection, SHAPE.contract("a-change"))
    do(connection, SHAPE.contract("a-change"))
    with pytest.raises(errors.UndefinedTable):
        run(connection, 'SELECT * FROM "Old users"')
    assert run(connection, "SELECT count(*) FROM people") == [(0,)]
    assert SHAPE.comparisons() == ()
    assert SHAPE.filling() is None
