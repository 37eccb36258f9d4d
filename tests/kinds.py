"""Every kind of change that `migrate new` knows, each with its tables, clients of before and after, and its end."""

from typing import Any

from lives import ROWS, Group, Kind, at, into, number, to, word

from loading import Ask

_ALL_VERBS = ("backfill", "verify", "switch")
_COLUMN = """SELECT format_type(atttypid, atttypmod), attnotnull FROM pg_attribute
    WHERE attrelid = 'users'::regclass AND attname = '{}' AND NOT attisdropped"""


def _column(name: str, kind: str, *, not_null: bool = False) -> tuple[str, Any]:
    return _COLUMN.format(name), [(kind, not_null)]


def _gone(*names: str) -> tuple[tuple[str, Any], ...]:
    return tuple((_COLUMN.format(name), []) for name in names)


def _none(condition: str, table: str = "users") -> tuple[str, Any]:
    return f"SELECT count(*) FROM {table} WHERE {condition}", [(0,)]


_NAMES = """SELECT string_agg(attname, ' ' ORDER BY attnum) FROM pg_attribute WHERE attnum > 0 AND NOT attisdropped
    AND attname !~ '^dbops_gone_' AND attrelid = '{}'::regclass"""
_USERS = ("--table", "public.users")
_STATE_BACK = "state=(CASE r.state_now::text WHEN 'waiting' THEN 'queued' ELSE 'done' END)::state"
_STATES = ("--value", "queued=waiting", "--value", "lost=done", "--down", _STATE_BACK)
COLUMNS = Group(
    "columns",
    f"""
    CREATE TYPE state AS ENUM ('queued', 'lost', 'done');
    CREATE TYPE state_v2 AS ENUM ('waiting', 'done');
    CREATE TABLE users (id bigint PRIMARY KEY, nick text NOT NULL DEFAULT 'no name', age varchar(3), name text,
        email text, first text, last text, state state NOT NULL DEFAULT 'queued', amount int NOT NULL DEFAULT 1,
        price int NOT NULL DEFAULT 1, visits int NOT NULL DEFAULT 0);
    INSERT INTO users (id, nick, age, name, email, first, last, state, amount, price)
    SELECT n, 'nick ' || n, n % 100, 'first ' || n, CASE WHEN n % 2 = 0 THEN 'u' || n END, 'f' || n, 'l' || n,
           (ARRAY['queued', 'lost', 'done'])[1 + n % 3]::state, n, 3 FROM generate_series(1, {ROWS}) n;
    CREATE TABLE cards (id bigint PRIMARY KEY, fax text NOT NULL, note text);
    INSERT INTO cards SELECT n, 'fax ' || n FROM generate_series(1, {ROWS}) n""",
    (
        Kind(
            "add-a-constant",
            ("add-column", *_USERS, "--column", "locale", "--type", "text", "--default", "'en'", "--not-null"),
            old=(
                at("SELECT visits FROM users WHERE id = %s"),
                at("UPDATE users SET visits = visits + 1 WHERE id = %s"),
                into("INSERT INTO users (id) VALUES (%s) ON CONFLICT (id) DO UPDATE SET visits = 1"),
            ),
            new=(
                at("SELECT locale FROM users WHERE id = %s"),
                to("UPDATE users SET locale = %s WHERE id = %s", word),
                into("INSERT INTO users (id, locale, email) VALUES (%s, 'fr', 'e')"),
            ),
            ends=(_column("locale", "text", not_null=True), _none("locale IS NULL")),
        ),
        Kind(
            "add-a-volatile",
            (
                "add-column",
                *_USERS,
                "--column",
                "token",
                "--type",
                "uuid",
                "--default",
                "gen_random_uuid()",
                "--not-null",
            ),
            new=(
                at("SELECT token FROM users WHERE id = %s"),
                at("UPDATE users SET token = gen_random_uuid() WHERE id = %s"),
            ),
            verbs=("backfill", "verify"),
            contracts=True,
            ends=(
                _column("token", "uuid", not_null=True),
                ("SELECT count(DISTINCT token) = count(*) FROM users", [(True,)]),
            ),
        ),
        Kind(
            "not-null",
            ("not-null", *_USERS, "--column", "email", "--fill", "'none-' || r.id"),
            old=(to("UPDATE users SET email = NULLIF(%s, '50') WHERE id = %s", lambda r: str(number(r))),),
            new=(to("UPDATE users SET email = %s WHERE id = %s", word),),
            verbs=("backfill", "verify"),
            contracts=True,
            ends=(_column("email", "text", not_null=True),),
        ),
        Kind(
            "rename-column",
            ("rename-column", *_USERS, "--column", "nick", "--to", "nickname"),
            old=(
                at("SELECT nick FROM users WHERE id = %s"),
                to("UPDATE users SET nick = %s WHERE id = %s", word),
                into("INSERT INTO users (id, nick) VALUES (%s, 'o') ON CONFLICT (id) DO NOTHING"),
            ),
            new=(
                at("SELECT nickname FROM users WHERE id = %s"),
                to("UPDATE users SET nickname = %s WHERE id = %s", word),
                into("INSERT INTO users (id, nickname, email) VALUES (%s, 'n', 'e') ON CONFLICT (id) DO NOTHING"),
            ),
            verbs=_ALL_VERBS,
            contracts=True,
            ends=(_column("nickname", "text", not_null=True), *_gone("nick"), _none("nickname = ''")),
        ),
        Kind(
            "type",
            ("type", *_USERS, "--column", "age", "--type", "int", "--to", "age_v2"),
            old=(to("UPDATE users SET age = %s WHERE id = %s", lambda r: str(number(r))),),
            new=(to("UPDATE users SET age_v2 = %s WHERE id = %s", number),),
            verbs=_ALL_VERBS,
            contracts=True,
            ends=(_column("age_v2", "integer"), *_gone("age"), _none(f"age_v2 IS NULL AND id <= {ROWS}")),
        ),
        Kind(
            "split-columns",
            ("split-columns", *_USERS, "--column", "name", "--to", "given", "--to", "family"),
            old=(to("UPDATE users SET name = %s WHERE id = %s", lambda r: f"old {word(r)}"),),
            new=(to("UPDATE users SET given = %s, family = 'New' WHERE id = %s", word),),
            verbs=_ALL_VERBS,
            contracts=True,
            ends=(
                _column("given", "text"),
                _column("family", "text"),
                *_gone("name"),
                ("SELECT count(*) > 0 FROM users WHERE family = 'New'", [(True,)]),
                _none(f"given IS NULL AND id <= {ROWS}"),
            ),
        ),
        Kind(
            "merge-columns",
            ("merge-columns", *_USERS, "--column", "first", "--column", "last", "--to", "whole"),
            old=(
                at("SELECT first, last FROM users WHERE id = %s"),
                to("UPDATE users SET first = 'Old', last = %s WHERE id = %s", word),
            ),
            new=(
                at("SELECT whole FROM users WHERE id = %s"),
                to("UPDATE users SET whole = 'New ' || %s::text WHERE id = %s", word),
            ),
            verbs=_ALL_VERBS,
            contracts=True,
            ends=(
                _column("whole", "text"),
                *_gone("first", "last"),
                _none(f"whole !~ '^(f|Old|New)[0-9]* [lw][0-9]+$' AND id <= {ROWS}"),
            ),
        ),
        Kind(
            "enum-values",
            ("enum-values", *_USERS, "--column", "state", "--to", "state_now", "--type", "state_v2", *_STATES),
            old=(to("UPDATE users SET state = %s WHERE id = %s", lambda r: r.choice(("queued", "lost", "done"))),),
            new=(to("UPDATE users SET state_now = %s WHERE id = %s", lambda r: r.choice(("waiting", "done"))),),
            verbs=_ALL_VERBS,
            contracts=True,
            ends=(_column("state_now", "state_v2", not_null=True), *_gone("state")),
        ),
        Kind(
            "generated-column",
            ("generated-column", *_USERS, "--column", "total", "--type", "int", "--up", "total=r.amount * r.price"),
            old=(to("UPDATE users SET amount = %s WHERE id = %s", number),),
            new=(at("SELECT total FROM users WHERE id = %s"), to("UPDATE users SET price = %s WHERE id = %s", number)),
            verbs=("backfill", "verify"),
            ends=(_column("total", "integer"), _none("total IS DISTINCT FROM amount * price")),
        ),
        Kind(
            "drop-column",
            ("drop-column", "--table", "public.cards", "--column", "fax", "--fill", "''"),
            old=(at("SELECT fax FROM cards WHERE id = %s"), to("UPDATE cards SET fax = %s WHERE id = %s", word)),
            new=(at("SELECT note FROM cards WHERE id = %s"), into("INSERT INTO cards (id, note) VALUES (%s, 'n')")),
            verbs=("switch",),
            contracts=True,
            ends=((_NAMES.format("cards"), [("id note",)]),),
        ),
    ),
    read=("users", "cards"),
)


