"""What a forecast sees on a real server, beyond the catalogue: transactions, clones, copies of live databases."""

import uuid
from collections.abc import Generator
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from dbops.config.load import load
from dbops.engine import run as runs
from dbops.engine.finding import Severity
from dbops.errors import CouldNotVerify, Refused
from dbops.operations.migrate import effects, history
from dbops.operations.migrate.facts import History, Revision
from dbops.operations.migrate.forecast import check, copy, ready, script, sizes, told, trial
from dbops.operations.migrate.forecast.facts import Lock, Seen, Size, Sizes
from dbops.operations.migrate.forecast.script import Written
from dbops.operations.migrate.shapes.columns import Columns, New
from dbops.operations.migrate.shapes.index import Index

from histories import copy_of, revision
from migrating import FOLDER, OWNER, TARGETS, Databases, make_databases, rows, upgrade

TABLES = """
    CREATE TABLE buyers (id bigint PRIMARY KEY, name text);
    CREATE TABLE orders (id bigint PRIMARY KEY, buyer bigint REFERENCES buyers, total int)"""


def tried(conninfo: str, *texts: str, setup: str = TABLES, meeting_rows: bool = True) -> list[Seen]:
    """Run statements in one transaction; `!` before one: outside of it."""
    with rows(conninfo) as connection:
        connection.execute(setup.encode())
    written = [
        Written("r", n, text.removeprefix("!"), None if text.startswith("!") else 1) for n, text in enumerate(texts, 1)
    ]
    return list(trial.tried(conninfo, {"r": written}, {"r"} if meeting_rows else ()).seen)


def codes(seen: list[Seen]) -> list[str]:
    return [one.code for one in check.hazards(seen, Sizes())]


# ── Transactions ─────────────────────────────────────────────────────────────────────────────────


def test_a_lock_that_an_earlier_statement_took_is_told_as_held(database: str) -> None:
    _, second = tried(database, "ALTER TABLE orders ADD COLUMN a int", "ALTER TABLE orders ADD COLUMN b int")
    assert second.locks == (Lock("orders", "ACCESS EXCLUSIVE", "r", held=True),)


def test_what_an_earlier_statement_changed_is_not_told_again(database: str) -> None:
    seen = tried(
        database,
        "CREATE INDEX i ON orders (total)",
        "DROP TABLE buyers CASCADE",
        "COMMENT ON TABLE orders IS 'x'",
        "ALTER TABLE orders ADD COLUMN c int",
    )
    assert [{change.what for change in one.changes} for one in seen] == [
        {"index added"},
        {"dropped", "constraint dropped"},
        set(),
        {"column added"},
    ]


def test_what_an_earlier_transaction_read_is_not_told_of_the_next(database: str) -> None:
    first, second = tried(
        database, "!ALTER TABLE orders ALTER total SET NOT NULL", "!ALTER TABLE orders ALTER total DROP NOT NULL"
    )
    assert (first.scanned, second.scanned) == (("orders",), ())


def test_what_the_revision_itself_made_is_nobodys_business(database: str) -> None:
    seen = tried(
        database,
        "CREATE TABLE notes (id bigint, doc text)",
        "!CREATE INDEX CONCURRENTLY i ON notes (id)",
        "ALTER TABLE notes ADD COLUMN c serial",
        "DROP TABLE notes",
    )
    assert [one.failed for one in seen] == [None] * 4
    assert [(one.locks, one.changes, one.rewritten) for one in seen] == [((), (), ())] * 4
    assert codes(seen) == []


def test_statements_that_a_query_yields_are_run_one_by_one(database: str) -> None:
    query = "SELECT format('CREATE INDEX CONCURRENTLY ON %I (id)', t) FROM unnest(ARRAY['orders', 'buyers']) t"
    seen = tried(database, f"!{query}\n{effects.ASKED}", "!SELECT 1")
    assert [(one.number, one.changes[0].table) for one in seen[:2]] == [(1, "orders"), (1, "buyers")]
    assert codes(seen) == []


@pytest.mark.parametrize("scans", ["on", "off"])
def test_validating_a_foreign_key_reads_the_child_by_whatever_way(database: str, scans: str) -> None:
    setup = f"{TABLES}; ALTER TABLE orders DROP CONSTRAINT orders_buyer_fkey; CREATE INDEX ON orders (buyer)"
    add = "ALTER TABLE orders ADD FOREIGN KEY (buyer) REFERENCES buyers"
    seen = tried(database, f"SET LOCAL enable_seqscan = {scans}", add, setup=setup)
    assert "orders" in seen[1].scanned
    assert codes(seen) == ["DBM117"]


