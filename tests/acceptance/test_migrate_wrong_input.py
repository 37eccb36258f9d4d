"""What `dbops migrate` says to what is wrong: one message with its target and the next step, and nothing is changed."""

import json
import shutil
from collections.abc import Generator
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from conftest import Dbops, fresh

import changing
import renaming
from shell import sh

CHANGE = "users-full-name"
_TABLE = """def upgrade() -> None:
    op.execute("CREATE TYPE state AS ENUM ('open')")
    op.execute("CREATE TABLE users (id int PRIMARY KEY, name text, fax text)")
    op.execute("INSERT INTO users SELECT n, 'somebody', 'a secret' FROM generate_series(1, 3) n")


def downgrade() -> None:
    op.execute("DROP TABLE users")
    op.execute("DROP TYPE state")
"""
_HEAD = """
from dbops.operations.migrate import changes
from dbops.operations.migrate.shapes.columns import Columns, New

change = "{change}"
phase = "expand"
impact = "both names work"
shape = Columns(table="public.users", old=("{old}",), new=(New("{new}", "text"),),
                up={{"{new}": "r.{old}"}}, down={{"{old}": "r.{new}"}})
"""
_EXPAND = """def upgrade() -> None:
    changes.expand(change, shape)


def downgrade() -> None:
    changes.undo(change, shape)
"""
_STATE = "SELECT md5(string_agg(format('%s %s', a.attrelid::regclass, a.attname), ',' ORDER BY 1)) FROM pg_attribute a"


@pytest.fixture(scope="module")
def live(server: str, base: Path) -> Generator[changing.Example]:
    """One change that was expanded, and one that is to run."""
    with changing.example(server, fresh(base, "wrong")) as example:
        example.revision(1, _TABLE)
        example.revision(2, _EXPAND, head=_HEAD.format(change=CHANGE, old="name", new="full_name"))
        renaming.upgrade(example)
        example.revision(3, _EXPAND, head=_HEAD.format(change="users-phone", old="fax", new="phone"))
        yield example


@pytest.fixture
def copied(live: changing.Example, folder: Path) -> changing.Example:
    """Give the files of it to a test that breaks them; the database is the same."""
    place = folder / "copied"
    shutil.copytree(live.folder, place, ignore=shutil.ignore_patterns("__pycache__", "state"))
    return changing.Example(place, live.admin, live.owner, live.app)


def refused(done: CompletedProcess[str], code: int, *said: str) -> None:
    """One error, in words, with what to do next; no traceback, no password, nothing of a row."""
    told = done.stderr
    assert done.returncode == code, (done.args, done.stdout, told)
    assert told.count("error [") == 1, told
    assert "  -> " in told, told
    for text in said:
        assert text in told, told
    for text in ("Traceback", "owner's", "it's a", "a secret", "somebody"):
        assert text not in told + done.stdout, told


def run(dbops: Dbops, live: changing.Example, *words: str) -> CompletedProcess[str]:
    return dbops("migrate", *words, "--target", "example", "--config", live.toml)


VERBS = ("backfill", "verify", "switch", "rollback", "contract", "rehearse")


@pytest.mark.parametrize("verb", VERBS)
def test_a_change_that_nobody_knows_is_told_with_those_that_are_known(
    live: changing.Example, dbops: Dbops, verb: str
) -> None:
    done = run(dbops, live, verb, "ünknown '\"")
    refused(done, 2, "example: there is no change", "known are: users-full-name, users-phone")


@pytest.mark.parametrize("verb", VERBS[:-1])
def test_a_change_that_was_not_expanded_names_the_verb_that_does_it(
    live: changing.Example, dbops: Dbops, verb: str
) -> None:
    done = run(dbops, live, verb, "users-phone")
    refused(done, 9, "example: change users-phone is not expanded yet", "dbops migrate up --target example")


TOO_EARLY = (
    (("switch", CHANGE, "--yes"), "verif"),
    (("contract", CHANGE, "--write"), "only what is verified or switched can be contracted"),
)


@pytest.mark.parametrize(("words", "said"), TOO_EARLY, ids=str)
def test_a_verb_that_comes_too_early_changes_nothing(
    live: changing.Example, dbops: Dbops, words: tuple[str, ...], said: str
) -> None:
    before = live.execute(_STATE)
    refused(run(dbops, live, *words), 9, said)
    assert live.execute(_STATE) == before


