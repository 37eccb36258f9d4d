"""A rename from `new` to the switch and all the way back, through the installed program, with its users beside it."""

import json
import random
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest

from conftest import Dbops

import changing
import loading

CHANGE = "users-full-name"
ROWS = 3000
_TABLE = """def upgrade() -> None:
    op.execute("CREATE TABLE users (id int PRIMARY KEY, name text NOT NULL DEFAULT 'nobody')")


def downgrade() -> None:
    op.execute("DROP TABLE users")
"""
_READ = """SELECT CASE WHEN dbops.read_new('users-full-name', id::text) THEN full_name ELSE name END
    FROM users WHERE id = %s"""
Ask = Callable[..., dict[str, Any]]


@pytest.fixture
def live(server: str, folder: Path) -> Generator[changing.Example]:
    with changing.example(server, folder) as example:
        example.revision(1, _TABLE)
        yield example


@pytest.fixture
def ask(live: changing.Example, dbops: Dbops) -> Ask:
    def run(*words: str, code: int = 0) -> dict[str, Any]:
        ended = dbops("migrate", *words, "-t", changing.TARGET, "--config", live.toml, "-o", "json")
        assert ended.returncode == code, (words, ended.stdout, ended.stderr)
        return json.loads(ended.stdout)

    return run


def somebody(chance: random.Random) -> tuple[int]:
    return (chance.randint(1, ROWS),)


def renamed(chance: random.Random) -> tuple[str, int]:
    return (f"name {chance.random()}", *somebody(chance))


def clients() -> tuple[loading.Client, ...]:
    """Old clients that know `name` alone, new ones that write `full_name`, and readers who ask which to read."""
    return (
        loading.Client("old", (loading.Ask("UPDATE users SET name = %s WHERE id = %s", renamed),), 0.01),
        loading.Client("new", (loading.Ask("UPDATE users SET full_name = %s WHERE id = %s", renamed),), 0.01),
        loading.Client("reader", (loading.Ask(_READ, somebody),), 0.01),
    )


def test_a_rename_is_switched_by_and_by_and_taken_all_the_way_back(live: changing.Example, ask: Ask) -> None:
    ask("up", "--yes")
    live.execute(f"INSERT INTO users SELECT n, 'name ' || n FROM generate_series(1, {ROWS}) n")
    impact = "users have a full name"
    kind = ("rename-column", "--table", "public.users", "--column", "name", "--to", "full_name")
    ask("new", *kind, "--change", CHANGE, "--impact", impact, "--revision", "2026_01_01_0002")
    ask("up", "--yes")
    with loading.under_load(live.app, clients()) as load:
        ask("switch", CHANGE, "--percent", "10", code=9)
        ask("backfill", CHANGE)
        told = ask("verify", CHANGE)
        assert [(one["way"], one["differ"], one["unreadable"]) for one in told["data"]["comparisons"]] == [
            ("forward", 0, 0),
            ("back", 0, 0),
        ]
        assert all(one["rows"] == ROWS for one in told["data"]["comparisons"])
        assert "--percent 10 " in told["next_actions"][0]
        for percent in ("10", "50"):
            ask("switch", CHANGE, "--percent", percent)
            load.more(5)
        told = ask("switch", CHANGE, "--percent", "100", code=3)
        assert [one["code"] for one in told["findings"]] == ["DBM411"], "this server counts no statements"
        load.more(5)
        again = ask("verify", CHANGE)
        assert again["data"]["comparisons"][0]["differ"] == 0
        assert again["next_actions"][0].startswith(f"dbops migrate contract {CHANGE} "), "no reader is led back"
        told = ask("rollback", CHANGE)
        assert [step["id"] for step in told["data"]["steps"]] == ["lead back", "verify"]
        load.more(5)
    assert load.failed == 0, load.failures
    live.execute("INSERT INTO users (id, full_name) VALUES (10001, 'a new client')", dsn=live.app)
    written = live.execute("SELECT id, full_name FROM users ORDER BY id")
    ask("rollback", CHANGE, code=7)
    ask("rollback", CHANGE, "--yes")
    assert live.execute("SELECT * FROM users ORDER BY id") == written, "what new clients wrote is in the old"
    live.execute("INSERT INTO users (id) VALUES (10002)", dsn=live.app)
    assert live.execute("SELECT name FROM users WHERE id = 10002") == [("nobody",)]


def test_the_command_line_tells_what_is_missing(live: changing.Example, ask: Ask) -> None:
    assert "known are: none" in ask("verify", "no-such-change", code=2)["findings"][0]["message"]
    told = ask("switch", CHANGE, "--override", "reverse", code=2)
    assert told["findings"][0]["message"] == "--override needs --reason"
