"""Old and new columns beside each other: after every statement of every client, they say the same."""

import uuid
from collections.abc import Generator
from typing import Any, LiteralString

import psycopg
import pytest
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from dbops.operations.migrate.shapes.columns import Columns, New

import shaping

# What PostgreSQL itself would write for this default is the word that has to come back.
_TABLE = """
    CREATE TABLE users (
        id int PRIMARY KEY,
        name text NOT NULL DEFAULT 'it''s nobody' || ' yet',
        visits int NOT NULL DEFAULT 0);
    CREATE FUNCTION tidy() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN NEW.name := btrim(NEW.name); RETURN NEW; END $$;
    CREATE TRIGGER tidy BEFORE INSERT OR UPDATE ON users FOR EACH ROW EXECUTE FUNCTION tidy();
    INSERT INTO users (id) VALUES (1);
    INSERT INTO users VALUES (2, 'Bea', 1), (3, ' Cy ', 2);"""
RENAME = Columns(
    table="public.users",
    old=("name",),
    new=(New("full_name", "text", not_null=True, default="'nobody'"),),
    up={"full_name": "r.name"},
    down={"name": "r.full_name"},
)
NOBODY = "it's nobody yet"
Client = psycopg.Connection[Any]


@pytest.fixture(scope="module")
def place(server: str) -> Generator[str]:
    """One database for all of these tests; each gets its schema anew."""
    name = f"dual_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(server, autocommit=True) as connection:
        shaping.run(connection, f"CREATE DATABASE {name}")
        shaping.run(connection, f"CREATE ROLE {name} LOGIN PASSWORD 'app'")
        yield make_conninfo(server, dbname=name)
        shaping.run(connection, f"DROP DATABASE {name} WITH (FORCE)")
        shaping.run(connection, f"DROP ROLE {name}")


