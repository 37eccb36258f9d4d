"""Retiring against a real server: copied and compared before anything goes, and one run goes on where one stopped."""

import threading
from collections.abc import Generator, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from psycopg import conninfo

from dbops.engine import run as running
from dbops.engine.finding import Finding, Severity
from dbops.engine.patience import Ramp
from dbops.engine.plan import Plan, Risk
from dbops.errors import CouldNotVerify, DbopsError, LockBusy, Refused, VerifiedBad
from dbops.operations.partitions import retire_apply, retire_ready
from dbops.operations.partitions.facts import Hold, Policies
from dbops.operations.partitions.retire_facts import Action

from retiring import NOW, WEEK, Place, wished


@pytest.fixture
def place(database: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Place]:
    quick = Ramp(timedelta(milliseconds=50), attempts=2, first_pause=timedelta(milliseconds=10))
    monkeypatch.setattr(retire_apply, "RAMP", quick)
    with Place(database, folder) as made:
        yield made


def verbs(plan: Plan[Action]) -> list[str]:
    return [step.id.replace("public.events_", "") for step in plan.steps]


def codes(findings: Sequence[Finding]) -> list[str]:
    return [one.code for one in findings]


def test_what_is_over_is_copied_compared_and_waits_in_the_grace_schema(place: Place) -> None:
    before = place.sql("SELECT count(*), sum(id), min(at)::text, max(at)::text FROM events_2026_01")
    plan, findings = place.retire()
    assert verbs(plan) == [
        "ledger",
        *(f"{verb} {month}" for month in ("2026_01", "2026_02") for verb in
          ("export", "detach", "seal", "compare", "shelve")),
    ]  # fmt: skip
    assert findings == []
    assert place.attached() == ["2026_05", "2026_06", "2026_07"]
    assert place.graced() == ["2026_01", "2026_02"]
    assert place.sql("SELECT count(*), sum(id), min(at)::text, max(at)::text FROM dbops_grace.events_2026_01") == before
    first, second = place.artifacts()
    assert (first.manifest.counts["rows"], second.manifest.counts["rows"]) == (186, 168)
    assert first.manifest.extra["min"] == "2026-01-01 00:00:00+00"
    assert first.manifest.extra["bound"].startswith("FOR VALUES FROM ('2026-01-01 00:00:00+00')")


def test_a_second_run_has_nothing_to_do_until_the_grace_is_over(place: Place) -> None:
    place.retire()
    again, findings = place.retire()
    assert again.steps == ()
    assert findings == []
    [(shelved,)] = place.sql("SELECT max(at) FROM dbops.entries WHERE kind = 'PartitionShelved'")
    assert isinstance(shelved, datetime)
    place.wish = wished(WEEK, retention=timedelta(days=36500))  # what has left goes its way, whatever is told later
    assert place.retire(shelved + WEEK - timedelta(hours=1), plan_only=True)[0].steps == ()
    assert verbs(place.retire(shelved + WEEK, plan_only=True)[0]) == ["drop 2026_01", "drop 2026_02"]


def test_it_is_dropped_after_its_grace_and_its_copy_stays(place: Place) -> None:
    place.retire()
    place.wish = wished(timedelta(0), retention=timedelta(days=60))
    plan, findings = place.retire()
    assert verbs(plan) == ["drop 2026_01", "drop 2026_02"]
    assert plan.risk is Risk.BLOCKS
    assert place.artifacts()[0].address.folder.rstrip("/") in plan.steps[0].notes[0]
    assert findings == []
    assert place.graced() == []
    assert len(place.artifacts()) == 2
    assert place.retire()[0].steps == ()


def test_no_right_and_no_foreign_key_stays_on_what_waits(place: Place) -> None:
    place.retire()
    rights = place.sql(
        "SELECT x.privilege_type FROM pg_class c, aclexplode(c.relacl) x"
        " WHERE c.oid = 'dbops_grace.events_2026_01'::regclass AND x.grantee = 0"
    )
    assert rights == []
    keys = (
        "SELECT count(*) FROM pg_constraint WHERE conrelid = 'dbops_grace.events_2026_01'::regclass AND contype = 'f'"
    )
    assert place.sql(keys) == [(0,)]
    place.sql("DELETE FROM events; DELETE FROM people")  # what waits neither follows nor stops it


