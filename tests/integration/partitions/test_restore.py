"""Bringing back what was retired, from its grace or from its copy: the same rows, as they were."""

from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from dbops.engine import run as running
from dbops.engine.finding import Finding
from dbops.engine.patience import Ramp
from dbops.engine.plan import Plan
from dbops.errors import LockBusy, Refused, VerifiedBad
from dbops.operations.partitions import restore_apply, restore_ready, retire_apply
from dbops.operations.partitions.restore_facts import Action

from retiring import NOW, Place, wished

_OVER = wished(timedelta(0), retention=timedelta(days=60))
_QUICK = Ramp(timedelta(milliseconds=50), attempts=2, first_pause=timedelta(milliseconds=10))
_ROWS = "SELECT count(*), sum(id), sum(who), min(at)::text, md5(string_agg(e::text, ',' ORDER BY id)) FROM {} e"


@pytest.fixture
def place(database: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Place]:
    monkeypatch.setattr(retire_apply, "RAMP", _QUICK)
    monkeypatch.setattr(restore_apply, "RAMP", _QUICK)
    with Place(database, folder) as made:
        yield made


def restore(
    place: Place, name: str = "events_2026_01", *, attached: bool = True, steps: int | None = None
) -> tuple[Plan[Action], tuple[Finding, ...]]:
    run = running.new("partition restore", place.folder)
    with restore_ready.restore(place.config(), "app", name, run, NOW, attached=attached) as ready:
        for step in ready.plan.steps[:steps]:
            ready.apply(step)
        return ready.plan, ready.findings


def rows(place: Place, table: str) -> tuple[object, ...]:
    return place.sql(_ROWS.format(table))[0]


def verbs(*names: str) -> list[str]:
    return [f"{name} public.events_2026_01" for name in names]


def dropped(place: Place) -> tuple[object, ...]:
    """Retire two months to the end; return what was in January."""
    before = rows(place, "events_2026_01")
    place.wish = _OVER
    place.retire()
    place.retire()
    assert place.graced() == []
    return before


def test_from_its_copy_it_comes_back_attached_with_its_rows(place: Place) -> None:
    before = dropped(place)
    plan, _ = restore(place)
    assert [step.id for step in plan.steps] == verbs("load", "prove", "attach")
    assert place.attached() == ["2026_01", "2026_05", "2026_06", "2026_07"]
    assert rows(place, "events_2026_01") == before
    assert place.sql("SELECT count(*) FROM events WHERE at < '2026-02-01'") == [(before[0],)]
    keys = "SELECT count(*) FROM pg_constraint WHERE conrelid = 'events_2026_01'::regclass AND contype IN ('f', 'c')"
    assert place.sql(keys) == [(1,)], "the foreign key is there again, the helper is not"


def test_what_was_restored_is_left_alone_for_a_grace_and_then_retired_again(place: Place) -> None:
    dropped(place)
    restore(place)
    place.wish = wished(timedelta(days=7), retention=timedelta(days=60))
    [(restored,)] = place.sql("SELECT max(at) FROM dbops.entries WHERE kind = 'PartitionRestored'")
    plan, findings = place.retire(restored + timedelta(days=6), plan_only=True)  # type: ignore[operator]
    assert not any("2026_01" in step.id for step in plan.steps)
    assert [one.code for one in findings] == ["partition_restored"]
    plan, _ = place.retire(restored + timedelta(days=7), plan_only=True)  # type: ignore[operator]
    assert any("2026_01" in step.id for step in plan.steps)


def test_from_its_grace_it_comes_back_as_the_very_table(place: Place) -> None:
    before = rows(place, "events_2026_01")
    place.sql("GRANT SELECT, INSERT ON events TO PUBLIC")
    place.retire()
    plan, _ = restore(place)
    assert [step.id for step in plan.steps] == verbs("prove", "attach")
    assert rows(place, "events_2026_01") == before
    assert place.attached()[0] == "2026_01"
    assert place.graced() == ["2026_02"]
    rights = "SELECT has_table_privilege('pg_monitor', 'events_2026_01', 'INSERT')"
    assert place.sql(rights) == [(True,)], "the rights of its table are its own again"


