"""Old columns go in two stages: out of the way with their values, brought back whole, and dropped for good."""

from collections.abc import Generator
from typing import Any

import psycopg
import pytest
from psycopg import errors

from dbops.operations.migrate.shapes import belongings
from dbops.operations.migrate.shapes.columns import Columns, New
from dbops.operations.migrate.shapes.constraint import Constraint
from dbops.operations.migrate.shapes.index import Index

import shaping

Client = psycopg.Connection[Any]
STANDS = """
    SELECT conrelid::regclass::text, conname::text, pg_get_constraintdef(oid) FROM pg_constraint
     WHERE conrelid IN ('users'::regclass, 'orders'::regclass) AND convalidated
    UNION SELECT 'users', indexrelid::regclass::text, split_part(pg_get_indexdef(indexrelid), ' USING ', 2)
      FROM pg_index WHERE indrelid = 'users'::regclass AND indisvalid
    UNION SELECT attrelid::regclass::text, attname, concat_ws('|', attnotnull, pg_get_expr(adbin, adrelid),
                                                              col_description(attrelid, attnum))
      FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
     WHERE attrelid = 'users'::regclass AND attnum > 0 AND NOT attisdropped
    UNION SELECT 'trigger', tgname, tgenabled::text FROM pg_trigger
     WHERE tgrelid = 'users'::regclass AND NOT tgisinternal ORDER BY 1, 2, 3"""
TABLES = """
    CREATE TABLE teams (leader text PRIMARY KEY);
    CREATE TABLE users (id int PRIMARY KEY, name text NOT NULL DEFAULT 'it''s 100%', active boolean,
                        CONSTRAINT users_name_key UNIQUE (name), CHECK (coalesce(name, '') <> ''),
                        CONSTRAINT users_leads FOREIGN KEY (name) REFERENCES teams);
    COMMENT ON COLUMN users.name IS 'what it''s called';
    CREATE UNIQUE INDEX users_once ON users (coalesce(lower(name), '')) WHERE active;
    CREATE INDEX users_plain ON users (name, id);
    CREATE TABLE orders (id int PRIMARY KEY, buyer text CONSTRAINT orders_buyer REFERENCES users (name));
    INSERT INTO teams SELECT 'user ' || n FROM generate_series(1, 40) n;
    INSERT INTO users SELECT n, 'user ' || n FROM generate_series(1, 30) n;
    INSERT INTO orders VALUES (1, 'user 1')"""
RENAME = Columns(
    table="public.users",
    old=("name",),
    new=(New("full_name", "text", not_null=True, default="'it''s 100%'"),),
    up={"full_name": "r.name"},
    down={"name": "r.full_name"},
    carry=(
        Constraint("public.users", "users_full_name_key", "UNIQUE (full_name)"),
        Index("public.users", "users_once_full_name", "(lower(full_name)) WHERE active", unique=True),
        Constraint("public.orders", "orders_buyer_full", "FOREIGN KEY (buyer) REFERENCES public.users (full_name)"),
    ),
)