def test_each_prefix_of_a_run_is_continued_by_the_next(place: Place) -> None:
    total = len(place.retire(plan_only=True)[0].steps)
    for _ in range(total):
        plan, _ = place.retire(steps=1)
        assert len(plan.steps) <= total
    assert place.graced() == ["2026_01", "2026_02"]
    assert place.retire()[0].steps == ()
    assert len(place.artifacts()) == 2


def test_what_was_written_between_export_and_detach_is_exported_anew(place: Place) -> None:
    place.retire(steps=2)
    place.sql("INSERT INTO events VALUES (5000, '2026-01-15Z', 'late', 1)")
    place.retire()
    newest = {one.manifest.extra["name"]: one.manifest.counts["rows"] for one in place.artifacts()}
    assert newest == {"events_2026_01": 187, "events_2026_02": 168}
    assert place.sql("SELECT count(*) FROM dbops_grace.events_2026_01") == [(187,)]


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE dbops_grace.events_2026_01 SET kind = 'changed' WHERE id = 7",
        "DELETE FROM dbops_grace.events_2026_01 WHERE id = 7",
        "INSERT INTO dbops_grace.events_2026_01 VALUES (5000, '2026-01-15Z', 'late', 1)",
    ],
)
def test_what_is_changed_during_its_grace_is_kept_exported_anew_and_waits_anew(place: Place, change: str) -> None:
    place.retire()
    place.sql(change)
    rows = place.sql("SELECT count(*) FROM dbops_grace.events_2026_01")[0][0]
    place.wish = wished(timedelta(0), retention=timedelta(days=60))
    _, findings = place.retire()
    assert codes(findings) == ["partition_changed"]
    assert findings[0].severity is Severity.WARNING
    assert place.graced() == ["2026_01"]
    assert len(place.artifacts()) == 3
    place.wish = wished(WEEK, retention=timedelta(days=60))
    assert place.retire()[0].steps == ()
    place.wish = wished(timedelta(0), retention=timedelta(days=60))
    assert place.retire()[1] == []
    assert place.graced() == []
    assert place.artifacts()[-1].manifest.counts["rows"] == rows


def test_a_copy_that_has_gone_is_made_again_before_anything_is_dropped(place: Place) -> None:
    place.retire()
    folder = place.artifacts()[0].address.folder
    (place.vault / folder / "manifest.json").unlink()
    place.wish = wished(timedelta(0), retention=timedelta(days=60))
    plan, _ = place.retire()
    assert verbs(plan)[0] == "export 2026_01"
    assert "drop 2026_01" not in verbs(place.retire(plan_only=True)[0])
    assert {one.manifest.extra["name"] for one in place.artifacts()} == {"events_2026_01", "events_2026_02"}


def test_a_copy_that_has_rotted_stops_the_drop(place: Place) -> None:
    place.retire()
    [data] = (place.vault / place.artifacts()[0].address.folder).glob("rows.copy*")
    data.chmod(0o600)
    data.write_bytes(data.read_bytes()[:-1] + b"\x00")
    place.wish = wished(timedelta(0), retention=timedelta(days=60))
    with pytest.raises(VerifiedBad):
        place.retire()
    assert place.graced() == ["2026_01", "2026_02"]


def test_the_current_and_the_next_partition_are_never_due(place: Place) -> None:
    place.wish = wished(WEEK, retention=timedelta(0))
    place.retire()
    assert place.attached() == ["2026_06", "2026_07"]
    place.retire(datetime(2030, 1, 1, tzinfo=UTC))
    assert place.attached() == ["2026_07"]


def test_without_a_retention_nothing_is_ever_due(place: Place) -> None:
    place.wish = wished(WEEK)
    assert place.retire(datetime(2099, 1, 1, tzinfo=UTC))[0].steps == ()


def test_the_longest_policy_of_any_row_decides(place: Place) -> None:
    place.sql(
        "CREATE TABLE policies (kind text, days int); INSERT INTO policies VALUES ('k0', 1), ('k1', 110), ('k2', 2);"
        "DELETE FROM events WHERE kind = 'k1' AND at >= '2026-02-01'"
    )
    place.wish = wished(WEEK, policies=Policies(("public", "policies"), "kind", "days"))
    assert verbs(place.retire(datetime(2026, 5, 20, tzinfo=UTC), plan_only=True)[0])[1] == "export 2026_02"
    assert (
        place.retire(datetime(2026, 5, 22, tzinfo=UTC), plan_only=True)[0].steps[1].id == "export public.events_2026_01"
    )


