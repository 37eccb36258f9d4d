"""What lint sees in a real catalog: each rule broken once, and the same objects done right."""

from collections.abc import Iterable

import psycopg
import pytest

from dbops.engine.finding import Finding
from dbops.operations.migrate.lint import observe
from dbops.operations.migrate.lint.check import check
from dbops.operations.migrate.lint.facts import Agreed, Facts

ROOT = """
    CREATE TABLE buyers (
        id uuid PRIMARY KEY, name text, created_at timestamptz, updated_at timestamptz);
    COMMENT ON TABLE buyers IS 'Who buys'"""
LINK = "CREATE TABLE links (id uuid PRIMARY KEY, buyer uuid REFERENCES buyers, created_at timestamptz); "
SAID = "COMMENT ON TABLE links IS 'x'"


def found(conninfo: str, *statements: str) -> list[Finding]:
    with psycopg.connect(conninfo, autocommit=True) as connection:
        for statement in (ROOT, *statements):
            connection.execute(statement.encode())
        seen = observe.observe(connection)
        assert connection.execute("SHOW search_path").fetchone() == ('"$user", public',), "it leaves no trace"
    return check(Facts("shop", seen.tables, seen.code, seen.names), Agreed())[0]


def codes(findings: Iterable[Finding]) -> list[str]:
    return [finding.code for finding in findings]


def test_a_schema_that_keeps_the_rules(database: str) -> None:
    assert found(database) == []


@pytest.mark.parametrize(
    ("index", "told"),
    [
        ("SELECT 1", ["DBM202"]),
        ("CREATE INDEX ON links (buyer)", []),
        ("CREATE INDEX ON links USING hash (buyer)", []),
        ("CREATE INDEX ON links (buyer) WHERE buyer IS NOT NULL", []),
        ("CREATE INDEX ON links (buyer) WHERE created_at IS NULL", ["DBM202"]),
        ("CREATE INDEX ON links USING brin (buyer)", ["DBM202"]),
        ("CREATE INDEX ON links (id) INCLUDE (buyer)", ["DBM202"]),
        ("CREATE INDEX ON links ((buyer::text))", ["DBM202"]),
    ],
)
def test_only_an_index_that_finds_every_row_serves_a_foreign_key(database: str, index: str, told: list[str]) -> None:
    assert codes(found(database, LINK, SAID, index)) == told


def test_a_partitioned_table_is_judged_once(database: str) -> None:
    sales = "CREATE TABLE sales (id bigint, day date, PRIMARY KEY (id, day)) PARTITION BY RANGE (day)"
    leaf = "CREATE TABLE sales_1 PARTITION OF sales DEFAULT"
    assert codes(found(database, sales, leaf)) == ["DBM201", "DBM203", "DBM210"]


def test_domains_are_looked_through_and_other_schemas_are_named(database: str) -> None:
    findings = found(
        database,
        "CREATE DOMAIN instant AS timestamp(3)",
        "CREATE SCHEMA other",
        "CREATE TABLE other.logs (id uuid PRIMARY KEY, created_at instant)",
    )
    assert [finding.message.partition(" ")[0] for finding in findings] == ["other.logs.created_at", "other.logs"]
    assert codes(findings) == ["DBM208", "DBM210"]


def test_row_security_policies_and_functions(database: str) -> None:
    findings = found(
        database,
        "CREATE TABLE rooms (id uuid PRIMARY KEY, tenant_id uuid, created_at timestamptz, updated_at timestamptz)",
        "COMMENT ON TABLE rooms IS 'x'",
        "ALTER TABLE rooms ENABLE ROW LEVEL SECURITY",
        "CREATE POLICY mine ON rooms USING (tenant_id = current_setting('app.tenant', true)::uuid)",
        "CREATE FUNCTION f() RETURNS text LANGUAGE sql SECURITY DEFINER AS $$ SELECT current_setting('app.x') $$",
        "CREATE FUNCTION g() RETURNS text LANGUAGE sql RETURN current_setting('app.x')",
        "CREATE VIEW v AS SELECT current_setting('app.x')::int AS x",
    )
    assert codes(findings) == ["DBM205", "DBM206", "DBM206", "DBM206", "DBM206", "DBM206", "DBM207"]
    assert [finding.message.split(" ")[1] for finding in findings if finding.code == "DBM206"] == [
        "rooms.mine",
        "f()",
        "g()",
        "v",
        "v",
    ]


def test_what_an_extension_brings_and_what_dbops_keeps_is_not_judged(database: str) -> None:
    assert (
        found(
            database,
            "CREATE EXTENSION pg_stat_statements; CREATE EXTENSION pgcrypto; CREATE EXTENSION hstore",
            "CREATE SCHEMA dbops; CREATE TABLE dbops.entries (id int)",
            "CREATE SCHEMA dbops_attic; CREATE TABLE dbops_attic.kept_1 (at timestamp)",
            "CREATE TABLE alembic_version (version_num text)",
        )
        == []
    )


def test_a_name_that_postgresql_has_cut_is_found(database: str) -> None:
    table, column = "t" * 40, "c" * 40
    findings = found(
        database,
        f"CREATE TABLE {table} (id uuid PRIMARY KEY, {column} uuid REFERENCES buyers, created_at timestamptz)",
        f"COMMENT ON TABLE {table} IS 'x'",
        f"CREATE INDEX short ON {table} ({column})",
    )
    assert codes(findings) == ["DBM209"]
    assert "_fkey" in findings[0].message
