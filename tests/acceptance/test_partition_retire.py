"""`dbops partition retire` and `restore`, through the installed program, as an owner who is nobody special."""

import json
from collections.abc import Callable, Generator
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import psycopg
import pytest

from migrating import make_databases
from retiring import Audit

Dbops = Callable[..., CompletedProcess[str]]
Ask = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def audit(server: str, folder: Path) -> Generator[Audit]:
    made = Audit(make_databases(server, folder, "audit"))
    made.configure()
    made.fill()
    yield made
    made.databases.drop()


@pytest.fixture
def partition(dbops: Dbops, audit: Audit) -> Ask:
    def ask(*words: str) -> tuple[int, dict[str, Any]]:
        done = dbops("partition", *words, "--config", audit.config, "--output", "json")
        assert done.stdout, done.stderr
        envelope = json.loads(done.stdout)
        assert envelope["exit_code"] == done.returncode
        return done.returncode, envelope

    return ask


def test_the_plan_is_shown_with_its_sql_and_its_locks_and_changes_nothing(partition: Ask, audit: Audit) -> None:
    code, told = partition("retire", "--plan")
    assert code == 0
    steps = {step["id"]: step for step in told["data"]["steps"]}
    detach = steps["detach public.audit_events_2020_01"]
    assert detach["sql"] == [
        "ALTER TABLE public.audit_events DETACH PARTITION public.audit_events_2020_01 CONCURRENTLY"
    ]
    assert any("SHARE UPDATE EXCLUSIVE" in note for note in detach["notes"])
    assert steps["drop public.audit_events_2020_01"]["risk"] == "blocks"
    assert audit.attached() == ["2020_01", "2020_02", "2099_01"]
    assert audit.copies() == {}


def test_without_a_terminal_it_wants_yes(partition: Ask, audit: Audit) -> None:
    code, told = partition("retire")
    assert (code, told["ok"]) == (7, False)
    assert audit.copies() == {}


def test_it_retires_and_restores_the_same_rows(partition: Ask, audit: Audit) -> None:
    whole = "count(*), md5(string_agg(e::text, ',' ORDER BY id))"
    total = f"SELECT {whole} FROM audit_events e WHERE \"timestamp\" < '2020-02-01Z'"
    before = audit.sql(total)
    assert partition("retire", "--yes")[0] == 0
    assert (audit.attached(), audit.graced()) == (["2099_01"], [])
    assert {month: rows for month, (rows, _) in audit.copies().items()} == {"2020_01": 2232, "2020_02": 2088}
    code, told = partition("retire", "--yes")
    assert (code, told["data"]["plans"][0]["outcome"]) == (0, "nothing to do")
    assert partition("restore", "audit_events_2020_01", "--target", "audit", "--yes")[0] == 0
    assert audit.attached() == ["2020_01", "2099_01"]
    assert audit.sql(total) == before


def test_a_type_of_event_without_a_policy_is_a_warning_and_blocks(partition: Ask, audit: Audit) -> None:
    audit.sql("DELETE FROM retention_policies WHERE event_type = 'change'")
    code, told = partition("retire", "--yes")
    assert code == 3
    assert {one["code"] for one in told["findings"]} == {"partition_without_policy"}
    assert audit.attached() == ["2020_01", "2020_02", "2099_01"]


def test_what_was_changed_during_its_grace_is_told_as_a_warning(partition: Ask, audit: Audit) -> None:
    audit.configure(grace="7 days")
    assert partition("retire", "--yes")[0] == 0
    audit.sql("UPDATE dbops_grace.audit_events_2020_01 SET result = 'failure'")
    audit.configure(grace="0s")
    code, told = partition("retire", "--yes")
    assert code == 3
    assert [one["code"] for one in told["findings"]] == ["partition_changed"]
    assert audit.graced() == ["2020_01"]


def test_a_drop_without_a_copy_wants_the_name_of_the_target(partition: Ask, audit: Audit) -> None:
    audit.config.write_text(audit.config.read_text() + 'action = "drop"\n')
    assert partition("retire", "--yes")[0] == 7
    assert partition("retire", "--confirm", "audit")[0] == 0
    assert (audit.attached(), audit.graced(), audit.copies()) == (["2099_01"], [], {})


def test_a_table_that_is_not_configured_is_a_wrong_command_line(partition: Ask) -> None:
    assert partition("retire", "--table", "people", "--plan")[0] == 2
    assert partition("restore", "x", "--target", "people", "--plan")[0] == 2


def test_a_run_that_is_at_it_is_left_alone(partition: Ask, audit: Audit) -> None:
    lock = "SELECT pg_advisory_lock(hashtextextended('dbops:audit:partition', 0::bigint))"
    with psycopg.connect(audit.databases.conninfo("audit"), autocommit=True) as other:
        other.execute(lock)
        assert partition("retire", "--yes", "--lock-wait", "0s")[0] == 11
        assert partition("retire", "--yes", "--lock-wait", "0s", "--skip-if-running")[0] == 0
    assert audit.attached() == ["2020_01", "2020_02", "2099_01"]


def test_an_empty_vault_configuration_is_told_before_anything_is_done(partition: Ask, audit: Audit) -> None:
    text = audit.config.read_text()
    audit.config.write_text(text.replace(f'[vault]\nurl = "file://{audit.folder}/vault"\n', ""))
    assert partition("retire", "--yes")[0] == 8
    assert audit.attached() == ["2020_01", "2020_02", "2099_01"]
