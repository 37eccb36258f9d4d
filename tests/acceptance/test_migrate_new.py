"""`dbops migrate new`, through the installed program: what is written runs up, down, and as a script for psql."""

import json
import shutil
import subprocess
from collections.abc import Generator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from conftest import Dbops
from dbops.operations.migrate import catalog

import changing

_BODY = """
def upgrade() -> None:
    op.execute("CREATE TYPE state AS ENUM ('queued', 'done')")
    op.execute('''CREATE TABLE users (id int PRIMARY KEY, name text NOT NULL DEFAULT 'it''s nobody', age varchar(3),
        email text, label text, first text, last text, state state NOT NULL DEFAULT 'queued')''')


def downgrade() -> None:
    op.execute("DROP TABLE users")
    op.execute("DROP TYPE state")
"""
RENAME = ("rename-column", "--table", "users", "--column", "name", "--to", "full_name")
WHY = ("--change", "users-full-name", "--impact", "both names work until the old one goes")


@pytest.fixture
def live(server: str, folder: Path) -> Generator[changing.Example]:
    with changing.example(server, folder) as example:
        example.revision(1, _BODY)
        yield example


def new(dbops: Dbops, live: changing.Example, *words: str) -> tuple[int, dict[str, Any]]:
    done = dbops("migrate", "new", *words, "-t", changing.TARGET, "--config", live.toml, "--output", "json")
    envelope = json.loads(done.stdout)
    assert envelope["exit_code"] == done.returncode
    return done.returncode, envelope


KINDS = (
    RENAME,
    ("add-column", "--table", "users", "--column", "locale", "--type", "text", "--default", "'en'", "--not-null"),
    ("add-column", "--table", "users", "--column", "token", "--type", "uuid", "--default", "gen_random_uuid()"),
    ("not-null", "--table", "users", "--column", "email", "--fill", "'none-' || r.id"),
    ("type", "--table", "users", "--column", "age", "--type", "int"),
    ("split-columns", "--table", "users", "--column", "label", "--to", "one", "--to", "two", "--to", "three"),
    ("merge-columns", "--table", "users", "--column", "first", "--column", "last", "--to", "whole"),
    ("enum-values", "--table", "users", "--column", "state", "--to", "state_v2", "--type", "text",
     "--value", "queued=waiting"),
)  # fmt: skip


def test_each_kind_of_column_change_runs_up_and_down(live: changing.Example, dbops: Dbops) -> None:
    up = ("migrate", "up", "--yes", "--config", live.toml)
    assert dbops(*up).returncode == 0
    live.execute("INSERT INTO users (id, age) VALUES (1, '7')")
    before = snapshot(live)
    told: dict[str, Any] = {}
    for number, words in enumerate(KINDS):
        code, told = new(dbops, live, *words, "--change", f"change-{number}", "--impact", "none")
        assert code == 0, told
    assert told["next_actions"] == [f"dbops migrate up --target example --config {live.toml} --plan"]
    done = dbops(*up)
    assert done.returncode == 0, done.stderr
    live.execute(
        "INSERT INTO users (id) VALUES (2); UPDATE users SET full_name = 'x', age = '8', one = 'a', two = 'b',"
        " whole = 'c d', state_v2 = 'done'",
        dsn=live.app,
    )
    again = dbops(*up)
    assert (again.returncode, "nothing to do" in again.stdout) == (0, True), again.stderr
    down = dbops("migrate", "down", "-t", "example", "--to", "2026_01_01_0001", "--yes", "--config", live.toml)
    assert down.returncode == 0, down.stderr
    assert snapshot(live) == before
    rows = live.execute("SELECT id, name, age, email, label, first, last, state::text FROM users ORDER BY id")
    assert rows == [(n, "x", "8", f"none-{n}", "a b", "c", "d", "done") for n in (1, 2)]


def test_the_script_for_psql_takes_over_the_default_that_it_finds(live: changing.Example, dbops: Dbops) -> None:
    up = ("migrate", "up", "--yes", "--config", live.toml)
    assert dbops(*up).returncode == 0
    assert new(dbops, live, *RENAME, *WHY)[0] == 0
    script = dbops("migrate", "sql", "-t", "example", "--from", "2026_01_01_0001", "--config", live.toml)
    assert script.returncode == 0, script.stderr
    psql(live, script.stdout)
    by_script = snapshot(live)
    assert live.execute("INSERT INTO users (id) VALUES (1) RETURNING name, full_name") == [("it's nobody",) * 2]
    down = dbops("migrate", "down", "-t", "example", "--to", "2026_01_01_0001", "--yes", "--config", live.toml)
    assert down.returncode == 0, down.stderr
    assert dbops(*up).returncode == 0
    assert snapshot(live) == by_script


def test_the_plan_shows_the_file_and_writes_none(live: changing.Example, dbops: Dbops) -> None:
    live.execute("CREATE TABLE users (name text)")
    shown = dbops("migrate", "new", *RENAME, *WHY, "-t", changing.TARGET, "--config", live.toml, "--plan")
    assert shown.returncode == 0
    assert 'change = "users-full-name"\n' in shown.stdout
    assert "def upgrade() -> None:\n    changes.expand(change, shape)\n" in shown.stdout
    assert len(list(live.history.glob("*.py"))) == 1


def test_a_change_without_its_impact_is_refused(live: changing.Example, dbops: Dbops) -> None:
    code, told = new(dbops, live, *RENAME, *WHY[:2])
    assert (code, told["findings"][0]["message"]) == (2, "rename-column needs --impact")


def test_the_kinds_are_listed(dbops: Dbops) -> None:
    listed = dbops("migrate", "new", "--output", "json")
    kinds = {one["kind"]: one for one in json.loads(listed.stdout)["data"]["kinds"]}
    assert {words[0] for words in KINDS} <= set(kinds)
    assert kinds["rename-column"]["needs"] == ["--table", "--column", "--to"]


def snapshot(live: changing.Example) -> dict[str, str]:
    with psycopg.connect(live.owner, autocommit=True) as connection:
        found = dict(catalog.observe(connection))
        return {name: text for name, text in found.items() if "alembic_version" not in name}


def psql(live: changing.Example, script: str) -> None:
    told = conninfo_to_dict(live.owner)
    program = shutil.which("psql")
    assert program is not None
    done = subprocess.run(
        [program, "-X", "-q", "-v", "ON_ERROR_STOP=1"],
        input=script,
        text=True,
        capture_output=True,
        check=False,
        env={
            "PGHOST": str(told["host"]),
            "PGPORT": str(told["port"]),
            "PGUSER": str(told["user"]),
            "PGPASSWORD": str(told["password"]),
            "PGDATABASE": str(told["dbname"]),
        },
    )
    assert done.returncode == 0, done.stderr