def test_it_can_come_back_beside_its_table_even_when_that_has_changed(place: Place) -> None:
    dropped(place)
    place.sql("ALTER TABLE events DROP COLUMN kind; ALTER TABLE events ADD COLUMN what text")
    with pytest.raises(Refused, match="no longer has kind"):
        restore(place)
    restore(place, attached=False)
    assert place.graced() == ["2026_01"]
    assert place.attached() == ["2026_05", "2026_06", "2026_07"]
    assert place.sql("SELECT count(DISTINCT kind) FROM dbops_grace.events_2026_01") == [(3,)]
    again, findings = restore(place, attached=False)
    assert again.steps == ()
    assert [one.code for one in findings] == ["partition_there"]
    assert place.retire()[0].steps == (), "what was brought back to be looked at is nobody's to retire"


def test_without_its_table_it_can_still_be_read(place: Place) -> None:
    before = dropped(place)
    place.sql("DROP TABLE events")
    with pytest.raises(Refused, match="no table partitioned by time"):
        restore(place)
    restore(place, attached=False)
    assert rows(place, "dbops_grace.events_2026_01") == before


def test_a_run_that_stopped_between_the_steps_is_continued(place: Place) -> None:
    before = dropped(place)
    restore(place, steps=1)
    place.sql("ALTER TABLE events_2026_01 ADD CONSTRAINT events_who_fkey FOREIGN KEY (who) REFERENCES people NOT VALID")
    restore(place, steps=1)
    plan, _ = restore(place)
    keys = "SELECT convalidated FROM pg_constraint WHERE conrelid = 'events_2026_01'::regclass AND contype = 'f'"
    assert place.sql(keys) == [(True,)]
    assert [step.id for step in plan.steps] == verbs("prove", "attach")
    assert rows(place, "events_2026_01") == before
    again, findings = restore(place)
    assert again.steps == ()
    assert [one.code for one in findings] == ["partition_attached"]


def test_a_range_that_is_taken_is_named(place: Place) -> None:
    dropped(place)
    place.sql("CREATE TABLE other PARTITION OF events FOR VALUES FROM ('2026-01-15') TO ('2026-01-16')")
    with pytest.raises(Refused, match=r"taken by public\.other"):
        restore(place)


def test_rows_that_refer_to_what_is_gone_are_not_attached(place: Place) -> None:
    dropped(place)
    place.sql("DELETE FROM people WHERE id = 3")
    with pytest.raises(Refused, match="cannot be attached"):
        restore(place)
    assert place.attached() == ["2026_05", "2026_06", "2026_07"]


def test_a_copy_that_has_rotted_brings_nothing_back(place: Place) -> None:
    dropped(place)
    [data] = (place.vault / place.artifacts()[0].address.folder).glob("rows.copy*")
    data.chmod(0o600)
    data.write_bytes(data.read_bytes()[:-1] + b"\x00")
    with pytest.raises(VerifiedBad):
        restore(place)
    assert place.sql("SELECT to_regclass('events_2026_01')") == [(None,)]


def test_a_writer_of_the_referenced_table_is_waited_for_only_briefly(place: Place) -> None:
    dropped(place)
    with psycopg.connect(place.database) as writer:
        writer.execute("UPDATE people SET id = id WHERE id = 1")
        with pytest.raises(LockBusy):
            restore(place)
    restore(place)
    assert place.attached()[0] == "2026_01"


def test_a_table_of_that_name_that_is_not_ours_is_not_touched(place: Place) -> None:
    dropped(place)
    place.sql("CREATE TABLE events_2026_01 (mine int)")
    with pytest.raises(Refused, match="nothing tells that it is this partition"):
        restore(place)


def test_a_name_that_nothing_bears_is_told_with_those_that_are_there(place: Place) -> None:
    dropped(place)
    with pytest.raises(Refused, match="no copy") as told:
        restore(place, "events_2019_01")
    assert "public.events_2026_01" in str(told.value.hint)
    with pytest.raises(Refused, match="several"):
        restore(place, "partition")
    restore(place, "public.events_2026_02")
    assert place.attached()[0] == "2026_02"


def test_columns_that_the_table_has_since_got_take_their_defaults(place: Place) -> None:
    dropped(place)
    place.sql("ALTER TABLE events ADD COLUMN more int NOT NULL DEFAULT 7")
    restore(place)
    assert place.sql("SELECT DISTINCT more FROM events_2026_01") == [(7,)]


