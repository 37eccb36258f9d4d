"""`dbops pitr window` and `plan` through the installed program: what they tell, and with which exit code."""

import json
import re
import shlex
from collections.abc import Callable, Generator
from datetime import datetime, timedelta
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from conftest import fresh
from dbops.engine import clock
from dbops.errors import ExitCode
from dbops.servers import account, postgres

import clustering
from clustering import Cluster

Dbops = Callable[..., CompletedProcess[str]]


@pytest.fixture(scope="module")
def world(base: Path) -> Generator[tuple[Cluster, dict[str, datetime]]]:
    folder = fresh(base, "window")
    folder.mkdir(mode=0o711)
    folder.chmod(0o711)
    with clustering.under_backup(folder) as live:
        moments = {"zero": live.keep("zero")}
        live.pgbackrest("backup", "--type=full", "--no-expire-auto")
        moments["one"] = live.keep("one")
        with live.connect() as connection:
            connection.execute("CREATE PUBLICATION outside FOR ALL TABLES")
            connection.execute("SELECT pg_create_physical_replication_slot('reader')")
        moments["two"] = live.keep("two")
        live.keep("three")
        live.switch()
        yield live, moments


def run(dbops: Dbops, live: Cluster, *words: str | Path, code: int = 0) -> dict[str, Any]:
    done = dbops("pitr", *words, "--config", live.toml, "--output", "json")
    told = json.loads(done.stdout)
    assert (done.returncode, told["exit_code"]) == (code, code), done.stdout + done.stderr
    return told


def codes(told: dict[str, Any]) -> set[str]:
    return {finding["code"] for finding in told["findings"]}


def test_the_window_says_from_when_to_when_and_how_far_the_archive_is(
    dbops: Dbops, world: tuple[Cluster, dict[str, datetime]]
) -> None:
    live, moments = world
    data = run(dbops, live, "window")["data"]
    [one] = data["intervals"]
    assert datetime.fromisoformat(one["since"]) <= moments["one"]
    assert moments["two"] < datetime.fromisoformat(one["until"]) < clock.now()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", one["until"])
    assert (one["missing"], data["gaps"], data["rpo"]["age_s"]) == (None, [], 0.0)
    text = dbops("pitr", "window", "--config", live.toml)
    assert text.returncode == 0
    assert f"any moment from {one['since']}" in text.stdout
    assert f"up to, not including, {one['until']} (the last commit: --latest)" in text.stdout
    assert "RPO now: 0 s" in text.stdout
    assert re.search(r"^backups +.*F", text.stdout, re.MULTILINE)
    assert "━" in text.stdout  # the line


def test_the_line_is_plain_where_the_terminal_knows_no_more(
    dbops: Dbops, world: tuple[Cluster, dict[str, datetime]]
) -> None:
    plain = {"LANG": "C", "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    text = dbops("pitr", "window", "--config", world[0].toml, env=plain)
    assert text.returncode == 0
    assert text.stdout.isascii()
    assert re.search(r"^timeline 1 +=*>", text.stdout, re.MULTILINE)


def test_a_plan_tells_both_sides_what_would_be_lost_and_what_does_not_survive(
    dbops: Dbops, world: tuple[Cluster, dict[str, datetime]]
) -> None:
    live, moments = world
    told = run(dbops, live, "plan", "--at", moments["one"].isoformat())
    data = told["data"]
    assert datetime.fromisoformat(data["last_kept"]["at"]) <= moments["one"]
    assert moments["one"] < datetime.fromisoformat(data["first_lost"]["at"])
    assert data["lost_commits"] == 3  # a publication and two rows
    assert (data["slots"], data["publications"]) == (["reader (physical)"], ["outside (postgres)"])
    assert data["predicted_s"] is None
    assert codes(told) == {"DBB522", "DBB523"}
    assert told["next_actions"][0].startswith("dbops pitr restore --target main --at ")
    text = dbops("pitr", "plan", "--config", live.toml, "--latest")
    assert "first commit that will not: none is archived" in text.stdout


def test_the_next_action_of_a_plan_leads_the_same_way_as_the_plan(
    dbops: Dbops, world: tuple[Cluster, dict[str, datetime]]
) -> None:
    live, _ = world
    with live.connect() as connection:
        connection.execute('SELECT pg_create_restore_point($$it\'s "so"$$)')
    live.switch()
    planned = run(dbops, live, "plan", "--name", 'it\'s "so"', "--timeline", "1", "--repository", "1")
    [again] = planned["next_actions"]
    _, _, verb, *words = shlex.split(again)
    assert verb == "restore"
    assert {"--timeline", "--repository"} < set(words)
    done = dbops("pitr", verb, *words, "--plan")
    assert done.returncode == 0, done.stderr
    assert f"restore set {planned['data']['set']} of repository 1" in done.stdout
    by_set = run(dbops, live, "plan", "--immediate", "--set", planned["data"]["set"])
    assert f"--set {planned['data']['set']}" in by_set["next_actions"][0]


def test_a_repository_that_is_not_there_is_refused_by_its_number(
    dbops: Dbops, world: tuple[Cluster, dict[str, datetime]]
) -> None:
    told = run(dbops, world[0], "plan", "--latest", "--repository", "7", code=ExitCode.REFUSED)
    [finding] = told["findings"]
    assert "repository 7" in finding["message"]
    assert finding["hint"] == "there is WAL in repository 1"


def test_a_moment_after_the_last_commit_of_an_idle_server_is_the_latest_and_says_so(
    dbops: Dbops, world: tuple[Cluster, dict[str, datetime]]
) -> None:
    told = run(dbops, world[0], "plan", "--at", clock.now().isoformat())
    assert "--type=default" in told["data"]["options"]
    assert "planned as --latest" in told["data"]["notes"][0]


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("--at", "yesterday"), 2, "is no moment"),
        (("--at", "2026-08-01T14:00:00"), 2, "has no zone"),
        (("--lsn", "nonsense"), 2, "is no position"),
        (("--xid", "1"), 2, "is no transaction"),
        (("--latest", "--immediate"), 2, "say which moment"),
        (("--latest", "--exclusive"), 2, "--exclusive goes with"),
        ((), 2, "say which moment"),
        (("--at", "2020-01-01T00:00:00Z"), 9, "the first moment within reach"),
        (("--name", "nosuch"), 9, "was not found"),
        (("--lsn", "FF/0"), 9, "beyond what is archived"),
        (("--latest", "--timeline", "9"), 9, "knows no timeline"),
        (("--latest", "--target", "nosuch"), 2, "is no cluster"),
    ],
)
def test_what_cannot_be_reached_is_refused_with_its_reason(
    dbops: Dbops, world: tuple[Cluster, dict[str, datetime]], words: tuple[str, ...], code: int, says: str
) -> None:
    told = run(dbops, world[0], "plan", *words, code=code)
    assert says in told["findings"][0]["message"]


