"""The catalogue of unsafe DDL: each row run on a real server, with its locks, rewrites, scans and codes."""

from collections.abc import Generator
from dataclasses import dataclass, field

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from dbops.operations.migrate.forecast import check, trial
from dbops.operations.migrate.forecast.facts import Seen, Sizes, strength
from dbops.operations.migrate.forecast.script import Written

AE, E, SRE, S, SUE = (
    "ACCESS EXCLUSIVE",
    "EXCLUSIVE",
    "SHARE ROW EXCLUSIVE",
    "SHARE",
    "SHARE UPDATE EXCLUSIVE",
)
SHOP = """
    DROP SCHEMA public CASCADE; CREATE SCHEMA public;
    CREATE TABLE buyers (id bigint PRIMARY KEY, name text);
    CREATE TABLE orders (
        id bigint PRIMARY KEY, total int, note varchar(10), at timestamp, price numeric(6, 2), doc json,
        sure int NOT NULL, buyer bigint CONSTRAINT orders_buyer REFERENCES buyers);
    CREATE INDEX orders_total ON orders (total);
    CREATE TABLE loose (id bigint, day date NOT NULL);
    CREATE DOMAIN positive AS int CHECK (value > 0);
    CREATE TYPE mood AS ENUM ('calm', 'wild');
    ALTER TABLE orders ADD COLUMN mood mood;
    CREATE TABLE days (id bigint, day date) PARTITION BY RANGE (day);
    CREATE TABLE days_1 PARTITION OF days FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
    CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';
    CREATE TRIGGER old BEFORE UPDATE ON loose FOR EACH ROW EXECUTE FUNCTION f();
    CREATE MATERIALIZED VIEW sums AS SELECT id FROM buyers; CREATE UNIQUE INDEX ON sums (id)"""


@dataclass(frozen=True)
class Row:
    """The last of the statements is judged. `!` before them: each runs outside of a transaction."""

    text: str
    locks: dict[str, str] = field(default_factory=dict[str, str])  # the strongest on each relation, from SUE on
    rewrites: tuple[str, ...] = ()
    scans: tuple[str, ...] = ()
    codes: tuple[str, ...] = ()
    before: str = ""  # done before the revision


def on(*tables: str, mode: str = AE) -> dict[str, str]:
    return dict.fromkeys(tables, mode)