def test_a_partitioned_table_that_adopts_the_keys_of_its_partitions_reads_nothing(database: str) -> None:
    setup = """CREATE TABLE buyers (id bigint PRIMARY KEY);
        CREATE TABLE days (id bigint, day date) PARTITION BY LIST (day);
        CREATE TABLE days_1 PARTITION OF days DEFAULT;
        ALTER TABLE days_1 ADD CONSTRAINT k FOREIGN KEY (id) REFERENCES buyers"""
    seen = tried(database, "ALTER TABLE days ADD CONSTRAINT k FOREIGN KEY (id) REFERENCES buyers", setup=setup)
    assert seen[0].scanned == ()
    assert codes(seen) == []


def test_the_lock_timeout_of_a_revision_does_not_end_its_forecast_and_stays(database: str) -> None:
    seen = tried(
        database,
        "!SET lock_timeout = '1ms'",
        "!CREATE INDEX CONCURRENTLY i ON orders (total)",
        "!SELECT 1 / (current_setting('lock_timeout') = '1ms')::int",
    )
    assert [one.failed for one in seen] == [None] * 3
    assert seen[1].changes[0].what == "index added"


def test_a_forecast_ends_at_the_first_statement_that_fails(database: str) -> None:
    seen = tried(database, "ALTER TABLE orders ADD COLUMN c int", "SELECT 1/0", "DROP TABLE orders")
    assert [one.failed is not None for one in seen] == [False, True]
    with rows(database) as connection:
        assert connection.execute(
            "SELECT count(*) FROM information_schema.columns WHERE column_name = 'c'"
        ).fetchone() == (0,)


@pytest.mark.parametrize("text", ["VACUUM no_such_table", "CREATE INDEX CONCURRENTLY ON orders (nothing)"])
def test_a_failure_outside_of_a_transaction_is_told_too(database: str, text: str) -> None:
    [one] = tried(database, f"!{text}")
    assert one.failed is not None
    assert one.failed.sqlstate in {"42P01", "42703"}


@pytest.mark.parametrize("text", ["COPY orders FROM STDIN", "-- rows\nCOPY orders (id) TO stdout"])
def test_a_copy_that_waits_for_a_client_is_a_failure(database: str, text: str) -> None:
    [one] = tried(database, text)
    assert one.failed is not None
    assert (one.failed.sqlstate, "a revision has none" in one.failed.message) == ("0A000", True)


def test_a_role_of_the_cluster_is_there_where_only_the_history_is_run(database: str) -> None:
    role = f"reader_{uuid.uuid4().hex[:8]}"
    texts = ("CREATE TABLE fresh (id int)", f"GRANT SELECT ON orders TO {role}", f"ALTER TABLE fresh OWNER TO {role}")
    [*_, last] = tried(database, *texts)
    assert last.failed is not None, "on a copy of a live database, the roles are copied, too"
    written = [Written("r", n, text, 1) for n, text in enumerate(texts, 1)]
    found = trial.tried(database, {"r": written}, {"r"}, with_roles=False)
    assert (found.error, [one.number for one in found.seen]) == (None, [1, 2, 3])
    with rows(database) as connection:
        connection.execute(f"DROP OWNED BY {role}; DROP ROLE {role}".encode())


def test_what_commits_by_itself_runs_outside_of_a_transaction(database: str) -> None:
    block = "DO $$ BEGIN UPDATE orders SET total = 1; COMMIT; END $$"
    [within] = tried(database, block)
    assert within.failed is not None
    [outside] = tried(database, f"!{block}", setup="SELECT 1")
    assert outside.failed is None


@pytest.mark.parametrize(
    "text",
    [
        "MERGE INTO orders o USING buyers b ON o.buyer = b.id WHEN MATCHED THEN DELETE",
        "DO $$ BEGIN UPDATE orders SET total = 1; END $$",
    ],
)
def test_rows_that_a_revision_changes_are_told_however_it_does_so(database: str, text: str) -> None:
    assert codes(tried(database, text)) == ["DBM138"]