def test_a_zone_in_the_configuration_reads_wall_clocks(
    dbops: Dbops, world: tuple[Cluster, dict[str, datetime]], folder: Path
) -> None:
    live, moments = world
    other = folder / "zoned.toml"
    other.write_text(live.toml.read_text().replace('name = "test"', 'name = "test"\nzone = "Asia/Tokyo"'))
    wall = (moments["one"] + timedelta(hours=9)).replace(tzinfo=None).isoformat()
    done = dbops("pitr", "plan", "--config", other, "-o", "json", "--at", wall)
    assert json.loads(done.stdout)["data"]["wanted"] == moments["one"].isoformat()


def test_a_gap_is_bad_until_somebody_acknowledges_it(dbops: Dbops, folder: Path) -> None:
    with clustering.under_backup(folder) as live:
        live.keep("zero")
        live.pgbackrest("backup", "--type=full", "--no-expire-auto")
        for note in ("one", "two", "three"):
            live.keep(note)
            live.switch()
        files = sorted(path for path in live.repository.glob("archive/main/15-1/*/*") if len(path.name) > 60)
        missing = files[-2].name[:24]
        files[-2].unlink()
        told = run(dbops, live, "window", code=4)
        assert codes(told) == {"DBB501"}
        [one] = told["data"]["intervals"]
        assert (one["missing"], one["reopened_by"]) == (missing, None)
        text = dbops("pitr", "window", "--config", live.toml).stdout
        assert f"then WAL segment {missing} is missing;\n  after the gap only a later backup reopens it" in text
        lost = f'from = "{missing}", to = "{missing}", reason = "disk swapped", on = 2026-11-20'
        live.toml.write_text(live.toml.read_text() + f"[[cluster.main.backup.lost]]\n{lost.replace(', ', chr(10))}\n")
        told = run(dbops, live, "window")
        assert codes(told) == {"DBB503"}
        assert told["data"]["gaps"][0]["reason"] == "disk swapped"
        assert "disk swapped" in dbops("pitr", "window", "--config", live.toml).stdout


def test_an_rpo_that_is_missed_is_6_and_unknown_without_the_server(dbops: Dbops, folder: Path) -> None:
    with clustering.under_backup(folder, objectives={"rpo": "1ms"}) as live:
        live.keep("zero")
        live.pgbackrest("backup", "--type=full", "--no-expire-auto")
        live.switch()
        assert run(dbops, live, "window")["data"]["rpo"]["age_s"] == 0.0
        live.keep("not archived")
        told = run(dbops, live, "window", code=6)
        assert codes(told) == {"DBB506"}
        postgres.stop(live.server)
        told = run(dbops, live, "window", code=3)
        assert codes(told) == {"DBB510"}
        assert told["data"]["rpo"]["age_s"] is None
        assert len(told["data"]["intervals"]) == 1


def test_a_predicted_restore_that_is_too_slow_is_6(dbops: Dbops, folder: Path) -> None:
    with clustering.under_backup(folder, objectives={"rto": "1ms"}) as live:
        live.keep("zero")
        live.pgbackrest("backup", "--type=full", "--no-expire-auto")
        live.switch()
        took = {"target": "main", "at": "2026-11-20T00:00:00.000Z", "label": "x", "size": 1 << 20, "segments": 1}
        took |= {"restored_s": 1.0, "consistent_s": 1.5, "writable_s": 2.0}
        (live.folder / "state" / "restores").mkdir(parents=True, exist_ok=True)
        (live.folder / "state" / "restores" / "main.jsonl").write_text(json.dumps(took) + "\n")
        told = run(dbops, live, "plan", "--latest", code=6)
        assert codes(told) == {"DBB521"}
        assert told["data"]["predicted_s"] > 1.0


def test_a_repository_that_cannot_be_read_is_5_and_one_without_the_stanza_is_9(dbops: Dbops, folder: Path) -> None:
    with clustering.under_backup(folder) as live:
        live.keep("zero")
        info = live.repository / "backup/main/backup.info"
        for path in (info, info.with_name("backup.info.copy")):
            path.write_text("nonsense")
            account.give(path)
        told = run(dbops, live, "window", code=5)
        assert "can be read" in told["findings"][0]["message"]
        live.toml.write_text(live.toml.read_text().replace('stanza = "main"', 'stanza = "other"'))
        told = run(dbops, live, "window", code=9)
        assert "holds no stanza other" in told["findings"][0]["message"]
