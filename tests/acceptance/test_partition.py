"""`dbops partition`, through the installed program, on a whole platform with its schemas."""

import json
import shutil
from collections.abc import Callable, Generator
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from dbops.sandbox.environment import environment
from dbops.sandbox.facts import DATABASES

Dbops = Callable[..., CompletedProcess[str]]
TABLES = {"policycortex": "cost_data", "agent_studio": "audit_logs", "audit": "audit_events"}


def data(done: CompletedProcess[str]) -> dict[str, Any]:
    return json.loads(done.stdout)["data"]


@pytest.fixture
def platform(schemas: Path) -> Path:
    return schemas


@pytest.fixture
def config(dbops: Dbops, platform: Path) -> Generator[Path]:
    """The platform, its three partitioned tables as the histories make them: without a partition."""
    toml = platform / "dbops.toml"
    kept = toml.with_suffix(".kept")
    shutil.copy(toml, kept)
    done = dbops("migrate", "up", "--config", toml, *(f"--target={target}" for target in TABLES))
    assert done.returncode == 0, done.stderr
    done = dbops("roles", "apply", "--yes", "--config", toml)
    assert done.returncode == 0, done.stderr
    for target, table in TABLES.items():
        with admin(platform, target) as connection:
            for (name,) in connection.execute(
                "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = to_regclass(%s)", (table,)
            ).fetchall():
                connection.execute(f"DROP TABLE {name}".encode())
    yield toml
    shutil.move(kept, toml)


def admin(platform: Path, target: str) -> psycopg.Connection[Any]:
    dsn = make_conninfo(environment(platform)["DBOPS_SANDBOX_POSTGRES"], dbname=DATABASES[target])
    return psycopg.connect(dsn, autocommit=True)


def test_a_platform_gets_its_partitions_and_roles_find_nothing_to_add(
    dbops: Dbops, config: Path, platform: Path
) -> None:
    asked = ("--config", config, "--output", "json")
    before = dbops("partition", "check", *asked)
    assert before.returncode == 6
    assert [one["code"] for one in json.loads(before.stdout)["findings"]] == ["DBP101"] * 3
    plan = data(dbops("partition", "ensure", "--plan", *asked))
    assert [step["target"] for step in plan["steps"]] == [target for target in TABLES for _ in range(5)]
    assert "SHARE ROW EXCLUSIVE on users, workspaces" in "\n".join(plan["steps"][5]["notes"])
    done = dbops("partition", "ensure", "--yes", *asked)
    assert done.returncode == 0, done.stderr
    assert {one["outcome"] for one in data(done)["plans"]} == {"done"}
    assert dbops("partition", "check", *asked).returncode == 0
    assert data(dbops("partition", "ensure", "--yes", *asked))["steps"] == []
    assert data(dbops("roles", "plan", *asked))["steps"] == []
    listed = data(dbops("partition", "list", "--exact", *asked))["databases"]
    tables = {one["target"]: one["tables"] for one in listed if one["tables"]}
    assert {target: [len(table["parts"]) for table in found] for target, found in tables.items()} == {
        target: [4] for target in TABLES
    }
    assert tables["agent_studio"][0]["runway_s"] > 80 * 86_400
    with admin(platform, "audit") as connection:
        assert connection.execute("SELECT count(*) FROM dbops.entries WHERE kind = 'partition-created'").fetchone()


def test_partitions_that_block_need_yes_and_those_that_do_not_need_nothing(dbops: Dbops, config: Path) -> None:
    asked = ("partition", "ensure", "--config", config, "--output", "json")
    refused = dbops(*asked, "--target", "agent_studio")
    assert refused.returncode == 7  # its foreign keys let writers of users and workspaces wait
    assert dbops(*asked, "--target", "audit").returncode == 0


def test_nagios_is_told_in_one_line_and_its_own_codes(dbops: Dbops, config: Path) -> None:
    asked = ("partition", "check", "--nagios", "--config", config)
    missing = dbops(*asked)
    assert missing.returncode == 2
    assert missing.stdout.startswith("PARTITIONS CRITICAL - policycortex: cost_data has no partition for now")
    assert dbops("partition", "ensure", "--yes", "--config", config).returncode == 0
    good = dbops(*asked)
    assert (good.returncode, len(good.stdout.splitlines())) == (0, 1)
    assert "'audit.audit_events'=" in good.stdout
    (config.parent / "nowhere.toml").write_text(
        config.read_text().replace("dbname=audit_db", "dbname=nowhere"),
    )
    unknown = dbops("partition", "check", "--nagios", "--config", config.parent / "nowhere.toml", "--target", "audit")
    assert unknown.returncode == 3


def test_a_default_partition_is_reported_and_dropped_when_it_is_empty(
    dbops: Dbops, config: Path, platform: Path
) -> None:
    with admin(platform, "policycortex") as connection:
        connection.execute("CREATE TABLE cost_data_default PARTITION OF cost_data DEFAULT")
        connection.execute("ALTER TABLE cost_data_default OWNER TO policycortex_owner")
    drop = ("partition", "default", "drop", "cost_data", "--config", config)
    reported = dbops("partition", "default", "--config", config, "--output", "json")
    assert "DBP106" in {one["code"] for one in json.loads(reported.stdout)["findings"]}
    assert dbops(*drop).returncode == 7
    assert dbops(*drop, "--yes").returncode == 0
    assert dbops(*drop, "--yes").returncode == 0
    assert dbops("partition", "default", "drop", "nothing", "--config", config).returncode == 2
    assert dbops("partition", "default", "what", "--config", config).returncode == 2


def test_map_and_runway_are_shown_on_a_terminal(dbops: Dbops, config: Path) -> None:
    assert dbops("partition", "ensure", "--yes", "--config", config).returncode == 0
    shown = dbops("partition", "list", "--config", config, "--target", "agent_studio").stdout
    assert "runway" in shown
    assert "||||" in shown
    assert "forced" in shown
