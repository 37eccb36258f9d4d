"""The worked changes of target `example`, by the installed program: nothing that the documents lose is lost here."""

import shutil
from collections.abc import Generator
from pathlib import Path

import pytest

from conftest import Dbops
from dbops.errors import ExitCode

import changing
from migrating import FOLDER, catalog_of

_ROWS = """
INSERT INTO users (user_id, email, display_name)
SELECT md5(n::text)::uuid, CASE WHEN n % 5 > 0 THEN n || '@example.com' END, 'person ' || n
  FROM generate_series(1, 40) n;
INSERT INTO workspaces (workspace_id, name, slug, owner_id, created_at)
SELECT md5('w' || n)::uuid, 'space ' || n, 'space-' || n, md5(n::text)::uuid, '2023-01-01'::date + n * 20
  FROM generate_series(1, 40) n;
INSERT INTO workspace_members (workspace_id, user_id)
SELECT workspace_id, owner_id FROM workspaces
"""


@pytest.fixture
def live(server: str, folder: Path) -> Generator[changing.Example]:
    with changing.example(server, folder) as example:
        shutil.copytree(FOLDER / "postgres" / "example", example.history, dirs_exist_ok=True)
        yield example


def test_the_worked_changes_carry_every_row_over(live: changing.Example, dbops: Dbops) -> None:
    def run(*words: str) -> str:
        ended = dbops("migrate", *words, "--yes", "--config", live.toml)
        assert ended.returncode in (ExitCode.OK, ExitCode.WARNINGS), (words, ended.stdout, ended.stderr)
        return ended.stdout

    run("up", "-t", "example", "--to", "2026_11_21_0100")
    live.execute(_ROWS)
    run("up")
    live.execute("INSERT INTO users (user_id, display_name) VALUES (md5('old client')::uuid, 'old client')")
    live.execute("UPDATE workspaces SET tier = 'pro' WHERE slug = 'space-7'")
    before = live.execute("SELECT * FROM workspaces ORDER BY 1")
    for change in ("users-email-verified", "workspaces-v2"):
        run("backfill", change, "-t", "example")
        run("verify", change, "-t", "example")
    rows = live.execute("SELECT email IS NOT NULL, email_verified, count(*) FROM users GROUP BY 1, 2 ORDER BY 1")
    assert rows == [(False, False, 9), (True, True, 32)]
    assert live.execute("SELECT * FROM workspaces_v2 ORDER BY 1") == before
    (old,) = live.execute("SELECT 'workspaces'::regclass::oid")
    run("switch", "workspaces-v2", "-t", "example")
    assert live.execute("SELECT 'workspaces_v2'::regclass::oid") == [old]
    assert live.execute("SELECT * FROM workspaces ORDER BY 1") == before
    live.execute("INSERT INTO workspace_members (workspace_id, user_id) SELECT md5('w1')::uuid, md5('9')::uuid")
    assert live.execute("SELECT count(*) FROM workspace_owners") == [(40,)]


def test_the_history_goes_down_and_up_again(live: changing.Example, dbops: Dbops) -> None:
    up = ("migrate", "up", "--yes", "--config", live.toml)
    assert dbops(*up).returncode == 0
    before = catalog_of(live.admin)
    ended = dbops("migrate", "down", "-t", "example", "--to", "base", "--yes", "--config", live.toml)
    assert ended.returncode == 0, ended.stderr
    assert dbops(*up).returncode == 0
    assert catalog_of(live.admin) == before
