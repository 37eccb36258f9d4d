"""`dbops backup run` and `list` through the installed program: what they tell, and what they exit with."""

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Generator
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from dbops.operations.clusters.reach import samples
from dbops.servers import account, alive, postgres

import clustering
from terminal import Terminal

Dbops = Callable[..., CompletedProcess[str]]
Ask = Callable[..., tuple[int, dict[str, Any]]]
_DBOPS = Path(sys.executable).with_name("dbops")


@pytest.fixture
def live(folder: Path) -> Generator[clustering.Cluster]:
    with clustering.under_backup(folder) as made:
        made.keep("before")
        yield made


@pytest.fixture
def backup(dbops: Dbops, live: clustering.Cluster) -> Ask:
    def ask(*words: str) -> tuple[int, dict[str, Any]]:
        done = dbops("backup", *words, "--config", live.toml, "--output", "json")
        assert done.stdout, done.stderr
        envelope = json.loads(done.stdout)
        assert envelope["exit_code"] == done.returncode
        return done.returncode, envelope

    return ask


def codes(envelope: dict[str, Any]) -> set[str]:
    return {finding["code"] for finding in envelope["findings"]}


_SLOW = (("compress-type=zst", "compress-type=gz"), ("compress-level=1", "compress-level=9"))


def slow_down(live: clustering.Cluster, megabytes: int = 12) -> None:
    """Make a backup that takes some seconds: much data, the slowest compression."""
    text = live.stanza.config.read_text()
    for fast, slow in _SLOW:
        text = text.replace(fast, slow)
    live.stanza.config.write_text(text.replace("process-max=2", "process-max=1"))
    with live.connect() as connection:
        connection.execute(
            "CREATE TABLE large AS SELECT g, md5(g::text) || md5((-g)::text) AS t"
            f" FROM generate_series(1, {megabytes * 8500}) g".encode()
        )


def speed_up(live: clustering.Cluster) -> None:
    """Let the next backup take no longer than it has to."""
    text = live.stanza.config.read_text()
    for fast, slow in _SLOW:
        text = text.replace(slow, fast)
    live.stanza.config.write_text(text.replace("process-max=1", "process-max=2"))


def lock_of(live: clustering.Cluster) -> Path:
    return live.stanza.home / "lock" / "main-backup.lock"


def is_free(lock: Path) -> bool:
    if not lock.exists():
        return True
    with lock.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def await_pgbackrest(live: clustering.Cluster) -> int:
    """Wait until the workers of a backup are at work; return the pid of the main process."""
    wanted = f"--config={live.stanza.config}"

    def ours(argv: alive.Argv) -> bool:
        return argv[0].endswith("pgbackrest") and wanted in argv

    while True:
        for pid in alive.serving(ours):
            if "backup" in alive.argv_of(pid) and len(alive.family(pid)) > 1:
                return pid


def started(live: clustering.Cluster, *words: str) -> subprocess.Popen[str]:
    argv = [_DBOPS, "backup", "run", "--config", live.toml, *words]
    pipe = subprocess.PIPE
    return subprocess.Popen(argv, stdout=pipe, stderr=pipe, text=True, start_new_session=True)


def test_it_takes_what_is_due_and_keeps_the_configuration_beside_it(
    backup: Ask, dbops: Dbops, live: clustering.Cluster
) -> None:
    code, told = backup("run", "--plan")
    assert (code, [step["id"] for step in told["data"]["steps"]]) == (
        0,
        ["back up to repository 1", "keep configuration"],
    )
    assert backup("list")[0] == 6, "a plan takes nothing"
    code, told = backup("run", "--reason", "before the upgrade")
    assert (code, told["findings"]) == (0, [])
    assert len(samples.kept(live.folder / "state", "main")) == 1, "a run tells the RPO where the server was"
    assert dbops("status", "--config", live.toml).returncode == 0
    assert len(samples.kept(live.folder / "state", "main")) == 2, "and so does a look at the status"
    [first] = told["data"]["backups"]
    assert (first["kind"], first["page_errors"]) == ("full", False)
    assert first["size_bytes"] > first["repository_bytes"] > 0
    assert backup("run")[1]["data"]["backups"][0]["kind"] == "incr"
    code, told = backup("list")
    assert code == 0
    [full, incr] = told["data"]["clusters"][0]["sets"]
    assert (full["label"], incr["prior"]) == (first["label"], first["label"])
    assert full["annotations"]["reason"] == "before the upgrade"
    assert full["annotations"]["run"]
    assert full["restorable"]["last_segment"] >= incr["wal_stop"]
    kept = json.loads(dbops("vault", "list", "--config", live.toml, "--output", "json").stdout)["data"]
    assert len(json.dumps(kept).split("-configuration")) > 2
    owners = {entry.stat().st_uid for entry in live.stanza.home.rglob("*")}
    assert owners == {account.uid()}, "nothing of it belongs to root"


