"""`dbops migrate`, through the installed program, on databases whose owner is nobody special."""

import json
import shutil
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from dbops.config.load import load
from dbops.engine import run as runs
from dbops.operations.migrate import history
from dbops.stores import postgres

from migrating import FOLDER, OWNER, TARGETS, Databases, catalog_of, difference, expected, make_databases, rows, upgrade

Dbops = Callable[..., CompletedProcess[str]]
Ask = Callable[..., tuple[int, dict[str, Any]]]

AUDIT = ("2026_11_20_0100", "2026_11_20_0200", "2026_11_20_0300", "2026_11_20_0400")


@pytest.fixture
def databases(server: str, folder: Path) -> Generator[Databases]:
    """Two of the platform's databases, empty."""
    made = make_databases(server, folder, "audit", "workflow")
    yield made
    made.drop()


@pytest.fixture
def migrate(dbops: Dbops, databases: Databases) -> Ask:
    """Run a verb: its exit code, and its envelope."""

    def ask(*words: str) -> tuple[int, dict[str, Any]]:
        done = dbops("migrate", *words, "--config", databases.config, "--output", "json")
        envelope = json.loads(done.stdout)
        assert envelope["exit_code"] == done.returncode
        assert envelope["ok"] == (done.returncode == 0)
        return done.returncode, envelope

    return ask


@pytest.fixture
def copied(databases: Databases) -> Path:
    """The history of audit in a folder that a test may change."""
    place = databases.folder / "migrations"
    for name in ("alembic.ini", "env.py", "script.py.mako"):
        place.mkdir(exist_ok=True)
        shutil.copy(FOLDER / name, place)
    for target in databases.targets:
        shutil.copytree(FOLDER / "postgres" / target, place / "postgres" / target, ignore=shutil.ignore_patterns("__*"))
    databases.configure(place)
    return place / "postgres" / "audit"


def add(copied: Path, revision: str, after: str, *body: str) -> None:
    """Write a revision as somebody would."""
    head = ('"""A test."""', "", "import sqlalchemy as sa", "from alembic import op", "")
    ids = (f'revision = "{revision}"', f'down_revision = "{after}"', "")
    text = (
        *head,
        *ids,
        "def upgrade() -> None:",
        *(f"    {line}" for line in body),
        "",
        "def downgrade() -> None: ...",
    )
    (copied / f"{revision}_test.py").write_text("\n".join(text) + "\n")


def told(envelope: dict[str, Any]) -> str:
    return "\n".join(finding["message"] for finding in envelope["findings"])


def stamps(envelope: dict[str, Any]) -> dict[str, str | None]:
    return {one["target"]: one["stamp"] for one in envelope["data"]["databases"]}


def ids(steps: Sequence[dict[str, Any]]) -> list[str]:
    return [step["id"] for step in steps]


# ── status, plan, up ─────────────────────────────────────────────────────────────────────────────


def test_up_brings_each_database_to_its_expected_catalog(migrate: Ask, databases: Databases) -> None:
    code, envelope = migrate("status")
    assert (code, stamps(envelope)) == (0, {"audit": None, "workflow": None})
    assert envelope["next_actions"] == [f"dbops migrate up --config {databases.config}"]

    code, planned = migrate("up", "--plan")
    assert code == 0
    assert catalog_of(databases.conninfo("audit")) == {}, "a plan changes nothing"
    code, done = migrate("up")
    assert code == 0
    assert done["data"]["steps"] == planned["data"]["steps"], "what runs is what was shown"
    assert [plan["outcome"] for plan in done["data"]["plans"]] == ["done", "done"]
    for target in databases.targets:
        assert difference(expected(target), catalog_of(databases.conninfo(target))) == {}

    code, envelope = migrate("status")
    assert (code, stamps(envelope)) == (0, {"audit": AUDIT[-1], "workflow": "2026_11_20_0500"})
    assert envelope["next_actions"] == []
    code, again = migrate("up")
    assert (code, again["data"]["steps"]) == (0, [])