def test_a_unique_index_that_cannot_be_built_leaves_an_invalid_one(database: str) -> None:
    setup = f"{TABLES}; INSERT INTO buyers VALUES (1, 'a'), (2, 'a')"
    [one] = tried(database, "!CREATE UNIQUE INDEX CONCURRENTLY i ON buyers (name)", setup=setup)
    assert one.failed is not None
    with rows(database) as connection:
        assert connection.execute("SELECT indisvalid FROM pg_index WHERE indexrelid = 'i'::regclass").fetchone() == (
            False,
        )


def test_an_index_that_stays_invalid_is_told(database: str) -> None:
    setup = f"""{TABLES}; CREATE INDEX i ON orders (total);
        UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'i'::regclass"""
    seen = tried(database, "!CREATE INDEX CONCURRENTLY IF NOT EXISTS i ON orders (total)", setup=setup)
    assert seen[0].broken == ("i",)
    assert codes(seen) == ["DBM137", "DBM144"]


def test_triggers_and_publications_that_changed_rows_feed_are_named(database: str) -> None:
    setup = f"""{TABLES}; CREATE PUBLICATION feed FOR TABLE orders; CREATE TRIGGER audit BEFORE UPDATE ON orders
        FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()"""
    seen = tried(database, "UPDATE orders SET total = 1", setup=setup)
    assert seen[0].fires == ("trigger audit of orders", "publication feed")
    [hazard] = check.hazards(seen, Sizes(known={"orders": Size(2_000_000, 200_000_000)}))
    assert "trigger audit of orders" in hazard.message
    assert "2,000,000 rows" in hazard.message


def test_locks_are_named_with_their_schema_whatever_the_search_path(database: str) -> None:
    setup = f"{TABLES}; CREATE SCHEMA sales; CREATE TABLE sales.orders (id int)"
    seen = tried(database, "SET search_path = sales", "ALTER TABLE orders ADD COLUMN c int", setup=setup)
    assert seen[1].locks == (Lock("sales.orders", "ACCESS EXCLUSIVE", "r"),)


# ── Partitioned tables without partitions ────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "by",
    [
        *("RANGE (day)", "RANGE (day, id)", "RANGE (id)", "RANGE (name)", "RANGE (at)", "LIST (name)", "HASH (id)"),
        *("RANGE (key)", "RANGE (price)"),
    ],
)
def test_a_partitioned_table_without_partitions_is_seen_as_with_one(database: str, by: str) -> None:
    setup = f"""CREATE TABLE days (id bigint, day date, name text, at timestamptz, key uuid, price numeric)
        PARTITION BY {by}"""
    [one] = tried(database, "ALTER TABLE days ADD COLUMN c serial", setup=setup)
    assert (one.rewritten, one.scanned) == (("days",), ("days",))
    assert {lock.relation for lock in one.locks} == {"days"}
    with rows(database) as connection:
        assert connection.execute("SELECT count(*) FROM pg_inherits").fetchone() == (0,), "it is gone again"


def test_the_partition_stands_in_nobodys_way(database: str) -> None:
    setup = "CREATE TABLE days (id bigint, day date) PARTITION BY RANGE (day); CREATE TABLE old (id bigint, day date)"
    seen = tried(
        database,
        "CREATE TABLE days_all PARTITION OF days FOR VALUES FROM ('2000-01-01') TO (MAXVALUE)",
        "ALTER TABLE days ATTACH PARTITION old FOR VALUES FROM ('1900-01-01') TO ('2000-01-01')",
        setup=setup,
    )
    assert [one.failed for one in seen] == [None, None]


# ── Histories, and databases that live ───────────────────────────────────────────────────────────


@pytest.mark.parametrize("target", TARGETS)
def test_every_statement_of_the_nine_histories_can_be_seen(database: str, target: str) -> None:
    written = script.read(FOLDER, target, target, first=None)
    assert tuple(written) == history.read(FOLDER, target, target).ids
    found = trial.tried(database, written, ())
    assert found.error is None
    assert [one.text for one in found.seen] == [one.text for texts in written.values() for one in texts]
    empty = Sizes(empty=frozenset(written))
    assert check.hazards(found.seen, empty) == ()


@pytest.fixture
def databases(server: str, folder: Path) -> Generator[Databases]:
    made = make_databases(server, folder, "audit")
    yield made
    made.drop()


def forecast(databases: Databases, place: Path) -> dict[str, tuple[str, ...]]:
    loaded = load(databases.config)
    run = runs.new("migrate plan", place / "state", plan_only=True)
    with ready.noting(loaded.config, databases.config, run) as notes:
        return notes("audit")


