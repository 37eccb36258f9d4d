"""What in a real catalog needs the old, and what only goes along with it."""

from collections.abc import Generator
from pathlib import Path

import pytest

from dbops.operations.migrate.contract import dependants
from dbops.operations.migrate.contract.facts import Dependant
from dbops.operations.migrate.contract.uses import Use, use
from dbops.operations.migrate.shapes.shape import OldNames

import changing

_TABLE = """
    CREATE TABLE users (id int PRIMARY KEY, name text NOT NULL DEFAULT 'x', team int, full_name text);
    CREATE TABLE teams (id int PRIMARY KEY, name text);
    ALTER TABLE users ADD FOREIGN KEY (team) REFERENCES teams"""
COLUMN = OldNames("users", ("name",))
TABLE = OldNames("public.users")


@pytest.fixture
def live(server: str, folder: Path) -> Generator[changing.Example]:
    with changing.example(server, folder) as example:
        example.execute(_TABLE)
        yield example


def found(live: changing.Example, names: OldNames, *statements: str) -> list[Dependant]:
    for text in statements:
        live.execute(text)
    with live.connect() as connection:
        connection.execute("SET search_path = pg_catalog, pg_temp")
        old = dependants.find(connection, names)
        assert old is not None
        return list(dependants.observe(connection, *old))


def needing(live: changing.Example, names: OldNames, *statements: str) -> list[tuple[str, bool]]:
    return [(one.what, one.certain) for one in found(live, names, *statements) if not one.goes_along]


def test_a_column_that_nothing_needs(live: changing.Example) -> None:
    assert needing(live, COLUMN) == []
    assert needing(live, OldNames("users", ("team",))) == []


_FUNCTION = "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN {} RETURN NEW; END'"
_ON_INSERT = "CREATE TRIGGER t BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION f()"
_NEEDS = [
    ("CREATE VIEW people AS SELECT id, name FROM users", "view public.people"),
    ("CREATE VIEW people AS SELECT * FROM users", "view public.people"),
    ("CREATE MATERIALIZED VIEW people AS SELECT name FROM users", "materialized view public.people"),
    ("CREATE POLICY own ON users USING (name = current_user)", "policy own on table public.users"),
    (
        f"{_FUNCTION.format('')}; CREATE TRIGGER t BEFORE UPDATE OF name ON users FOR EACH ROW EXECUTE FUNCTION f()",
        "trigger t on table public.users",
    ),
    ("ALTER TABLE users ADD COLUMN upper text GENERATED ALWAYS AS (upper(name)) STORED", "generated column"),
    ("CREATE FUNCTION f() RETURNS text LANGUAGE sql RETURN (SELECT name FROM users LIMIT 1)", "function public.f()"),
    ("CREATE FUNCTION f() RETURNS text LANGUAGE sql AS 'SELECT name FROM users LIMIT 1'", "function public.f()"),
    (
        f"{_FUNCTION.format('NEW.full_name := NEW.name;')}; {_ON_INSERT}",
        "function public.f()",
    ),
    (
        "CREATE UNIQUE INDEX u ON users (name); CREATE TABLE badges (owner text REFERENCES users (name))",
        "constraint badges_owner_fkey on table public.badges",
    ),
]


@pytest.mark.parametrize(("statement", "what"), _NEEDS, ids=[text[:60] for text, _ in _NEEDS])
def test_what_needs_a_column(live: changing.Example, statement: str, what: str) -> None:
    told = needing(live, COLUMN, statement)
    assert any(name.startswith(what) and certain for name, certain in told), told


def test_a_publication_with_a_list_of_columns_needs_them(live: changing.Example) -> None:
    live.execute("CREATE PUBLICATION feed FOR TABLE users (id, name)", dsn=live.admin)
    assert [name for name, _ in needing(live, COLUMN)] == ["publication of table public.users in publication feed"]
    assert needing(live, OldNames("users", ("full_name",))) == []
    assert [name for name, _ in needing(live, TABLE)] == ["publication of table public.users in publication feed"]


def test_a_function_that_puts_statements_together_may_need_it(live: changing.Example) -> None:
    text = "CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $$BEGIN EXECUTE 'SELECT name FROM users'; END$$"
    assert needing(live, COLUMN, text) == [("function public.f()", False)]


_DECLARES = (
    "CREATE FUNCTION f() RETURNS text LANGUAGE plpgsql AS $$DECLARE it {}; BEGIN it := NULL; RETURN it.name; END$$"
)
_MIGHT_NEED = [
    (
        """ALTER TABLE users ADD words tsvector; CREATE TRIGGER words BEFORE INSERT OR UPDATE ON users FOR EACH ROW
            EXECUTE FUNCTION tsvector_update_trigger(words, 'pg_catalog.english', name)""",
        "trigger words on table public.users",
    ),
    (
        """CREATE TABLE guests () INHERITS (users); CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS
            $$BEGIN RAISE NOTICE '%', to_jsonb(NEW) ->> 'name'; RETURN NEW; END$$;
            CREATE TRIGGER t BEFORE INSERT ON guests FOR EACH ROW EXECUTE FUNCTION f()""",
        "function public.f()",
    ),
    (_DECLARES.format("users%ROWTYPE"), "function public.f()"),
    (_DECLARES.format("public.users"), "function public.f()"),
]


