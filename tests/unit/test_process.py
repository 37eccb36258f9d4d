"""Programs are started in one place: streamed, redacted, in their own group, and they end with us."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from dbops import process
from dbops.errors import DependencyMissing, Refused, Stopped
from dbops.redact import register
from dbops.servers import alive


def shell(script: str, **rest: object) -> process.Finished:
    return process.run(["sh", "-c", script], **rest)  # pyright: ignore[reportArgumentType]


def ended(pid: int) -> bool:
    """Wait for the end of a process that was signalled: the signal is sent before it is obeyed."""
    return alive.await_end([pid], 10)


def test_both_pipes_are_read_while_stdin_is_fed() -> None:
    much = b"x" * 1_000_000
    done = shell("tee /dev/stderr; echo >&2; echo end >&2", input=much)
    assert done.out == much
    assert done.err.endswith("end")


def test_a_failure_tells_code_and_last_lines_without_secrets() -> None:
    register("hunter2secret")
    with pytest.raises(process.ProgramFailed) as caught:
        shell("for n in $(seq 50); do echo line $n; done; echo it was hunter2secret >&2; exit 7")
    assert caught.value.returncode == 7
    assert "line 50" in caught.value.last
    assert "line 1" not in caught.value.last
    assert "hunter2secret" not in caught.value.message
    assert len(caught.value.last) == process.LAST_LINES


def test_a_failure_that_was_expected_is_a_result() -> None:
    assert shell("exit 3", ok=(0, 3)).code == 3


def test_a_line_of_ten_megabytes_is_cut_where_it_is_told_and_whole_where_it_is_data() -> None:
    told: list[str] = []
    done = process.run([sys.executable, "-c", "print('y' * 10_000_000); print('next')"], on_line=told.append)
    assert len(done.out) == 10_000_006
    assert [len(line) < 10_000 for line in told] == [True, True]
    assert told[1] == "next"


def test_carriage_returns_end_lines_and_broken_text_is_shown() -> None:
    told: list[str] = []
    shell(r"printf '10%%\r20%%\r\n\377\n last'", on_line=told.append)
    assert told == ["10%", "20%", "\ufffd", " last"]


def test_a_program_that_takes_too_long_is_ended_with_its_children(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    with pytest.raises(process.ProgramTimedOut, match=r"did not finish within 0\.5 s"):
        shell(f"sleep 60 & echo $! > {pids}; wait", timeout=0.5)
    assert ended(int(pids.read_text()))


def test_a_listener_that_fails_ends_the_program(tmp_path: Path) -> None:
    pids = tmp_path / "pids"

    def complain(line: str) -> None:
        raise ValueError(line)

    with pytest.raises(ValueError, match="started"):
        shell(f"echo $$ > {pids}; echo started; sleep 60", on_line=complain)
    assert ended(int(pids.read_text()))


def test_a_grandchild_that_keeps_the_pipes_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "GRACE_S", 0.2)
    done = shell("sleep 60 & echo $!")
    assert alive.is_alive(int(done.out))
    os.kill(int(done.out), signal.SIGKILL)


def test_a_signal_is_passed_on_and_told_as_a_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_told", 0)
    threads: list[threading.Thread] = []

    def interrupt(_line: str) -> None:
        threads.append(threading.Thread(target=process.signal_groups, args=(signal.SIGTERM,)))
        threads[-1].start()

    with pytest.raises(Stopped) as caught:
        shell("echo started; sleep 60", on_line=interrupt)
    threads[0].join()
    assert caught.value.exit_code == 143


def test_the_environment_is_short_plain_and_in_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSWORD", "of somebody else")
    monkeypatch.setenv("MY_TOKEN", "hidden")
    told = shell("env", env={"EXTRA": "1"}).out.decode()
    assert "PGPASSWORD" not in told
    assert "MY_TOKEN" not in told
    assert {"EXTRA=1", "LC_ALL=C", "TZ=UTC"} <= set(told.splitlines())


def test_programs_are_found_where_the_short_path_of_cron_does_not_look(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("PATH")
    assert process.find("sh").name == "sh"
    assert process.find("initdb", *process.postgres_folders()).is_file()
    own = tmp_path / "sh"
    own.touch(mode=0o755)
    assert process.find("sh", tmp_path) == own
    with pytest.raises(DependencyMissing, match="no-such-program") as caught:
        process.find("no-such-program", hint="get it there")
    assert caught.value.hint == "get it there"


def test_what_cannot_be_started_is_missing(tmp_path: Path) -> None:
    with pytest.raises(DependencyMissing):
        process.run([tmp_path / "nothing"])
    with pytest.raises(DependencyMissing, match="account no-such-account"):
        process.account("no-such-account")


def test_another_account_needs_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1)
    with pytest.raises(Refused, match="has to run as"):
        process.run(["true"], user="nobody-else")


def test_a_server_has_a_session_of_its_own_and_talks_to_its_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    for word in ("first", "second"):
        child = process.start(["sh", "-c", f"echo {word}; ps -o sid= -p $$"], log=log)
        child.wait()
        assert str(child.pid) in log.read_text().split()
    assert log.read_text().split()[0] == "first"
    assert "second" in log.read_text()
    assert log.stat().st_mode & 0o077 == 0
    process.reap()


def test_a_program_with_our_terminal_hands_on_its_code() -> None:
    env = dict(os.environ)
    assert process.attend(["sh", "-c", "exit 5"], env=env) == 5
    assert process.attend(["sh", "-c", "kill -TERM $$"], env=env) == 143
    with pytest.raises(DependencyMissing):
        process.attend(["no-such-program"], env=env)


def test_secrets_are_in_no_argument_list(tmp_path: Path) -> None:
    secret = "s3cr3t-in-the-environment"
    seen = shell("tr '\\0' ' ' < /proc/$$/cmdline; test -n \"$SECRET\"", env={"SECRET": secret}).out
    assert secret.encode() not in seen
    listing = subprocess.run(["ps", "-eo", "args"], capture_output=True, check=True).stdout
    assert secret.encode() not in listing


def test_a_signal_that_comes_while_a_program_is_being_started_reaches_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between its start and its entry among the living, nobody else would tell it, and we would wait for its end."""
    monkeypatch.setattr(process, "_told", 0)
    real = process._spawn  # pyright: ignore[reportPrivateUsage]

    def interrupted(*args: Any, **named: Any) -> "subprocess.Popen[bytes]":
        child = real(*args, **named)
        process.signal_groups(signal.SIGTERM)
        return child

    monkeypatch.setattr(process, "_spawn", interrupted)
    with pytest.raises(Stopped):
        shell("exec sleep 600", timeout=20)
