"""`dbops sandbox seed` as an operator meets it: refused, planned, done, nothing left; and its references hold."""

import json
import subprocess
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest
from psycopg import sql

from dbops.errors import ExitCode
from dbops.sandbox.seed.databases import TABLES
from dbops.sandbox.seed.documents import CONTAINERS, counts
from dbops.sandbox.seed.entries import KNOWLEDGE, MEMORY
from dbops.sandbox.seed.keys import keys as made

import seeding

Dbops = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def box(folder: Path, dbops: Dbops) -> Generator[Path]:
    """The folder of a sandbox without schemas."""
    place = folder / "sandbox"
    done(dbops("sandbox", "up", "--fast", "--dir", place))
    yield place
    done(dbops("sandbox", "down", "--purge", "--yes", "--dir", place))


def done(ended: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)["data"] if ended.stdout.startswith("{") else {}


def test_a_sandbox_is_seeded_once_with_references_that_hold(dbops: Dbops, box: Path) -> None:
    seed = ("sandbox", "seed", "--dir", box)
    early = dbops(*seed)
    assert early.returncode == ExitCode.REFUSED
    assert "dbops migrate up --target" in early.stderr
    done(dbops("migrate", "up", "--config", box / "dbops.toml", "--yes"))

    planned = done(dbops(*seed, "--plan", "--output", "json"))
    before = dbops(*seed, "--plan", "--output", "json", "-t", "audit")
    _refuses_what_is_not_its_own(dbops, box)
    told = done(dbops(*seed, "--output", "json"))
    assert [step["id"] for step in told["steps"]] == [step["id"] for step in planned["steps"]]
    assert any("CREATE TABLE" in text for step in done(before)["steps"] for text in step["sql"])

    again = done(dbops(*seed, "--output", "json"))
    assert {step["target"] for step in again["steps"]} <= {"cache"}  # what lives a minute may be gone by now
    other = dbops(*seed, "--size", "medium", "-t", "audit", "-t", "workflows")
    assert other.returncode == ExitCode.REFUSED
    assert "holds another seed: small until" in other.stderr
    assert dbops(*seed, "--until", "2027-01-01", "-t", "search").returncode == ExitCode.REFUSED

    _every_row_that_was_promised_is_there(box)
    _partitions_are_whole_months_and_secured(box)
    _references_hold_across_the_stores(box)
    _the_cache_holds_what_the_rows_say(box)
    _encrypted_addresses_can_be_read_with_the_key(box)
    _triggers_are_on_again(box)


def _refuses_what_is_not_its_own(dbops: Dbops, box: Path) -> None:
    with seeding.database(box, "workflow") as connection:
        connection.execute("INSERT INTO workflow_agent_cache VALUES (gen_random_uuid(), 'mine', now())")
        ended = dbops("sandbox", "seed", "--dir", box, "-t", "workflow")
        assert ended.returncode == ExitCode.REFUSED
        assert "workflow_agent_cache holds something already" in ended.stderr
        assert connection.execute("SELECT count(*) FROM workflows").fetchone() == (0,)
        connection.execute("DELETE FROM workflow_agent_cache")


def _every_row_that_was_promised_is_there(box: Path) -> None:
    for target, tables in TABLES.items():
        with seeding.database(box, target) as connection:
            for table in tables(seeding.KNOWN):
                count = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table.name))
                assert connection.execute(count).fetchone() == (table.rows,), f"{target}.{table.name}"
    for name in CONTAINERS:
        assert len(seeding.documents(box, name)) == counts(seeding.KNOWN)[name]


def _partitions_are_whole_months_and_secured(box: Path) -> None:
    query = """SELECT c.relname, pg_get_expr(c.relpartbound, c.oid), c.relrowsecurity
                 FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
                WHERE i.inhparent = to_regclass(%s) ORDER BY 1"""
    with seeding.database(box, "agent_studio") as connection:
        found = connection.execute(query, ("public.audit_logs",)).fetchall()
        assert len(found) == 14
        assert {secured for *_, secured in found} == {True}
        name, bounds, _ = found[0]
        assert name == "audit_logs_2025_09"
        assert "2025-09-01 00:00:00+00" in bounds
        assert "2025-10-01 00:00:00+00" in bounds
    with seeding.database(box, "policycortex") as connection:
        assert len(connection.execute(query, ("public.cost_data",)).fetchall()) == 24


def _ids(box: Path, target: str, query: str) -> set[str]:
    with seeding.database(box, target) as connection:
        return {str(one) for (one,) in connection.execute(query.encode()).fetchall()}