def test_row_security_and_force_are_on_it_before_it_is_attached(place: Place) -> None:
    place.sql(
        "CREATE POLICY ones ON events USING (who = 1); ALTER TABLE events ENABLE ROW LEVEL SECURITY;"
        "ALTER TABLE events FORCE ROW LEVEL SECURITY"
    )
    dropped(place)
    restore(place)
    secured = "SELECT relrowsecurity, relforcerowsecurity FROM pg_class WHERE oid = 'events_2026_01'::regclass"
    assert place.sql(secured) == [(True, True)]
    assert place.sql("SELECT count(*) FROM pg_policy WHERE polrelid = 'events_2026_01'::regclass") == [(1,)]


def test_values_that_a_changed_column_would_alter_are_not_brought_back_into_it(place: Place) -> None:
    dropped(place)
    place.sql("ALTER TABLE events DROP CONSTRAINT events_who_fkey; ALTER TABLE events ALTER who TYPE numeric(5, 1)")
    with pytest.raises(VerifiedBad, match="other rows than were copied"):
        restore(place)
    assert place.sql("SELECT to_regclass('events_2026_01')") == [(None,)]
    restore(place, attached=False)
    assert place.graced() == ["2026_01"]


def test_odd_names_go_and_come_back(place: Place) -> None:
    place.sql(
        'CREATE SCHEMA "Odd One"; CREATE TABLE "Odd One"."Ev""ents" ("At" timestamptz, "select" text)'
        ' PARTITION BY RANGE ("At"); CREATE TABLE "Odd One".events_2026_01 PARTITION OF "Odd One"."Ev""ents"'
        " FOR VALUES FROM ('2026-01-01') TO ('2026-02-01'); CREATE TABLE \"Odd One\".\"Last\" PARTITION OF"
        ' "Odd One"."Ev""ents" FOR VALUES FROM (\'2026-02-01\') TO (MAXVALUE);'
        ' INSERT INTO "Odd One"."Ev""ents" VALUES (\'2026-01-02\', \'x\')'
    )
    place.retire()
    place.wish = wished(timedelta(days=7), table=("Odd One", 'Ev"ents'), retention=timedelta(0))
    place.retire()
    waiting = "SELECT oid::regclass::text FROM pg_class WHERE relname = 'events_2026_01'"
    assert sorted(place.sql(waiting)) == [('"dbops_grace_Odd One".events_2026_01',), ("dbops_grace.events_2026_01",)]
    restore(place, "Odd One.events_2026_01")
    assert place.sql('SELECT "select" FROM "Odd One"."Ev""ents"') == [("x",)]
    place.wish = wished(timedelta(0), table=("Odd One", 'Ev"ents'), retention=timedelta(0))
    place.retire()
    place.retire()
    restore(place, "Odd One.events_2026_01")
    assert place.sql('SELECT "select" FROM "Odd One"."Ev""ents"') == [("x",)]


def test_the_bounds_of_what_a_plain_detach_took_away_are_proven_before_it_is_attached(place: Place) -> None:
    place.sql("CREATE TABLE events_rest PARTITION OF events DEFAULT")
    place.retire()
    plan, _ = restore(place)
    prove = plan.steps[0]
    assert any("CHECK (at IS NOT NULL AND at >= '2026-01-01" in one.shown() for one in prove.statements)
    assert place.sql("SELECT count(*) FROM events WHERE at < '2026-02-01'") == [(186,)]
    left = "SELECT count(*) FROM pg_constraint WHERE conrelid = 'events_2026_01'::regclass AND contype = 'c'"
    assert place.sql(left) == [(0,)]


def test_a_partition_without_a_lower_bound_comes_back_from_its_grace_or_beside_its_table(place: Place) -> None:
    place.sql("CREATE TABLE events_before PARTITION OF events FOR VALUES FROM (MINVALUE) TO ('2026-01-01')")
    place.sql("INSERT INTO events VALUES (9000, '2025-12-24Z', 'old', 1)")
    place.retire()
    restore(place, "events_before")
    assert place.attached() == ["2026_05", "2026_06", "2026_07", "before"]
    place.wish = _OVER
    later = datetime(2099, 1, 1, tzinfo=UTC)  # what was restored is left alone for a while
    place.retire(later)
    place.retire(later)
    with pytest.raises(Refused, match="no bound on one side"):
        restore(place, "events_before")
    restore(place, "events_before", attached=False)
    assert rows(place, "dbops_grace.events_before")[0] == 1