@pytest.fixture
def admin(place: str) -> Generator[Client]:
    with psycopg.connect(place, autocommit=True) as connection:
        connection.execute("DROP SCHEMA IF EXISTS dbops CASCADE; DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        shaping.install_ledger(connection)
        connection.execute(_TABLE)
        yield connection


@pytest.fixture
def app(admin: Client, place: str) -> Generator[Client]:
    """An application that owns nothing, and whose rows a forced policy checks."""
    name = str(conninfo_to_dict(place)["dbname"])
    shaping.run(admin, f"GRANT USAGE ON SCHEMA public TO {name}")
    shaping.run(admin, f"GRANT SELECT, INSERT, UPDATE, DELETE ON users TO {name}")
    admin.execute("ALTER TABLE users ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")
    admin.execute("CREATE POLICY known ON users USING (visits < 100) WITH CHECK (name <> 'forbidden')")
    with psycopg.connect(make_conninfo(place, user=name, password="app"), autocommit=True) as connection:
        yield connection


def both(connection: Client, id: int) -> tuple[Any, Any]:  # noqa: A002
    [(old, new)] = connection.execute("SELECT name, full_name FROM users WHERE id = %s", (id,)).fetchall()
    return old, new


_MERGE = """MERGE INTO users u USING (VALUES ({0}, 'Dot')) v (id, value) ON u.id = v.id
    WHEN MATCHED THEN UPDATE SET {1} = v.value WHEN NOT MATCHED THEN INSERT (id, {1}) VALUES (v.id, v.value)"""
STATEMENTS = (
    ("an old client inserts", "INSERT INTO users (id, name) VALUES (7, 'Dot')", "Dot"),
    ("an old client leaves it out", "INSERT INTO users (id) VALUES (7)", NOBODY),
    ("an old client asks for the default", "INSERT INTO users (id, name) VALUES (7, DEFAULT)", NOBODY),
    ("an old client's value is tidied by another trigger", "INSERT INTO users (id, name) VALUES (7, ' Dot ')", "Dot"),
    ("a new client inserts", "INSERT INTO users (id, full_name) VALUES (7, 'Dot')", "Dot"),
    ("a new client inserts NULL, which no one can tell from nothing",
     "INSERT INTO users (id, full_name) VALUES (7, NULL)", NOBODY),
    ("a client writes both, alike", "INSERT INTO users (id, name, full_name) VALUES (7, 'Dot', 'Dot')", "Dot"),
    ("an old client updates", "UPDATE users SET name = 'Dot' WHERE id = 2 RETURNING id", "Dot"),
    ("a new client updates", "UPDATE users SET full_name = 'Dot' WHERE id = 2", "Dot"),
    ("a row that is not filled yet is updated by the new name", "UPDATE users SET full_name = 'D' WHERE id = 3", "D"),
    ("one by one with many", "UPDATE users SET name = 'x' || id", "x2"),
    ("an old client upserts a row that is there",
     "INSERT INTO users (id, name) VALUES (2, 'Dot') ON CONFLICT (id) DO UPDATE SET name = EXCLUDED.name", "Dot"),
    ("a new client upserts a row that is there",
     "INSERT INTO users (id, full_name) VALUES (2, 'Dot') ON CONFLICT (id) DO UPDATE SET full_name = 'Dot'", "Dot"),
    ("a new client upserts a row that is not there",
     "INSERT INTO users (id, full_name) VALUES (7, 'Dot') ON CONFLICT (id) DO UPDATE SET full_name = 'x'", "Dot"),
    ("a new client reads what an old one proposed",
     "INSERT INTO users (id, name) VALUES (2, 'Dot') ON CONFLICT (id) DO UPDATE SET full_name = EXCLUDED.full_name",
     "Dot"),
    ("an old client merges into a row that is there",
     _MERGE.format(2, "name"),
     "Dot"),
    ("a new client merges a row that is not there",
     _MERGE.format(7, "full_name"),
     "Dot"),
)  # fmt: skip


@pytest.mark.parametrize("role", ["a role under a forced policy", "the owner", "a replica"])
@pytest.mark.parametrize("case", STATEMENTS, ids=[told for told, _, _ in STATEMENTS])
def test_old_and_new_say_the_same_when(admin: Client, app: Client, case: tuple[str, str, str], role: str) -> None:
    told, statement, expected = case
    shaping.expand(admin, RENAME)
    if role == "a replica":
        admin.execute("SET session_replication_role = replica")
        if told.startswith("an old client's value is tidied"):
            expected = " Dot "  # triggers of the application do not fire then; ours do
    shaping.run(app if role.startswith("a role") else admin, statement)
    written = 7 if "7" in statement else 3 if "id = 3" in statement else 2
    assert both(admin, written) == (expected, expected)
    assert shaping.conflicts(admin) == 0


COPIES: dict[str, LiteralString] = {
    "name": "COPY users (id, name) FROM STDIN",
    "full_name": "COPY users (id, full_name) FROM STDIN",
}


@pytest.mark.parametrize("role", ["an application", "a replica"])
@pytest.mark.parametrize("column", COPIES)
def test_old_and_new_say_the_same_after_copy(admin: Client, app: Client, column: str, role: str) -> None:
    shaping.expand(admin, RENAME)
    admin.execute("ALTER TABLE users DISABLE ROW LEVEL SECURITY")  # COPY FROM does not go with it
    if role == "a replica":
        admin.execute("SET session_replication_role = replica")
    client = admin if role == "a replica" else app
    with client.cursor() as cursor, cursor.copy(COPIES[column]) as copy:
        for row in ((7, "Dot"), (8, None)):
            copy.write_row(row)
    assert both(admin, 7) == ("Dot", "Dot")
    assert both(admin, 8) == (NOBODY, NOBODY)


def test_a_policy_judges_what_the_row_has_in_the_end(admin: Client, app: Client) -> None:
    shaping.expand(admin, RENAME)
    with pytest.raises(errors.InsufficientPrivilege):
        app.execute("INSERT INTO users (id, full_name) VALUES (7, 'forbidden')")


def test_who_may_write_the_old_column_alone_may_write_the_new_one(admin: Client, app: Client) -> None:
    name = app.info.user
    shaping.run(admin, f"REVOKE ALL ON users FROM {name}")
    shaping.run(admin, f"GRANT INSERT (id, name), UPDATE (name), SELECT (id) ON users TO {name}")
    shaping.expand(admin, RENAME)
    app.execute("INSERT INTO users (id, full_name) VALUES (7, 'Dot')")
    app.execute("UPDATE users SET full_name = 'Eve'")
    assert both(admin, 7) == ("Eve", "Eve")
    with pytest.raises(errors.InsufficientPrivilege):
        app.execute("SELECT full_name FROM users")


def test_who_may_pass_a_right_on_may_pass_it_on_for_the_new_column(admin: Client, app: Client) -> None:
    shaping.run(admin, f"GRANT UPDATE (name), SELECT (name) ON users TO {app.info.user} WITH GRANT OPTION")
    shaping.expand(admin, RENAME)
    assert shaping.rows(
        admin,
        "SELECT DISTINCT x.is_grantable FROM pg_attribute a, aclexplode(a.attacl) x WHERE a.attname = 'full_name'",
    ) == [(True,)]


def test_where_both_sides_disagree_the_new_one_decides_and_it_is_counted(admin: Client, app: Client) -> None:
    shaping.expand(admin, RENAME)
    app.execute("INSERT INTO users (id, name, full_name) VALUES (7, 'old', 'new')")
    assert (both(admin, 7), shaping.conflicts(admin)) == (("new", "new"), 1)
    app.execute("UPDATE users SET name = 'older', full_name = 'newer' WHERE id = 7")
    assert (both(admin, 7), shaping.conflicts(admin)) == (("newer", "newer"), 2)
    app.execute("UPDATE users SET name = 'same', full_name = 'same' WHERE id = 7")
    assert (both(admin, 7), shaping.conflicts(admin)) == (("same", "same"), 2)


@pytest.mark.parametrize("hidden", ["DROP SCHEMA dbops CASCADE", "REVOKE ALL ON SCHEMA dbops FROM PUBLIC"])
def test_a_conflict_that_cannot_be_counted_stops_nobody(admin: Client, app: Client, hidden: str) -> None:
    shaping.run(admin, hidden)
    shaping.expand(admin, RENAME)
    app.execute("INSERT INTO users (id, name, full_name) VALUES (7, 'old', 'new')")
    assert both(admin, 7) == ("new", "new")


def test_a_trigger_of_the_application_sees_the_default_as_before(admin: Client) -> None:
    """Were the default applied last, this one would fill the gap first, and old clients would get another value."""
    _tidy(admin, "NEW.name := coalesce(NEW.name, 'anonymous ' || NEW.id);")
    shaping.expand(admin, RENAME)
    admin.execute("INSERT INTO users (id) VALUES (7)")
    assert both(admin, 7) == (NOBODY, NOBODY)


def test_a_value_that_a_trigger_assigns_to_the_old_name_reaches_the_new_one(admin: Client) -> None:
    _tidy(admin, "IF TG_OP = 'UPDATE' THEN NEW.name := 'visit ' || NEW.visits; END IF;")
    shaping.expand(admin, RENAME)
    admin.execute("UPDATE users SET visits = 9 WHERE id = 2")
    assert both(admin, 2) == ("visit 9", "visit 9")


def _tidy(connection: Client, body: str) -> None:
    head = "CREATE OR REPLACE FUNCTION tidy() RETURNS trigger LANGUAGE plpgsql AS"
    shaping.run(connection, f"{head} $$ BEGIN {body} RETURN NEW; END $$")


def test_null_is_refused_as_before(admin: Client) -> None:
    shaping.expand(admin, RENAME)
    shaping.fill(admin, RENAME)
    for column in ("name", "full_name"):
        with pytest.raises(errors.NotNullViolation):
            shaping.run(admin, f"UPDATE users SET {column} = NULL WHERE id = 2")


def test_null_is_kept_where_it_was_allowed(admin: Client) -> None:
    admin.execute("ALTER TABLE users ALTER name DROP NOT NULL, ALTER name DROP DEFAULT")
    shaping.expand(admin, RENAME)
    admin.execute("INSERT INTO users (id) VALUES (7)")
    assert both(admin, 7) == (None, None)
    admin.execute("UPDATE users SET name = 'x' WHERE id = 7")
    admin.execute("UPDATE users SET full_name = NULL WHERE id = 7")
    assert both(admin, 7) == (None, None)


def test_an_update_to_null_is_kept_where_the_old_name_has_a_default(admin: Client) -> None:
    admin.execute("ALTER TABLE users ALTER name DROP NOT NULL")
    shaping.expand(admin, RENAME)
    shaping.fill(admin, RENAME)
    for id, column in ((1, "name"), (2, "full_name")):  # noqa: A001
        shaping.run(admin, f"UPDATE users SET {column} = NULL WHERE id = {id}")
        assert both(admin, id) == (None, None)


DEFAULTS = (
    "'it''s nobody'::text || ' yet'::text",
    "'a'::text",
    "(CURRENT_USER)::text",
    "to_char(now(), 'YYYY'::text)",
    "('n'::text || nextval('public.numbers'::regclass))",
    "public.nobody()",
    "('50%'::text || '%s'::text)",
)


@pytest.mark.parametrize("default", DEFAULTS)
def test_the_default_comes_back_word_for_word(admin: Client, default: str) -> None:
    admin.execute("CREATE SEQUENCE numbers")
    admin.execute("CREATE FUNCTION nobody() RETURNS text LANGUAGE sql AS $$SELECT 'nobody'$$")
    shaping.run(admin, f"ALTER TABLE users ALTER name SET DEFAULT {default}")
    before = _default(admin)
    shaping.expand(admin, RENAME)
    assert _default(admin) is None
    admin.execute("INSERT INTO users (id) VALUES (7)")
    old, new = both(admin, 7)
    assert old == new is not None
    shaping.undo(admin, RENAME)
    assert _default(admin) == before


def _default(connection: Client) -> str | None:
    connection.execute("SET search_path = pg_catalog")
    found = connection.execute(
        "SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef"
        " WHERE adrelid = 'public.users'::regclass AND adnum = 2"
    ).fetchall()  # fmt: skip
    connection.execute("SET search_path = public")
    return found[0][0] if found else None


def test_undo_leaves_nothing_behind_and_keeps_what_new_clients_wrote(admin: Client) -> None:
    before = _catalog(admin)
    shaping.expand(admin, RENAME)
    admin.execute("INSERT INTO users (id, full_name) VALUES (7, 'Dot')")
    admin.execute("UPDATE users SET full_name = 'Ada' WHERE id = 1")
    shaping.undo(admin, RENAME)
    assert _catalog(admin) == before
    assert admin.execute("SELECT id, name FROM users WHERE id IN (1, 7) ORDER BY id").fetchall() == [
        (1, "Ada"),
        (7, "Dot"),
    ]


def test_contract_leaves_the_new_column_alone(admin: Client) -> None:
    shaping.expand(admin, RENAME)
    assert shaping.fill(admin, RENAME) == 3
    assert shaping.differing(admin, RENAME) == {"forward": [], "back": []}
    admin.execute("DROP TRIGGER tidy ON users")
    shaping.contract(admin, RENAME)
    admin.execute("INSERT INTO users (id) VALUES (7)")
    rows = admin.execute("SELECT full_name FROM users ORDER BY id").fetchall()
    assert rows == [(NOBODY,), ("Bea",), ("Cy",), ("nobody",)]
    with pytest.raises(errors.NotNullViolation):
        admin.execute("INSERT INTO users (id, full_name) VALUES (8, NULL)")
    left = shaping.rows(admin, "SELECT tgname FROM pg_trigger WHERE tgname ~ 'dbops' UNION ALL"
                               " SELECT proname FROM pg_proc WHERE proname ~ '^[~!]dbops' UNION ALL"
                               " SELECT conname FROM pg_constraint WHERE conname ~ 'dbops'")  # fmt: skip
    assert left == []


def _catalog(connection: Client) -> list[tuple[Any, ...]]:
    connection.execute("SET search_path = pg_catalog")
    found = shaping.rows(
        connection,
        """SELECT attname::text, format_type(atttypid, atttypmod), attnotnull, pg_get_expr(adbin, adrelid)
             FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
            WHERE attrelid = 'public.users'::regclass AND attnum > 0 AND NOT attisdropped
           UNION ALL SELECT tgname::text, pg_get_triggerdef(oid), NULL, NULL FROM pg_trigger
           UNION ALL SELECT conname::text, pg_get_constraintdef(oid), NULL, NULL FROM pg_constraint
                      WHERE conrelid = 'public.users'::regclass
           UNION ALL SELECT proname::text, prosrc, NULL, NULL FROM pg_proc
                      WHERE pronamespace = 'public'::regnamespace ORDER BY 1""",
    )
    connection.execute("SET search_path = public")
    return found