USAGE = (
    (("backfill", CHANGE, "--batch", "0s"), "--batch '0s' is no time for a batch"),
    (("backfill", CHANGE, "--most-rows", "99999999999999999999"), "--most-rows"),
    (("backfill", CHANGE, "--limit", "-5/s"), "--limit '-5/s' is no rate"),
    (("backfill", CHANGE, "--throttle", "nosuch=1"), "--throttle 'nosuch=1' is no NAME=LIMIT"),
    (("verify", CHANGE, "--on", ""), "--on '': the configuration has no such server"),
    (("switch", CHANGE, "--percent", "101"), "--percent"),
    (("switch", CHANGE, "--reason", "because"), "--reason is for --override GATE"),
    (("contract", CHANGE, "--override", "nosuch", "--reason", "because"), "there is no gate 'nosuch'"),
    (("up", "--to", "nosuch"), "nosuch"),
    (("lint", "--explain", ""), "'' is no code of lint"),
)


@pytest.mark.parametrize(("words", "said"), USAGE, ids=str)
def test_a_value_that_means_nothing_is_refused_by_its_option(
    live: changing.Example, dbops: Dbops, words: tuple[str, ...], said: str
) -> None:
    refused(run(dbops, live, *words), 2, said)


WHY = ("--change", "users-more", "--impact", "none")
USERS = ("--table", "public.users")
NEW = (
    (("nosuch",), "there is no kind of change 'nosuch'; there are: add-column"),
    (("rename-column",), "rename-column needs --table, --column, --to"),
    (("add-column", "--table", "a.b.c", "--column", "x", "--type", "text"), "'a.b.c' is no name of a table"),
    (("add-column", "--table", "public.b c", "--column", "x", "--type", "text"), "'public.b c' is no name of a table"),
    (("add-column", *USERS, "--column", "", "--type", "text"), "--column '' is no name"),
    (("add-column", *USERS, "--column", "ä" * 32, "--type", "text"), "longer than the 63 bytes"),
    (("add-column", *USERS, "--column", "x", "--type", "nosuch"), 'PostgreSQL does not take --type: type "nosuch"'),
    (
        ("add-column", *USERS, "--column", "x", "--type", "text; DROP TABLE users"),
        "does not take --type: cannot insert multiple commands",
    ),
    (("not-null", *USERS, "--column", "fax", "--fill", "r.nosuch"), "--fill: column r.nosuch does not exist"),
    (("index", *USERS, "--name", "i", "--definition", "(nosuch)"), '--definition: column "nosuch" does not exist'),
    (("check", *USERS, "--name", "c", "--definition", "id >"), "does not take --definition: syntax error"),
    (
        ("foreign-key", *USERS, "--name", "f", "--column", "id", "--definition", "nosuch (id)"),
        '"nosuch" does not exist',
    ),
    (("enum-value", "--type", "nosuch", "--value", "v"), "there is no enum type nosuch"),
    (("generated-column", *USERS, "--column", "g", "--type", "int", "--up", "g=r.nosuch"), "--up: column r.nosuch"),
    (("sql", *USERS, "--sql-up", "SELEC 1", "--sql-down", "SELECT 1"), "--sql-up: syntax error"),
    (("rename-table", *USERS, "--to", "alembic_version"), "there is a alembic_version already"),
    (("drop-table", *USERS, "--revision", "../2026"), "'../2026' is no name of a revision"),
)


@pytest.mark.parametrize(("words", "said"), NEW, ids=str)
def test_new_writes_nothing_that_postgresql_would_not_take(
    live: changing.Example, dbops: Dbops, words: tuple[str, ...], said: str
) -> None:
    before = sorted(live.history.rglob("*.py"))
    refused(run(dbops, live, "new", *words, *WHY), 2, said)
    assert sorted(live.history.rglob("*.py")) == before
    assert [*live.execute("SELECT count(*) FROM users")] == [(3,)]


