"""`--metrics-file` on every way out of the installed program."""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from dbops.engine import locks
from dbops.engine.metrics import Exposition, parse
from dbops.engine.run import new as new_run

from shell import DBOPS, RISKY, sh

Dbops = Callable[..., CompletedProcess[str]]

RUN, SUCCESS, STATUS = "dbops_last_run_timestamp_seconds", "dbops_last_success_timestamp_seconds", "dbops_last_status"
# the first SIGTERM is handed on to the program, which answers it with the second
TWICE = "trap 'kill -TERM $PPID' TERM; kill -TERM $PPID; while :; do sleep 0.05; done"


def told(file: Path) -> Exposition:
    return parse(file.read_text())


def value(file: Path, name: str, command: str = "risky change", target: str = "", **more: str) -> float | None:
    labels = tuple(sorted({"command": command, "target": target, **more}.items()))
    found = told(file).samples.get(name, {}).get(labels)
    return None if found is None else float(found)


@pytest.fixture
def prom(folder: Path) -> Path:
    return folder / "dbops.prom"


@pytest.fixture
def change(env: dict[str, str], folder: Path, prom: Path) -> Callable[..., int]:
    """Change a world, as riskily as asked, with a metrics file."""

    def run(*words: str) -> int:
        argv = [*RISKY, "change", "--world", str(folder), "--metrics-file", str(prom), *words]
        return subprocess.run(
            argv, env=env, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=60
        ).returncode

    return run


def test_a_run_tells_how_it_ended_for_each_target_and_as_a_whole(change: Callable[..., int], prom: Path) -> None:
    assert change("--target", "a", "--target", "b") == 0
    assert [value(prom, STATUS, target=name) for name in ("", "a", "b")] == [0, 0, 0]
    assert change("--target", "broken", "--target", "b", "--keep-going") == 9
    assert [value(prom, STATUS, target=name) for name in ("", "a", "b", "broken")] == [9, 0, 0, 9]
    assert [value(prom, SUCCESS, target=name) is not None for name in ("", "b", "broken")] == [True, True, False]


def test_a_target_that_was_never_begun_keeps_what_it_said(change: Callable[..., int], prom: Path) -> None:
    assert change("--target", "b") == 0
    before = value(prom, RUN, target="b")
    assert change("--target", "broken", "--target", "b") == 9
    assert value(prom, RUN, target="b") == before


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ([], 0),
        (["--target", "broken"], 9),
        (["--during", "fail"], 9),
        (["--during", "busy"], 11),
        (["--during", "exit 7"], 1),
        (["--risk", "BLOCKS"], 7),
        (["--during", "kill -TERM $PPID"], 143),
        (["--during", "kill -INT $PPID"], 130),
        (["--during", TWICE], 143),
        (["--lock-wait", "soon"], 2),
        (["--no-such-option"], 2),
        (["--steps", "many"], 2),
        (["--ping-url-env", "NOT_SET"], 8),
    ],
    ids=str,
)
def test_every_way_out_is_told(change: Callable[..., int], prom: Path, words: list[str], code: int) -> None:
    assert change(*words) == code
    assert value(prom, STATUS) == code
    assert value(prom, RUN) is not None
    assert (value(prom, SUCCESS) is not None) == (code == 0)


@pytest.mark.parametrize(
    ("how", "code"),
    [
        ("bug", 1),
        ("memory", 1),
        ("untyped", 1),
        ("exit", 3),
        ("ctrl-c", 130),
        ("missed", 6),
        ("bad", 4),
        ("warning", 3),
    ],
)
def test_crashes_and_findings_are_told_in_every_output(
    env: dict[str, str], folder: Path, prom: Path, how: str, code: int
) -> None:
    for output in ("json", "text"):
        argv = [*RISKY, "fail", how, "--output", output, "--metrics-file", str(prom)]
        ended = subprocess.run(argv, env=env, cwd=folder, capture_output=True, check=False)
        assert value(prom, STATUS, "risky fail") == ended.returncode
        assert ended.returncode == (0 if (how, output) == ("untyped", "text") else code)


def test_a_result_that_could_not_be_written_is_told_as_the_failure_that_it_is(
    env: dict[str, str], configured: Path, prom: Path
) -> None:
    env["DBOPS_METRICS_FILE"] = str(prom)
    assert sh("dbops config show > /dev/full", env, configured).returncode == 1
    assert value(prom, STATUS, "config show") == 1
    assert sh("dbops config schema | true", env, configured).returncode == 0
    assert value(prom, STATUS, "config schema") == 0
    assert sh("dbops config show >&- 2>&- <&-", env, configured).returncode == 1
    assert value(prom, SUCCESS, "config show") is None


def test_another_run_at_it_is_11_and_agreed_to_it_is_no_success(
    change: Callable[..., int], folder: Path, prom: Path
) -> None:
    with locks.on_this_host(new_run("tests", folder / "state"), "audit", "risky"):
        assert change() == 11
        assert [value(prom, STATUS, target=name) for name in ("", "audit")] == [11, 11]
        assert change("--skip-if-running") == 0
        assert [value(prom, STATUS, target=name) for name in ("", "audit")] == [11, 11]
        assert value(prom, SUCCESS) is None
    assert change("--skip-if-running") == 0
    assert [value(prom, STATUS, target=name) for name in ("", "audit")] == [0, 0]