ORDERS, LOOSE = on("orders"), on("loose")
READ, LOST = ("orders",), ("orders",)
CATALOGUE = (
    # ADD COLUMN
    Row("ALTER TABLE orders ADD COLUMN c int", ORDERS),
    Row("ALTER TABLE orders ADD COLUMN c int DEFAULT 1", ORDERS),
    Row("ALTER TABLE orders ADD COLUMN c timestamptz NOT NULL DEFAULT now()", ORDERS),
    Row("ALTER TABLE orders ADD COLUMN c timestamptz DEFAULT clock_timestamp()", ORDERS, LOST, READ, ("DBM101",)),
    Row("ALTER TABLE orders ADD COLUMN c uuid DEFAULT gen_random_uuid()", ORDERS, LOST, READ, ("DBM101",)),
    Row("ALTER TABLE orders ADD COLUMN c serial", ORDERS, LOST, READ, ("DBM102",)),
    Row("ALTER TABLE orders ADD COLUMN c int GENERATED ALWAYS AS IDENTITY", ORDERS, LOST, READ, ("DBM103",)),
    Row("ALTER TABLE orders ADD COLUMN c int GENERATED ALWAYS AS (total + 1) STORED", ORDERS, LOST, READ, ("DBM103",)),
    Row("ALTER TABLE orders ADD COLUMN c positive", ORDERS, LOST, READ, ("DBM104",)),
    Row("ALTER TABLE orders ADD COLUMN c int DEFAULT 1 CHECK (c > 0)", ORDERS, (), READ, ("DBM105",)),
    Row("ALTER TABLE orders ADD COLUMN c int UNIQUE", ORDERS, (), READ, ("DBM106",)),
    Row("ALTER TABLE orders ADD COLUMN c bigint REFERENCES buyers", {"orders": AE, "buyers": SRE}, codes=("DBM107",)),
    Row("ALTER TABLE orders ADD COLUMN c int NOT NULL", ORDERS, (), READ, ("DBM108",)),
    Row("ALTER TABLE orders ADD COLUMN c json", ORDERS, codes=("DBM109",)),
    Row("ALTER TABLE orders ADD COLUMN c jsonb", ORDERS),
    # Names
    Row("ALTER TABLE orders DROP COLUMN note", ORDERS, codes=("DBM110",)),
    Row("ALTER TABLE orders RENAME COLUMN note TO remark", ORDERS, codes=("DBM111",)),
    Row("ALTER TABLE orders RENAME TO sales", ORDERS, codes=("DBM111",)),
    Row("ALTER TABLE loose SET SCHEMA other", LOOSE, codes=("DBM111",), before="CREATE SCHEMA IF NOT EXISTS other"),
    Row("ALTER SCHEMA another RENAME TO third", codes=("DBM111",), before="CREATE SCHEMA another"),
    Row("ALTER TABLE orders RENAME CONSTRAINT orders_buyer TO b", ORDERS),
    Row("ALTER INDEX orders_total RENAME TO t", on("orders_total", mode=SUE)),
    # Types
    Row("ALTER TABLE orders ALTER total TYPE bigint", ORDERS, LOST, READ, ("DBM112",)),
    Row("ALTER TABLE orders ALTER note TYPE varchar(5)", ORDERS, LOST, READ, ("DBM112",)),
    Row("ALTER TABLE buyers ALTER name TYPE varchar(5)", on("buyers"), ("buyers",), ("buyers",), ("DBM112",)),
    Row("ALTER TABLE orders ALTER price TYPE numeric(6, 3)", ORDERS, LOST, READ, ("DBM112",)),
    Row("ALTER TABLE orders ALTER doc TYPE jsonb", ORDERS, LOST, READ, ("DBM112",)),
    Row("ALTER TABLE orders ALTER mood TYPE text", ORDERS, LOST, READ, ("DBM112",)),
    Row("ALTER TABLE orders ALTER note TYPE varchar(20)", ORDERS),
    Row("ALTER TABLE orders ALTER note TYPE text", ORDERS),
    Row("ALTER TABLE buyers ALTER name TYPE varchar", on("buyers")),
    Row("ALTER TABLE orders ALTER price TYPE numeric(8, 2)", ORDERS),
    Row("ALTER TABLE orders ALTER price TYPE numeric", ORDERS),
    Row("ALTER TABLE orders ALTER at TYPE timestamptz", ORDERS),
    Row(
        "SET LOCAL timezone = 'Asia/Tokyo'; ALTER TABLE orders ALTER at TYPE timestamptz",
        ORDERS,
        LOST,
        READ,
        ("DBM113",),
    ),
    Row(
        'ALTER TABLE buyers ALTER name TYPE text COLLATE "C"',
        {"buyers": AE, "buyers_name": AE},
        (),
        ("buyers",),
        ("DBM141",),
        before="CREATE INDEX buyers_name ON buyers (name)",
    ),
    Row(
        "ALTER DOMAIN small ADD CHECK (value < 9)",
        on("buyers", mode=S),
        (),
        ("buyers",),
        ("DBM141",),
        before="DROP DOMAIN IF EXISTS small CASCADE; CREATE DOMAIN small AS int; ALTER TABLE buyers ADD size small",
    ),
    # NULL and defaults
    Row("ALTER TABLE orders ALTER total SET NOT NULL", ORDERS, (), READ, ("DBM114",)),
    Row(
        "ALTER TABLE orders ALTER total SET NOT NULL",
        ORDERS,
        before="ALTER TABLE orders ADD CONSTRAINT given CHECK (total IS NOT NULL)",
    ),
    Row("ALTER TABLE orders ALTER sure DROP NOT NULL", ORDERS),
    Row("ALTER TABLE orders ALTER total SET DEFAULT 1", ORDERS),
    Row("ALTER TABLE orders ALTER total DROP DEFAULT", ORDERS),
    # Constraints
    Row("ALTER TABLE orders ADD CHECK (total > 0)", ORDERS, (), READ, ("DBM115",)),
    Row("ALTER TABLE orders ADD CHECK (total > 0) NOT VALID", ORDERS),
    Row(
        "ALTER TABLE orders VALIDATE CONSTRAINT c",
        on("orders", mode=SUE),
        (),
        READ,
        before="ALTER TABLE orders ADD CONSTRAINT c CHECK (total > 0) NOT VALID",
    ),
    Row(
        "ALTER TABLE orders ADD CONSTRAINT c CHECK (total > 0) NOT VALID; ALTER TABLE orders VALIDATE CONSTRAINT c",
        ORDERS,
        (),
        READ,
        ("DBM116",),
    ),
    Row(
        "ALTER TABLE loose ADD CONSTRAINT k FOREIGN KEY (id) REFERENCES buyers",
        on("loose", "buyers", mode=SRE),
        (),
        ("loose",),
        ("DBM117",),
    ),
    Row(
        "ALTER TABLE loose ADD CONSTRAINT k FOREIGN KEY (id) REFERENCES buyers NOT VALID",
        on("loose", "buyers", mode=SRE),
    ),
    Row(
        "ALTER TABLE loose VALIDATE CONSTRAINT k",
        on("loose", mode=SUE),
        (),
        ("loose",),
        before="ALTER TABLE loose ADD CONSTRAINT k FOREIGN KEY (id) REFERENCES buyers NOT VALID",
    ),
    Row("ALTER TABLE days ADD FOREIGN KEY (id) REFERENCES buyers NOT VALID", codes=("DBM118",)),
    Row("ALTER TABLE orders DROP CONSTRAINT orders_buyer", on("orders", "buyers"), codes=("DBM119",)),
    Row(
        "DROP TABLE orders",
        {**on("orders", "buyers"), "orders_total": AE, "orders_pkey": AE},
        codes=("DBM119", "DBM135"),
    ),
    Row("CREATE TABLE kids (id bigint REFERENCES buyers)", on("buyers", mode=SRE), codes=("DBM140",)),
    Row("ALTER TABLE orders ADD UNIQUE (total)", ORDERS, (), READ, ("DBM120",)),
    Row("ALTER TABLE loose ADD PRIMARY KEY (id)", LOOSE, (), ("loose",), ("DBM120",)),
    Row("ALTER TABLE orders ADD EXCLUDE (total WITH =)", ORDERS, (), READ, ("DBM120",)),
    Row(
        "ALTER TABLE loose ADD PRIMARY KEY USING INDEX i",
        LOOSE,
        (),
        ("loose",),
        ("DBM121",),
        before="CREATE UNIQUE INDEX i ON loose (id)",
    ),
    Row("ALTER TABLE loose ADD UNIQUE USING INDEX i", LOOSE, before="CREATE UNIQUE INDEX i ON loose (day)"),
    # Indexes
    Row("CREATE INDEX ON orders (note)", on("orders", mode=S), (), READ, ("DBM122",)),
    Row("CREATE INDEX IF NOT EXISTS i ON orders (note)", on("orders", mode=S), (), READ, ("DBM122", "DBM137")),
    Row("!CREATE INDEX CONCURRENTLY ON orders (note)", on("orders", mode=SUE), (), READ),
    Row("CREATE INDEX CONCURRENTLY ON orders (note)", codes=("DBM143",)),
    Row("DROP INDEX orders_total", {**ORDERS, "orders_total": AE}, codes=("DBM123",)),
    Row("!DROP INDEX CONCURRENTLY orders_total", on("orders", mode=SUE)),
    Row("REINDEX INDEX orders_total", {"orders": S, "orders_total": AE}, ("orders_total",), READ, ("DBM124",)),
    Row("!REINDEX INDEX CONCURRENTLY orders_total", on("orders", mode=SUE), (), READ),
    Row("CREATE INDEX ON days (id)", on("days", "days_1", mode=S), (), ("days_1",), ("DBM125",)),
    Row("CREATE INDEX ON ONLY days (id)", on("days", mode=S)),
    # Partitions
    Row(
        "ALTER TABLE days ATTACH PARTITION loose FOR VALUES FROM ('2026-02-01') TO ('2026-03-01')",
        {"days": SUE, "loose": AE},
        (),
        ("loose",),
        ("DBM126",),
    ),
    Row(
        "ALTER TABLE days ATTACH PARTITION loose FOR VALUES FROM ('2026-02-01') TO ('2026-03-01')",
        {"days": SUE, "loose": AE},
        before="ALTER TABLE loose ADD CHECK (day >= '2026-02-01' AND day < '2026-03-01')",
    ),
    Row(
        "ALTER TABLE days ATTACH PARTITION loose FOR VALUES FROM ('2026-02-01') TO ('2026-03-01')",
        {"days": SUE, "loose": AE, "rest": AE},
        (),
        ("rest",),
        ("DBM126",),
        before="ALTER TABLE loose ADD CHECK (day >= '2026-02-01' AND day < '2026-03-01');"
        " CREATE TABLE rest PARTITION OF days DEFAULT",
    ),
    Row(
        "CREATE TABLE days_2 PARTITION OF days FOR VALUES FROM ('2026-02-01') TO ('2026-03-01')",
        on("days"),
        codes=("DBM127",),
    ),
    Row("ALTER TABLE days DETACH PARTITION days_1", on("days", "days_1"), codes=("DBM128",)),
    Row("!ALTER TABLE days DETACH PARTITION days_1 CONCURRENTLY", {"days": SUE, "days_1": AE}),
    # The whole table
    Row("ALTER TABLE loose SET UNLOGGED", LOOSE, ("loose",), ("loose",), ("DBM129",)),
    Row(
        "CLUSTER orders USING orders_total", {**ORDERS, "orders_total": AE, "orders_pkey": AE}, LOST, READ, ("DBM129",)
    ),
    Row("!VACUUM FULL loose", LOOSE, ("loose",), ("loose",), ("DBM129",)),
    Row("!VACUUM loose", on("loose", mode=SUE)),
    Row("TRUNCATE loose", LOOSE, ("loose",), (), ("DBM130",)),
    Row("UPDATE loose SET id = 1", {}, (), ("loose",), ("DBM138",)),
    Row("DELETE FROM loose WHERE id = 1", {}, (), ("loose",), ("DBM138",)),
    # Brief ones
    Row(
        "CREATE TRIGGER t BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION f()",
        on("orders", mode=SRE),
        codes=("DBM131",),
    ),
    Row("ALTER TABLE loose DISABLE TRIGGER old", on("loose", mode=SRE), codes=("DBM131",)),
    Row("DROP TRIGGER old ON loose", LOOSE, codes=("DBM132",)),
    Row("ALTER TABLE orders ENABLE ROW LEVEL SECURITY", ORDERS, codes=("DBM132",)),
    Row("CREATE POLICY p ON orders USING (true)", ORDERS, codes=("DBM132",)),
    Row("ALTER TABLE orders REPLICA IDENTITY FULL", ORDERS, codes=("DBM132",)),
    Row("ALTER TABLE loose OWNER TO pg_database_owner", LOOSE, codes=("DBM132",)),
    Row("ALTER TABLE orders ALTER note SET STORAGE EXTERNAL", ORDERS),
    Row("ALTER TABLE orders ALTER note SET STATISTICS 50", on("orders", mode=SUE)),
    Row("ALTER TABLE orders SET (fillfactor = 80)", on("orders", mode=SUE)),
    Row("COMMENT ON TABLE orders IS 'what was bought'", on("orders", mode=SUE)),
    Row("CREATE STATISTICS s ON total, note FROM orders", on("orders", mode=SUE)),
    Row("ANALYZE orders", on("orders", mode=SUE)),
    Row("GRANT SELECT ON orders TO PUBLIC"),
    # Enums, materialized views, tables
    Row("ALTER TYPE mood ADD VALUE 'keen'"),
    Row("ALTER TYPE mood ADD VALUE 'keen'; UPDATE orders SET mood = 'keen'", codes=("DBM133",)),
    Row("ALTER TYPE mood RENAME VALUE 'wild' TO 'fierce'", codes=("DBM139",)),
    Row("REFRESH MATERIALIZED VIEW sums", {"sums": AE, "sums_id_idx": AE}, ("sums",), ("buyers", "sums"), ("DBM134",)),
    Row("REFRESH MATERIALIZED VIEW CONCURRENTLY sums", on("sums", mode=E), (), ("buyers", "sums")),
    Row("DROP TABLE loose", LOOSE, codes=("DBM135",)),
    Row("DROP VIEW names", on("names"), codes=("DBM142",), before="CREATE VIEW names AS SELECT name FROM buyers"),
    Row(
        "DROP VIEW names; CREATE VIEW names AS SELECT id, name FROM buyers",
        before="CREATE VIEW names AS SELECT name FROM buyers",
    ),
    Row("DROP MATERIALIZED VIEW sums", {"sums": AE, "sums_id_idx": AE}, codes=("DBM135",)),
    # What only several statements do
    Row(
        "ALTER TABLE buyers ADD COLUMN c int; ALTER TABLE orders ADD COLUMN c int",
        on("buyers", "orders"),
        codes=("DBM136",),
    ),
    Row(
        "ALTER TABLE buyers ADD COLUMN c int; UPDATE loose SET id = 1",
        on("buyers"),
        (),
        ("loose",),
        ("DBM116", "DBM138"),
    ),
    Row("CREATE TABLE fresh (id bigint); CREATE INDEX ON fresh (id)"),
    Row("CREATE TABLE fresh (id bigint); ALTER TABLE fresh ADD COLUMN c serial CHECK (c > 0)"),
    # Nobody can hide it
    Row("DO $$ BEGIN EXECUTE 'ALTER TABLE orders ADD COLUMN c serial'; END $$", ORDERS, LOST, READ, ("DBM102",)),
)


