"""`dbops migrate lint` through the installed program: what revisions would do, told in every format."""

import json
import re
from collections.abc import Callable, Generator
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from histories import copy_of, revision
from migrating import OWNER, Databases, make_databases, rows, upgrade

Dbops = Callable[..., CompletedProcess[str]]
Ask = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def databases(server: str, folder: Path) -> Generator[Databases]:
    made = make_databases(server, folder, "audit")
    yield made
    made.drop()


@pytest.fixture
def audit(databases: Databases) -> Path:
    """The history of audit, to which a test adds."""
    return copy_of(databases, "audit")


@pytest.fixture
def lint(dbops: Dbops, databases: Databases) -> Ask:
    """Run it: its exit code, and its envelope."""

    def ask(*words: str, **more: Any) -> tuple[int, dict[str, Any]]:
        done = dbops("migrate", "lint", *words, "--config", databases.config, "--format", "json", **more)
        return done.returncode, json.loads(done.stdout)

    return ask


def codes(envelope: dict[str, Any]) -> list[str]:
    return [finding["code"] for finding in envelope["findings"]]


INDEX = 'op.create_index("x", "compliance_reports", ["id"])'
CONCURRENTLY = (
    "with op.get_context().autocommit_block():",
    '    op.create_index("x", "compliance_reports", ["id"], postgresql_concurrently=True)',
)


def test_a_revision_after_the_baseline_is_forecast(lint: Ask, audit: Path) -> None:
    revision(audit, "2026_12_01_0000", INDEX)
    code, envelope = lint()
    assert (code, codes(envelope)) == (4, ["DBM122"])
    [line] = envelope["data"]["databases"][0]["forecast"]
    assert line["locks"] == ["SHARE on compliance_reports"]
    assert (line["blocks"], line["scans"], line["rewrites"]) == ("writes", ["compliance_reports"], [])
    assert line["codes"] == ["DBM122"]
    assert envelope["findings"][0]["hint"]


def test_the_safe_way_is_found_safe(lint: Ask, audit: Path) -> None:
    revision(audit, "2026_12_01_0000", *CONCURRENTLY, attributes='phase = "expand"')
    code, envelope = lint()
    assert (code, codes(envelope)) == (0, [])
    [line] = envelope["data"]["databases"][0]["forecast"]
    assert line["locks"] == ["SHARE UPDATE EXCLUSIVE on compliance_reports"]
    assert line["notes"] == ["runs outside of a transaction"]


def test_the_baseline_says_from_where_on_there_are_rows(lint: Ask, audit: Path) -> None:
    agreed = (audit / "lint.toml").read_text()
    revision(audit, "2026_12_01_0000", INDEX)
    (audit / "lint.toml").write_text(re.sub(r'baseline = "\w+"', 'baseline = "2026_12_01_0000"', agreed))
    code, envelope = lint()
    assert (code, envelope["data"]["databases"][0]["forecast"]) == (0, [])
    (audit / "lint.toml").write_text(re.sub(r"baseline = .*", "", agreed))
    code, envelope = lint()
    assert {"DBM122", "DBM125"} <= set(codes(envelope)), "all revisions may meet rows"


def test_a_contract_revision_may_drop_through_its_gate(lint: Ask, audit: Path) -> None:
    gate = "op.execute(\"DO $gate$ BEGIN PERFORM to_regclass('dbops.entries'); END $gate$\")"
    revision(audit, "2026_12_01_0000", gate, 'op.drop_table("compliance_reports")', attributes='phase = "contract"')
    code, envelope = lint()
    found = {one["code"]: one["severity"] for one in envelope["findings"]}
    assert found == {"DBM135": "info", "DBM214": "warning"}, "what it is for, and two allowances that it ends"
    assert code == 3


def test_a_statement_that_fails_is_told_with_its_way_around(lint: Ask, audit: Path) -> None:
    revision(audit, "2026_12_01_0000", INDEX.replace("])", "], postgresql_concurrently=True)"))
    code, envelope = lint()
    assert (code, codes(envelope)) == (4, ["DBM143", "failed"])
    assert "2026_12_01_0000" in envelope["findings"][1]["message"]
    assert envelope["data"]["databases"][0]["against"] == "revisions"


# ── Formats ──────────────────────────────────────────────────────────────────────────────────────


def test_github_shows_it_at_its_line(dbops: Dbops, databases: Databases, audit: Path) -> None:
    file = revision(audit, "2026_12_01_0000", "op.execute('SELECT 1')", INDEX)
    done = dbops("migrate", "lint", "--config", databases.config, "--format", "github", cwd=audit)
    [line] = done.stdout.splitlines()
    number = 1 + file.read_text().splitlines().index(f"    {INDEX}")
    assert line.startswith(f"::error file={file.name},line={number},title=DBM122 audit::2026_12_01_0000 statement 2, ")
    assert "%0A" in line
    assert done.returncode == 4


