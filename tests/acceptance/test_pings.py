"""`--ping-url-env` on every way out of the installed program, told to a real server on loopback."""

import json
import shlex
import signal
import socket
import subprocess
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from dbops.engine import locks
from dbops.engine.run import new as new_run

from monitor import HANG, HANG_UP, SECRET, Monitor, monitor
from shell import RISKY, sh

Change = Callable[..., CompletedProcess[str]]

# the first SIGTERM is handed on to the program, which answers it with the second
TWICE = "trap 'kill -TERM $PPID' TERM; kill -TERM $PPID; while :; do sleep 0.05; done"


@pytest.fixture
def hc() -> Iterator[Monitor]:
    with monitor() as told:
        yield told


@pytest.fixture
def change(env: dict[str, str], folder: Path, hc: Monitor) -> Change:
    """Change a world, as riskily as asked, and ping."""

    def run(*words: str, **more: str) -> CompletedProcess[str]:
        argv = [*RISKY, "change", "--world", str(folder), "--ping-url-env", "HC", *words]
        return subprocess.run(
            argv,
            env={**env, **hc.env, **more},
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    return run


def test_a_run_tells_its_start_and_its_success_under_one_id(change: Change, hc: Monitor) -> None:
    assert change().returncode == change().returncode == 0
    assert hc.actions == ["start", "", "start", ""]
    first, second = {p.rid for p in hc.pings[:2]}, {p.rid for p in hc.pings[2:]}
    assert len(first) == len(second) == 1
    assert first != second
    assert all(str(uuid.UUID(rid)) == rid for rid in first | second)
    assert hc.pings[0].headers["user-agent"].startswith("dbops/")


def test_the_start_is_told_while_the_run_is_at_work(change: Change, hc: Monitor, folder: Path) -> None:
    wait = f"until [ -e {folder}/go ]; do sleep 0.02; done"
    hc.on_ping = (folder / "go").touch
    assert change("--during", wait).returncode == 0
    assert hc.actions == ["start", ""]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--target", "broken"], 9),
        (["--during", "busy"], 11),
        (["--during", "exit 7"], 1),
        (["--risk", "BLOCKS"], 7),
        (["--risk", "LOSES_DATA"], 7),
        (["--expect-plan", "0000"], 9),
        (["--during", "kill -TERM $PPID"], 143),
        (["--during", "kill -INT $PPID"], 130),
        (["--during", TWICE], 143),
        (["--lock-wait", "soon"], 2),
    ],
    ids=str,
)
def test_a_failure_is_told_with_its_exit_code(change: Change, hc: Monitor, words: list[str], code: int) -> None:
    ended = change(*words)
    assert ended.returncode == code
    assert hc.actions == ["start", str(code)]
    assert hc.pings[1].body.startswith(f"dbops risky change: exit code {code} (")
    assert SECRET not in ended.stdout + ended.stderr


def test_a_wrong_command_line_never_began_and_is_told_as_a_failure(
    change: Change, hc: Monitor, env: dict[str, str], folder: Path
) -> None:
    assert change("--no-such-option").returncode == 2
    assert sh("dbops --ping-url-env HC roles aply", env | hc.env, folder).returncode == 2
    assert sh("dbops --ping-url-env=HC rolls apply", env | hc.env, folder).returncode == 2
    assert hc.actions == ["2", "2", "2"]


@pytest.mark.parametrize(
    ("how", "action"),
    [("bug", "1"), ("memory", "1"), ("eof", "1"), ("ctrl-c", "130"), ("missed", "6"), ("bad", "4"), ("warning", "")],
)
def test_crashes_and_findings_are_told_and_a_warning_is_a_success(
    env: dict[str, str], folder: Path, hc: Monitor, how: str, action: str
) -> None:
    argv = [*RISKY, "fail", how, "--ping-url-env", "HC"]
    subprocess.run(argv, env=env | hc.env, cwd=folder, capture_output=True, check=False)
    assert hc.actions == ["start", action]
    assert "hunter22" not in hc.pings[1].body
    if how == "warning":
        assert hc.pings[1].body.splitlines()[2:] == ["warning [odd] audit: something is odd"]


def test_a_family_that_cannot_be_imported_is_a_failure_like_any_other(
    env: dict[str, str], folder: Path, hc: Monitor
) -> None:
    """A half done upgrade, for one: it must not be a job that nobody misses."""
    program = "import sys; sys.modules['dbops.cli.flow'] = None; from dbops.cli import main; main()"
    for words, action in (
        (["roles", "check"], "1"),
        (["-o", "json", "roles", "check"], "1"),
        (["config", "show"], "8"),
    ):
        argv = [RISKY[0], "-c", program, "--ping-url-env", "HC", *words, "--metrics-file", "x.prom"]
        ended = subprocess.run(argv, env=env | hc.env, cwd=folder, capture_output=True, text=True, check=False)
        assert ended.returncode == int(action)
        assert hc.actions[-1] == action
        assert "Traceback" in ended.stderr or action == "8"
        assert json.loads(ended.stdout)["exit_code"] == 1 if "json" in words else not ended.stdout
    assert 'dbops_last_status{command="roles check",target=""} 1\n' in (folder / "x.prom").read_text()


