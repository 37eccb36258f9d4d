"""Column changes through the installed program, from new to contract, beside an application that never stops."""

from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from conftest import Dbops

import changing
import contracting
from contracting import ask, through
from loading import Ask, Client, under_load

ROWS = 3000
UNLOOKED = through("soak", "statements", "clients", "backup", "rehearsal")
_MAKE = """
def upgrade() -> None:
    op.execute(\"\"\"CREATE TABLE users (id int PRIMARY KEY, name text NOT NULL DEFAULT 'no name', age varchar(3),
        email text, visits int NOT NULL DEFAULT 0, code text NOT NULL DEFAULT gen_random_uuid() UNIQUE,
        CHECK (code <> ''))\"\"\")
    op.execute("CREATE INDEX users_code_lower ON users (lower(code)) WHERE visits = 0")
    op.execute("CREATE TABLE badges (id int PRIMARY KEY, code text REFERENCES users (code))")


def downgrade() -> None:
    op.execute("DROP TABLE badges, users")
"""
_BADGES = "INSERT INTO badges SELECT id, code FROM users WHERE id % 10 = 0"
_ROWS = f"""
    INSERT INTO users (id, name, age, email)
    SELECT n, 'first ' || n, n % 100, CASE WHEN n % 2 = 0 THEN 'u' || n END FROM generate_series(1, {ROWS}) n"""
CHANGES = {
    "users-age": ("type", "--column", "age", "--type", "int", "--to", "age_v2"),
    "users-name": ("split-columns", "--column", "name", "--to", "given", "--to", "family"),
    "users-email": ("not-null", "--column", "email", "--fill", "'none-' || r.id"),
    "users-code": ("rename-column", "--column", "code", "--to", "token"),
}


_STANDS = """
    SELECT conrelid::regclass::text, conname::text, pg_get_constraintdef(oid) FROM pg_constraint
     WHERE conrelid IN ('users'::regclass, 'badges'::regclass) AND convalidated AND contype <> 'p'
    UNION SELECT 'users', indexrelid::regclass::text, split_part(pg_get_indexdef(indexrelid), ' USING ', 2)
      FROM pg_index WHERE indrelid = 'users'::regclass AND indisvalid
       AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)
     ORDER BY 1, 2"""


def some(chance: Any) -> int:
    return chance.randrange(1, ROWS + 1)


OLD = (
    Client("old reader", (Ask("SELECT name, age, email FROM users WHERE id = %s", lambda r: (some(r),)),), 0.005),
    Client(
        "old writer",
        (
            Ask("SELECT age FROM users WHERE id = %s", lambda r: (some(r),)),
            Ask("UPDATE users SET age = %s WHERE id = %s", lambda r: (str(r.randrange(100)), some(r))),
            Ask("UPDATE users SET name = %s WHERE id = %s", lambda r: (f"old {r.random()}", some(r))),
            Ask(
                "INSERT INTO users (id, age) VALUES (%s, '7') ON CONFLICT (id) DO UPDATE SET visits = users.visits + 1",
                lambda r: (r.randrange(ROWS, 2 * ROWS),),
            ),
        ),
        pause_s=0.01,
    ),
)
NEW = (
    Client(
        "new reader",
        (Ask("SELECT given, family, age_v2, email FROM users WHERE id = %s", lambda r: (some(r),)),),
        0.005,
    ),
    Client(
        "new writer",
        (
            Ask("SELECT token FROM users WHERE token = %s", lambda r: (str(r.random()),)),
            Ask("UPDATE users SET age_v2 = %s WHERE id = %s", lambda r: (r.randrange(100), some(r))),
            Ask("UPDATE users SET given = %s, family = 'New' WHERE id = %s", lambda r: (f"n {r.random()}", some(r))),
            Ask(
                "INSERT INTO users (id, age_v2, given, email) VALUES (%s, 7, 'x', 'e') ON CONFLICT (id) DO NOTHING",
                lambda r: (r.randrange(2 * ROWS, 3 * ROWS),),
            ),
        ),
        pause_s=0.01,
    ),
)
# What reads for long comes in between: every strong lock has to wait for it, and to let others pass meanwhile.
LONG = "SELECT count(*) FROM users"
LONG_S = 1.0


@pytest.fixture
def live(server: str, folder: Path) -> Generator[changing.Example]:
    with changing.example(server, folder) as example:
        example.revision(1, _MAKE)
        yield example