def test_the_pending_revisions_of_a_live_database_are_told_by_its_sizes(databases: Databases, folder: Path) -> None:
    copied = copy_of(databases, "audit")
    upgrade(databases.conninfo("audit", user=OWNER), "audit")
    assert forecast(databases, folder) == {}, "nothing is pending"
    revision(copied, "2026_12_01_0000", 'op.create_index("x", "compliance_reports", ["id"])')
    [line] = forecast(databases, folder)["2026_12_01_0000"]
    assert "SHARE on compliance_reports; reads all of compliance_reports; under 0.1 s" in line, "it is empty"
    with rows(databases.conninfo("audit")) as connection:
        connection.execute(
            "UPDATE pg_class SET reltuples = 50000000, relpages = 1000000 WHERE oid = 'compliance_reports'::regclass"
        )
    [line] = forecast(databases, folder)["2026_12_01_0000"]
    assert "stops writes" in line
    assert "30 to 120 s" in line
    assert "[DBM122]" in line


def test_what_a_backfill_sets_off_is_told_with_its_rows(database: str) -> None:
    up, down = {"big": "r.total"}, {"total": "r.big::int"}
    carry = (Index("public.orders", "orders_big", "(big)"),)
    shape = Columns("public.orders", (New("big", "bigint"),), ("total",), up, down, carry=carry)
    fires = "FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()"
    with rows(database) as connection:
        connection.execute(TABLES)
        connection.execute(f"CREATE TRIGGER audit BEFORE INSERT OR UPDATE ON orders {fires}".encode())
        connection.execute(f"CREATE TRIGGER never BEFORE UPDATE ON orders {fires}".encode())
        connection.execute("ALTER TABLE orders DISABLE TRIGGER never")
        connection.execute("CREATE PUBLICATION part FOR TABLE orders (id, total)")
        connection.execute("CREATE PUBLICATION whole FOR TABLE orders")
    known = History("shop", "", (Revision("0100", "", (), change="big", phase="expand", shape=shape),))
    written = [Written("0100", n, one.sql, 1) for n, one in enumerate(shape.expand("big"), 1)]
    sizes_ = Sizes(known={"orders": Size(1_000_000, 100_000_000)})
    found = ready.on_clone(database, known, {"0100": written}, sizes_)
    assert found.error is None
    assert told.text(found.lines[-1]) == (
        "then: the backfill of orders, in batches: ROW EXCLUSIVE on orders; 2.5 to 14 s; 1,000,000 rows;"
        " fires trigger audit for each: choose --triggers; feeds publication part (id, total);"
        " feeds publication whole"
    )
    [built] = [told.text(line) for line in found.lines if "orders_big" in line.statement]
    assert "SHARE UPDATE EXCLUSIVE on orders; reads all of orders; 0.6 to 3.4 s" in built
    assert "built by the backfill, behind its rows" in built
    other = ready.on_clone(database, known, {}, Sizes())
    assert other.lines == ()


def test_drift_of_the_live_database_is_part_of_the_forecast(databases: Databases, folder: Path) -> None:
    copied = copy_of(databases, "audit")
    upgrade(databases.conninfo("audit", user=OWNER), "audit")
    with rows(databases.conninfo("audit", user=OWNER)) as connection:
        connection.execute("CREATE TABLE notes (report uuid REFERENCES compliance_reports)")
        connection.execute("CREATE POLICY mine ON notes TO shop_owner USING (true)")
    revision(copied, "2026_12_01_0000", 'op.drop_table("compliance_reports")')
    [line] = forecast(databases, folder)["2026_12_01_0000"]
    assert "fails: cannot drop table compliance_reports because other objects depend on it" in line


def test_a_stamp_of_another_history_is_refused(databases: Databases, folder: Path) -> None:
    copy_of(databases, "audit")
    upgrade(databases.conninfo("audit", user=OWNER), "audit")
    with rows(databases.conninfo("audit")) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'elsewhere'")
    with pytest.raises(Refused, match="elsewhere"):
        forecast(databases, folder)