def test_streams_that_nobody_reads_change_nothing(env: dict[str, str], configured: Path, hc: Monitor) -> None:
    env |= hc.env
    assert sh("dbops --ping-url-env HC config show > /dev/full", env, configured).returncode == 1
    assert sh("dbops --ping-url-env HC config schema | true", env, configured).returncode == 0
    assert sh("dbops --ping-url-env HC config show >&- 2>&- <&-", env, configured).returncode == 1
    assert hc.actions == ["start", "1", "start", "", "start", "1"]


def test_a_run_that_is_killed_leaves_its_start_without_an_end(change: Change, hc: Monitor) -> None:
    assert change("--during", "kill -KILL $PPID").returncode == -signal.SIGKILL
    assert hc.actions in (["start"], [])  # it may die before the start has left


def test_a_plan_is_no_run(change: Change, hc: Monitor) -> None:
    assert change("--plan").returncode == 0
    assert change("--plan", "--target", "broken").returncode == 9
    assert hc.actions == []


def test_a_run_that_leaves_the_work_to_another_neither_begins_nor_succeeds(
    change: Change, hc: Monitor, folder: Path
) -> None:
    with locks.on_this_host(new_run("tests", folder / "state"), "audit", "risky"):
        assert change("--skip-if-running").returncode == 0
        assert hc.actions == ["log"]
        assert change().returncode == 11
    assert change("--skip-if-running").returncode == 0
    assert hc.actions == ["log", "start", "11", "start", ""]


# ── Where the URL comes from ─────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("url", ["", "  ", "not a url", "ftp://x/y", "https://", "https://me:pass@x/y", "http://[x/y"])
def test_without_a_usable_url_nothing_is_done(change: Change, folder: Path, url: str) -> None:
    ended = change(HC=url)
    assert ended.returncode == 8
    assert "the environment variable HC" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not url.strip() or url not in ended.stderr
    assert not (folder / "audit").exists()


def test_a_url_given_instead_of_a_name_is_refused_and_not_repeated(change: Change, hc: Monitor, folder: Path) -> None:
    ended = change("--ping-url-env", hc.url)
    assert ended.returncode == 2
    assert SECRET not in ended.stdout + ended.stderr
    assert not (folder / "audit").exists()


def test_what_the_url_asks_for_is_kept(change: Change, hc: Monitor) -> None:
    assert change(HC=f"{hc.url}/?create=1").returncode == 0
    assert hc.actions == ["start", ""]
    assert all(ping.query["create"] == ["1"] for ping in hc.pings)


def test_a_proxy_of_the_environment_is_used(change: Change, hc: Monitor) -> None:
    assert change(HC=f"http://monitor.invalid/{SECRET}", http_proxy=f"http://127.0.0.1:{hc.port}").returncode == 0
    assert [ping.headers["host"] for ping in hc.pings] == ["monitor.invalid"] * 2


# ── A monitor that fails never fails a run ───────────────────────────────────────────────────────


@pytest.mark.parametrize("answers", [[503, 200], [HANG_UP, 200], [429, 500, 200]], ids=str)
def test_a_monitor_that_stumbles_is_asked_again(change: Change, hc: Monitor, answers: list[int]) -> None:
    hc.answers[:] = [200, *answers]  # the start, then the end
    ended = change("--during", f"until [ -e {hc.seen} ]; do sleep 0.02; done")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert hc.actions == ["start", *[""] * len(answers)]


def test_a_start_that_fails_does_not_keep_the_end_from_being_told(change: Change, hc: Monitor) -> None:
    hc.answers[:] = [404]
    ended = change()
    assert ended.returncode == 0
    assert "warning [ping-failed] the monitor was not told of the start of this run: it answered 404" in ended.stderr
    assert hc.actions == ["start", ""]


@pytest.mark.parametrize(
    ("status", "text", "why"),
    [
        (404, "no", "it answered 404"),
        (302, "", "it answered 302"),
        (200, "OK (not found)", "it answered 'OK (not found)'"),
        (200, "OK (rate limited)", "it answered 'OK (rate limited)'"),
    ],
)
def test_an_answer_that_is_none_is_told_and_not_asked_for_again(
    change: Change, hc: Monitor, status: int, text: str, why: str
) -> None:
    hc.answers[:], hc.text = [status, status], text
    ended = change("--output", "json")
    assert ended.returncode == 0
    assert [f"the {what} of this run: {why}" in ended.stderr for what in ("start", "end")] == [True, True]
    assert json.loads(ended.stdout)["ok"]
    assert hc.actions == ["start", ""]