def test_the_list_is_a_tree(backup: Ask, dbops: Dbops, live: clustering.Cluster) -> None:
    for kind in ("full", "diff", "incr"):
        assert backup("run", "--type", kind, *(("--reason", "by hand") if kind == "diff" else ()))[0] == 0
    lines = dbops("backup", "list", "--config", live.toml).stdout.splitlines()
    assert lines[0].startswith("main: stanza main, 3 backups, the newest ended ")
    tree = [line for line in lines if line.strip()[:3] == "202" and "taken because" not in line]
    assert [len(line) - len(line.lstrip()) for line in tree] == [0, 2, 4]
    assert [line.split()[0][-1] for line in tree] == ["F", "D", "I"]
    assert all("…" not in line for line in lines), "what is shown fits into 100 columns"
    assert any("taken because: by hand" in line for line in lines)


def test_a_set_whose_wal_is_gone_is_told_as_lost(backup: Ask, live: clustering.Cluster) -> None:
    backup("run")
    start = backup("list")[1]["data"]["clusters"][0]["sets"][0]["wal_start"]
    [segment] = live.repository.rglob(f"{start}-*")
    segment.unlink()
    code, told = backup("list")
    assert (code, codes(told)) == (4, {"DBB202"})
    assert told["data"]["clusters"][0]["sets"][0]["restorable"] is None


def test_damaged_pages_are_bad_although_pgbackrest_ends_well(
    backup: Ask, dbops: Dbops, live: clustering.Cluster
) -> None:
    with live.connect() as connection:
        connection.execute("CREATE TABLE broken AS SELECT g FROM generate_series(1, 3000) g")
        row = connection.execute("SELECT pg_relation_filepath('broken')").fetchone()
        connection.execute("CHECKPOINT")
    assert row is not None
    postgres.stop(live.server)
    with (live.server.data / row[0]).open("r+b") as file:
        file.seek(8192 * 2 + 5000)
        byte = file.read(1)
        file.seek(8192 * 2 + 5000)
        file.write(bytes([byte[0] ^ 0xFF]))
    postgres.start(live.server)
    metrics = live.folder / "backup.prom"
    code, told = backup("run", "--metrics-file", str(metrics))
    assert (code, codes(told)) == (4, {"DBB201"})
    [finding] = told["findings"]
    assert f"{row[0]} is damaged at page 2" in finding["message"]
    assert told["data"]["backups"][0]["page_errors"] is True
    assert 'dbops_last_status{command="backup run",target="main"} 4' in metrics.read_text()
    assert "last_success" not in metrics.read_text(), "a damaged backup is no success"
    code, told = backup("list")
    assert (code, codes(told)) == (4, {"DBB201"})
    text = dbops("backup", "run", "--plan", "--config", live.toml).stdout
    assert "full backup into repository 1" in text, "nothing is built on damaged pages"


def test_without_a_vault_the_backup_counts_and_a_warning_tells_what_is_missing(
    backup: Ask, live: clustering.Cluster
) -> None:
    text = live.toml.read_text()
    live.toml.write_text(text.replace(f'[vault]\nurl = "file://{live.folder}/vault"\n', ""))
    code, told = backup("run")
    assert (code, codes(told)) == (3, {"DBB204"})
    assert len(told["data"]["backups"]) == 1


def test_a_server_that_is_down_is_unreachable_and_a_stanza_that_nobody_knows_is_refused(
    backup: Ask, live: clustering.Cluster
) -> None:
    postgres.stop(live.server)
    assert backup("run")[0] == 75
    assert backup("list")[0] == 6, "the repository answers all the same"
    postgres.start(live.server)
    live.toml.write_text(live.toml.read_text().replace('stanza = "main"', 'stanza = "other"'))
    code, told = backup("run")
    assert (code, "dbops backup init --target main" in told["findings"][0]["hint"]) == (9, True), told
    assert backup("list")[0] == 5
    for part in ("archive", "backup"):
        account.make_folder(live.repository / part / "other")
    code, told = backup("run")  # pgBackRest says otherwise when the folders are there
    assert (code, "dbops backup init --target main" in told["findings"][0]["hint"]) == (9, True), told
    live.stanza.config.unlink()
    code, told = backup("run")
    assert (code, "dbops backup init --target main" in told["findings"][0]["hint"]) == (9, True), told


def test_a_broken_archive_command_is_told_with_what_the_archiver_says(backup: Ask, live: clustering.Cluster) -> None:
    live.stanza.config.write_text(live.stanza.config.read_text().replace("[main]", "archive-timeout=2\n[main]"))
    with live.connect() as connection:
        connection.execute("ALTER SYSTEM SET archive_command = 'false # pgbackrest'")
        connection.execute("SELECT pg_reload_conf()")
    code, told = backup("run")
    assert code == 1
    message = told["findings"][0]["message"]
    assert "WAL is not being archived" in message
    assert "false # pgbackrest" in message
    assert backup("list")[0] == 6


