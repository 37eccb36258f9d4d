"""The replacement of a table through the installed program: workspaces of agent_studio, with all that hangs on it."""

import shutil
from collections.abc import Generator
from pathlib import Path

import psycopg
import pytest

from conftest import Dbops
from dbops.operations.migrate import catalog

import changing
import contracting
from contracting import ask, through

CHANGE = "workspaces-v2"
UNLOOKED = through("soak", "statements", "clients", "backup", "rehearsal")
_HISTORY = Path(__file__).parents[2] / "migrations" / "postgres" / "agent_studio"
_OLD_ONES = """
    INSERT INTO users (email, display_name, azure_ad_oid) SELECT 'u' || n || '@example.org', 'u', gen_random_uuid()
      FROM generate_series(1, 3) n;
    INSERT INTO workspaces (name, slug, owner_id, created_at)
    SELECT 'w' || n, 'w-' || n, (SELECT user_id FROM users LIMIT 1), '2024-12-01'::timestamptz + n * interval '1 day'
      FROM generate_series(1, 60) n;
    INSERT INTO workspace_members (workspace_id, user_id) SELECT workspace_id, (SELECT user_id FROM users LIMIT 1)
      FROM workspaces"""


@pytest.fixture
def live(server: str, folder: Path) -> Generator[changing.Example]:
    with changing.example(server, folder) as example:
        for file in _HISTORY.glob("*.py"):
            shutil.copy(file, example.history)
        yield example


def objects(live: changing.Example) -> dict[str, str]:
    """What is there, but for the names that the change itself gave."""
    with live.connect() as connection:
        found = catalog.observe(connection, comments=True)
    return {
        name: what.replace("workspaces workspaces", "workspaces")
        for name, what in found.items()
        if "workspaces_v2" not in name and "~dbops" not in name
    }


def test_workspaces_are_replaced_from_new_to_contract(dbops: Dbops, live: changing.Example) -> None:
    ask(dbops, live, "up", "--yes")
    with psycopg.connect(live.admin, autocommit=True) as admin:
        admin.execute(_OLD_ONES)
        admin.execute("REFRESH MATERIALIZED VIEW workspace_stats")
    before = objects(live)
    about = ("--change", CHANGE, "--impact", "none: both tables have the same columns")
    ask(dbops, live, "new", "replace-table", "--table", "public.workspaces", "--to", "workspaces_v2", *about)
    ask(dbops, live, "up", "--yes")
    contracting.git(live, "init", "-q")
    ask(dbops, live, "backfill", CHANGE)
    live.execute("UPDATE workspaces SET name = 'written by an old client' WHERE slug = 'w-7'")
    live.execute("UPDATE workspaces_v2 SET description = 'written by a new client' WHERE slug = 'w-8'")
    ask(dbops, live, "verify", CHANGE)
    ask(dbops, live, "switch", CHANGE, "--percent", "100", "--yes", code=3)  # nobody counts statements here
    assert objects(live) == before
    seen = "SELECT count(*) FILTER (WHERE created_at < '2025-01-01'), max(name), max(description) FROM workspaces"
    assert live.execute(seen) == [(30, "written by an old client", "written by a new client")]
    ask(dbops, live, "verify", CHANGE)
    ask(dbops, live, "rollback", CHANGE, "--yes")
    assert objects(live) == before
    ask(dbops, live, "switch", CHANGE, "--percent", "100", "--yes", code=3)  # nobody counts statements here
    ask(dbops, live, "verify", CHANGE)
    ask(dbops, live, "contract", CHANGE, "--write", *UNLOOKED)
    contracting.git(live, "add", "migrations")
    contracting.git(live, "commit", "-q", "-m", "Contract")
    ask(dbops, live, "contract", CHANGE, *UNLOOKED, "--yes")
    assert objects(live) == before
    assert live.execute(seen) == [(30, "written by an old client", "written by a new client")]
    live.execute("DELETE FROM workspaces WHERE slug = 'w-1'")
    assert live.execute("SELECT count(*) FROM workspace_members") == [(59,)]
    assert live.execute("SELECT to_regclass('workspaces_v2')") == [(None,)]
    ask(dbops, live, "contract", CHANGE, "--write")
    contracting.git(live, "add", "migrations")
    contracting.git(live, "commit", "-q", "-m", "Remove")
    refused = str(ask(dbops, live, "up", "--yes", "--confirm", changing.TARGET, code=9))
    assert "kept for 14 days" in refused
    expand = next(path.name for path in live.history.glob("*workspaces_v2.py") if "contract" not in path.name)
    ask(dbops, live, "down", "--to", expand[:15], "--yes")
    assert live.execute("SELECT count(*) FROM workspaces_v2") == [(59,)]
    ask(dbops, live, "verify", CHANGE)
    shown = dbops("migrate", "history", "--target", changing.TARGET, "--config", live.toml).stdout
    assert [line.strip() for line in shown.splitlines()].count("switch: never rehearsed before") == 1