def test_a_monitor_that_nobody_can_reach_is_told_without_its_url(change: Change, folder: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        port = listening.getsockname()[1]
    for url, why in (
        (f"http://127.0.0.1:{port}/{SECRET}", "Connection refused"),
        (f"http://monitor.invalid/{SECRET}", "its name was not found"),
    ):
        ended = change(HC=url)
        assert ended.returncode == 0
        assert why in ended.stderr
        assert SECRET not in ended.stderr
        assert "invalid" not in ended.stderr
    assert (folder / "audit").read_text() == "step 0\nstep 1\n"


def test_a_certificate_that_nobody_vouches_for_is_refused(
    change: Change, hc: Monitor, certificate: tuple[Path, Path]
) -> None:
    with monitor(certificate=certificate) as secure:
        url = secure.url.replace("127.0.0.1", "localhost")
        refused = change(HC=url)
        assert refused.returncode == 0
        assert "its certificate is not to be trusted" in refused.stderr
        assert secure.actions == []
        assert change(HC=url, SSL_CERT_FILE=str(certificate[0])).stderr == ""
        assert secure.actions == ["start", ""]


def test_a_monitor_that_hangs_does_not_keep_the_work_from_being_done(change: Change, hc: Monitor, folder: Path) -> None:
    hc.answers[:] = [HANG] * 9
    ended = change("--target", "a")  # the start hangs, and the end waits for it no longer than it may
    assert ended.returncode == 0
    assert "the monitor was not told of the end of this run" in ended.stderr
    assert (folder / "a").read_text() == "step 0\nstep 1\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_waiting_for_a_monitor_and_not_what_was_done(
    env: dict[str, str], folder: Path, hc: Monitor, number: int
) -> None:
    hc.answers[:] = [200, HANG]
    argv = [*RISKY, "change", "--world", str(folder), "--ping-url-env", "HC"]
    wait = ["--during", f"until [ -e {hc.seen} ]; do sleep 0.02; done"]
    with subprocess.Popen([*argv, *wait], env=env | hc.env, stderr=subprocess.PIPE, text=True) as child:
        hc.wait_for(2)
        child.send_signal(number)
        _, stderr = child.communicate(timeout=30)
    assert child.returncode == 0
    assert "the monitor was not told of the end of this run: stopped on request" in stderr


def test_a_stopped_run_waits_for_its_monitor_only_until_the_next_signal(
    env: dict[str, str], folder: Path, hc: Monitor
) -> None:
    hc.answers[:] = [200, HANG]
    argv = [*RISKY, "change", "--world", str(folder), "--ping-url-env", "HC"]
    stops = ["--during", f"until [ -e {hc.seen} ]; do sleep 0.02; done; kill -TERM $PPID"]
    with subprocess.Popen([*argv, *stops], env=env | hc.env, stderr=subprocess.PIPE, text=True) as child:
        hc.wait_for(2)
        child.send_signal(signal.SIGTERM)
        _, stderr = child.communicate(timeout=30)
    assert child.returncode == 143
    assert hc.actions == ["start", "143"]
    assert "warning [untold] metrics and pings: stopped at once, at the second signal" in stderr


def test_pings_and_metrics_go_together(change: Change, hc: Monitor, folder: Path) -> None:
    ended = change("--metrics-file", str(folder / "nowhere" / "x.prom"), "--target", "broken")
    assert ended.returncode == 9
    assert "metrics-failed" in ended.stderr
    assert hc.actions == ["start", "9"]


def test_a_bug_in_the_telling_keeps_its_traceback_and_the_code_of_the_run(
    env: dict[str, str], folder: Path, hc: Monitor
) -> None:
    """Whatever the monitor's URL does to the libraries beneath us, the run has ended as it has."""
    broken = "from dbops.engine.ping import Pings; Pings.finish = lambda *a: 1 / 0; "
    program = f"{broken}import sys, runpy; sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
    argv = [RISKY[0], "-c", program, *RISKY[1:], "change", "--world", str(folder), "--ping-url-env", "HC"]
    ended = subprocess.run(
        [*argv, "--target", "broken"], env=env | hc.env, capture_output=True, text=True, check=False, timeout=60
    )
    assert ended.returncode == 9
    assert "ZeroDivisionError" in ended.stderr


def test_no_argument_or_child_holds_the_url(change: Change, hc: Monitor, folder: Path) -> None:
    script = f"tr '\\0' '\\n' < /proc/$PPID/cmdline > {folder}/argv; env > {folder}/env"
    assert change("--during", script).returncode == 0
    assert SECRET not in (folder / "argv").read_text() + (folder / "env").read_text()
    assert "--ping-url-env" in shlex.split((folder / "argv").read_text())
    for journal in (folder / "state" / "journal").iterdir():
        assert SECRET not in journal.read_text()