def test_new_takes_names_that_need_quotes(copied: changing.Example, dbops: Dbops) -> None:
    words = ("add-column", *USERS, "--column", 'Größe "x"', "--type", "text", "--default", "'it''s'")
    done = run(dbops, copied, "new", *words, "--revision", "2026_02_01_0001", *WHY)
    assert done.returncode == 0, done.stderr
    planned = run(dbops, copied, "up", "--plan")
    assert 'ADD COLUMN "Größe ""x"""' in planned.stdout, planned.stderr


_BODY = "\n\ndef upgrade() -> None: ...\n\n\ndef downgrade() -> None: ...\n"
_BEHIND = 'revision = "b"\ndown_revision = "2026_01_01_0003"\nphase = "expand"\n'
BROKEN = {
    "no Python": ("def upgrade(:\n", 1, "SyntaxError: invalid syntax (b_broken.py:1)"),
    "an import that fails": ("import nosuch_module\n", 1, "No module named 'nosuch_module' (b_broken.py:1)"),
    "two heads": ('revision = "b"\ndown_revision = "2026_01_01_0002"\n' + _BODY, 9, "2 heads: 2026_01_01_0003, b"),
    "a shape that is none": (_BEHIND + 'change = "x"\nshape = 1\n' + _BODY, 9, "revision b: shape is a int, which has"),
    "a change without a name": (_BEHIND + "change = 1\n" + _BODY, 9, "revision b: change is no text"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_revision_file_that_is_broken_is_named(copied: changing.Example, dbops: Dbops, kind: str) -> None:
    text, code, said = BROKEN[kind]
    (copied.history / "b_broken.py").write_text(text, encoding="utf-8")
    refused(run(dbops, copied, "verify", CHANGE), code, said)


@pytest.mark.parametrize("verb", ["status", "verify", "new"])
def test_a_wrong_password_is_told_without_it(copied: changing.Example, dbops: Dbops, verb: str) -> None:
    (copied.folder / "secrets" / "owner").write_text("wrong owner's word")
    words = {
        "status": ("status",),
        "verify": ("verify", CHANGE),
        "new": ("new", "drop-table", *USERS, *WHY),
    }
    refused(run(dbops, copied, *words[verb]), 12, "example: ")


def test_a_role_without_rights_is_told_what_it_lacks(copied: changing.Example, dbops: Dbops) -> None:
    owner = copied.owner.partition("user=")[2].split()[0]
    copied.toml.write_text(copied.toml.read_text().replace(owner, owner.replace("_owner", "_app")))
    refused(run(dbops, copied, "backfill", CHANGE), 9, "example: permission denied", "lacks this right")


def test_a_history_that_is_not_there_changes_nothing(copied: changing.Example, dbops: Dbops) -> None:
    shutil.rmtree(copied.history)
    before = copied.execute(_STATE)
    done = run(dbops, copied, "up", "--yes")
    assert (done.returncode, "is stamped 2026_01_01_0002" in done.stderr) == (9, True), done.stderr
    assert copied.execute(_STATE) == before


def test_a_state_folder_that_nobody_can_write_to_is_named(copied: changing.Example, dbops: Dbops) -> None:
    copied.toml.write_text(copied.toml.read_text().replace('state_dir = "state"', 'state_dir = "/proc/nosuch"'))
    refused(run(dbops, copied, "verify", CHANGE), 9, "/proc/nosuch", "make the state directory writable")


def test_a_disk_that_is_full_leaves_no_half_revision(
    copied: changing.Example, env: dict[str, str], folder: Path
) -> None:
    before = sorted(copied.history.glob("*.py"))
    words = f"migrate new drop-table --table public.users --change c --impact i -t example --config {copied.toml}"
    done = sh(f"ulimit -f 0; dbops {words}", env, folder)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert sorted(copied.history.glob("*.py")) == before


def test_cron_gets_one_document_from_anywhere(live: changing.Example) -> None:
    done = sh(f"dbops migrate status --config {live.toml} --output json", {}, Path("/"))
    told = json.loads(done.stdout)
    assert (told["exit_code"], done.returncode) == (0, 0)
    assert [one["change"] for one in told["data"]["databases"][0]["changes"]] == [CHANGE]


def test_a_stdout_that_is_closed_is_told(live: changing.Example, env: dict[str, str], folder: Path) -> None:
    done = sh(f"dbops migrate history -t example --config {live.toml} >&-", env, folder)
    assert (done.returncode, "the result could not be written" in done.stderr) == (1, True)