@pytest.fixture(scope="module")
def shop(server: str) -> Generator[str]:
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute("CREATE DATABASE catalogue")
        yield make_conninfo(server, dbname="catalogue")
        admin.execute(sql.SQL("DROP DATABASE catalogue WITH (FORCE)"))


def seen(shop: str, row: Row) -> list[Seen]:
    with psycopg.connect(shop, autocommit=True) as connection:
        for text in (SHOP, row.before):
            connection.execute(text.encode())
    texts = [part.strip() for part in row.text.removeprefix("!").split(";")]
    if row.text.startswith("DO"):
        texts = [row.text]
    outside = row.text.startswith("!")
    written = [Written("r", n, text, None if outside else 1) for n, text in enumerate(texts, 1)]
    return list(trial.tried(shop, {"r": written}, {"r"}).seen)


def strongest(one: Seen) -> dict[str, str]:
    """Tell the strongest lock on each relation; an index goes with its table, unless it is what is locked."""
    found: dict[str, str] = {}
    for lock in one.locks:
        if strength(lock.mode) >= strength(SUE):
            found[lock.relation] = max(lock.mode, found.get(lock.relation, lock.mode), key=strength)
    return found


@pytest.mark.parametrize("row", CATALOGUE, ids=lambda row: f"{row.text}{' (prepared)' if row.before else ''}"[:90])
def test_the_catalogue_is_what_postgresql_does(shop: str, row: Row) -> None:
    statements = seen(shop, row)
    last = statements[-1]
    locks = strongest(last)
    if row.rewrites and set(row.rewrites) & {"orders", "buyers", "loose"}:
        locks = {name: mode for name, mode in locks.items() if name in row.locks}  # its indexes are built anew too
    assert locks == row.locks
    assert (set(last.rewritten), set(last.scanned) - set(row.rewrites)) == (
        set(row.rewrites),
        set(row.scans) - set(row.rewrites),
    )
    assert tuple(sorted({one.code for one in check.hazards(statements, Sizes())})) == row.codes


@pytest.mark.parametrize(
    "row", [row for row in CATALOGUE if row.codes and row.locks][:12], ids=lambda row: row.text[:60]
)
def test_nobody_waits_for_an_empty_table(shop: str, row: Row) -> None:
    assert [one.code for one in check.hazards(seen(shop, row), Sizes(known={}))] == []