def test_a_kind_without_a_policy_blocks(place: Place) -> None:
    place.sql("CREATE TABLE policies (kind text, days int); INSERT INTO policies VALUES ('k0', 1), ('k1', 1)")
    place.wish = wished(WEEK, policies=Policies(("public", "policies"), "kind", "days"))
    plan, findings = place.retire()
    assert not any("2026_01" in step.id or "2026_02" in step.id for step in plan.steps)
    assert set(codes(findings)) == {"partition_without_policy"}
    assert "k2" in findings[0].message
    place.sql("UPDATE events SET kind = NULL WHERE kind = 'k2'")
    assert "(none)" in place.retire()[1][0].message


@pytest.mark.parametrize(
    ("first", "last", "kept"),
    [
        (date(2026, 1, 20), date(2026, 1, 21), ["2026_01"]),
        (date(2025, 12, 1), date(2026, 1, 2), ["2026_01"]),
        (date(2026, 1, 31), date(2026, 2, 2), ["2026_01", "2026_02"]),
        (date(2025, 12, 1), date(2026, 1, 1), []),
        (date(2026, 3, 1), date(2026, 4, 1), []),
    ],
)
def test_a_legal_hold_keeps_what_it_has_a_part_of(place: Place, first: date, last: date, kept: list[str]) -> None:
    place.wish = wished(WEEK, retention=timedelta(days=60), holds=(Hold(first, last, "case 7"),))
    _, findings = place.retire()
    assert codes(findings) == ["partition_held"] * len(kept)
    assert all("case 7" in one.message for one in findings)
    assert place.attached() == [*kept, "2026_05", "2026_06", "2026_07"]


def test_a_legal_hold_stops_a_drop_during_the_grace(place: Place) -> None:
    place.retire()
    place.wish = wished(
        timedelta(0), retention=timedelta(days=60), holds=(Hold(date(2026, 1, 5), date(2026, 1, 6), "case 7"),)
    )
    place.retire()
    assert place.graced() == ["2026_01"]


def test_rows_that_point_into_a_partition_keep_it(place: Place) -> None:
    place.sql(
        "CREATE TABLE notes (id int, at timestamptz, FOREIGN KEY (id, at) REFERENCES events);"
        "INSERT INTO notes SELECT id, at FROM events_2026_01 LIMIT 1"
    )
    _, findings = place.retire()
    assert codes(findings) == ["partition_referenced"]
    assert place.attached() == ["2026_01", "2026_05", "2026_06", "2026_07"]


def test_with_a_default_partition_the_plan_names_the_lock_of_a_plain_detach(place: Place) -> None:
    place.sql("CREATE TABLE events_rest PARTITION OF events DEFAULT")
    plan, _ = place.retire()
    detach = plan.steps[2]
    assert detach.id == "detach public.events_2026_01"
    assert "CONCURRENTLY" not in detach.statements[0].shown()
    assert "ACCESS EXCLUSIVE on public.events and public.events_rest" in detach.notes[0]
    assert place.graced() == ["2026_01", "2026_02"]


