"""`dbops roles`, through the installed program, on a whole platform."""

import json
from collections.abc import Callable, Generator
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from dbops.config.load import load
from dbops.engine import run as runs
from dbops.sandbox.environment import environment
from dbops.sandbox.facts import DATABASES
from dbops.stores import postgres

Dbops = Callable[..., CompletedProcess[str]]


def data(done: CompletedProcess[str]) -> dict[str, Any]:
    return json.loads(done.stdout)["data"]


@pytest.fixture
def config(dbops: Dbops, platform: Path) -> Path:
    """The platform's configuration; its roles are as declared."""
    done = dbops("roles", "apply", "--yes", "--config", platform / "dbops.toml")
    assert done.returncode == 0, done.stderr
    return platform / "dbops.toml"


@pytest.fixture
def drift(config: Path, platform: Path) -> Generator[str]:
    """Somebody has let everybody into the database of validation: its target."""
    admin = make_conninfo(environment(platform)["DBOPS_SANDBOX_POSTGRES"], dbname=DATABASES["validation"])
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute("GRANT CONNECT ON DATABASE validation_db TO PUBLIC")
        yield "validation"
        connection.execute("REVOKE CONNECT ON DATABASE validation_db FROM PUBLIC")


def test_what_is_as_declared_has_an_empty_plan_for_every_target(dbops: Dbops, config: Path) -> None:
    done = dbops("roles", "plan", "--config", config, "--output", "json")
    assert done.returncode == 0
    assert [plan["target"] for plan in data(done)["plans"]] == ["main", *DATABASES]
    assert data(done)["steps"] == []
    assert dbops("roles", "check", "--config", config).returncode == 0


def test_plan_is_the_same_as_apply_with_plan(dbops: Dbops, config: Path, drift: str) -> None:
    asked = ("--config", config, "--output", "json", "--target", drift)
    plan, apply = dbops("roles", "plan", *asked), dbops("roles", "apply", "--plan", *asked)
    assert (plan.returncode, apply.returncode) == (0, 0)
    assert data(plan) == data(apply)
    assert [step["risk"] for step in data(plan)["steps"]] == ["blocks"]
    assert "REVOKE" in data(plan)["steps"][0]["sql"][0]


def test_a_revoke_needs_yes_where_nobody_can_be_asked(dbops: Dbops, config: Path, drift: str) -> None:
    refused = dbops("roles", "apply", "--config", config, "--target", drift, "--output", "json")
    assert refused.returncode == 7
    assert json.loads(refused.stdout)["findings"][0]["target"] == drift
    assert dbops("roles", "check", "--config", config, "--target", drift).returncode in {3, 4}
    agreed = dbops("roles", "apply", "--config", config, "--target", drift, "--yes", "--output", "json")
    assert agreed.returncode == 0
    assert [plan["outcome"] for plan in data(agreed)["plans"]] == ["done"]
    assert dbops("roles", "check", "--config", config, "--target", drift).returncode == 0


def test_only_the_expected_plan_is_run(dbops: Dbops, config: Path, drift: str) -> None:
    asked = ("--config", config, "--target", drift, "--yes", "--output", "json")
    sha = data(dbops("roles", "plan", "--config", config, "--target", drift, "--output", "json"))["plans"][0]["sha"]
    assert dbops("roles", "apply", *asked, "--expect-plan", "0" * 64).returncode == 9
    assert dbops("roles", "apply", *asked, "--expect-plan", sha).returncode == 0


def test_many_databases_at_a_time_end_as_one_by_one(dbops: Dbops, config: Path, platform: Path) -> None:
    admin = environment(platform)["DBOPS_SANDBOX_POSTGRES"]
    with psycopg.connect(admin, autocommit=True) as connection:
        for database in DATABASES.values():
            connection.execute(sql.SQL("GRANT CONNECT ON DATABASE {} TO PUBLIC").format(sql.Identifier(database)))
    done = dbops("roles", "apply", "--yes", "--jobs", "4", "--config", config, "--output", "json")
    assert done.returncode == 0, done.stderr
    assert [plan["target"] for plan in data(done)["plans"]] == ["main", *DATABASES]
    assert len(data(done)["steps"]) == len(DATABASES)
    assert dbops("roles", "check", "--config", config).returncode == 0


def test_a_lock_that_is_held_is_11_and_can_be_skipped(dbops: Dbops, config: Path, drift: str, folder: Path) -> None:
    loaded = load(config)
    mine = runs.new("a test", folder / "state")
    asked = ("--config", config, "--target", drift, "--yes")
    cluster = loaded.config.cluster["main"]
    held = postgres.only_run(cluster, mine, target=drift, subject="roles", dbname=DATABASES[drift])
    with held:
        busy = dbops("roles", "apply", *asked)
        assert busy.returncode == 11
        assert mine.id in busy.stderr
        assert dbops("roles", "apply", *asked, "--lock-wait", "300ms").returncode == 11
        assert dbops("roles", "apply", *asked, "--skip-if-running").returncode == 0
        assert dbops("roles", "plan", "--config", config, "--target", drift).returncode == 0, "a plan takes no lock"
    assert dbops("roles", "apply", *asked).returncode == 0


def test_the_journal_tells_what_was_done(dbops: Dbops, config: Path, drift: str) -> None:
    done = dbops("roles", "apply", "--config", config, "--target", drift, "--yes", "--output", "json")
    run_id = json.loads(done.stdout)["run_id"]
    shown = dbops("journal", "show", run_id, "--config", config, "--output", "json")
    assert shown.returncode == 0
    records = data(shown)["journals"][0]["records"]
    assert [record["event"] for record in records] == ["begin", "plan", "start", "done", "end"]
    assert "REVOKE" in json.dumps(records[1])


def test_unknown_targets_are_wrong_usage(dbops: Dbops, config: Path) -> None:
    done = dbops("roles", "plan", "--config", config, "--target", "cache")
    assert done.returncode == 2
    assert "agent_studio" in done.stderr


def test_a_short_list_of_journals_begins_with_the_very_last(dbops: Dbops, config: Path) -> None:
    listed = dbops("journal", "list", "--limit", "500", "--config", config, "--output", "json")
    began = [one["began"] for one in data(listed)["journals"]]
    assert began == sorted(began, reverse=True)
    for limit in range(1, 8):
        short = dbops("journal", "list", "--limit", str(limit), "--config", config, "--output", "json")
        assert data(short)["journals"] == data(listed)["journals"][:limit]
