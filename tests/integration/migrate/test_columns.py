"""Columns beside columns on a real server: types, splits, merges, enums, volatile defaults, NOT NULL."""

from collections.abc import Generator
from typing import Any

import psycopg
import pytest
from psycopg import errors

from dbops.operations.migrate.shapes.columns import Columns, New
from dbops.operations.migrate.shapes.not_null import NotNull

import shaping

Client = psycopg.Connection[Any]


@pytest.fixture
def admin(place: str) -> Generator[Client]:
    with psycopg.connect(place, autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        yield connection


def rows(connection: Client, table: str, *columns: str) -> list[tuple[Any, ...]]:
    return shaping.rows(connection, f"SELECT {', '.join(columns)} FROM {table} ORDER BY 1")


def clean(connection: Client, shape: Columns) -> bool:
    return not any(shaping.differing(connection, shape).values())


TOTAL = Columns(
    table="public.orders",
    old=("total",),
    new=(New("total_v2", "int", not_null=True),),
    up={"total_v2": "round(r.total)"},
    down={"total": "r.total_v2"},
    lossy=True,
)


def test_a_backfill_leaves_old_values_alone_that_the_new_type_cannot_hold(admin: Client) -> None:
    admin.execute("CREATE TABLE orders (id int PRIMARY KEY, total numeric NOT NULL)")
    admin.execute("INSERT INTO orders VALUES (1, 1.7), (2, 2)")
    shaping.expand(admin, TOTAL)
    assert shaping.fill(admin, TOTAL) == 2
    admin.execute("INSERT INTO orders (id, total) VALUES (3, 3.2)")
    admin.execute("INSERT INTO orders (id, total_v2) VALUES (4, 4)")
    admin.execute("UPDATE orders SET total = 5.5 WHERE id = 2")
    assert [(i, float(o), n) for i, o, n in rows(admin, "orders", "id", "total", "total_v2")] == [
        (1, 1.7, 2),
        (2, 5.5, 6),
        (3, 3.2, 3),
        (4, 4.0, 4),
    ]
    assert clean(admin, TOTAL)


AGE = Columns(
    table="public.people",
    old=("age",),
    new=(New("years", "int"),),
    up={"years": "r.age::int"},
    down={"age": "r.years::text"},
)


def test_an_old_value_that_has_no_new_one_stands_and_is_counted(admin: Client) -> None:
    """What an old client may write, it may write during the change too."""
    shaping.install_ledger(admin)
    admin.execute("CREATE TABLE people (id int PRIMARY KEY, age text, visits int DEFAULT 0)")
    shaping.expand(admin, AGE)
    admin.execute("INSERT INTO people (id, age) VALUES (1, 'about 30'), (2, '7')")
    admin.execute("UPDATE people SET age = 'old' WHERE id = 2; UPDATE people SET visits = 1")
    assert rows(admin, "people", "id", "age", "years") == [(1, "about 30", None), (2, "old", None)]
    assert shaping.conflicts(admin) == 2
    admin.execute("UPDATE people SET years = 30 WHERE id = 1; UPDATE people SET age = '8' WHERE id = 2")
    assert rows(admin, "people", "id", "age", "years") == [(1, "30", 30), (2, "8", 8)]
    admin.execute("INSERT INTO people (id, age, years) VALUES (3, 'three', 3), (4, '04', 4)")
    admin.execute("UPDATE people SET age = 'nine', years = 9 WHERE id = 2")
    assert rows(admin, "people", "id", "age", "years")[1:] == [(2, "9", 9), (3, "3", 3), (4, "04", 4)]
    assert shaping.conflicts(admin) == 4
    admin.execute("DROP SCHEMA dbops CASCADE")


def test_a_new_value_that_has_no_old_one_is_refused(admin: Client) -> None:
    shape = Columns(
        table="public.orders",
        old=("number",),
        new=(New("number_v2", "bigint"),),
        up={"number_v2": "r.number"},
        down={"number": "r.number_v2"},
    )
    admin.execute("CREATE TABLE orders (id int PRIMARY KEY, number int)")
    shaping.expand(admin, shape)
    with pytest.raises(errors.NumericValueOutOfRange):
        admin.execute("INSERT INTO orders (id, number_v2) VALUES (1, 3000000000)")


def test_whoever_fills_by_hand_does_no_harm_either(admin: Client) -> None:
    admin.execute("CREATE TABLE orders (id int PRIMARY KEY, total numeric NOT NULL)")
    admin.execute("INSERT INTO orders VALUES (1, 1.7)")
    shaping.expand(admin, TOTAL)
    admin.execute("UPDATE orders SET total_v2 = round(total)")
    assert [float(old) for _, old in rows(admin, "orders", "id", "total")] == [1.7]


def test_a_batch_leaves_the_old_alone_whatever_its_expression_says(admin: Client) -> None:
    """An expression that is not deterministic says another thing each time; the old value is not to pay for it."""
    shape = Columns(
        table="public.orders",
        old=("code",),
        new=(New("code_v2", "text"),),
        up={"code_v2": "public.shaken(r.code)"},
        down={"code": "r.code_v2"},
    )
    admin.execute("CREATE TABLE orders (id int PRIMARY KEY, code text); INSERT INTO orders VALUES (1, 'a')")
    admin.execute("CREATE FUNCTION shaken(text) RETURNS text LANGUAGE sql AS 'SELECT $1 || random()'")
    shaping.expand(admin, shape)
    shaping.fill(admin, shape)
    assert rows(admin, "orders", "code") == [("a",)]
    assert shaping.differing(admin, shape) == {"forward": [1], "back": [1]}


NAMES = Columns(
    table="public.people",
    old=("name",),
    new=(New("first", "text"), New("last", "text")),
    up={"first": "split_part(r.name, ' ', 1)", "last": r"substring(r.name FROM '^\S+\s+(.*)$')"},
    down={"name": "concat_ws(' ', r.first, r.last)"},
    lossy=True,
)


def test_a_split_keeps_what_new_clients_wrote(admin: Client) -> None:
    """Anna Maria Smith cannot be split as her own client did: the backfill must not try."""
    admin.execute("CREATE TABLE people (id int PRIMARY KEY, name text)")
    admin.execute("INSERT INTO people VALUES (1, 'Ada Lovelace'), (2, 'Plato'), (3, NULL)")
    shaping.expand(admin, NAMES)
    admin.execute("INSERT INTO people (id, first, last) VALUES (4, 'Anna Maria', 'Smith')")
    admin.execute("UPDATE people SET last = 'King' WHERE id = 1")  # first is not filled yet
    shaping.fill(admin, NAMES)
    shaping.fill(admin, NAMES)
    assert rows(admin, "people", "id", "name", "first", "last")[1:] == [
        (2, "Plato", "Plato", None),
        (3, None, None, None),
        (4, "Anna Maria Smith", "Anna Maria", "Smith"),
    ]
    admin.execute("UPDATE people SET name = 'Jean Paul Sartre' WHERE id = 4")
    assert rows(admin, "people", "id", "first", "last")[3] == (4, "Jean", "Paul Sartre")
    admin.execute("UPDATE people SET first = 'Jean Paul', last = 'Sartre' WHERE id = 4")
    assert rows(admin, "people", "id", "first", "last")[3] == (4, "Jean Paul", "Sartre")
    assert clean(admin, NAMES)


def test_a_merge_goes_both_ways(admin: Client) -> None:
    shape = Columns(
        table="public.people",
        old=("first", "last"),
        new=(New("name", "text", not_null=True),),
        up={"name": "concat_ws(' ', r.first, r.last)"},
        down={"first": "split_part(r.name, ' ', 1)", "last": "split_part(r.name, ' ', 2)"},
    )
    admin.execute("CREATE TABLE people (id int PRIMARY KEY, first text NOT NULL DEFAULT '?', last text NOT NULL)")
    admin.execute("INSERT INTO people VALUES (1, 'Ada', 'Lovelace')")
    shaping.expand(admin, shape)
    shaping.fill(admin, shape)
    admin.execute("INSERT INTO people (id, last) VALUES (2, 'Hopper')")
    admin.execute("INSERT INTO people (id, name) VALUES (3, 'Alan Turing')")
    admin.execute("UPDATE people SET first = 'Grace' WHERE id = 2")
    admin.execute("UPDATE people SET name = 'Ada King' WHERE id = 1")
    assert rows(admin, "people", "id", "first", "last", "name") == [
        (1, "Ada", "King", "Ada King"),
        (2, "Grace", "Hopper", "Grace Hopper"),
        (3, "Alan", "Turing", "Alan Turing"),
    ]
    assert clean(admin, shape)
    shaping.contract(admin, shape)
    assert rows(admin, "people", "id", "name")[1] == (2, "Grace Hopper")


def test_values_of_an_enum_are_replaced_by_a_new_type(admin: Client) -> None:
    case = "(CASE r.{0}::text WHEN '{1}' THEN '{2}' ELSE r.{0}::text END)::public.{3}"
    shape = Columns(
        table="public.jobs",
        old=("state",),
        new=(New("state_v2", "public.state_v2", not_null=True, default="'waiting'"),),
        up={"state_v2": case.format("state", "queued", "waiting", "state_v2")},
        down={"state": case.format("state_v2", "waiting", "queued", "state")},
    )
    admin.execute("CREATE TYPE state AS ENUM ('queued', 'done'); CREATE TYPE state_v2 AS ENUM ('waiting', 'done')")
    admin.execute("CREATE TABLE jobs (id int PRIMARY KEY, state state NOT NULL DEFAULT 'queued')")
    admin.execute("INSERT INTO jobs VALUES (1, DEFAULT), (2, 'done')")
    shaping.expand(admin, shape)
    shaping.fill(admin, shape)
    admin.execute("INSERT INTO jobs (id) VALUES (3); INSERT INTO jobs (id, state_v2) VALUES (4, 'waiting')")
    assert rows(admin, "jobs", "id", "state::text", "state_v2::text") == [
        (1, "queued", "waiting"),
        (2, "done", "done"),
        (3, "queued", "waiting"),
        (4, "queued", "waiting"),
    ]
    assert clean(admin, shape)
    shaping.contract(admin, shape)
    admin.execute("INSERT INTO jobs (id) VALUES (5)")
    assert rows(admin, "jobs", "id", "state_v2::text")[-1] == (5, "waiting")


def test_expressions_mean_the_same_under_any_search_path(admin: Client) -> None:
    """A writer's own schema must not answer for pg_catalog, nor hide what lies in public."""
    shape = Columns(
        table="public.people",
        old=("name",),
        new=(New("shout", "text"),),
        up={"shout": "loud(r.name)"},
        down={"name": "lower(r.shout)"},
    )
    admin.execute("CREATE FUNCTION loud(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT upper($1)'")
    admin.execute("CREATE TABLE people (id int PRIMARY KEY, name text)")
    shaping.expand(admin, shape)
    admin.execute("CREATE SCHEMA mine")
    for function in ("loud", "lower"):
        shaping.run(admin, f"CREATE FUNCTION mine.{function}(text) RETURNS text LANGUAGE sql AS $$SELECT 'wrong'$$")
    for path in ("mine, public, pg_catalog", "mine", "pg_catalog"):
        shaping.run(admin, f"SET search_path = {path}")
        admin.execute("TRUNCATE public.people")
        admin.execute("INSERT INTO public.people (id, name) VALUES (1, 'ada')")
        admin.execute("INSERT INTO public.people (id, shout) VALUES (2, 'BEA')")
        assert rows(admin, "public.people", "id", "name", "shout") == [(1, "ada", "ADA"), (2, "bea", "BEA")]
    shaping.run(admin, "DROP SCHEMA mine CASCADE")


def test_names_may_be_weird(admin: Client) -> None:
    shape = Columns(
        table='"Weird "" Table\'s"',
        old=("Na'me",),
        new=(New('New "%s: {x}', "text", not_null=True, default="'%'"),),
        up={'New "%s: {x}': """r."Na'me" """},
        down={"Na'me": 'r."New ""%s: {x}"'},
    )
    admin.execute("""CREATE TABLE "Weird "" Table's" (id int PRIMARY KEY, "Na'me" text NOT NULL DEFAULT '100%%')""")
    admin.execute("""INSERT INTO "Weird "" Table's" VALUES (1, DEFAULT), (2, 'x')""")
    change = "a-change-with-a-very-long-name-that-does-not-fit-into-63-bytes"
    before = shaping.rows(admin, "SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef")
    shaping.expand(admin, shape, change)
    assert shaping.rows(admin, "SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef") == []
    assert shaping.fill(admin, shape) == 2
    admin.execute("""INSERT INTO "Weird "" Table's" VALUES (3)""")
    shaping.undo(admin, shape, change)
    assert shaping.rows(admin, "SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef") == before
    shaping.expand(admin, shape, change)
    shaping.fill(admin, shape)
    assert clean(admin, shape)
    shaping.contract(admin, shape, change)
    shaping.do(admin, shape.removal(change, "0 days"))
    found = rows(admin, """"Weird "" Table's" """, "*")
    assert found == [(1, "100%%"), (2, "x"), (3, "100%%")]


def test_a_partitioned_table_is_kept_alike_in_all_partitions(admin: Client) -> None:
    shape = Columns(
        table="public.events",
        old=("actor",),
        new=(New("actor_name", "text", not_null=True),),
        up={"actor_name": "r.actor"},
        down={"actor": "r.actor_name"},
    )
    admin.execute("CREATE TABLE events (id int, actor text NOT NULL DEFAULT 'x') PARTITION BY RANGE (id)")
    admin.execute("CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM (1) TO (10)")
    admin.execute("INSERT INTO events VALUES (1, 'a')")
    shaping.expand(admin, shape)
    admin.execute("CREATE TABLE events_2 PARTITION OF events FOR VALUES FROM (10) TO (20)")
    admin.execute("SET session_replication_role = replica")
    admin.execute("INSERT INTO events_2 (id, actor_name) VALUES (10, 'b'); INSERT INTO events_1 (id) VALUES (2)")
    shaping.fill(admin, shape)
    assert rows(admin, "events", "id", "actor", "actor_name") == [(1, "a", "a"), (2, "x", "x"), (10, "b", "b")]
    shaping.contract(admin, shape)
    assert rows(admin, "events", "id", "actor_name") == [(1, "a"), (2, "x"), (10, "b")]


def test_a_serial_column_gets_another_type_and_keeps_its_sequence(admin: Client) -> None:
    shape = Columns(
        table="public.tickets",
        old=("number",),
        new=(New("number_v2", "bigint", not_null=True, default="nextval('public.tickets_number_seq'::regclass)"),),
        up={"number_v2": "r.number"},
        down={"number": "r.number_v2::int"},
    )
    admin.execute("CREATE TABLE tickets (id int PRIMARY KEY, number serial)")
    admin.execute("INSERT INTO tickets VALUES (1), (2)")
    shaping.expand(admin, shape)
    admin.execute("INSERT INTO tickets (id) VALUES (3)")
    shaping.fill(admin, shape)
    shaping.contract(admin, shape)
    admin.execute("INSERT INTO tickets (id) VALUES (4)")
    assert rows(admin, "tickets", "id", "number_v2") == [(1, 1), (2, 2), (3, 3), (4, 4)]
    [(owned,)] = shaping.rows(admin, "SELECT pg_get_serial_sequence('public.tickets', 'number_v2')")
    assert owned == "public.tickets_number_seq"


def _rename(old: str, new: str) -> Columns:
    return Columns(
        table="public.people", old=(old,), new=(New(new, "text"),), up={new: f"r.{old}"}, down={old: f"r.{new}"}
    )


def test_a_column_belongs_to_one_open_change(admin: Client) -> None:
    admin.execute("CREATE TABLE people (id int PRIMARY KEY, name text, other text)")
    shaping.expand(admin, _rename("name", "full_name"))
    for old in ("name", "full_name"):
        with pytest.raises(errors.ObjectInUse, match="still open: ~dbops_conflict_insert_the-change"):
            shaping.expand(admin, _rename(old, "label"), "another")
    shaping.expand(admin, _rename("other", "label"), "another")
    admin.execute("INSERT INTO people (id, name, label) VALUES (1, 'a', 'b')")
    assert rows(admin, "people", "*") == [(1, "a", "b", "a", "b")]


@pytest.mark.parametrize(("up", "error"), [("nothing(r.name)", errors.UndefinedFunction),
                                           ("r.nothing", errors.UndefinedColumn)])  # fmt: skip
def test_an_expression_that_cannot_work_stops_the_expand(admin: Client, up: str, error: type[Exception]) -> None:
    admin.execute("CREATE TABLE people (id int PRIMARY KEY, name text)")
    shape = Columns(table="public.people", old=("name",), new=(New("x", "text"),), up={"x": up}, down={"name": "r.x"})
    with pytest.raises(error):
        shaping.expand(admin, shape)
    admin.execute("INSERT INTO people VALUES (1, 'still works')")


def test_a_constant_default_is_there_at_once_without_a_rewrite(admin: Client) -> None:
    shape = Columns(table="public.people", new=(New("locale", "text", not_null=True, default="'en'"),))
    admin.execute("CREATE TABLE people (id int PRIMARY KEY)")
    admin.execute("INSERT INTO people VALUES (1)")
    before = shaping.rows(admin, "SELECT pg_relation_filenode('people')")
    shaping.expand(admin, shape)
    assert shaping.rows(admin, "SELECT pg_relation_filenode('people')") == before
    assert rows(admin, "people", "*") == [(1, "en")]
    assert shape.filling() is None
    assert shape.comparisons() == ()
    shaping.undo(admin, shape)
    assert rows(admin, "people", "*") == [(1,)]


def test_a_volatile_default_comes_by_backfill_without_a_rewrite(admin: Client) -> None:
    shape = Columns(
        table="public.people",
        new=(New("token", "uuid", not_null=True, default="gen_random_uuid()"),),
        up={"token": "gen_random_uuid()"},
    )
    admin.execute("CREATE TABLE people (id int PRIMARY KEY)")
    admin.execute("INSERT INTO people SELECT generate_series(1, 5)")
    before = shaping.rows(admin, "SELECT pg_relation_filenode('people')")
    shaping.expand(admin, shape)
    admin.execute("INSERT INTO people VALUES (6)")
    assert shaping.differing(admin, shape) == {"forward": [1, 2, 3, 4, 5], "back": []}
    assert shaping.fill(admin, shape) == 5
    assert shaping.fill(admin, shape) == 0
    shaping.contract(admin, shape)
    assert shaping.rows(admin, "SELECT pg_relation_filenode('people')") == before
    assert shaping.rows(admin, "SELECT count(DISTINCT token) FROM people") == [(6,)]
    with pytest.raises(errors.NotNullViolation):
        admin.execute("INSERT INTO people VALUES (7, NULL)")


EMAIL = NotNull(table="public.people", column="email", fill="'none-' || r.id")


def test_not_null_fills_what_old_clients_leave_out(admin: Client) -> None:
    admin.execute("CREATE TABLE people (id int PRIMARY KEY, email text, visits int DEFAULT 0)")
    admin.execute("INSERT INTO people VALUES (1, NULL), (2, 'b@x'), (3, NULL)")
    shaping.expand(admin, EMAIL)
    admin.execute("INSERT INTO people (id) VALUES (4); UPDATE people SET visits = 1 WHERE id = 1")
    admin.execute("UPDATE people SET email = NULL WHERE id = 2")
    assert shaping.differing(admin, EMAIL) == {"forward": [3], "back": []}
    assert shaping.fill(admin, EMAIL) == 1
    assert rows(admin, "people", "id", "email") == [(n, f"none-{n}") for n in (1, 2, 3, 4)]
    shaping.contract(admin, EMAIL)
    with pytest.raises(errors.NotNullViolation):
        admin.execute("INSERT INTO people (id) VALUES (5)")


def test_not_null_taken_back_lets_null_in_again(admin: Client) -> None:
    admin.execute("CREATE TABLE people (id int PRIMARY KEY, email text)")
    shaping.expand(admin, EMAIL)
    shaping.undo(admin, EMAIL)
    admin.execute("INSERT INTO people VALUES (1, NULL)")
    assert rows(admin, "people", "*") == [(1, None)]


def test_not_null_without_a_fill_refuses_what_is_written_from_now_on(admin: Client) -> None:
    shape = NotNull(table="public.people", column="email")
    admin.execute("CREATE TABLE people (id int PRIMARY KEY, email text)")
    admin.execute("INSERT INTO people VALUES (1, 'a@x')")
    shaping.expand(admin, shape)
    with pytest.raises(errors.CheckViolation):
        admin.execute("INSERT INTO people VALUES (2, NULL)")
    shaping.contract(admin, shape)
    with pytest.raises(errors.NotNullViolation):
        admin.execute("INSERT INTO people VALUES (2, NULL)")


@pytest.mark.parametrize(
    "shape",
    [
        NotNull(table="public.people", column="email"),
        Columns(
            table="public.people",
            old=("email",),
            new=(New("mail", "text", not_null=True),),
            up={"mail": "r.email"},
            down={"email": "r.mail"},
        ),
    ],
)
def test_rows_without_a_value_stop_the_contraction_before_it_did_anything(
    admin: Client, shape: Columns | NotNull
) -> None:
    admin.execute("CREATE TABLE people (id int PRIMARY KEY, email text)")
    admin.execute("INSERT INTO people VALUES (1, 'secret@x'), (2, NULL)")
    shaping.expand(admin, shape)
    shaping.fill(admin, shape)
    assert shaping.differing(admin, shape)["forward"] == [2]
    with pytest.raises(errors.CheckViolation, match=r"without \w+; the keys of the first ones: 2\n") as refused:
        shaping.contract(admin, shape)
    assert "secret" not in str(refused.value)
    admin.execute("UPDATE people SET email = 'b@x' WHERE id = 2")
    shaping.contract(admin, shape)


@pytest.mark.parametrize("done", [1, 2, 3])
def test_a_contraction_that_was_killed_on_the_way_goes_on_or_is_taken_back(admin: Client, done: int) -> None:
    """What stands alone is committed by itself: the same revision runs again, or the change is undone."""
    admin.execute("CREATE TABLE people (id int PRIMARY KEY, age text); INSERT INTO people VALUES (1, '7')")
    shape = Columns(
        table="public.people",
        old=("age",),
        new=(New("years", "int", not_null=True),),
        up={"years": "r.age::int"},
        down={"age": "r.years::text"},
    )
    alone = [one for one in shape.contract(shaping.CHANGE) if one.alone]
    assert len(alone) == 3
    for ending in ("undone", "contracted"):
        shaping.expand(admin, shape)
        shaping.fill(admin, shape)
        shaping.do(admin, alone[:done])
        (shaping.undo if ending == "undone" else shaping.contract)(admin, shape)
        left = shaping.rows(admin, "SELECT conname FROM pg_constraint WHERE conrelid = 'people'::regclass")
        assert left == [("people_pkey",)]
    assert rows(admin, "people", "id", "years") == [(1, 7)]


def test_set_not_null_reads_the_table_under_no_strong_lock(admin: Client) -> None:
    """What scans is proved before: SET NOT NULL itself reads nothing, for the CHECK implies it."""
    admin.execute("CREATE TABLE people (id int PRIMARY KEY, email text)")
    admin.execute("INSERT INTO people SELECT n, 'x' FROM generate_series(1, 1000) n")
    shape = NotNull(table="public.people", column="email")
    shaping.expand(admin, shape)
    alone = [one for one in shape.contract(shaping.CHANGE) if one.alone]
    rest = [one for one in shape.contract(shaping.CHANGE) if not one.alone]
    shaping.do(admin, alone)
    admin.execute("SET client_min_messages = debug1")
    told: list[str] = []
    admin.add_notice_handler(lambda notice: told.append(notice.message_primary or ""))
    shaping.do(admin, rest)
    assert any("existing constraints on column" in one for one in told), told
    assert not any(one.startswith("verifying table") for one in told)


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"up": {}}, "up has to name each column once: b"),
        ({"down": {}}, "down has to name each column once: a"),
        ({"up": {"b": "r.a", "c": "r.a"}}, "up has to name each column once: c"),
        ({"new": (New("a", "text"),)}, "names of their own"),
        ({"new": ()}, "names of their own"),
        ({"old": (), "down": {}}, "generated column"),
    ],
)
def test_a_direction_that_is_missing_is_refused(told: dict[str, Any], message: str) -> None:
    whole: dict[str, Any] = {
        "table": "t", "old": ("a",), "new": (New("b", "text"),), "up": {"b": "r.a"}, "down": {"a": "r.b"}
    }  # fmt: skip
    with pytest.raises(ValueError, match=message):
        Columns(**{**whole, **told})