def test_a_plan_is_no_run(change: Callable[..., int], prom: Path) -> None:
    assert change("--plan") == 0
    assert change("--plan", "--target", "broken") == 9
    assert not prom.exists()


def test_a_verb_that_does_not_exist_leaves_no_series_behind(dbops: Dbops, prom: Path) -> None:
    for words in (["roles", "aply"], ["roles"], ["rolls", "apply"], []):
        assert dbops(*words, env={"DBOPS_METRICS_FILE": str(prom)}).returncode == 2
    assert not prom.exists()


def test_metrics_that_cannot_be_written_are_told_and_change_no_exit_code(env: dict[str, str], configured: Path) -> None:
    here = configured.resolve()
    for path in ("/sys/dbops.prom", f"{here}/nowhere/dbops.prom", f"{here}/dbops.toml"):
        ended = sh(f"dbops --metrics-file {path} config show -o json", env, configured)
        assert ended.returncode == 0
        assert f"warning [metrics-failed] the metrics file {path} was not written" in ended.stderr
        assert json.loads(ended.stdout)["exit_code"] == 0


def test_a_full_disk_leaves_the_metrics_as_they_were(env: dict[str, str], configured: Path) -> None:
    disk = configured / "disk"
    disk.mkdir()
    fill = f"head -c 8192 /dev/zero > {disk}/rest 2> {configured}/full"
    show = f"{shlex.quote(str(DBOPS))} --metrics-file {disk}/dbops.prom config show"
    lines = [
        f"mount -t tmpfs -o size=8k none {disk}",
        f"{show} > {configured}/first && cp {disk}/dbops.prom {configured}/before",
        f"{fill}; {show} > {configured}/second; echo $?",
        f"cmp {disk}/dbops.prom {configured}/before && ls -A {disk}",
    ]
    alone = ["unshare", "--mount", *(() if os.geteuid() == 0 else ("--map-root-user",)), "sh", "-c", "\n".join(lines)]
    ended = subprocess.run(alone, env=env, cwd=configured, capture_output=True, text=True, check=False)
    assert ended.stdout == "0\ndbops.prom\nrest\n", ended.stderr
    assert "metrics-failed" in ended.stderr
    assert "No space left on device" in ended.stderr


def test_cron_gives_little_and_it_is_enough(configured: Path, prom: Path) -> None:
    env = {"HOME": "/", "LOGNAME": "root", "PATH": "/usr/bin:/bin", "SHELL": "/bin/sh", "DBOPS_METRICS_FILE": str(prom)}
    line = f"umask 077; cd {configured} && {DBOPS} config show --quiet > log"
    ended = subprocess.run(["/bin/sh", "-c", line], env=env, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert value(prom, STATUS, "config show") == 0
    assert prom.stat().st_mode & 0o777 == 0o644


def test_the_option_may_stand_before_the_verb_and_wins_over_the_environment(
    env: dict[str, str], configured: Path, prom: Path
) -> None:
    env["DBOPS_METRICS_FILE"] = str(configured / "other.prom")
    assert sh(f"dbops --metrics-file={prom} config show", env, configured).returncode == 0
    assert sh(f"dbops config --metrics-file {prom} show --bad", env, configured).returncode == 2
    assert value(prom, STATUS, "config show") == 2
    assert not (configured / "other.prom").exists()


def test_status_tells_the_age_of_backups_beside_the_objective(dbops: Dbops, platform: Path, prom: Path) -> None:
    ended = dbops("status", "--config", platform / "dbops.toml", "--metrics-file", prom, "-o", "json")
    targets = {one["target"]: one for one in json.loads(ended.stdout)["data"]["targets"]}
    for name, one in targets.items():
        assert value(prom, STATUS, "status", name) is not None, one
    assert value(prom, STATUS, "status") == ended.returncode
    age = targets["main"]["facts"].get("backup_age_s")
    assert value(prom, "dbops_measured_seconds", "status", "main", objective="backup_age") == (
        float("inf") if age is None else pytest.approx(age)
    )


def test_a_check_tells_each_target_s_own_verdict(dbops: Dbops, platform: Path, prom: Path) -> None:
    config = platform / "dbops.toml"
    ended = dbops(
        "roles", "check", "-t", "audit", "-t", "main", "--config", config, "--metrics-file", prom, "-o", "json"
    )
    findings = json.loads(ended.stdout)["findings"]
    for name in ("audit", "main"):
        graves = {"bad": 4, "unknown": 5, "missed": 6, "warning": 3, "info": 0}
        codes = {graves[f["severity"]] for f in findings if f["target"] == name} or {0}
        assert value(prom, STATUS, "roles check", name) in codes
    assert value(prom, STATUS, "roles check", "policycortex") is None
    assert value(prom, STATUS, "roles check") == ended.returncode


def test_who_asks_for_neither_pays_for_neither() -> None:
    dear = ["dbops.engine.metrics", "dbops.engine.ping", "urllib.request", "http.client"]
    probe = f"import sys; from dbops.cli import door, status; print([m for m in {dear} if m in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", probe], text=True) == "[]\n"