@pytest.mark.parametrize(("statement", "what"), _MIGHT_NEED, ids=[text[:60] for text, _ in _MIGHT_NEED])
def test_what_names_the_column_only_in_its_text_may_need_it(live: changing.Example, statement: str, what: str) -> None:
    assert (what, False) in needing(live, COLUMN, statement)
    assert needing(live, OldNames("users", ("team",))) == []


def test_keys_that_partitions_and_replicas_go_by_need_their_columns(live: changing.Example) -> None:
    told = needing(live, OldNames("events", ("kind",)), "CREATE TABLE events (kind text) PARTITION BY LIST (kind)")
    assert told == [("partition key of public.events", True)]
    told = needing(
        live,
        COLUMN,
        "CREATE UNIQUE INDEX u ON users (name)",
        "ALTER TABLE users REPLICA IDENTITY USING INDEX u",
    )
    assert told == [("replica identity: index public.u", True)]


def test_what_another_server_sends_goes_to_a_column_by_its_name(live: changing.Example) -> None:
    with live.connect(live.admin) as admin:
        admin.execute("SET client_min_messages = error")
        admin.execute("CREATE SUBSCRIPTION feed CONNECTION '' PUBLICATION p WITH (connect = false, slot_name = NONE)")
        told = "INSERT INTO pg_subscription_rel SELECT oid, 'users'::regclass, 'r' FROM pg_subscription"
        admin.execute(f"{told} WHERE subname = 'feed'")
        found = needing(live, COLUMN)
        admin.execute("DROP SUBSCRIPTION feed")
    assert found == [("subscription feed", False)]


def test_partitions_and_children_are_the_table_under_other_names(live: changing.Example) -> None:
    live.execute("CREATE TABLE guests () INHERITS (users)")
    live.execute("CREATE TABLE late_guests () INHERITS (guests)")
    with live.connect() as connection:
        found = dependants.find(connection, COLUMN)
    assert found is not None
    assert found[0].parts == {("public", "guests"), ("public", "late_guests")}
    assert use("SELECT name FROM late_guests", found[0]) is Use.USED
    text = "CREATE FUNCTION f() RETURNS text LANGUAGE sql AS 'SELECT {} FROM guests LIMIT 1'"
    assert needing(live, COLUMN, text.format("full_name")) == []
    live.execute("DROP FUNCTION f()")
    assert needing(live, COLUMN, text.format("name")) == [("function public.f()", True)]


def test_a_function_that_takes_rows_and_names_the_column_may_need_it(live: changing.Example) -> None:
    text = "CREATE FUNCTION f(it users) RETURNS text LANGUAGE plpgsql AS $$BEGIN RETURN it.{}; END$$"
    assert needing(live, COLUMN, text.format("full_name")) == []
    live.execute("DROP FUNCTION f(users)")
    assert needing(live, COLUMN, text.format("name")) == [("function public.f(public.users)", False)]


def test_what_has_a_column_of_the_same_name_elsewhere_needs_nothing(live: changing.Example) -> None:
    told = needing(
        live,
        COLUMN,
        "CREATE VIEW named AS SELECT name FROM teams",
        "CREATE FUNCTION f() RETURNS text LANGUAGE sql AS 'SELECT name FROM teams LIMIT 1'",
        "CREATE VIEW people AS SELECT id, full_name AS name FROM users",
    )
    assert told == []


def test_indexes_and_constraints_of_the_table_itself_go_along(live: changing.Example) -> None:
    told = found(
        live,
        COLUMN,
        "CREATE INDEX users_by_name ON users (name, id)",
        "ALTER TABLE users ADD CONSTRAINT named CHECK (name <> '')",
        "CREATE STATISTICS together ON id, name FROM users",
    )
    assert all(one.goes_along for one in told)
    assert {one.what.split()[0] for one in told} >= {"index", "constraint", "statistics"}


def test_what_a_change_made_itself_is_no_dependant(live: changing.Example) -> None:
    told = needing(
        live,
        COLUMN,
        'CREATE FUNCTION "~dbops_f"() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN NEW.name := 1; RETURN NEW; END$$',
        'CREATE TRIGGER "~dbops_f" BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION "~dbops_f"()',
        'ALTER TABLE users ADD CONSTRAINT "~dbops_c" CHECK (name IS NOT NULL) NOT VALID',
    )
    assert told == []


def test_partitions_have_dependants_of_their_own(live: changing.Example) -> None:
    told = needing(
        live,
        OldNames("events", ("kind",)),
        "CREATE TABLE events (id int, kind text) PARTITION BY RANGE (id)",
        "CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM (1) TO (9)",
        "CREATE VIEW first AS SELECT kind FROM events_1",
    )
    assert told == [("view public.first", True)]


def test_what_needs_a_table(live: changing.Example) -> None:
    told = needing(
        live,
        TABLE,
        "CREATE VIEW people AS SELECT id FROM users",
        "CREATE TABLE badges (owner int REFERENCES users)",
        "CREATE FUNCTION f() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM users'",
        "CREATE FUNCTION g(it users) RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE POLICY own ON users USING (true)",
    )
    names = [name for name, _ in told]
    assert "view public.people" in names
    assert any(name.startswith("constraint badges_owner_fkey") for name in names)
    assert any(name.endswith("f()") for name in names)
    assert any("g(" in name for name in names)
    assert not any("policy" in name for name in names), "it goes with its table"


def test_an_old_name_that_is_gone_is_found_nowhere(live: changing.Example) -> None:
    with live.connect() as connection:
        assert dependants.find(connection, OldNames("nothing", ("name",))) is None
