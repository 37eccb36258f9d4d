"""`ensure` on a real server: what a new partition is like, and what is left alone."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from psycopg import errors, sql

from dbops.engine.patience import Ramp
from dbops.errors import DbopsError, LockBusy
from dbops.operations.partitions import apply as applying
from dbops.operations.partitions import ready
from dbops.operations.partitions.apply import NoPartitionForNow

from migrating import upgrade
from partitioning import NOW, TARGET, Shop, carry_out, holding

BRIEF = Ramp(timeout=timedelta(milliseconds=50), attempts=2, first_pause=timedelta(milliseconds=10))


@pytest.fixture
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(applying.Doing.__init__, "__defaults__", (BRIEF,))


def test_an_empty_table_gets_now_and_three_months(shop: Shop) -> None:
    shop.ensure()
    assert shop.bounds() == [
        f"FOR VALUES FROM ('{a} 00:00:00+00') TO ('{b} 00:00:00+00')"
        for a, b in (
            ("2026-11-01", "2026-12-01"),
            ("2026-12-01", "2027-01-01"),
            ("2027-01-01", "2027-02-01"),
            ("2027-02-01", "2027-03-01"),
        )
    ]
    assert shop.plan().steps == ()
    assert shop.codes() == []


def test_helpers_leave_no_trace_and_statistics_are_there(shop: Shop) -> None:
    shop.ensure()
    assert shop.sql("SELECT conname FROM pg_constraint WHERE conname LIKE 'dbops%'") == []
    assert shop.sql("SELECT DISTINCT reltuples FROM pg_class WHERE relname LIKE 'events_2%' AND relkind = 'r'") == [
        (0,)
    ]


def test_a_new_partition_is_like_its_parent_in_everything(shop: Shop) -> None:
    shop.sql("""
        CREATE ROLE partition_reader; CREATE ROLE partition_owner;
        CREATE TABLE tenants (tenant text PRIMARY KEY);
        ALTER TABLE events ADD FOREIGN KEY (tenant) REFERENCES tenants;
        CREATE TABLE notes (event bigint, at timestamptz, FOREIGN KEY (event, at) REFERENCES events);
        ALTER TABLE events ENABLE ROW LEVEL SECURITY;
        ALTER TABLE events FORCE ROW LEVEL SECURITY;
        CREATE POLICY own ON events FOR SELECT TO partition_reader USING (tenant = current_setting('app.tenant'));
        CREATE POLICY peers ON events AS RESTRICTIVE USING (
            EXISTS (SELECT 1 FROM tenants t, events e WHERE t.tenant = events.tenant AND e.id = events.id));
        GRANT SELECT, INSERT (id) ON events TO partition_reader;
        GRANT UPDATE (note, tenant) ON events TO PUBLIC;
        ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO PUBLIC;
        CREATE STATISTICS together ON tenant, note FROM events;
        ALTER TABLE events ALTER COLUMN note SET STATISTICS 500;
        ALTER TABLE events REPLICA IDENTITY USING INDEX events_pkey;
        COMMENT ON TABLE events IS 'What happened; 100% of it {}';
        COMMENT ON COLUMN events.note IS 'a note';
        CREATE TABLE events_2026_10 PARTITION OF events
            FOR VALUES FROM ('2026-10-01 00:00+00') TO ('2026-11-01 00:00+00')
            WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.01, toast.autovacuum_enabled = false);
        CREATE PUBLICATION few FOR TABLE events_2026_10;
        ALTER TABLE events OWNER TO partition_owner; ALTER TABLE events_2026_10 OWNER TO partition_owner;
        GRANT CREATE ON SCHEMA public TO partition_owner""")
    try:
        shop.ensure()
        parent = shop.parent()
        new = parent.attached[1]
        assert (new.name, new.owner, new.row_security, new.forced) == ("events_2026_11", "partition_owner", True, True)
        assert new.rights == parent.rights != ()
        assert new.lacking_indexes == ()
        assert (
            shop.sql("""
            SELECT replace(pg_get_expr(p.polqual, p.polrelid), c.relname || '.', 'events.'), polpermissive, polroles
              FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid WHERE c.relname = 'events_2026_11'
            EXCEPT SELECT pg_get_expr(polqual, polrelid), polpermissive, polroles
              FROM pg_policy WHERE polrelid = 'events'::regclass""")
            == []
        )
        assert shop.sql("""
            SELECT c.relreplident, i.relname, obj_description(c.oid), col_description(c.oid, 4),
                   c.reloptions, t.reloptions,
                   (SELECT attstattarget FROM pg_attribute WHERE attrelid = c.oid AND attname = 'note'),
                   (SELECT count(*) FROM pg_statistic_ext WHERE stxrelid = c.oid),
                   (SELECT count(*) FROM pg_publication_rel WHERE prrelid = c.oid),
                   (SELECT count(*) FROM pg_constraint WHERE conrelid = c.oid AND contype = 'f')
              FROM pg_class c LEFT JOIN pg_class t ON t.oid = c.reltoastrelid
              LEFT JOIN pg_index x ON x.indrelid = c.oid AND x.indisreplident
              LEFT JOIN pg_class i ON i.oid = x.indexrelid WHERE c.relname = 'events_2026_11'""") == [
            (
                "i",
                "events_2026_11_pkey",
                "What happened; 100% of it {}",
                "a note",
                ["fillfactor=70", "autovacuum_vacuum_scale_factor=0.01"],
                ["autovacuum_enabled=false"],
                500,
                1,
                1,
                1,
            )
        ]
        assert [finding.code for finding in shop.findings() if finding.code != "DBP107"] == ["DBP109"]
    finally:
        shop.sql(
            "DROP OWNED BY partition_owner CASCADE; DROP OWNED BY partition_reader; DROP PUBLICATION IF EXISTS few"
        )
        shop.sql("DROP TABLE IF EXISTS events; DROP ROLE partition_owner; DROP ROLE partition_reader")


@pytest.mark.parametrize(
    ("target", "table", "column"),
    [
        ("policycortex", "cost_data", "date"),
        ("agent_studio", "audit_logs", "created_at"),
        ("audit", "audit_events", "timestamp"),
    ],
)
def test_the_tables_of_the_platform_are_ensured(
    database: str, folder: Path, target: str, table: str, column: str
) -> None:
    upgrade(database, target)
    shop = Shop(database, folder, **{table: {"column": column}})
    shop.ensure()
    parent = shop.parent(table)
    assert [one.name for one in parent.attached] == [
        f"{table}_{month}" for month in ("2026_11", "2026_12", "2027_01", "2027_02")
    ]
    assert {(one.row_security, one.forced, one.policies) for one in parent.attached} == {
        (parent.row_security, parent.forced, parent.policies)
    }
    assert shop.codes() == []
    shop.close()


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Kolkata"])
def test_the_zone_of_the_session_changes_no_bound(shop: Shop, zone: str) -> None:
    database = sql.Identifier(shop.connection.info.dbname)
    shop.connection.execute(sql.SQL("ALTER DATABASE {} SET TimeZone = {}").format(database, zone))
    shop.connection.execute(sql.SQL("ALTER DATABASE {} SET DateStyle = 'SQL, DMY'").format(database))
    shop.ensure()
    assert shop.plan().steps == ()
    assert shop.codes() == []
    assert shop.parent().attached[0].span.start == datetime(2026, 11, 1, tzinfo=UTC)


def test_a_configured_zone_decides_where_midnight_is(shop: Shop) -> None:
    shop.configure(events={"zone": "Europe/Berlin", "interval": "1 day", "premake": 1})
    shop.ensure()
    assert shop.bounds()[0] == "FOR VALUES FROM ('2026-11-20 23:00:00+00') TO ('2026-11-21 23:00:00+00')"


def test_gaps_are_filled_and_foreign_bounds_respected(shop: Shop) -> None:
    shop.sql("""
        CREATE TABLE old PARTITION OF events FOR VALUES FROM (MINVALUE) TO ('2026-08-01 00:00+00');
        CREATE TABLE odd PARTITION OF events FOR VALUES FROM ('2026-10-05 05:00+00') TO ('2026-11-02 00:00+00')""")
    assert "DBP103" in shop.codes()
    shop.ensure()
    names = [one.name for one in shop.parent().attached]
    assert names[:6] == ["old", "events_2026_08", "events_2026_09", "events_2026_10_01", "odd", "events_2026_11_02"]
    assert shop.codes() == ["DBP110"]


def test_a_default_with_rows_of_a_range_blocks_that_range_alone(shop: Shop) -> None:
    shop.configure(events={"default": "keep"})
    shop.sql("""
        CREATE TABLE other PARTITION OF events DEFAULT;
        INSERT INTO events VALUES (1, '2026-12-24 12:00+00', 'a', NULL), (2, '2026-12-25 12:00+00', 'a', NULL)""")
    done = shop.ensure()
    assert [(one.code, one.severity) for one in done.findings] == [("DBP105", "warning")]
    assert [one.name for one in shop.parent().attached] == ["events_2026_11", "events_2027_01", "events_2027_02"]
    assert [one for one in shop.codes() if one != "DBP103"] == ["DBP102", "DBP105"]


def test_rows_of_now_in_the_default_are_an_objective_missed(shop: Shop) -> None:
    shop.sql("CREATE TABLE other PARTITION OF events DEFAULT; INSERT INTO events VALUES (1, '2026-11-20', 'a', NULL)")
    assert {(one.code, int(one.exit_code)) for one in shop.ensure().findings} == {("DBP105", 3), ("DBP101", 6)}
    assert len(shop.parent().attached) == 3


def test_an_empty_default_is_dropped_and_a_filled_one_is_not(shop: Shop) -> None:
    shop.sql("CREATE TABLE other PARTITION OF events DEFAULT; INSERT INTO events VALUES (1, '2030-01-01', 'a', NULL)")
    with (
        pytest.raises(ready.Refused, match="has 1 rows"),
        ready.drop_default(shop.config, TARGET, shop.run(), NOW, table="events"),
    ):
        pass
    shop.sql("DELETE FROM events")
    with ready.drop_default(shop.config, TARGET, shop.run(), NOW, table="events") as one:
        shop.sql("INSERT INTO events VALUES (1, '2030-01-01', 'a', NULL)")
        with pytest.raises(ready.Refused, match="has rows by now"):
            carry_out(shop, one)
        shop.sql("DELETE FROM events")
        carry_out(shop, one)
    assert shop.parent().default is None


def test_an_interrupted_detach_is_finished_first(shop: Shop) -> None:
    shop.ensure()
    interrupt_a_detach(shop, "events_2027_02")
    assert "DBP112" in shop.codes()
    steps = [step.id for step in shop.plan().steps]
    assert steps[0] == "finalize events events_2027_02"
    shop.ensure()
    assert shop.codes() == []
    assert [one.name for one in shop.parent().attached][-1] == "events_2027_02_2"


def test_a_detach_that_somebody_is_still_at_is_left_to_them(shop: Shop) -> None:
    shop.ensure()
    interrupt_a_detach(shop, "events_2027_02")
    other = psycopg.connect(shop.conninfo, autocommit=True)
    other.execute("SELECT pg_advisory_lock(hashtextextended(%s, 0::bigint))", (f"dbops:{TARGET}:{ready.DETACHING}",))
    shop.sql("DROP TABLE events_2027_01")
    shop.ensure()
    assert [one.name for one in shop.parent().pending] == ["events_2027_02"]
    assert "events_2027_01" in [one.name for one in shop.parent().attached]
    other.close()


def interrupt_a_detach(shop: Shop, name: str) -> None:
    """Detach concurrently while somebody reads, and give up waiting: what a killed run leaves."""
    with (
        holding(shop.conninfo, ["SELECT count(*) FROM events"]),
        psycopg.connect(shop.conninfo, autocommit=True) as one,
    ):
        one.execute("SET lock_timeout = '100ms'")
        with pytest.raises(errors.LockNotAvailable):
            one.execute(sql.SQL("ALTER TABLE events DETACH PARTITION {} CONCURRENTLY").format(sql.Identifier(name)))
    assert [part.name for part in shop.parent().pending] == [name]


def test_a_reader_of_the_table_holds_up_nothing_without_a_default(shop: Shop) -> None:
    shop.sql("CREATE TABLE events_2026_10 PARTITION OF events FOR VALUES FROM ('2026-10-01') TO ('2026-11-01')")
    with holding(shop.conninfo, ["SELECT count(*) FROM events"]):
        shop.ensure()
    assert len(shop.parent().attached) == 5


@pytest.mark.usefixtures("brief")
def test_now_without_a_partition_because_of_a_lock_is_told_as_that(shop: Shop) -> None:
    shop.sql(
        "CREATE TABLE tenants (tenant text PRIMARY KEY); ALTER TABLE events ADD FOREIGN KEY (tenant) REFERENCES tenants"
    )
    with holding(shop.conninfo, ["INSERT INTO tenants VALUES ('a')"]), pytest.raises(NoPartitionForNow) as told:
        shop.ensure()
    assert told.value.exit_code == 6
    assert "tenants is held by" in told.value.message
    assert shop.bounds() == []
    shop.ensure()
    assert len(shop.bounds()) == 4


@pytest.mark.usefixtures("brief")
def test_a_lock_on_what_comes_later_is_busy_and_the_rest_goes_on(shop: Shop) -> None:
    shop.sql("CREATE TABLE events_2026_11 PARTITION OF events FOR VALUES FROM ('2026-11-01') TO ('2026-12-01')")
    with holding(shop.conninfo, ["LOCK TABLE events IN SHARE UPDATE EXCLUSIVE MODE"]), pytest.raises(LockBusy):
        shop.ensure()
    shop.ensure()
    assert len(shop.bounds()) == 4


def test_a_name_that_is_taken_by_a_table_of_others_gets_a_number(shop: Shop) -> None:
    shop.sql("CREATE TABLE events_2026_12 (x int)")
    shop.ensure()
    assert [one.name for one in shop.parent().attached][1] == "events_2026_12_2"


def test_a_ddl_trigger_that_fails_leaves_nothing_behind(shop: Shop) -> None:
    shop.sql("""
        CREATE FUNCTION no() RETURNS event_trigger LANGUAGE plpgsql AS $$BEGIN
            IF current_query() LIKE '%%ATTACH%%' THEN RAISE EXCEPTION 'not on Fridays'; END IF; END$$;
        CREATE EVENT TRIGGER no ON ddl_command_end EXECUTE FUNCTION no()""")
    with pytest.raises(DbopsError, match="no partition for now: not on Fridays") as told:
        shop.ensure()
    assert told.value.exit_code == 6
    assert shop.sql("SELECT relname FROM pg_class WHERE relname LIKE 'events_2%'") == []
    shop.sql("DROP EVENT TRIGGER no")
    shop.ensure()
    assert shop.codes() == []


def test_partitions_that_are_divided_themselves_are_made_the_same_way(shop: Shop) -> None:
    shop.sql("""
        CREATE TABLE logs (at timestamptz NOT NULL, region text NOT NULL) PARTITION BY RANGE (at);
        CREATE TABLE logs_2026_11 PARTITION OF logs
            FOR VALUES FROM ('2026-11-01 00:00+00') TO ('2026-12-01 00:00+00') PARTITION BY LIST (region);
        CREATE TABLE logs_2026_11_eu PARTITION OF logs_2026_11 FOR VALUES IN ('eu', 'uk');
        CREATE TABLE logs_2026_11_rest PARTITION OF logs_2026_11 DEFAULT""")
    shop.configure(events={}, logs={"premake": 1})
    shop.ensure()
    shop.sql("INSERT INTO logs VALUES ('2026-12-05', 'uk'), ('2026-12-05', 'mars')")
    assert shop.sql("SELECT tableoid::regclass::text FROM logs ORDER BY 1") == [
        ("logs_2026_12_eu",),
        ("logs_2026_12_rest",),
    ]
    assert shop.codes() == []


def test_hypertables_are_left_to_timescaledb(shop: Shop) -> None:
    shop.sql("""
        CREATE SCHEMA _timescaledb_catalog;
        CREATE TABLE _timescaledb_catalog.hypertable (schema_name name, table_name name);
        INSERT INTO _timescaledb_catalog.hypertable VALUES ('public', 'metrics');
        CREATE TABLE metrics (at timestamptz)""")
    shop.configure(metrics={})
    assert [(one.code, one.severity) for one in shop.ensure().findings] == [("DBP114", "info")]
    assert "leaves it alone" in next(one.message for one in shop.findings() if one.code == "DBP114")


def test_check_sees_what_a_partition_lacks(shop: Shop) -> None:
    shop.sql("""
        ALTER TABLE events ENABLE ROW LEVEL SECURITY; CREATE POLICY own ON events USING (tenant = current_user);
        CREATE TABLE bare PARTITION OF events FOR VALUES FROM ('2026-11-01') TO ('2026-12-01');
        GRANT ALL ON bare TO PUBLIC;
        CREATE INDEX later ON ONLY events (note)""")
    shop.configure(events={"retention": "30 days", "pruned": [{"sql": "SELECT * FROM events WHERE tenant = 'a'"}]})
    shop.sql("CREATE TABLE old PARTITION OF events FOR VALUES FROM ('2026-01-01') TO ('2026-02-01')")
    found = {one.code: one for one in shop.findings()}
    assert found["DBP107"].severity == "bad"
    assert "row security" in found["DBP107"].message
    assert found["DBP108"].message.endswith("later")
    assert found["DBP109"].message.startswith("bare grants more")
    assert "DBP111" in found
    assert found["DBP113"].severity == "bad"
    assert found["DBP102"].severity == "missed"


def test_a_pruned_query_is_proven(shop: Shop) -> None:
    shop.ensure()
    shop.configure(events={"pruned": [{"sql": "SELECT * FROM events WHERE at >= '2026-11-05' AND at < '2026-11-06'"}]})
    assert shop.codes() == []
    shop.configure(events={"pruned": [{"sql": "SELECT * FROM nothing"}]})
    assert [(one.code, one.severity) for one in shop.findings()] == [("DBP113", "unknown")]


def test_runway_is_measured_from_where_rows_are_written(shop: Shop) -> None:
    shop.ensure()
    shop.sql("INSERT INTO events VALUES (1, '2027-02-20 00:00+00', 'a', NULL)")
    (one,) = ready.runways(shop.config, ready.checked(shop.config, [TARGET], shop.run(), NOW)[1], NOW)
    assert one.runway == timedelta(days=9)
    assert "DBP102" in shop.codes()


def test_past_months_come_with_since_as_far_as_they_are_kept(shop: Shop) -> None:
    shop.configure(events={"retention": "92 days"})
    shop.ensure(since=datetime(2020, 1, 1, tzinfo=UTC))
    assert [one.name for one in shop.parent().attached][:4] == [
        *("events_2026_08", "events_2026_09", "events_2026_10", "events_2026_11")
    ]