def test_plan_is_up_with_plan(migrate: Ask) -> None:
    first, second = migrate("plan", "--target", "audit")[1], migrate("up", "--plan", "--target", "audit")[1]
    assert first["data"] == second["data"]
    assert ids(first["data"]["steps"])[-4:] == list(AUDIT)
    assert any("CREATE TABLE audit_events" in statement for statement in first["data"]["steps"][-3]["sql"])


def test_only_the_expected_plan_is_run(migrate: Ask) -> None:
    sha = migrate("plan", "--target", "audit")[1]["data"]["plans"][0]["sha"]
    assert migrate("up", "--target", "audit", "--expect-plan", "0" * 64)[0] == 9
    assert migrate("up", "--target", "audit", "--expect-plan", sha)[0] == 0


def test_up_stops_where_it_is_told_to(migrate: Ask) -> None:
    assert migrate("up", "--target", "audit", "--to", AUDIT[1])[0] == 0
    assert stamps(migrate("status")[1])["audit"] == AUDIT[1]
    code, envelope = migrate("up", "--target", "audit")
    assert (code, ids(envelope["data"]["steps"])) == (0, list(AUDIT[2:]))


def test_wrong_usage(migrate: Ask) -> None:
    assert migrate("up", "--to", AUDIT[1])[0] == 2, "--to is for one database"
    assert migrate("up", "--target", "audit", "--to", "nothing")[0] == 2
    assert migrate("up", "--target", "shop")[0] == 2
    assert migrate("up", "--target", "audit", "--patience", "soon")[0] == 2
    assert migrate("down", "--target", "audit")[0] == 2


# ── down, history ────────────────────────────────────────────────────────────────────────────────


def test_down_asks_first_and_up_brings_the_rows_back(migrate: Ask, databases: Databases) -> None:
    migrate("up", "--target", "audit")
    with rows(databases.conninfo("audit")) as connection:
        connection.execute("INSERT INTO retention_policies (event_type, retention_days) VALUES ('login', 30)")
    code, planned = migrate("down", "--target", "audit", "--to", AUDIT[1], "--plan")
    assert (code, ids(planned["data"]["steps"])) == (0, [AUDIT[3], AUDIT[2]])
    assert "retention_policies" in planned["data"]["steps"][1]["notes"][0]
    code, refused = migrate("down", "--target", "audit", "--to", AUDIT[1])
    assert (code, refused["findings"][0]["target"]) == (7, "audit")
    code, done = migrate("down", "--target", "audit", "--to", AUDIT[1], "--yes")
    assert (code, done["data"]["steps"]) == (0, planned["data"]["steps"])
    assert not [name for name in catalog_of(databases.conninfo("audit")) if "retention_policies" in name]

    assert migrate("up", "--target", "audit")[0] == 0
    assert difference(expected("audit"), catalog_of(databases.conninfo("audit"))) == {}
    with rows(databases.conninfo("audit")) as connection:
        assert connection.execute("SELECT retention_days FROM retention_policies").fetchall() == [(30,)]


def test_up_over_tables_with_rows_asks_first(migrate: Ask, databases: Databases) -> None:
    migrate("up", "--target", "audit", "--to", AUDIT[2])
    with rows(databases.conninfo("audit")) as connection:
        connection.execute(
            "INSERT INTO compliance_reports (report_type, start_date, end_date)"
            " VALUES ('soc2', '2026-01-01', '2026-02-01')"
        )
    code, envelope = migrate("up", "--target", "audit", "--plan")
    assert code == 0
    assert [(step["id"], step["risk"]) for step in envelope["data"]["steps"]] == [(AUDIT[3], "blocks")]
    assert envelope["data"]["steps"][0]["notes"] == ["takes locks on tables that hold rows: compliance_reports"]
    assert migrate("up", "--target", "audit")[0] == 7
    assert migrate("up", "--target", "audit", "--yes")[0] == 0