def test_a_detach_that_was_interrupted_is_finished_first(place: Place) -> None:
    with psycopg.connect(place.database) as reader:
        reader.execute("SELECT count(*) FROM events")
        place.sql("SET lock_timeout = '50ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            place.sql("ALTER TABLE events DETACH PARTITION events_2026_02 CONCURRENTLY")
    plan, _ = place.retire()
    assert verbs(plan)[1] == "detach 2026_02"
    assert "FINALIZE" in plan.steps[1].statements[0].shown()
    assert place.graced() == ["2026_01", "2026_02"]
    assert place.attached() == ["2026_05", "2026_06", "2026_07"]


def test_an_interrupted_detach_of_what_is_not_due_is_finished_too(place: Place) -> None:
    with psycopg.connect(place.database) as reader:
        reader.execute("SELECT count(*) FROM events")
        place.sql("SET lock_timeout = '50ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            place.sql("ALTER TABLE events DETACH PARTITION events_2026_05 CONCURRENTLY")
    place.retire()
    assert place.graced() == ["2026_01", "2026_02"]
    assert place.sql("SELECT to_regclass('public.events_2026_05') IS NOT NULL") == [(True,)]


def test_a_reader_that_does_not_end_is_named_and_the_next_run_goes_on(place: Place) -> None:
    with psycopg.connect(place.database) as reader:
        reader.execute("SELECT count(*) FROM events")
        with pytest.raises(LockBusy, match=f"pid {reader.info.backend_pid}"):
            place.retire()
    assert place.graced() == []
    place.retire()
    assert place.graced() == ["2026_01", "2026_02"]


def test_a_deadlock_with_a_reader_is_one_more_attempt(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """The seal drops a foreign key: it holds the partition and waits for `people`, which the reader holds."""
    monkeypatch.setattr(retire_apply, "RAMP", Ramp(timedelta(seconds=20), first_pause=timedelta(milliseconds=10)))
    place.sql(f"ALTER DATABASE {place.connection.info.dbname} SET deadlock_timeout = '500ms'")  # it is who finds out
    place.retire(steps=[one.split()[0] for one in verbs(place.retire(plan_only=True)[0])].index("seal"))
    reading = threading.Event()

    def read() -> None:
        with psycopg.connect(place.database) as reader:
            reader.execute("SET deadlock_timeout = '60s'; LOCK TABLE people IN ACCESS SHARE MODE")
            reading.set()
            while not reader.execute(
                "SELECT 1 FROM pg_locks WHERE NOT granted AND relation = 'people'::regclass"
            ).fetchall():
                pass
            reader.execute("SELECT count(*) FROM events_2026_01")

    thread = threading.Thread(target=read)
    thread.start()
    reading.wait(10)
    place.retire(steps=1)
    thread.join(30)
    place.retire()
    assert place.graced() == ["2026_01", "2026_02"]


def test_a_partition_that_was_dropped_by_hand_is_told_and_then_left_out(place: Place) -> None:
    run = running.new("partition retire", place.folder)
    with retire_ready.retire(place.config(), "app", [place.wish], run, now=NOW, told=[]) as ready:
        ready.apply(ready.plan.steps[0])
        place.sql("DROP TABLE events_2026_01")
        with pytest.raises(Refused, match="was dropped"):
            ready.apply(ready.plan.steps[1])
    plan, _ = place.retire()
    assert verbs(plan)[0] == "export 2026_02"
    place.sql("DROP TABLE dbops_grace.events_2026_02")
    assert place.retire()[0].steps == ()


def test_a_failing_event_trigger_changes_nothing_and_the_next_run_goes_on(place: Place) -> None:
    place.retire(steps=1)
    place.sql(
        "CREATE FUNCTION no_ddl() RETURNS event_trigger LANGUAGE plpgsql AS $$BEGIN RAISE 'not today'; END$$;"
        "CREATE EVENT TRIGGER no_ddl ON ddl_command_start EXECUTE FUNCTION no_ddl()"
    )
    with pytest.raises(DbopsError, match="not today"):
        place.retire()
    assert place.attached()[0] == "2026_01"
    place.sql("DROP EVENT TRIGGER no_ddl")
    place.retire()
    assert place.graced() == ["2026_01", "2026_02"]


def test_a_vault_that_nobody_here_can_read_back_stops_it_before_anything_is_written(place: Place) -> None:
    place.extra = {"recipients": ["age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"]}
    with pytest.raises(CouldNotVerify, match="read a copy back"):
        place.retire()
    assert place.attached()[0] == "2026_01"
    assert list(place.vault.rglob("*.copy*")) == []


def test_a_partition_of_partitions_stays(place: Place) -> None:
    place.sql(
        "CREATE TABLE events_2025 PARTITION OF events FOR VALUES FROM ('2025-01-01') TO ('2026-01-01')"
        " PARTITION BY RANGE (at);"
        "CREATE TABLE events_2025_01 PARTITION OF events_2025 FOR VALUES FROM ('2025-01-01') TO ('2025-02-01')"
    )
    _, findings = place.retire()
    assert codes(findings) == ["partition_not_plain"]
    assert "2025" in place.attached()


def test_only_detached_means_that_it_stays_in_the_grace_schema(place: Place) -> None:
    place.wish = wished(timedelta(0), action="detach", retention=timedelta(days=60))
    plan, _ = place.retire()
    assert not any(word in step for step in verbs(plan) for word in ("export", "compare", "drop"))
    assert place.graced() == ["2026_01", "2026_02"]
    assert place.retire(NOW + 100 * WEEK)[0].steps[0].id.endswith("events_2026_05")


def test_dropping_without_a_copy_loses_data_and_says_so(place: Place) -> None:
    place.wish = wished(timedelta(0), action="drop", retention=timedelta(days=60))
    plan, _ = place.retire(plan_only=True)
    assert plan.risk is Risk.LOSES_DATA
    place.retire()
    assert place.graced() == []
    assert place.attached() == ["2026_05", "2026_06", "2026_07"]
    assert place.artifacts() == []


def test_dates_count_in_the_configured_zone(place: Place) -> None:
    place.sql(
        "CREATE TABLE costs (day date) PARTITION BY RANGE (day);"
        "CREATE TABLE costs_1 PARTITION OF costs FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');"
        "CREATE TABLE costs_2 PARTITION OF costs FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');"
        "CREATE TABLE costs_3 PARTITION OF costs FOR VALUES FROM ('2026-03-01') TO ('2026-04-01')"
    )
    place.wish = wished(WEEK, retention=timedelta(0), table=("public", "costs"), zone="America/New_York")
    midnight = datetime(2026, 2, 1, tzinfo=UTC)
    assert place.retire(midnight, plan_only=True)[0].steps == ()
    assert place.retire(midnight + timedelta(hours=5), plan_only=True)[0].steps != ()


def test_a_policy_that_binds_the_owner_stops_the_export(place: Place) -> None:
    place.sql(
        "ALTER TABLE events_2026_01 ENABLE ROW LEVEL SECURITY; ALTER TABLE events_2026_01 FORCE ROW LEVEL SECURITY"
    )
    [(database,)] = place.sql("SELECT current_database()")
    owner = f"owner_of_{database}"
    place.sql(
        f"CREATE ROLE {owner} LOGIN PASSWORD 'x'; GRANT CREATE ON DATABASE {database} TO {owner};"
        f"ALTER TABLE events OWNER TO {owner}; ALTER TABLE events_2026_01 OWNER TO {owner}"
    )
    place.owner = conninfo.make_conninfo(place.database, user=owner, password="x")
    try:
        with pytest.raises(Refused, match="row-level security"):
            place.retire()
        place.sql(f"ALTER ROLE {owner} BYPASSRLS; ALTER TABLE people OWNER TO {owner}")
        place.sql(f"ALTER TABLE events_2026_02 OWNER TO {owner}")
        place.retire()
        assert place.graced() == ["2026_01", "2026_02"]
    finally:
        place.sql(f"REASSIGN OWNED BY {owner} TO postgres; DROP OWNED BY {owner}; DROP ROLE {owner}")
    assert [one.manifest.counts["rows"] for one in place.artifacts()] == [186, 168]


def test_the_zone_of_database_and_role_changes_nothing(place: Place) -> None:
    [(database,)] = place.sql("SELECT current_database()")
    place.sql(f"ALTER DATABASE {database} SET TimeZone = 'Pacific/Kiritimati'")
    end = datetime(2026, 3, 1, tzinfo=UTC)
    place.wish = wished(WEEK, retention=timedelta(days=28))
    assert "2026_02" not in str(verbs(place.retire(end + timedelta(days=27, hours=23), plan_only=True)[0]))
    assert "2026_02" in str(verbs(place.retire(end + timedelta(days=28), plan_only=True)[0]))
    place.retire(end + timedelta(days=28))
    first = place.artifacts()[0].manifest.extra
    assert (first["min"], first["max"]) == ("2026-01-01 00:00:00+00", "2026-01-31 20:00:00+00")


def test_no_query_of_a_reader_or_a_writer_waits_while_it_goes_on(place: Place) -> None:
    """An application that gives up after a second in a queue reads and writes on, also in the referenced table."""
    place.sql("CREATE INDEX ON events (who)")
    failed: list[BaseException] = []
    done = threading.Event()

    def work() -> None:
        with psycopg.connect(place.database, autocommit=True) as connection:
            connection.execute("SET lock_timeout = '1s'")
            number = 10_000
            while not done.is_set():
                number += 1
                try:
                    connection.execute("INSERT INTO events VALUES (%s, '2026-06-10Z', 'x', 1)", (number,))
                    connection.execute("SELECT count(*) FROM events WHERE at >= '2026-06-01Z'")
                    connection.execute("UPDATE people SET id = id WHERE id = 1")
                except psycopg.Error as error:
                    failed.append(error)

    application = threading.Thread(target=work)
    application.start()
    try:
        place.retire()
    finally:
        done.set()
        application.join()
    assert failed == []
    assert place.graced() == ["2026_01", "2026_02"]