def test_somebody_elses_backup_is_told_by_its_pid(backup: Ask, live: clustering.Cluster) -> None:
    backup("run")
    account.write_file(lock_of(live), "")
    with lock_of(live).open("r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(json.dumps({"execId": f"{os.getpid()}-0123abcd", "pid": os.getpid()}))
        file.flush()
        code, told = backup("run")
        assert code == 11
        assert f"pid {os.getpid()} (" in told["findings"][0]["message"]
        code, told = backup("run", "--skip-if-running")
        assert (code, told["data"]["plans"][0]["outcome"]) == (0, "skipped"), told
    assert backup("run")[0] == 0
    lock_of(live).touch(mode=0o600)  # as root runs of the bare tool leave it
    os.chown(lock_of(live), 0 if os.geteuid() == 0 else -1, -1)
    lock_of(live).chmod(0o000)
    code, told = backup("run")
    assert (code, "belongs to another account" in told["findings"][0]["message"]) == (9, True), told


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_pgbackrest_too_and_nothing_holds_its_lock(
    number: signal.Signals, backup: Ask, live: clustering.Cluster
) -> None:
    slow_down(live)
    run = started(live)
    await_pgbackrest(live)
    run.send_signal(number)
    _, err = run.communicate(timeout=60)
    assert run.returncode == 128 + number, err
    assert is_free(lock_of(live))
    speed_up(live)
    assert backup("run")[0] == 0


def test_workers_of_a_killed_backup_are_ended_by_the_next_run(backup: Ask, live: clustering.Cluster) -> None:
    slow_down(live)
    run = started(live)
    main = await_pgbackrest(live)
    workers = alive.family(main)[1:]
    for pid in (run.pid, *workers):
        os.kill(pid, signal.SIGSTOP)  # dbops could end the workers by itself, and they could be done by themselves
    os.kill(main, signal.SIGKILL)
    run.kill()
    run.communicate(timeout=60)
    assert not is_free(lock_of(live)), "the workers hold it"
    speed_up(live)
    code, told = backup("run")
    assert (code, codes(told) & {"DBB205"}) == (0, {"DBB205"})
    assert told["data"]["backups"][0]["kind"] == "full"


def test_workers_whose_main_process_was_killed_are_ended_at_once(backup: Ask, live: clustering.Cluster) -> None:
    slow_down(live)
    run = started(live)
    main = await_pgbackrest(live)
    for pid in alive.family(main)[1:]:
        os.kill(pid, signal.SIGSTOP)  # or they would notice by themselves
    os.kill(main, signal.SIGKILL)
    _, err = run.communicate(timeout=60)
    assert run.returncode == 1, err
    assert is_free(lock_of(live))


def test_a_server_that_is_killed_during_the_backup_is_the_reason_that_is_told(
    backup: Ask, live: clustering.Cluster
) -> None:
    slow_down(live)
    run = started(live, "--output", "json")
    await_pgbackrest(live)
    pid = postgres.pid(live.server)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    out, err = run.communicate(timeout=120)
    assert run.returncode == 75, err
    assert "the server went away during the backup" in json.loads(out)["findings"][0]["message"]
    postgres.start(live.server)
    speed_up(live)
    assert backup("run")[0] == 0


def test_two_at_once_end_as_one(backup: Ask, live: clustering.Cluster) -> None:
    slow_down(live, 20)
    runs = [started(live), started(live)]
    errors = [run.communicate(timeout=120)[1] for run in runs]
    assert sorted(run.returncode for run in runs) == [0, 11], errors
    assert len(backup("list")[1]["data"]["clusters"][0]["sets"]) == 1


def test_a_repository_that_is_away_leaves_the_other_one_its_backup(backup: Ask, live: clustering.Cluster) -> None:
    second = account.make_folder(live.stanza.home / "second")
    text = live.stanza.config.read_text().replace("[main]", f"repo2-path={second}\nrepo2-retention-full=2\n[main]")
    live.stanza.config.write_text(text)
    live.pgbackrest("stanza-create")
    code, told = backup("run")
    assert (code, [one["repository"] for one in told["data"]["backups"]]) == (0, [1, 2])
    (second / "backup" / "main" / "backup.info").write_text("nonsense")
    shutil.copy(second / "backup" / "main" / "backup.info", second / "backup" / "main" / "backup.info.copy")
    code, told = backup("run")
    assert (code, codes(told)) == (1, {"DBB203"})
    assert [one["repository"] for one in told["data"]["backups"]] == [1]
    assert backup("list")[0] == 5


def test_on_a_terminal_it_tells_how_far_it_is_and_how_long_it_will_take(
    live: clustering.Cluster, env: dict[str, str]
) -> None:
    slow_down(live, 5)
    with live.connect() as connection:  # progress is told from file to file
        for number in range(6):
            connection.execute(f"CREATE TABLE more_{number} AS SELECT g, md5(g::text) AS t FROM large".encode())
    shown = Terminal([_DBOPS, "backup", "run", "--config", live.toml], cwd=live.folder, env=env, columns=200)
    try:
        shown.await_text(r"main: 0/2 full backup into repository 1 .*: \d+%, about .* left")
        shown.type("\x03")  # nobody waits for the rest, which may be over by now
        assert shown.end() in {0, 130}
    finally:
        shown.close()
