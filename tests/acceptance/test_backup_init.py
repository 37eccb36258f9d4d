"""`dbops backup init` and `audit`, through the installed program, on a cluster that nobody backs up."""

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

from dbops.servers import postgres

from bare_cluster import TARGET, bare, write_toml

Dbops = Callable[..., CompletedProcess[str]]


def told(done: CompletedProcess[str]) -> dict[str, Any]:
    return json.loads(done.stdout)


def test_a_cluster_comes_under_backup_and_the_operator_keeps_the_restart(dbops: Dbops, folder: Path) -> None:
    with bare(folder, encrypted=True) as live:
        asked = ("--config", live.toml, "--target", TARGET)
        audited = dbops("backup", "audit", *asked)
        assert audited.returncode == 4
        assert "archive_mode" in audited.stdout
        assert "dbops backup init --target main" in audited.stderr
        planned = dbops("backup", "init", "--plan", *asked)
        assert planned.returncode == 3
        assert "repo1-cipher-type=aes-256-cbc" in planned.stdout
        assert "ALTER SYSTEM SET archive_command" in planned.stdout
        assert not live.conf.exists()
        first = dbops("backup", "init", "--output", "json", *asked)
        assert first.returncode == 3, first.stderr
        assert [one["code"] for one in told(first)["findings"]] == ["DBB101"]
        assert "pg_ctl" in told(first)["findings"][0]["hint"]
        assert told(first)["next_actions"] == [f"dbops backup init --target main --restart --config {live.toml}"]
        assert f"dbops backup init --target main --restart --config {live.toml}" in planned.stderr
        assert live.setting("archive_mode") == "off"
        refused = dbops("backup", "init", "--restart", *asked)
        assert refused.returncode == 7  # a restart is agreed to, never assumed
        done = dbops("backup", "init", "--restart", "--yes", "--output", "json", *asked)
        assert done.returncode == 0, done.stderr
        assert [one["id"] for one in told(done)["data"]["steps"]] == ["restart", "check", "full:1"]
        assert told(done)["next_actions"] == [f"dbops backup audit --target main --config {live.toml}"]
        again = dbops("backup", "init", "--output", "json", *asked)
        assert (again.returncode, told(again)["data"]["steps"]) == (0, [])
        good = dbops("backup", "audit", "--output", "json", *asked)
        assert good.returncode == 0, good.stdout
        assert told(good)["data"]["clusters"] == [{"target": TARGET, "verdict": "good", "deviations": []}]
        whole = "".join(one.stdout + one.stderr for one in (audited, planned, first, refused, done, again, good))
        journals = "".join(path.read_text() for path in (folder / "state" / "journal").rglob("*") if path.is_file())
        assert "plan" in journals
        assert "a pass = of its own" not in whole + journals


def test_a_copying_archive_command_needs_a_yes(dbops: Dbops, folder: Path) -> None:
    with bare(folder, archiving=True) as live:
        asked = ("--config", live.toml)
        refused = dbops("backup", "init", *asked)
        assert refused.returncode == 7
        assert not live.conf.exists()
        done = dbops("backup", "init", "--yes", *asked)
        assert done.returncode == 0, done.stderr
        assert "pgbackrest" in live.setting("archive_command")


def test_what_cannot_be_asked_is_unverified_and_nothing_is_begun(dbops: Dbops, folder: Path) -> None:
    with bare(folder, archiving=True) as live:
        assert dbops("backup", "init", "--yes", "--config", live.toml).returncode == 0
        write_toml(live, data_directory=str(live.server.data))
        postgres.stop(live.server)
        assert dbops("backup", "init", "--yes", "--config", live.toml).returncode == 75
        audited = dbops("backup", "audit", "--output", "json", "--config", live.toml)
        assert audited.returncode == 5
        assert {one["code"] for one in told(audited)["findings"]} == {"DBB116", "DBB130"}


def test_the_wrong_account_is_told_the_right_one(dbops: Dbops, folder: Path) -> None:
    with bare(folder, run_as="nobody") as live:
        done = dbops("backup", "init", "--config", live.toml)
        assert done.returncode == 9
        assert 'run_as = "' in done.stderr
        assert not live.conf.exists()


def test_a_cluster_without_a_repository_is_a_wrong_configuration(dbops: Dbops, folder: Path) -> None:
    with bare(folder) as live:
        write_toml(live, repository={})
        assert dbops("backup", "init", "--config", live.toml).returncode == 8
        assert dbops("backup", "init", "--target", "nobody", "--config", live.toml).returncode == 2