_THINGS = ("--table", "public.things")
_PARTS = ("--table", "public.parts")
_VALID = """SELECT pg_get_constraintdef(oid), convalidated FROM pg_constraint
    WHERE conrelid = '{}'::regclass AND conname = '{}'"""
_INDEX = "SELECT indisunique, indisvalid FROM pg_index WHERE indexrelid = '{}'::regclass"
_TO_THINGS = (
    at("SELECT a, b FROM things WHERE id = %s"),
    to("UPDATE things SET b = %s WHERE id = %s", number),
    into("INSERT INTO things (id, owner, a) SELECT n, n %% 50 + 1, n FROM (VALUES (%s::bigint)) v (n)"),
)
_TO_PARTS = (
    at("SELECT a FROM parts WHERE id = %s"),
    to("UPDATE parts SET a = %s WHERE id = %s", word),
    into("INSERT INTO parts (id, at) VALUES (%s, '2026-01-15')"),
)
ADDED = Group(
    "added",
    f"""
    CREATE TYPE mood AS ENUM ('sad', 'happy');
    CREATE TABLE owners (id bigint PRIMARY KEY, name text);
    INSERT INTO owners SELECT n, 'owner ' || n FROM generate_series(1, 50) n;
    CREATE TABLE things (id bigint NOT NULL, owner bigint NOT NULL, a text, b int DEFAULT 1, m mood DEFAULT 'sad');
    INSERT INTO things SELECT n, n % 50 + 1, n, n FROM generate_series(1, {ROWS}) n;
    CREATE TABLE parts (id bigint NOT NULL, at date NOT NULL, a text) PARTITION BY RANGE (at);
    CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
    CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
    INSERT INTO parts SELECT n, date '2026-01-01' + n % 59, n FROM generate_series(1, {ROWS}) n""",
    (
        Kind(
            "index",
            ("index", *_THINGS, "--name", "things_a", "--definition", "(lower(a)) WHERE b > 5"),
            old=_TO_THINGS,
            ends=((_INDEX.format("things_a"), [(False, True)]),),
        ),
        Kind(
            "index-of-partitions",
            ("index", *_PARTS, "--name", "parts_a", "--definition", "(a)"),
            old=_TO_PARTS,
            ends=(
                (_INDEX.format("parts_a"), [(False, True)]),
                ("SELECT count(*) FROM pg_inherits WHERE inhparent = 'parts_a'::regclass", [(2,)]),
            ),
        ),
        Kind(
            "unique-index",
            ("unique-index", *_THINGS, "--name", "things_a_b", "--definition", "(a)"),
            old=_TO_THINGS,
            ends=((_INDEX.format("things_a_b"), [(True, True)]),),
        ),
        Kind(
            "check",
            ("check", *_THINGS, "--name", "things_b", "--definition", "b >= 0"),
            old=_TO_THINGS,
            ends=((_VALID.format("things", "things_b"), [("CHECK ((b >= 0))", True)]),),
        ),
        Kind(
            "foreign-key",
            ("foreign-key", *_THINGS, "--name", "things_owner", "--column", "owner", "--definition", "owners (id)"),
            old=(*_TO_THINGS, Ask("UPDATE owners SET name = %s WHERE id = 7", lambda r: (word(r),))),
            ends=((_VALID.format("things", "things_owner"), [("FOREIGN KEY (owner) REFERENCES owners(id)", True)]),),
        ),
        Kind(
            "unique",
            ("unique", *_PARTS, "--name", "parts_key", "--column", "id", "--column", "at"),
            old=_TO_PARTS,
            ends=((_VALID.format("parts", "parts_key"), [("UNIQUE (id, at)", True)]),),
        ),
        Kind(
            "primary-key",
            ("primary-key", *_THINGS, "--column", "id"),
            old=_TO_THINGS,
            ends=((_VALID.format("things", "things_pkey"), [("PRIMARY KEY (id)", True)]),),
        ),
        Kind(
            "enum-value",
            ("enum-value", "--type", "public.mood", "--value", "calm", "--definition", "AFTER 'sad'"),
            old=(at("SELECT m FROM things WHERE id = %s"), at("UPDATE things SET m = 'happy' WHERE id = %s")),
            new=(at("UPDATE things SET m = 'calm' WHERE id = %s"),),
            ends=(("SELECT enum_range(NULL::mood)::text", [("{sad,calm,happy}",)]),),
        ),
    ),
    read=("things", "owners", "parts"),
)