@pytest.fixture
def admin(place: str) -> Generator[Client]:
    with psycopg.connect(place, autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public; SET search_path = public")
        yield connection


def changed(admin: Client, shape: Columns) -> list[tuple[Any, ...]]:
    """Go through the life until all is built; return what stands then."""
    shaping.expand(admin, shape)
    shaping.fill(admin, shape)
    for one in shape.carry:
        shaping.do(admin, belongings.build(shaping.CHANGE, one))
    return shaping.rows(admin, STANDS)


def test_nothing_of_the_old_stands_in_the_way_and_all_of_it_comes_back(admin: Client) -> None:
    admin.execute(TABLES)
    before = shaping.rows(admin, STANDS)
    beside = changed(admin, RENAME)
    shaping.contract(admin, RENAME)
    left = {name for _, name, _ in shaping.rows(admin, STANDS)}
    gone = {"users_name_key", "users_name_check", "users_leads", "users_once", "users_plain", "orders_buyer", "name"}
    assert not left & gone
    assert {"users_full_name_key", "users_once_full_name", "orders_buyer_full", "full_name"} <= left
    assert shaping.rows(admin, "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal") == []
    admin.execute("INSERT INTO users (id, full_name, active) VALUES (31, 'user 31', true), (32, 'user 32', true)")
    admin.execute("UPDATE users SET full_name = 'user 40' WHERE id = 2; INSERT INTO orders VALUES (2, 'user 31')")
    with pytest.raises(errors.UniqueViolation):
        admin.execute("INSERT INTO users (id, full_name) VALUES (33, 'user 1')")

    for _ in range(2):  # a second time as after a kill: it does no harm
        shaping.do(admin, RENAME.put_back(shaping.CHANGE))
    assert shaping.rows(admin, STANDS) == beside
    assert not any(shaping.differing(admin, RENAME).values())
    assert shaping.rows(admin, "SELECT name FROM users WHERE id IN (1, 2, 31) ORDER BY id") == [
        ("user 1",), ("user 40",), ("user 31",)
    ]  # fmt: skip
    admin.execute("UPDATE users SET name = 'user 39' WHERE id = 3; INSERT INTO users (id, name) VALUES (34, 'user 34')")
    assert not any(shaping.differing(admin, RENAME).values())
    shaping.undo(admin, RENAME)
    assert shaping.rows(admin, STANDS) == before


def test_what_was_put_away_is_dropped_when_its_time_is_over(admin: Client) -> None:
    admin.execute(TABLES)
    changed(admin, RENAME)
    shaping.contract(admin, RENAME)
    shaping.contract(admin, RENAME)  # what was cut off behind its last statement is run again
    with pytest.raises(errors.ObjectNotInPrerequisiteState, match=r"column name of public\.users was put away at"):
        shaping.do(admin, RENAME.removal(shaping.CHANGE))
    shaping.do(admin, RENAME.removal(shaping.CHANGE, "0 days"))
    assert shaping.rows(admin, "SELECT * FROM users WHERE id = 1") == [(1, None, "user 1")]


@pytest.mark.parametrize("statement", ["CREATE VIEW seen AS SELECT name FROM users",
                                       "CREATE POLICY mine ON users USING (name <> '')"])  # fmt: skip
def test_what_still_needs_the_old_stops_the_contraction(admin: Client, statement: str) -> None:
    """A renamed column would take a view along, and answer it with values that nobody writes any more."""
    admin.execute(TABLES)
    changed(admin, RENAME)
    shaping.run(admin, statement)
    with pytest.raises(errors.DependentObjectsStillExist, match=r"column name of public\.users is still used"):
        shaping.contract(admin, RENAME)
    admin.execute("DROP TABLE orders")
    admin.execute("DROP VIEW IF EXISTS seen; DROP POLICY IF EXISTS mine ON users")
    admin.execute("CREATE TABLE bills (buyer text REFERENCES users (name))")
    with pytest.raises(errors.DependentObjectsStillExist, match="foreign key bills_buyer_fkey of "):
        shaping.do(admin, RENAME.contract(shaping.CHANGE)[-6:])


KEY = Columns(
    table="public.users",
    old=("id",),
    new=(New("number", "bigint", not_null=True, default="nextval('public.users_id_seq'::regclass)"),),
    up={"number": "r.id"},
    down={"id": "r.number"},
    carry=(
        Constraint("public.users", "users_number_pkey", "PRIMARY KEY (number)"),
        Constraint("public.orders", "orders_buyer_number", "FOREIGN KEY (buyer) REFERENCES public.users (number)"),
    ),
)


def test_a_primary_key_changes_hands_with_what_refers_to_it(admin: Client) -> None:
    admin.execute("CREATE TABLE users (id serial PRIMARY KEY); INSERT INTO users DEFAULT VALUES")
    admin.execute("CREATE TABLE orders (buyer int REFERENCES users (id)); INSERT INTO orders VALUES (1)")
    changed(admin, KEY)
    admin.execute("INSERT INTO users DEFAULT VALUES")
    shaping.contract(admin, KEY)
    of = "conrelid IN ('users'::regclass, 'orders'::regclass)"
    key = f"SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE {of} ORDER BY 1"
    assert shaping.rows(admin, key) == [("FOREIGN KEY (buyer) REFERENCES users(number)",), ("PRIMARY KEY (number)",)]
    admin.execute("INSERT INTO users DEFAULT VALUES; INSERT INTO orders VALUES (3)")
    assert shaping.rows(admin, "SELECT number FROM users ORDER BY 1") == [(1,), (2,), (3,)]


COUNTER = "public.users_number_seq"
IDENTITY = """
    SELECT attname, attidentity, attnotnull, seqincrement, seqmax, pg_get_serial_sequence('users', attname)
      FROM pg_attribute JOIN pg_depend ON refobjid = attrelid AND refobjsubid = attnum AND deptype = 'i'
      JOIN pg_sequence ON seqrelid = objid
     WHERE attrelid = 'users'::regclass"""


@pytest.mark.parametrize(("kind", "most"), [("ALWAYS", 2**63 - 1), ("BY DEFAULT", 900)])
def test_an_identity_goes_on_counting_in_the_new_column_and_back(admin: Client, kind: str, most: int) -> None:
    shape = Columns(
        table="public.users",
        old=("number",),
        new=(New("number_v2", "bigint", not_null=True),),
        up={"number_v2": "r.number"},
        down={"number": "r.number_v2::int"},
    )
    told = f"INCREMENT 5 START 100{' MAXVALUE 900' if most == 900 else ''}"
    shaping.run(admin, f"CREATE TABLE users (id int, number int GENERATED {kind} AS IDENTITY ({told}))")
    admin.execute("CREATE TABLE orders ()")
    before = shaping.rows(admin, IDENTITY)
    admin.execute("INSERT INTO users VALUES (1)")
    changed(admin, shape)
    admin.execute("INSERT INTO users VALUES (2)")
    shaping.contract(admin, shape)
    admin.execute("INSERT INTO users VALUES (3)")
    assert shaping.rows(admin, IDENTITY) == [("number_v2", kind[0].lower().replace("b", "d"), True, 5, most, COUNTER)]
    back = shape.put_back(shaping.CHANGE)
    shaping.do(admin, back[:-4])  # what is one transaction with its stamp is missing: it was killed
    shaping.do(admin, back)
    assert shaping.rows(admin, IDENTITY) == before
    admin.execute("INSERT INTO users VALUES (4)")
    numbers = [(1, 100, 100), (2, 105, 105), (3, 110, 110), (4, 115, 115)]
    assert shaping.rows(admin, "SELECT id, number, number_v2 FROM users ORDER BY id") == numbers
    shaping.contract(admin, shape)
    admin.execute("INSERT INTO users VALUES (5)")
    assert shaping.rows(admin, "SELECT max(number_v2) FROM users") == [(120,)]


def test_a_fresh_database_has_the_same_in_the_end(admin: Client) -> None:
    """There, no backfill ever ran: the contraction builds what is missing."""
    admin.execute(TABLES)
    admin.execute("TRUNCATE orders, users")
    shaping.expand(admin, RENAME)
    shaping.contract(admin, RENAME)
    fresh = shaping.rows(admin, STANDS)
    admin.execute("DROP TABLE orders, users, teams")
    admin.execute(TABLES)
    changed(admin, RENAME)
    shaping.contract(admin, RENAME)

    def without_marks(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        return [row for row in rows if not row[1].startswith("dbops_gone")]

    assert without_marks(fresh) == without_marks(shaping.rows(admin, STANDS))


def test_a_split_is_led_back_only_where_neither_side_follows_from_the_other(admin: Client) -> None:
    shape = Columns(
        table="public.people",
        old=("name",),
        new=(New("first", "text"), New("last", "text")),
        up={"first": "split_part(r.name, ' ', 1)", "last": r"substring(r.name FROM '^\S+\s+(.*)$')"},
        down={"name": "concat_ws(' ', r.first, r.last)"},
        lossy=True,
    )
    admin.execute("CREATE TABLE people (id int PRIMARY KEY, name text) PARTITION BY RANGE (id)")
    admin.execute("CREATE TABLE people_1 PARTITION OF people FOR VALUES FROM (1) TO (3)")
    admin.execute("CREATE TABLE people_2 PARTITION OF people FOR VALUES FROM (3) TO (9)")
    admin.execute("CREATE INDEX people_name ON people (name)")
    admin.execute("INSERT INTO people VALUES (1, 'Ada  Lovelace'), (2, 'Plato')")
    shaping.expand(admin, shape)
    shaping.fill(admin, shape)
    shaping.contract(admin, shape)
    admin.execute("INSERT INTO people (id, first, last) VALUES (3, 'Anna Maria', 'Smith')")
    admin.execute("UPDATE people SET first = 'Platon' WHERE id = 2")
    shaping.do(admin, shape.put_back(shaping.CHANGE))
    assert shaping.rows(admin, "SELECT id, name, first, last FROM people ORDER BY id") == [
        (1, "Ada  Lovelace", "Ada", "Lovelace"),
        (2, "Platon", "Platon", None),
        (3, "Anna Maria Smith", "Anna Maria", "Smith"),
    ]
    valid = "SELECT count(*) FROM pg_index WHERE indisvalid AND pg_get_indexdef(indexrelid) ~ '[(]name[)]'"
    assert shaping.rows(admin, valid) == [(3,)]


def test_an_identity_and_weird_names_are_put_away_too(admin: Client) -> None:
    shape = Columns(
        table='public."Weird %s "" it\'s"',
        old=("Na'me %", "nr"),
        new=(New('New "%s: {x}', "text", not_null=True),),
        up={'New "%s: {x}': """r."Na'me %" """},
        down={"Na'me %": 'r."New ""%s: {x}"', "nr": "7 % 4"},
        lossy=True,
    )
    admin.execute("""CREATE TABLE "Weird %s "" it's" ("Na'me %" text PRIMARY KEY,
                     nr int GENERATED BY DEFAULT AS IDENTITY)""")
    admin.execute("""INSERT INTO "Weird %s "" it's" VALUES ('a')""")
    shaping.expand(admin, shape)
    shaping.fill(admin, shape)
    shaping.contract(admin, shape)
    admin.execute("""INSERT INTO "Weird %s "" it's" ("New ""%s: {x}") VALUES ('b')""")
    shaping.do(admin, shape.put_back(shaping.CHANGE))
    found = shaping.rows(admin, """SELECT "Na'me %", nr FROM "Weird %s "" it's" ORDER BY 1""")
    assert [(name, number) for name, number in found if name == "b"] == [("b", 3)]