def _references_hold_across_the_stores(box: Path) -> None:
    agents = _ids(box, "agent_studio", "SELECT agent_id FROM agents")
    users = _ids(box, "agent_studio", "SELECT user_id FROM users")
    workspaces = _ids(box, "agent_studio", "SELECT workspace_id FROM workspaces")
    recent = _ids(box, "agent_studio", "SELECT execution_id FROM workflows")
    executions = _ids(box, "llm_agent", "SELECT id FROM executions")
    workflows = _ids(box, "workflow", "SELECT id FROM workflows")
    files = _ids(box, "file_storage", "SELECT id FROM files")
    assert _ids(box, "llm_agent", "SELECT id FROM agents") == agents
    assert _ids(box, "workflow", "SELECT agent_id FROM workflow_agent_cache") == agents
    assert _ids(box, "policycortex", "SELECT id FROM tenants") == workspaces
    assert _ids(box, "modernize", "SELECT id FROM client_accounts") == workspaces
    for target, query in (
        ("llm_agent", "SELECT created_by FROM agents"),
        ("workflow", "SELECT created_by FROM workflow_instances"),
        ("notification", "SELECT recipient_id FROM notifications"),
        ("file_storage", "SELECT owner_id FROM files"),
        ("audit", "SELECT actor_id FROM audit_events WHERE actor_type = 'user'"),
        ("policycortex", "SELECT id FROM users"),
        ("modernize", "SELECT id FROM users"),
    ):
        assert _ids(box, target, query) <= users, (target, query)
    for target, query in (
        ("workflow", "SELECT id FROM workflow_instances"),
        ("validation", "SELECT source_id FROM validation_results"),
        ("notification", "SELECT metadata ->> 'execution_id' FROM notifications"),
        ("audit", "SELECT resource_id FROM audit_events WHERE resource_type = 'execution'"),
    ):
        assert _ids(box, target, query) <= executions, (target, query)
    assert _ids(box, "audit", "SELECT resource_id FROM audit_events WHERE resource_type = 'file'") <= files
    assert _ids(box, "agent_studio", "SELECT resource_id FROM audit_logs WHERE resource_type = 'agent'") <= agents

    runs = seeding.documents(box, "workflows")
    said = seeding.documents(box, "conversations")
    memories = {one["memoryId"]: one for one in seeding.entries(box, MEMORY)}
    assert {one["id"] for one in runs} == recent
    assert {one["agentId"] for one in runs} <= agents
    assert {one["workflowId"] for one in runs} <= workflows
    assert {one["metadata"]["userId"] for one in runs} <= users
    assert {key for one in runs for key in one["state"]["context"]["memoryIds"]} == set(memories)
    assert {one["payload"]["executionId"] for one in seeding.documents(box, "events")} == recent
    assert {one["workflowExecutionId"] for one in said} <= recent
    sessions = {one["sessionId"] for one in said}
    assert {one["sessionId"] for one in memories.values()} <= sessions
    assert _ids(box, "agent_studio", "SELECT session_id FROM audit_logs") <= sessions
    assert {one["content"] for one in memories.values()} <= {one["content"] for one in said}
    assert {one["agentId"] for one in memories.values()} <= agents
    assert {one["workspaceId"] for one in memories.values()} <= workspaces
    assert {len(one["contentVector"]) for one in memories.values()} == {1536}
    assert {one["sourceUrl"].rpartition("/")[2] for one in seeding.entries(box, KNOWLEDGE)} <= files
    _an_agents_workspace_is_its_documents_partition(box, runs)


def _an_agents_workspace_is_its_documents_partition(box: Path, runs: list[dict[str, Any]]) -> None:
    with seeding.database(box, "agent_studio") as connection:
        told = connection.execute("SELECT agent_id::text, workspace_id::text FROM agents").fetchall()
        rows = connection.execute("SELECT execution_id::text, status FROM workflows").fetchall()
    home = dict(told)
    assert all(home[one["agentId"]] == one["workspaceId"] for one in runs)
    assert {one["id"]: one["status"] for one in runs} == dict(rows)


def _the_cache_holds_what_the_rows_say(box: Path) -> None:
    with seeding.database(box, "agent_studio") as connection:
        runs = connection.execute("SELECT agent_id::text, total_executions FROM agents WHERE total_executions > 0")
        board = dict(runs.fetchall())
    found = seeding.keys(box)
    assert {key: int(score) for key, score in found["leaderboard:agents:executions"]} == board
    lives = {one.name: one.lives_s for one in made(seeding.KNOWN)}
    with seeding.cache(box) as client:
        for name in client.scan_iter(count=1000):
            left, most = client.ttl(name), lives[name.decode()]
            assert left == -2 or (left == -1 if most is None else 0 <= left <= most), name


def _encrypted_addresses_can_be_read_with_the_key(box: Path) -> None:
    with seeding.database(box, "modernize") as connection:
        connection.execute("SELECT set_config('app.encryption_key', 'the key of every sandbox', false)")
        plain = {one for (one,) in connection.execute("SELECT email FROM users_secure").fetchall()}
    assert plain == _ids(box, "agent_studio", "SELECT email FROM users")


def _triggers_are_on_again(box: Path) -> None:
    assert _ids(box, "modernize", "SELECT tgname FROM pg_trigger WHERE tgenabled = 'D'") == set()
    noted = "SELECT table_name FROM audit_log WHERE timestamp > now() - interval '1 day' AND timestamp < now()"
    assert _ids(box, "modernize", noted) == set()


def test_a_seed_that_cannot_be_is_refused_before_anything(dbops: Dbops, folder: Path) -> None:
    nowhere = dbops("sandbox", "seed", "--dir", folder / "none")
    assert nowhere.returncode == ExitCode.REFUSED
    assert "dbops sandbox up" in nowhere.stderr
    assert dbops("sandbox", "seed", "--until", "yesterday", "--dir", folder).returncode == ExitCode.USAGE
    assert dbops("sandbox", "seed", "--size", "huge", "--dir", folder).returncode == ExitCode.USAGE
    assert not (folder / "none").exists()


def test_a_target_that_is_none_or_stands_still_is_named(dbops: Dbops, box: Path) -> None:
    unknown = dbops("sandbox", "seed", "--dir", box, "-t", "sales")
    assert unknown.returncode == ExitCode.USAGE
    assert "policycortex" in unknown.stderr
    done(dbops("sandbox", "down", "--dir", box))
    stopped = dbops("sandbox", "seed", "--dir", box, "-t", "cache")
    assert stopped.returncode == ExitCode.REFUSED
    assert "cache does not run" in stopped.stderr
    assert "dbops sandbox up" in stopped.stderr