_EXCLUDED = (
    "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE contype = 'x' AND conrelid = 'bookings'::regclass"
)
_BOOKED = "CREATE TABLE public.bookings_v2 (LIKE public.bookings INCLUDING ALL, EXCLUDE USING gist (during WITH &&))"
_UP = ("--sql-up", "ALTER TABLE notes ADD COLUMN c text DEFAULT 'c'")
_SQL = (*_UP, "--sql-down", "ALTER TABLE notes DROP COLUMN c", "--on-complete", "ALTER TABLE notes DROP COLUMN a")
TABLES = Group(
    "tables",
    f"""
    CREATE TABLE rooms (id bigint PRIMARY KEY, size int NOT NULL DEFAULT 1, label text);
    CREATE VIEW large AS SELECT id, size FROM rooms WHERE size > 50;
    INSERT INTO rooms SELECT n, n % 100, n FROM generate_series(1, {ROWS}) n;
    CREATE TABLE doors (id bigint PRIMARY KEY, room bigint NOT NULL REFERENCES rooms);
    INSERT INTO doors SELECT n, n FROM generate_series(1, {ROWS}) n;
    CREATE TABLE bookings (id bigint PRIMARY KEY, during int8range NOT NULL, note text);
    INSERT INTO bookings SELECT n, int8range(n * 10, n * 10 + 5), n FROM generate_series(1, {ROWS}) n;
    CREATE TABLE people (id bigint PRIMARY KEY, name text NOT NULL DEFAULT 'nobody');
    INSERT INTO people SELECT n, n FROM generate_series(1, {ROWS}) n;
    CREATE TABLE faxes (id bigint PRIMARY KEY, at timestamptz DEFAULT now());
    INSERT INTO faxes SELECT n FROM generate_series(1, {ROWS}) n;
    CREATE TABLE notes (id bigint PRIMARY KEY, a text, b text);
    INSERT INTO notes SELECT n, n, n FROM generate_series(1, {ROWS}) n""",
    (
        Kind(
            "replace-table",
            ("replace-table", "--table", "public.rooms", "--to", "rooms_v2"),
            old=(
                at("SELECT size FROM large WHERE id = %s"),
                to("UPDATE rooms SET size = %s WHERE id = %s", number),
                into("INSERT INTO rooms (id) VALUES (%s)"),
            ),
            new=(
                at("SELECT room FROM doors JOIN rooms ON rooms.id = room WHERE doors.id = %s"),
                to("UPDATE rooms SET label = %s WHERE id = %s", word),
                into("INSERT INTO rooms (id, label) VALUES (%s, 'new')"),
            ),
            verbs=(*_ALL_VERBS, "verify"),
            contracts=True,
            ends=(
                ("SELECT to_regclass('rooms_v2'), count(*) > 0 FROM rooms WHERE label = 'new'", [(None, True)]),
                ("SELECT count(*) FROM doors JOIN rooms ON rooms.id = room", [(ROWS,)]),
                (_VALID.format("doors", "doors_room_fkey"), [("FOREIGN KEY (room) REFERENCES rooms(id)", True)]),
            ),
        ),
        Kind(
            "exclude",
            ("replace-table", "--table", "public.bookings", "--to", "bookings_v2", "--definition", _BOOKED),
            old=(
                at("SELECT during, note FROM bookings WHERE id = %s"),
                to("UPDATE bookings SET note = %s WHERE id = %s", word),
                into("INSERT INTO bookings SELECT n, int8range(n * 10, n * 10 + 5) FROM (VALUES (%s::bigint)) v (n)"),
            ),
            new=(
                at("SELECT note FROM bookings WHERE id = %s"),
                to("UPDATE bookings SET note = %s WHERE id = %s", word),
            ),
            verbs=(*_ALL_VERBS, "verify"),
            contracts=True,
            ends=(
                (_EXCLUDED, [("EXCLUDE USING gist (during WITH &&)",)]),
                ("SELECT to_regclass('bookings_v2')", [(None,)]),
            ),
            refused=("exclude", "--table", "public.bookings"),
        ),
        Kind(
            "rename-table",
            ("rename-table", "--table", "public.people", "--to", "persons"),
            old=(
                at("SELECT name FROM people WHERE id = %s"),
                to("UPDATE people SET name = %s WHERE id = %s", word),
                into("INSERT INTO people (id) VALUES (%s) ON CONFLICT (id) DO UPDATE SET name = 'again'"),
            ),
            new=(
                at("SELECT name FROM persons WHERE id = %s"),
                to("UPDATE persons SET name = %s WHERE id = %s", word),
                into("INSERT INTO persons (id) VALUES (%s) ON CONFLICT (id) DO NOTHING"),
            ),
            verbs=("switch",),
            contracts=True,
            ends=(("SELECT to_regclass('people'), count(*) > 600 FROM persons", [(None, True)]),),
        ),
        Kind(
            "drop-table",
            ("drop-table", "--table", "public.faxes"),
            old=(at("SELECT at FROM faxes WHERE id = %s"), into("INSERT INTO faxes (id) VALUES (%s)")),
            verbs=("switch",),
            contracts=True,
            ends=(
                (
                    "SELECT to_regclass('faxes'), count(*) > 0 FROM pg_tables WHERE schemaname = 'dbops_attic'",
                    [(None, True)],
                ),
            ),
        ),
        Kind(
            "sql",
            ("sql", "--table", "public.notes", *_SQL),
            old=(at("SELECT a FROM notes WHERE id = %s"), to("UPDATE notes SET a = %s WHERE id = %s", word)),
            new=(at("SELECT c FROM notes WHERE id = %s"), to("UPDATE notes SET c = %s WHERE id = %s", word)),
            verbs=("switch",),
            contracts=True,
            loses=True,
            ends=((_NAMES.format("notes"), [("id b c",)]),),
        ),
    ),
    read=("bookings", "doors", "notes", "rooms"),
)
GROUPS = (COLUMNS, ADDED, TABLES)
