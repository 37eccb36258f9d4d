"""What a revision makes is read from its SQL: statements are cut right, and objects are named as the catalog does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbops.operations.migrate import effects


@pytest.mark.parametrize(
    ("statement", "made"),
    [
        ("CREATE TABLE workflows (\n id UUID)", {"table workflows"}),
        ('CREATE TABLE IF NOT EXISTS public."Odd Name" (id int)', {"table Odd Name"}),
        ("CREATE UNIQUE INDEX uq_a ON t (a)", {"index uq_a"}),
        ("CREATE INDEX CONCURRENTLY IF NOT EXISTS ix ON t (a)", {"index ix"}),
        ("CREATE VIEW v AS SELECT 1", {"view v"}),
        ("CREATE OR REPLACE VIEW v AS SELECT 1", {"view v"}),
        ("CREATE MATERIALIZED VIEW m AS SELECT 1", {"materialized view m"}),
        ("CREATE TYPE public.kind AS ENUM ('a')", {"enum kind"}),
        ("CREATE FUNCTION f(a int) RETURNS int", {"function f"}),
        ("CREATE POLICY p ON t FOR ALL", {"policy t.p"}),
        ("CREATE TRIGGER g BEFORE UPDATE ON t FOR EACH ROW", {"trigger t.g"}),
        ("ALTER TABLE t ADD COLUMN a int", set[str]()),
        ("COMMENT ON TABLE t IS 'CREATE TABLE x'", set[str]()),
    ],
)
def test_what_a_statement_makes_is_named_as_the_catalog_names_it(statement: str, made: set[str]) -> None:
    assert effects.made([statement]) == made
    assert effects.taken([statement]) == frozenset()
    assert effects.taken([statement.replace("CREATE ", "DROP ", 1)]) in (made, frozenset())


PIECES = st.sampled_from(
    [
        "SELECT 1",
        "SELECT ';'",
        "INSERT INTO t VALUES ('it''s; fine')",
        'SELECT ";" FROM "a;b"',
        "DO $$ BEGIN PERFORM 1; END $$",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $body$ SELECT ';$$;' ; $body$",
        "SELECT 1 -- not; here",
        "SELECT /* nor; here */ 2",
        "SELECT /* nor /* here; */ ; ' */ 3",
        r"SELECT E'it\'s; fine', 'no \' || 'tag'",
        "SELECT 1 AS a$b$c, 2 AS b$b$",
        "CREATE RULE r AS ON INSERT TO t DO ALSO (SELECT ')'; SELECT 2)",
        "CREATE FUNCTION g() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END",
        "SELECT CASE a WHEN 1 THEN 2 END FROM t",
    ]
)


@given(st.lists(PIECES, max_size=8))
def test_a_script_is_cut_where_its_statements_end(statements: list[str]) -> None:
    script = ";\n".join(text + "\n" if "--" in text else text for text in statements)
    assert effects.split(script) == statements


def test_roles_and_extensions_are_found_inside_of_blocks() -> None:
    texts = ["DO $$ BEGIN CREATE ROLE application_user NOLOGIN; END $$", 'CREATE EXTENSION IF NOT EXISTS "uuid-ossp"']
    assert effects.roles(texts) == {"application_user"}
    assert effects.extensions(texts) == {"uuid-ossp"}


def test_the_books_of_alembic_are_no_part_of_a_revision() -> None:
    assert effects.is_bookkeeping("UPDATE alembic_version SET version_num='b' WHERE alembic_version.version_num = 'a'")
    assert effects.is_bookkeeping("BEGIN")
    assert not effects.is_bookkeeping("CREATE TABLE alembic_versions (id int)")


def test_names_are_told_as_the_catalog_tells_them() -> None:
    told = effects.made(
        (
            'CREATE TABLE app."Big Things" (id int)',
            "CREATE TABLE Users (id int)",
            'CREATE UNIQUE INDEX CONCURRENTLY "By It" ON ONLY app."Big Things" (id)',
            'CREATE INDEX IF NOT EXISTS by_it ON "public"."Big" (id)',
            "CREATE TRIGGER t BEFORE INSERT ON app.things FOR EACH ROW EXECUTE FUNCTION f()",
            "CREATE TABLE app.p1 PARTITION OF app.things DEFAULT",
        )
    )
    assert told == {
        "table app.Big Things",
        "table users",
        "index app.By It",
        "index by_it",
        "trigger app.things.t",
    }
    assert effects.taken(("DROP INDEX CONCURRENTLY IF EXISTS app.by_it",)) == {"index app.by_it"}


def test_what_may_be_there_before_is_told_apart() -> None:
    statements = (
        "CREATE INDEX CONCURRENTLY a ON t (a)",
        "CREATE TABLE IF NOT EXISTS t (a int)",
        "CREATE INDEX b ON t (b)",
    )
    assert effects.ensured(statements) == {"index a", "table t"}


def test_a_query_that_yields_statements_is_one_statement_of_a_script() -> None:
    assert effects.split(f"SELECT 1\n{effects.ASKED};\n\nSELECT 2;") == [f"SELECT 1\n{effects.ASKED}", "SELECT 2"]


def test_a_renamed_table_takes_what_goes_by_its_name_along() -> None:
    renames = effects.renamed(
        [
            "ALTER TABLE public.users RENAME TO people",
            'ALTER TABLE IF EXISTS s."A b" RENAME TO "C"',
            "ALTER TABLE t ADD x int",
        ]
    )
    assert renames == (("users", "people"), ("s.A b", "s.C"))
    before = (
        "table users",
        "trigger users.t",
        "policy users.p",
        "index users",
        "table users_2",
        "materialized view users",
    )
    after = (
        "table people",
        "trigger people.t",
        "policy people.p",
        "index users",
        "table users_2",
        "materialized view users",
    )
    assert tuple(effects.under(name, renames) for name in before) == after
    assert effects.renamed(["ALTER TABLE users RENAME a TO b", "ALTER TABLE users RENAME COLUMN a TO b"]) == ()


def test_indexes_go_along_with_the_columns_that_they_need() -> None:
    statements = (
        "CREATE TABLE users (id int, name text)",
        "CREATE INDEX by_name ON users (lower(name), id)",
        'CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS "By Name" ON ONLY public.users (id) WHERE "name" <> id::text',
        "CREATE INDEX by_id ON users (id)",
        "CREATE INDEX of_names ON names (name)",
        "CREATE INDEX elsewhere ON other.users (name)",
    )
    assert effects.indexes_of(statements, "public.users", ("name",)) == {"index by_name", "index By Name"}
    assert effects.indexes_of(statements, "other.users", ("name", "x")) == {"index other.elsewhere"}
    assert effects.indexes_of(statements, '"users"', ("Name",)) == frozenset()