def test_history_tells_who_ran_what_and_what_came_by_other_means(migrate: Ask, databases: Databases) -> None:
    upgrade(databases.conninfo("audit", user=OWNER), "audit", AUDIT[0])  # as `alembic upgrade` does
    _, done = migrate("up", "--target", "audit", "--to", AUDIT[1])
    code, envelope = migrate("history", "--target", "audit")
    assert code == 0
    past = [(one["revision"], one["done"], one["run"]) for one in envelope["data"]["revisions"]]
    assert past == [
        (AUDIT[0], True, None),
        (AUDIT[1], True, done["run_id"]),
        (AUDIT[2], False, None),
        (AUDIT[3], False, None),
    ]


def test_a_downgrade_is_in_the_history_of_the_ledger(migrate: Ask, databases: Databases) -> None:
    migrate("up", "--target", "audit", "--to", AUDIT[1])
    migrate("down", "--target", "audit", "--to", "base", "--yes")
    with rows(databases.conninfo("audit")) as connection:
        kinds = connection.execute("SELECT kind FROM dbops.entries WHERE subject = 'schema' ORDER BY id").fetchall()
    assert kinds == [("migrated",), ("migrated",), ("taken back",), ("taken back",)]
    assert not any(one["done"] for one in migrate("history", "--target", "audit")[1]["data"]["revisions"])


def test_the_journal_tells_what_was_done(dbops: Dbops, migrate: Ask, databases: Databases) -> None:
    _, done = migrate("up", "--target", "audit")
    shown = dbops("journal", "show", done["run_id"], "--config", databases.config, "--output", "json")
    assert shown.returncode == 0
    records = json.loads(shown.stdout)["data"]["journals"][0]["records"]
    steps = [record["facts"]["step"] for record in records if record["event"] == "done"]
    assert steps == ids(done["data"]["steps"])


# ── sql ──────────────────────────────────────────────────────────────────────────────────────────


def test_sql_prints_a_script_and_needs_no_server(dbops: Dbops, databases: Databases) -> None:
    whole = dbops("migrate", "sql", "--target", "audit", "--config", databases.config)
    assert whole.returncode == 0
    assert (
        whole.stdout.rstrip("\n") == history.script(FOLDER, "audit", first=None, last="head", target="audit").rstrip()
    )
    part = dbops("migrate", "sql", "-t", "audit", "--from", AUDIT[1], "--to", AUDIT[2], "--config", databases.config)
    assert "retention_policies" in part.stdout
    assert "CREATE TABLE audit_events" not in part.stdout
    wrong = dbops("migrate", "sql", "--target", "audit", "--to", "nothing", "--config", databases.config)
    assert wrong.returncode == 9


# ── what is refused ──────────────────────────────────────────────────────────────────────────────


def test_a_table_that_is_there_already_is_9_and_nothing_is_changed(migrate: Ask, databases: Databases) -> None:
    with rows(databases.conninfo("audit")) as connection:
        connection.execute("CREATE TABLE audit_events (id int)")
    before = catalog_of(databases.conninfo("audit"))
    code, envelope = migrate("up", "--target", "audit")
    assert code == 9
    assert "table audit_events exists already" in told(envelope)
    assert catalog_of(databases.conninfo("audit")) == before
    assert migrate("status")[1]["findings"][0]["code"] == "schema-differs"


def test_a_history_that_was_stamped_by_hand_is_9_and_says_what_is_missing(migrate: Ask, databases: Databases) -> None:
    migrate("up", "--target", "audit", "--to", AUDIT[1])
    with rows(databases.conninfo("audit")) as connection:
        connection.execute("UPDATE alembic_version SET version_num = %s", (AUDIT[2],))
    before = catalog_of(databases.conninfo("audit"))
    code, envelope = migrate("up", "--target", "audit")
    assert code == 9
    assert "lacks table compliance_reports, table retention_policies" in told(envelope)
    assert catalog_of(databases.conninfo("audit")) == before
    assert migrate("status")[0] == 3
    assert migrate("down", "--target", "audit", "--to", "base", "--yes")[0] == 9