def test_columns_change_beside_an_application_and_nothing_of_it_fails(live: changing.Example, dbops: Dbops) -> None:
    ask(dbops, live, "up", "--yes")
    live.execute(_ROWS)
    live.execute(_BADGES)
    with under_load(live.app, OLD, long_read=LONG, long_read_s=LONG_S) as before:
        for change, words in CHANGES.items():
            about = ("--table", "public.users", "--change", change, "--impact", "none")
            ask(dbops, live, "new", *words, *about)
        ask(dbops, live, "up", "--yes")
        with under_load(live.app, NEW) as beside:
            for change in CHANGES:
                ask(dbops, live, "backfill", change, "--triggers", "fire")
                ask(dbops, live, "verify", change)
                ask(dbops, live, "switch", change, "--percent", "100", "--yes", code=3)  # nobody counts statements
    assert (before.failures, beside.failures) == ({}, {})
    assert live.execute("SELECT count(*) FROM users WHERE age_v2 IS DISTINCT FROM age::int") == [(0,)]
    contracting.git(live, "init", "-q")
    with under_load(live.app, NEW, long_read=LONG, long_read_s=LONG_S) as after:
        for change in CHANGES:
            ask(dbops, live, "contract", change, "--write", *UNLOOKED)
        contracting.git(live, "add", "migrations")
        contracting.git(live, "commit", "-q", "-m", "Contract")
        for change in CHANGES:
            ask(dbops, live, "contract", change, *UNLOOKED, "--yes")
    assert after.failures == {}
    assert live.execute(_STANDS) == [
        ("badges", "badges_token_fkey", "FOREIGN KEY (code) REFERENCES users(token)"),
        ("users", "users_token_check", "CHECK ((token <> ''::text))"),
        ("users", "users_token_key", "UNIQUE (token)"),
        ("users", "users_token_lower", "btree (lower(token)) WHERE (visits = 0)"),
    ]
    columns = live.execute(
        "SELECT attname, attnotnull FROM pg_attribute WHERE attrelid = 'users'::regclass AND attnum > 0"
        " AND NOT attisdropped AND attname !~ '^dbops_gone_' ORDER BY attname"
    )
    assert columns == [
        ("age_v2", False),
        ("email", True),
        ("family", False),
        ("given", False),
        ("id", True),
        ("token", True),
        ("visits", True),
    ]
    assert live.execute("SELECT count(*) FROM users WHERE family = 'New'") > [(0,)]
    assert live.execute("SELECT tgname FROM pg_trigger WHERE tgname ~ 'dbops'") == []
    _go_for_good(live, dbops)


def _go_for_good(live: changing.Example, dbops: Dbops) -> None:
    """What was put away comes back whole, goes again, and is dropped when its time is over."""
    before = live.execute("SELECT max(version_num) FROM alembic_version")[0][0]
    [(gone,)] = live.execute("SELECT attname FROM pg_attribute WHERE attname ~ '^dbops_gone_.*_code$'")
    with under_load(live.app, NEW) as beside:
        down = ("down", "--to", _before(live, "users-code"), "--yes")
        ask(dbops, live, *down)
        assert live.execute("SELECT count(*) FROM users WHERE code IS DISTINCT FROM token") == [(0,)]
        ask(dbops, live, "verify", "users-code")
        ask(dbops, live, "contract", "users-code", *UNLOOKED, "--yes")
    assert beside.failures == {}
    assert live.execute("SELECT max(version_num) FROM alembic_version") == [(before,)]
    ask(dbops, live, "contract", "users-code", "--write", "--yes")
    last = ("up", "--yes", "--confirm", changing.TARGET)
    kept = ask(dbops, live, *last, code=9)
    assert "column code of public.users was put away at" in str(kept)
    text = f'COMMENT ON COLUMN users.{gone} IS \'{{"since": "2026-01-01"}}\''
    live.execute(text)
    ask(dbops, live, *last)
    assert live.execute("SELECT count(*) FROM pg_attribute WHERE attname ~ '^dbops_gone_.*_code$'") == [(0,)]


def _before(live: changing.Example, change: str) -> str:
    """Name the revision behind which a change was contracted."""
    [text] = [
        text
        for file in live.history.glob("*.py")
        if f'change = "{change}"' in (text := file.read_text(encoding="utf-8")) and 'phase = "contract"' in text
    ]
    return text.partition('down_revision = "')[2].partition('"')[0]