def test_a_copy_has_everything_but_the_rows(server: str, database: str, databases: Databases) -> None:
    live_dsn = databases.conninfo("audit")
    upgrade(live_dsn, "audit")
    with rows(live_dsn) as live:
        live.execute(f"CREATE ROLE reader_{databases.folder.name}".encode())
        live.execute(f"CREATE POLICY r ON compliance_reports TO reader_{databases.folder.name} USING (true)".encode())
        live.execute("CREATE TABLE t AS SELECT 1 AS one")
        copy.copy(live, live_dsn, database, target="audit")
        with rows(database) as clone:
            assert clone.execute("SELECT count(*) FROM t").fetchone() == (0,)
            assert catalog_names(clone) == catalog_names(live)
            clone.execute("DROP TABLE compliance_reports")  # its policy names the role, which goes now
        live.execute("DROP POLICY r ON compliance_reports")
        live.execute(f"DROP ROLE reader_{databases.folder.name}".encode())


def test_a_copy_has_no_way_to_other_servers(server: str, database: str, databases: Databases) -> None:
    live_dsn = databases.conninfo("audit")
    told = conninfo_to_dict(live_dsn)
    with rows(live_dsn) as live:
        live.execute("CREATE TABLE theirs AS SELECT 1 AS one; CREATE EXTENSION postgres_fdw")
        host, name = told["host"], told["dbname"]
        options = f"host '{host}', port '{told.get('port', 5432)}', dbname '{name}'"
        live.execute(f"CREATE SERVER elsewhere FOREIGN DATA WRAPPER postgres_fdw OPTIONS ({options})".encode())
        password = str(told["password"]).replace("'", "''").replace("\\", "\\\\")
        given = f"OPTIONS (user '{told['user']}', password E'{password}')"
        live.execute(f"CREATE USER MAPPING FOR PUBLIC SERVER elsewhere {given}".encode())
        live.execute("CREATE FOREIGN TABLE far (one int) SERVER elsewhere OPTIONS (table_name 'theirs')")
        assert live.execute("SELECT * FROM far").fetchall() == [(1,)]
        copy.copy(live, live_dsn, database, target="audit")
        [one] = trial.tried(database, {"r": [Written("r", 1, "DELETE FROM far", 1)]}, {"r"}).seen
        assert one.failed is not None
        assert "user mapping not found" in one.failed.message
        assert live.execute("SELECT one FROM theirs").fetchall() == [(1,)]


def catalog_names(connection: psycopg.Connection) -> list[tuple[str, str]]:
    return connection.execute(
        "SELECT relkind::text, relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY 1, 2"
    ).fetchall()


def test_a_copy_that_the_scratch_server_cannot_hold_is_no_forecast(database: str, databases: Databases) -> None:
    live_dsn = databases.conninfo("audit")
    with rows(live_dsn) as live, rows(database) as clone:
        live.execute("CREATE TABLE t (a int)")
        clone.execute("CREATE TABLE t (a int)")
        with pytest.raises(CouldNotVerify, match="already exists"):
            copy.copy(live, live_dsn, database, target="audit")


def test_sizes_come_from_statistics_and_those_of_partitions_add_up(database: str) -> None:
    with rows(database) as connection:
        connection.execute("CREATE TABLE days (id int PRIMARY KEY) PARTITION BY RANGE (id)")
        connection.execute("CREATE TABLE a PARTITION OF days FOR VALUES FROM (0) TO (10)")
        connection.execute("CREATE TABLE b PARTITION OF days FOR VALUES FROM (10) TO (20)")
        connection.execute("INSERT INTO days SELECT generate_series(0, 14)")
        connection.execute("CREATE SCHEMA other; CREATE TABLE other.t AS SELECT generate_series(1, 3) AS x")
        connection.execute("CREATE TABLE none (id int)")
        connection.execute("ANALYZE")
        found = sizes.observe(connection)
    told_rows = {name: size.rows for name, size in found.items()}
    assert told_rows == {"days": 15, "a": 10, "b": 5, "other.t": 3, "none": 0}
    assert found["days"].bytes == found["a"].bytes + found["b"].bytes
    assert found["days"].indexes == 1


def test_a_small_table_makes_a_long_lock_harmless_but_not_a_broken_client(database: str) -> None:
    seen = tried(
        database, "ALTER TABLE orders ALTER total TYPE bigint", "ALTER TABLE orders RENAME COLUMN total TO amount"
    )
    small = Sizes(known={"orders": Size(1000, 100_000, 1)})
    assert [(one.code, one.severity) for one in check.hazards(seen, small)] == [
        ("DBM112", Severity.INFO),
        ("DBM111", Severity.BAD),
    ]
    [first, second] = told.lines(seen, check.hazards(seen, small), small)
    assert (first.reversible, second.reversible) == (False, True)
    assert first.notes == ("each prepared SELECT * of orders fails once", "not reversible")
