"""Old and new say the same for values, tables and sessions of every kind; what triggers could not see is refused."""

from collections.abc import Generator
from typing import Any

import psycopg
import pytest
from psycopg import errors

from dbops.operations.migrate.shapes.columns import Columns, New
from dbops.operations.migrate.shapes.generated import Generated
from dbops.operations.migrate.shapes.not_null import NotNull
from dbops.operations.migrate.shapes.shape import Shape

import shaping

Client = psycopg.Connection[Any]


@pytest.fixture
def admin(place: str) -> Generator[Client]:
    with psycopg.connect(place, autocommit=True) as connection:
        connection.execute("DROP SCHEMA IF EXISTS dbops CASCADE; DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        shaping.install_ledger(connection)
        yield connection


def replaced(old: str, up: str = "r.a", down: str = "r.b", *, new: str | None = None, lossy: bool = False) -> Columns:
    return Columns("public.t", (New("b", new or old),), ("a",), {"b": up}, {"a": down}, lossy=lossy)


def both(connection: Client) -> list[tuple[Any, ...]]:
    return shaping.rows(connection, "SELECT a::text, b::text FROM public.t ORDER BY id")


LOOK_ALIKE = (
    ("citext", "Bob", "BOB"),
    ("interval", "1 day", "24 hours"),
    ("numeric", "1.0", "1.00"),
    ("float8", "0", "-0"),
    ("jsonb", '{"n": 1.0}', '{"n": 1.00}'),
    ("numeric[]", "{1.0}", "{1.00}"),
    ("text COLLATE no_case", "Bob", "BOB"),
)


@pytest.mark.parametrize("cast", ["", "::public.same"], ids=["bare", "cast"])
@pytest.mark.parametrize(("kind", "before", "after"), LOOK_ALIKE, ids=[kind for kind, _, _ in LOOK_ALIKE])
def test_a_value_is_carried_over_although_its_type_calls_it_equal(
    admin: Client, kind: str, before: str, after: str, cast: str
) -> None:
    if kind == "citext":
        admin.execute("CREATE EXTENSION citext SCHEMA public")
    admin.execute("CREATE COLLATION no_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false)")
    shaping.run(admin, f"CREATE DOMAIN same AS {kind}; CREATE TABLE t (id int PRIMARY KEY, a {kind})")
    shaping.run(admin, f"INSERT INTO t VALUES (1, '{before}'), (2, '{before}')")
    shape = replaced(kind, f"r.a{cast}", f"r.b{cast}")
    shaping.expand(admin, shape)
    shaping.fill(admin, shape)
    shaping.run(admin, f"UPDATE t SET a = '{after}' WHERE id = 1; UPDATE t SET b = '{after}' WHERE id = 2")
    [(old, new), (also_old, also_new)] = both(admin)
    [[told]] = shaping.rows(admin, f"SELECT ('{after}'::same)::text")
    assert {old, new, also_old, also_new} == {told}
    assert shaping.conflicts(admin) == 0


@pytest.mark.parametrize(
    ("kind", "value", "other"), [("json", '{"a": 1}', "{}"), ("xml", "<a/>", "<b/>"), ("point", "(1,2)", "(1,3)")]
)
def test_a_type_without_equality_is_renamed(admin: Client, kind: str, value: str, other: str) -> None:
    shaping.run(admin, f"CREATE TABLE t (id int PRIMARY KEY, a {kind}); INSERT INTO t VALUES (1, '{value}')")
    shape = replaced(kind)
    shaping.expand(admin, shape)
    shaping.run(admin, f"INSERT INTO t (id, b) VALUES (2, '{value}')")
    assert shaping.differing(admin, shape) == {"forward": [1], "back": [1]}
    assert [shaping.fill(admin, shape), shaping.fill(admin, shape)] == [1, 0]
    shaping.run(admin, f"UPDATE t SET a = '{other}' WHERE id = 2; UPDATE t SET b = '{other}' WHERE id = 1")
    assert both(admin) == [(other, other)] * 2
    assert shaping.differing(admin, shape) == {"forward": [], "back": []}
    assert shaping.conflicts(admin) == 0


def test_json_becomes_jsonb(admin: Client) -> None:
    admin.execute("""CREATE TABLE t (id int PRIMARY KEY, a json); INSERT INTO t VALUES (1, '{"a":  1}')""")
    shape = replaced("json", "r.a::jsonb", "r.b::json", new="jsonb", lossy=True)
    shaping.expand(admin, shape)
    shaping.fill(admin, shape)
    admin.execute("""INSERT INTO t (id, a) VALUES (2, '"\\u0000"')""")  # text, and no jsonb: it stands, and is counted
    admin.execute("UPDATE t SET id = id + 10")
    assert both(admin) == [('{"a":  1}', '{"a": 1}'), ('"\\u0000"', None)]
    assert shaping.conflicts(admin) == 1


def test_a_row_that_is_not_filled_yet_is_filled_by_any_update(admin: Client) -> None:
    """The walk may have passed by the place, or the key, that the row gets."""
    admin.execute("CREATE TABLE t (id int PRIMARY KEY, a text); INSERT INTO t VALUES (2, 'x'), (3, NULL)")
    shaping.expand(admin, replaced("text"))
    admin.execute("UPDATE t SET id = id - 1")
    assert both(admin) == [("x", "x"), (None, None)]


@pytest.mark.parametrize("column", ["a", "b"])
def test_a_null_stays_one_where_its_row_moves_to_another_partition(admin: Client, column: str) -> None:
    """There, the move is an INSERT; and whoever leaves the old column out gets its default."""
    admin.execute("""
        CREATE TABLE t (id int PRIMARY KEY, extra text, a text DEFAULT 'x') PARTITION BY RANGE (id);
        CREATE TABLE early (a text DEFAULT 'x', id int NOT NULL, extra text);
        ALTER TABLE t ATTACH PARTITION early FOR VALUES FROM (0) TO (100);
        CREATE TABLE late PARTITION OF t FOR VALUES FROM (100) TO (1000);
        INSERT INTO t VALUES (1, 'y', 'Ann'), (2, 'y', NULL)""")
    shape = replaced("text")
    shaping.expand(admin, shape)
    shaping.fill(admin, shape)
    shaping.run(admin, f"UPDATE t SET {column} = NULL WHERE id = 1")
    admin.execute("UPDATE t SET id = id + 100, extra = 'z'; INSERT INTO t (id) VALUES (3)")
    assert both(admin) == [("x", "x"), (None, None), (None, None)]
    shaping.undo(admin, shape)
    assert shaping.rows(admin, "SELECT FROM pg_trigger WHERE tgname ~ 'dbops'") == []
    assert shaping.rows(admin, "SELECT FROM pg_proc WHERE proname ~ 'dbops'") == []
    admin.execute("INSERT INTO t (id) VALUES (4)")
    assert shaping.rows(admin, "SELECT a FROM t WHERE id = 4") == [("x",)]


def test_a_row_that_has_no_new_value_is_counted_once(admin: Client) -> None:
    admin.execute("CREATE TABLE t (id int PRIMARY KEY, a text, seen int)")
    shaping.expand(admin, replaced("text", "r.a::int", "r.b::text", new="int"))
    admin.execute("INSERT INTO t VALUES (1, 'x', 0); UPDATE t SET seen = 1; UPDATE t SET seen = 2")
    assert (both(admin), shaping.conflicts(admin)) == ([("x", None)], 1)
    admin.execute("UPDATE t SET a = 'y'")
    assert (both(admin), shaping.conflicts(admin)) == ([("y", None)], 2)


def test_another_column_that_an_expression_reads_counts_as_the_old_side(admin: Client) -> None:
    admin.execute("CREATE TABLE t (id int PRIMARY KEY, a text, \"Unit\" text); INSERT INTO t VALUES (1, '5', 'kg')")
    shape = replaced("text", "r.a || ' ' || r.\"Unit\"", "split_part(r.b, ' ', 1)", lossy=True)
    shaping.expand(admin, shape)
    shaping.fill(admin, shape)
    admin.execute("UPDATE t SET \"Unit\" = 'lb'")
    assert both(admin) == [("5", "5 lb")]
    assert shaping.differing(admin, shape) == {"forward": [], "back": []}


@pytest.mark.parametrize(
    ("old", "up", "down", "value"),
    [
        ("timestamp", "r.a", "r.b", "2026-01-01 12:00"),
        ("timestamp", "r.a::timestamptz", "r.b::timestamp", "2026-01-01 12:00"),
        ("text", "r.a::timestamptz", "r.b::text", "2026-01-02 12:00"),
    ],
)
def test_settings_of_a_client_have_no_say(admin: Client, old: str, up: str, down: str, value: str) -> None:
    shaping.run(admin, f"SET TimeZone = 'UTC'; CREATE TABLE t (id int PRIMARY KEY, a {old})")
    shape = replaced(old, up, down, new="timestamptz", lossy=old == "text")
    shaping.expand(admin, shape)
    admin.execute("SET TimeZone = 'Asia/Tokyo'; SET DateStyle = 'SQL, DMY'")
    shaping.run(admin, f"INSERT INTO t (id, a) VALUES (1, '{value}'); INSERT INTO t (id, b) VALUES (2, '{value}+00')")
    admin.execute("INSERT INTO t (id, a) VALUES (3, NULL); UPDATE t SET a = '2026-01-03 12:00' WHERE id = 3")
    admin.execute("RESET DateStyle; SET TimeZone = 'UTC'")
    assert shaping.differing(admin, shape) == {"forward": [], "back": []}
    [(told,)] = shaping.rows(admin, f"SELECT min(b) = '{value}+00' AND max(b) = '2026-01-03 12:00+00' FROM t")
    assert told


def test_what_always_says_the_same_needs_no_settings(admin: Client) -> None:
    admin.execute("CREATE TABLE t (id int PRIMARY KEY, a int)")
    shaping.expand(admin, replaced("int", "r.a::bigint", "r.b::int", new="bigint"))
    assert shaping.rows(admin, "SELECT proname FROM pg_proc WHERE proname ~ '^~dbops' AND proconfig IS NOT NULL") == []


@pytest.mark.parametrize(
    ("old", "new", "up", "down"),
    [
        ("text", "hstore", "r.a::public.hstore", "r.b::text"),
        ("hstore", "text", "r.a::text", "r.b::public.hstore"),
        ("hstore", "hstore", "coalesce(r.a, '')", "r.b"),
    ],
)
def test_types_of_an_extension_are_compared_under_any_search_path(
    admin: Client, old: str, new: str, up: str, down: str
) -> None:
    shaping.run(admin, f"CREATE EXTENSION hstore SCHEMA public; CREATE TABLE t (id int PRIMARY KEY, a {old})")
    shaping.expand(admin, replaced(old, up, down, new=new))
    admin.execute("SET search_path = ''")
    admin.execute("INSERT INTO public.t (id, b) VALUES (1, 'a=>1'); INSERT INTO public.t (id, a) VALUES (2, 'a=>1')")
    admin.execute("INSERT INTO public.t VALUES (3, 'a=>1', 'a=>2'); UPDATE public.t SET b = 'a=>3' WHERE id = 2")
    admin.execute("SET search_path = public")
    assert shaping.rows(admin, "SELECT a::hstore = b::hstore, (b::hstore) -> 'a' FROM t ORDER BY id") == [
        (True, "1"), (True, "3"), (True, "2")
    ]  # fmt: skip
    assert shaping.conflicts(admin) == 1


UNFIT = {
    "CREATE TABLE t (id int, a text); CREATE TABLE child () INHERITS (t)": "child tables",
    "CREATE TABLE parent (id int, a text); CREATE TABLE t () INHERITS (parent)": "is inherited",
    "CREATE TABLE t (id int, a text GENERATED ALWAYS AS ('x') STORED)": "is generated",
    'CREATE TABLE t (id int, a text); CREATE TRIGGER "ändert" BEFORE UPDATE ON t FOR EACH ROW'
    " EXECUTE FUNCTION suppress_redundant_updates_trigger()": "fire behind ours",
}


@pytest.mark.parametrize("tables", UNFIT, ids=UNFIT.values())
def test_a_table_whose_rows_triggers_could_not_see_is_refused(admin: Client, tables: str) -> None:
    shaping.run(admin, tables)
    with pytest.raises(errors.ObjectNotInPrerequisiteState, match=UNFIT[tables]):
        shaping.expand(admin, replaced("text"))


@pytest.mark.parametrize(
    ("up", "error", "message"),
    [
        ("(SELECT max(x.a) FROM public.t x)", errors.ObjectNotInPrerequisiteState, "no other rows"),
        ("r.g || r.a", errors.ObjectNotInPrerequisiteState, "column g of public.t is generated"),
        ("to_jsonb(r) ->> 'a'", ValueError, "name the columns"),
        ("r.a || now()", ValueError, "may not ask for now"),
    ],
)
def test_an_expression_that_triggers_could_not_follow_is_refused(
    admin: Client, up: str, error: type[Exception], message: str
) -> None:
    admin.execute("CREATE TABLE t (id int, a text, g text GENERATED ALWAYS AS ('g') STORED)")
    with pytest.raises(error, match=message):
        shaping.expand(admin, replaced("text", up))
    assert shaping.rows(admin, "SELECT FROM pg_trigger WHERE tgrelid = 't'::regclass") == []


def test_a_generated_column_follows_in_the_same_way_for_every_client(admin: Client) -> None:
    admin.execute("SET TimeZone = 'UTC'; CREATE TABLE t (id int PRIMARY KEY, a timestamptz)")
    shape = Generated("public.t", "b", "date", "r.a::date")
    shaping.expand(admin, shape)
    admin.execute("SET TimeZone = 'Asia/Tokyo'; INSERT INTO t (id, a) VALUES (1, '2026-01-01 23:00+00')")
    admin.execute("SET TimeZone = 'UTC'")
    assert not any(shaping.differing(admin, shape).values())
    shaping.undo(admin, shape)
    for kind, expression in (("json", "to_json(r.id)"), ("point", "point(r.id, 1)")):
        shape = Generated("public.t", "b", kind, expression)
        shaping.expand(admin, shape)
        assert [shaping.fill(admin, shape), shaping.fill(admin, shape)] == [1, 0]
        shaping.undo(admin, shape)


BLIND: tuple[Shape, ...] = (
    Generated("public.t", "b", "text", "r.g || 'x'"),
    NotNull("public.t", "a", fill="r.g"),
)


@pytest.mark.parametrize("shape", BLIND, ids=["a generated column", "a column without nulls"])
def test_what_is_computed_behind_triggers_is_no_source_for_them(admin: Client, shape: Shape) -> None:
    admin.execute("CREATE TABLE t (id int, a text, g text GENERATED ALWAYS AS ('g') STORED)")
    with pytest.raises(errors.ObjectNotInPrerequisiteState, match=r"column g of .*t is generated"):
        shaping.expand(admin, shape)