@pytest.mark.parametrize("stamp", [("2027_01_01_0000",), AUDIT[:2]])
def test_a_stamp_that_the_history_does_not_have_is_9(
    migrate: Ask, databases: Databases, stamp: tuple[str, ...]
) -> None:
    migrate("up", "--target", "audit", "--to", AUDIT[0])
    with rows(databases.conninfo("audit")) as connection:
        connection.execute("DELETE FROM alembic_version")
        for one in stamp:
            connection.execute("INSERT INTO alembic_version VALUES (%s)", (one,))
    code, envelope = migrate("up", "--target", "audit")
    assert code == 9
    assert stamp[-1] in told(envelope)


def test_a_history_with_two_heads_is_9(migrate: Ask, copied: Path) -> None:
    add(copied, "2026_12_01_0000", AUDIT[3], "pass")
    add(copied, "2026_12_01_0001", AUDIT[3], "pass")
    code, envelope = migrate("up", "--target", "audit")
    assert code == 9
    assert "2 heads" in told(envelope)


# ── revisions that are wrong ─────────────────────────────────────────────────────────────────────


def test_a_revision_with_a_bug_is_1_with_its_file_and_line(migrate: Ask, copied: Path, databases: Databases) -> None:
    add(copied, "2026_12_01_0000", AUDIT[3], 'op.execute("SELECT 1")', "missing_name  # noqa: F821")
    code, envelope = migrate("up", "--target", "audit")
    assert code == 1
    assert "2026_12_01_0000_test.py:11" in told(envelope)
    assert "NameError" in told(envelope)
    assert catalog_of(databases.conninfo("audit")) == {}


def test_a_revision_that_fails_on_the_server_leaves_what_came_before(
    migrate: Ask, copied: Path, databases: Databases
) -> None:
    add(copied, "2026_12_01_0000", AUDIT[3], 'op.execute("CREATE TABLE half (id uuid)")', 'op.execute("SELECT 1 / 0")')
    code, envelope = migrate("up", "--target", "audit")
    assert code == 1
    assert "revision 2026_12_01_0000: division by zero" in told(envelope)
    assert difference(expected("audit"), catalog_of(databases.conninfo("audit"))) == {}
    assert stamps(migrate("status")[1])["audit"] == AUDIT[3]


def test_a_file_that_is_no_python_is_1_with_its_line(migrate: Ask, copied: Path) -> None:
    add(copied, "2026_12_01_0000", AUDIT[3], "def (")
    code, envelope = migrate("status", "--target", "audit")
    assert code == 1
    assert "2026_12_01_0000_test.py:10" in told(envelope)


# ── other exit codes ─────────────────────────────────────────────────────────────────────────────


def test_a_lock_that_is_held_is_11_and_can_be_waited_for_or_skipped(
    dbops: Dbops, migrate: Ask, databases: Databases
) -> None:
    place = load(databases.config).config.postgres["audit"]
    mine = runs.new("a test", databases.folder / "state")
    with postgres.only_run(place, mine, target="audit", subject="schema"):
        code, envelope = migrate("up", "--target", "audit")
        assert code == 11
        assert mine.id in told(envelope)
        assert migrate("up", "--target", "audit", "--lock-wait", "300ms")[0] == 11
        assert migrate("up", "--target", "audit", "--skip-if-running")[0] == 0
        assert migrate("plan", "--target", "audit")[0] == 0, "a plan takes no lock"
        assert dbops("migrate", "up", "--config", databases.config).returncode == 11
    assert migrate("up", "--target", "audit")[0] == 0


def test_a_wrong_password_is_12(migrate: Ask, databases: Databases) -> None:
    (databases.folder / "password").write_text("wrong")
    assert migrate("up", "--target", "audit")[0] == 12
    assert migrate("status")[0] == 12


def test_a_server_that_is_down_is_75(migrate: Ask, databases: Databases) -> None:
    text = databases.config.read_text()
    databases.config.write_text(text.replace("/postgres/run", "/nowhere"))
    code, envelope = migrate("up", "--target", "audit")
    assert (code, envelope["findings"][0]["target"]) == (75, "audit")
    assert migrate("status")[0] == 75


