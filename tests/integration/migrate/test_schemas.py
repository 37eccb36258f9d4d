"""The nine histories: from nothing to exactly the expected catalog, and back without losing a row."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from dbops.operations.migrate import history
from dbops.sandbox.facts import EXAMPLE

from migrating import FOLDER, TARGETS, catalog_of, difference, downgrade, expected, rows, upgrade


def test_there_are_nine_of_them() -> None:
    assert len(TARGETS) == 9
    assert sorted(path.name for path in (FOLDER / "postgres").iterdir() if path.is_dir()) == sorted([*TARGETS, EXAMPLE])


@pytest.mark.parametrize("target", TARGETS)
def test_a_history_builds_the_expected_catalog_object_by_object(database: str, target: str) -> None:
    upgrade(database, target)
    assert difference(expected(target), catalog_of(database)) == {}


@pytest.mark.parametrize("target", TARGETS)
def test_up_down_and_up_again_leave_the_same_catalog(database: str, target: str) -> None:
    upgrade(database, target)
    before = catalog_of(database, comments=True)
    downgrade(database, target)
    assert {name.partition(" ")[0] for name in catalog_of(database)} <= {"extension"}
    upgrade(database, target)
    assert difference(before, catalog_of(database, comments=True)) == {}
    with rows(database) as connection:
        left = connection.execute("SELECT relname FROM pg_class WHERE relnamespace = 'dbops_attic'::regnamespace")
        assert left.fetchall() == []


@pytest.mark.parametrize("target", TARGETS)
def test_a_history_can_be_left_and_taken_up_at_every_revision(database: str, target: str) -> None:
    ids = history.read(FOLDER, target, target).ids
    upgrade(database, target)
    whole = catalog_of(database)
    for to in reversed(ids[:-1]):
        downgrade(database, target, to)
    for to in ids:
        upgrade(database, target, to)
    assert catalog_of(database) == whole


@pytest.mark.parametrize("target", TARGETS)
def test_the_offline_script_builds_the_same_catalog(
    database: str, target: str, psql: Callable[[str, str], None]
) -> None:
    psql(database, history.script(FOLDER, target, first=None, last="head", target=target))
    assert difference(expected(target), catalog_of(database)) == {}


def test_rows_partitions_and_types_come_back(database: str) -> None:
    upgrade(database, "policycortex")
    with rows(database) as connection:
        connection.execute("CREATE TABLE cost_2026 PARTITION OF cost_data FOR VALUES FROM ('2026-01-01') TO (MAXVALUE)")
        tenant = connection.execute("INSERT INTO tenants (name) VALUES ('one') RETURNING id").fetchone()
        assert tenant is not None
        connection.execute(
            "INSERT INTO resources (tenant_id, azure_resource_id, subscription_id, resource_group_name, name, type,"
            " location, tags) VALUES (%s, '/a', 's', 'g', 'vm', 'virtual_machine', 'west', '{\"k\": 1}')",
            tenant,
        )
        connection.execute(
            "INSERT INTO cost_data (tenant_id, subscription_id, date, service_name, cost, currency)"
            " VALUES (%s, 's', '2026-05-01', 'compute', 12.5, 'EUR')",
            tenant,
        )
    downgrade(database, "policycortex")
    upgrade(database, "policycortex")
    with rows(database) as connection:
        assert connection.execute("SELECT type::text, tag_keys FROM resources").fetchall() == [
            ("virtual_machine", ["k"])
        ]
        assert connection.execute("SELECT tableoid::regclass::text, cost::text FROM cost_data").fetchall() == [
            ("cost_2026", "12.5000")
        ]


def test_bare_alembic_works_for_people_who_know_it(database: str) -> None:
    program = Path(sys.executable).with_name("alembic")
    for argv in (["upgrade", "head"], ["downgrade", "-1"], ["upgrade", "+1"]):
        ended = subprocess.run(
            [program, "-n", "audit", "-x", f"dsn={database}", *argv], cwd=FOLDER, capture_output=True, text=True
        )
        assert ended.returncode == 0, ended.stderr
    assert difference(expected("audit"), catalog_of(database)) == {}


def test_bare_alembic_says_where_it_gets_its_connection_from(database: str) -> None:
    del database
    program = Path(sys.executable).with_name("alembic")
    ended = subprocess.run([program, "-n", "audit", "upgrade", "head"], cwd=FOLDER, capture_output=True, text=True)
    assert ended.returncode != 0
    told = ended.stdout + ended.stderr
    assert "DBOPS_CONFIG" in told
    assert "Traceback" not in told


def test_a_revision_that_fails_leaves_nothing_of_itself(database: str) -> None:
    upgrade(database, "audit", "2026_11_20_0100")
    with rows(database) as connection:
        connection.execute("CREATE TABLE compliance_reports (id int)")
    before = catalog_of(database)
    upgrade(database, "audit", "2026_11_20_0200")
    with pytest.raises(Exception, match="already exists"):
        upgrade(database, "audit")
    downgrade(database, "audit", "2026_11_20_0100")
    assert catalog_of(database) == before