def test_junit_has_a_case_for_each_revision(dbops: Dbops, databases: Databases, audit: Path) -> None:
    revision(audit, "2026_12_01_0000", INDEX, 'op.execute("CREATE POLICY p ON compliance_reports USING (true)")')
    done = dbops("migrate", "lint", "--config", databases.config, "--format", "junit")
    suites = ET.fromstring(done.stdout)  # noqa: S314  # our own
    cases = {case.get("name"): case for case in suites.iter("testcase")}
    assert len(cases) == 6
    failing = {name for name, case in cases.items() if case.find("failure") is not None}
    assert failing == {"2026_12_01_0000 2026_12_01_0000_more.py"}
    [case] = (cases[name] for name in failing)
    assert [one.get("type") for one in case.iter("failure")] == ["DBM122"]
    assert "DBM132" in "".join(one.text or "" for one in case.iter("system-out"))
    assert suites[0].get("failures") == "1"


def test_a_code_is_explained_without_any_configuration(dbops: Dbops) -> None:
    done = dbops("migrate", "lint", "--explain", "dbm122")
    assert done.returncode == 0
    assert "CREATE INDEX CONCURRENTLY" in done.stdout
    told = json.loads(dbops("migrate", "lint", "--explain", "DBM205", "--output", "json").stdout)["data"]
    assert (told["code"], told["severity"]) == ("DBM205", "warning")
    assert dbops("migrate", "lint", "--explain", "DBM999").returncode == 2


# ── squawk ───────────────────────────────────────────────────────────────────────────────────────


def test_squawk_gives_a_second_opinion(dbops: Dbops, databases: Databases, audit: Path) -> None:
    free = 'op.execute("ALTER TABLE compliance_reports ALTER COLUMN title TYPE text")'
    revision(
        audit, "2026_12_01_0000", INDEX, 'op.execute("ALTER TABLE compliance_reports ADD COLUMN title varchar(9)")'
    )
    revision(audit, "2026_12_02_0000", free)
    done = dbops("migrate", "lint", "--config", databases.config, "--verbose")
    assert "2026_12_01_0000 1. squawk says require-concurrent-index-creation: as PostgreSQL showed" in done.stdout
    assert "2026_12_02_0000 1. squawk says changing-column-type: PostgreSQL showed none of DBM112" in done.stdout
    assert "no second opinion" not in done.stdout


# ── Live databases ───────────────────────────────────────────────────────────────────────────────


def test_what_is_pending_on_a_live_database_is_judged_by_its_sizes(
    lint: Ask, databases: Databases, audit: Path
) -> None:
    upgrade(databases.conninfo("audit", user=OWNER), "audit")
    revision(audit, "2026_12_01_0000", INDEX)
    assert lint("--on-target")[0] == 0, "an empty table makes nobody wait"
    with rows(databases.conninfo("audit")) as connection:
        grown = "UPDATE pg_class SET reltuples = 50000000 WHERE oid = 'compliance_reports'::regclass"
        connection.execute(grown.encode())
    code, envelope = lint("--on-target")
    assert (code, codes(envelope)) == (4, ["DBM122"])
    assert "50,000,000 rows, 30 to 120 s" in envelope["findings"][0]["message"]
    [line] = envelope["data"]["databases"][0]["forecast"]
    assert (line["at_least_s"], line["at_most_s"] > 100) == (30.0, True)


def test_what_cannot_be_forecast_is_told_beside_what_was_judged(lint: Ask, databases: Databases, audit: Path) -> None:
    upgrade(databases.conninfo("audit", user=OWNER), "audit")
    revision(audit, "2026_12_01_0000", INDEX)
    with rows(databases.conninfo("audit")) as connection:
        connection.execute("CREATE TABLE secrets (id serial PRIMARY KEY)")  # of another owner: it cannot be copied
    code, envelope = lint("--on-target")
    assert (code, codes(envelope)) == (5, ["DBM201", "DBM203", "DBM210", "unverified"])
    assert "permission denied for table secrets" in envelope["findings"][-1]["message"]
    assert envelope["data"]["databases"][0]["against"] == "database"


def test_a_plan_tells_beside_each_revision_what_to_expect_of_it(
    dbops: Dbops, databases: Databases, audit: Path
) -> None:
    assert dbops("migrate", "up", "--yes", "--config", databases.config).returncode == 0
    revision(audit, "2026_12_01_0000", INDEX)
    asked = ("migrate", "plan", "--config", databases.config, "--output", "json")
    bare, told = (json.loads(dbops(*asked, *more).stdout)["data"] for more in ((), ("--forecast",)))
    assert bare["plans"][0]["sha"] == told["plans"][0]["sha"], "it is the same plan"
    assert not any("SHARE on compliance_reports" in note for note in bare["steps"][-1]["notes"])
    assert any("SHARE on compliance_reports" in note for note in told["steps"][-1]["notes"])