def test_one_database_that_fails_does_not_hold_up_the_others_when_asked(migrate: Ask, databases: Databases) -> None:
    with rows(databases.conninfo("audit")) as connection:
        connection.execute("CREATE TABLE audit_events (id int)")
    assert migrate("up", "--jobs", "1")[0] == 9
    assert stamps(migrate("status")[1])["workflow"] is None
    code, envelope = migrate("up", "--jobs", "1", "--keep-going")
    assert code == 9
    assert [plan["outcome"] for plan in envelope["data"]["plans"]] == ["failed", "done"]


# ── lint ─────────────────────────────────────────────────────────────────────────────────────────


def test_lint_needs_no_server_and_finds_nothing_in_the_nine(dbops: Dbops, server: str, folder: Path) -> None:
    nine = Databases(server, folder, TARGETS)
    nine.configure()
    nine.config.write_text(nine.config.read_text().replace("/postgres/run", "/nowhere"))
    done = dbops("migrate", "lint", "--config", nine.config, "--output", "json")
    assert done.returncode == 0, done.stdout
    envelope = json.loads(done.stdout)
    assert envelope["findings"] == []
    assert [one["target"] for one in envelope["data"]["databases"]] == list(TARGETS)
    assert all(one["silenced"] for one in envelope["data"]["databases"])
    assert list(folder.parent.glob("dbops-lint-*")) == [], "its server is gone"
    assert dbops("migrate", "lint", "--on-target", "--config", nine.config).returncode == 75


def test_lint_judges_the_live_database_when_asked(migrate: Ask, databases: Databases) -> None:
    migrate("up", "--target", "audit")
    asked = ("lint", "--target", "audit", "--on-target")
    assert migrate(*asked)[0] == 0
    with rows(databases.conninfo("audit")) as connection:
        connection.execute("CREATE TABLE notes (id serial PRIMARY KEY)")
    code, envelope = migrate(*asked)
    assert (code, [finding["code"] for finding in envelope["findings"]]) == (3, ["DBM201", "DBM203", "DBM210"])
    assert all(finding["hint"] for finding in envelope["findings"])


def test_lint_tells_what_is_unsafe_as_bad(migrate: Ask, copied: Path) -> None:
    policy = "CREATE POLICY mine ON audit_events USING (actor_id = current_setting('app.user')::uuid)"
    add(copied, "2026_12_01_0000", AUDIT[3], f'op.execute("{policy}")')
    code, envelope = migrate("lint", "--target", "audit")
    assert (code, {finding["code"] for finding in envelope["findings"]}) == (4, {"DBM132", "DBM206"})


def test_lint_judges_how_a_revision_is_written_even_where_it_cannot_be_run(migrate: Ask, copied: Path) -> None:
    add(copied, "2026_12_01_0000", AUDIT[3], "op.get_bind().execute(sa.text('SELECT 1')).scalar()  # TODO")
    code, envelope = migrate("lint", "--target", "audit")
    assert code == 1
    assert [finding["code"] for finding in envelope["findings"]] == ["DBM211", "DBM213", "failed"]
    assert envelope["data"]["databases"][0]["against"] == "revisions"


def test_lint_shows_what_is_allowed_and_why(dbops: Dbops, databases: Databases, copied: Path) -> None:
    asked = ("migrate", "lint", "--target", "audit", "--config", databases.config)
    assert "Events are immutable" not in dbops(*asked).stdout
    assert "Events are immutable" in dbops(*asked, "--verbose").stdout
    text = (copied / "lint.toml").read_text()
    (copied / "lint.toml").write_text(text.replace("Events are immutable and append-only.", ""))
    without = dbops(*asked)
    assert without.returncode == 3
    assert "DBM214" in without.stderr
    (copied / "lint.toml").write_text("allow = 1")
    assert dbops(*asked).returncode == 8
