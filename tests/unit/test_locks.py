"""A file lock names its holder, can be waited for, and dies with whoever holds it."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from dbops.engine import clock, locks, stop
from dbops.engine.run import Run, new
from dbops.errors import LockBusy, Refused, Stopped

# Holds the lock of (audit, schema) until its stdin ends; says "held" once it has it.
_HOLDER = """
import sys
from pathlib import Path
from dbops.engine import locks, run
me = run.new("roles apply", Path(sys.argv[1]))
with locks.on_this_host(me, "audit", "schema"):
    print(me.id, flush=True)
    sys.stdin.read()
"""


@contextmanager
def another(state: Path) -> Generator[tuple[subprocess.Popen[str], str]]:
    """Let another process hold the lock; yield it and the name of its run."""
    argv = [sys.executable, "-c", _HOLDER, str(state)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        try:
            yield child, child.stdout.readline().strip()
        finally:
            child.kill()


def lock(run: Run, subject: str = "schema", target: str = "audit") -> None:
    with locks.on_this_host(run, target, subject):
        pass


def test_a_lock_that_another_process_holds_is_told_with_run_command_host_pid_and_since(tmp_path: Path) -> None:
    with another(tmp_path) as (child, run_id), pytest.raises(LockBusy) as busy:
        lock(new("roles apply", tmp_path))
    told = busy.value.message
    assert f"run {run_id} (roles apply) on {os.uname().nodename}, pid {child.pid}, since 20" in told
    assert "audit, schema" in told
    assert busy.value.target == "audit"
    assert "--lock-wait" in str(busy.value.hint)


def test_other_subjects_and_targets_are_free(tmp_path: Path) -> None:
    with another(tmp_path):
        lock(new("x", tmp_path), "table:a/../b")
        lock(new("x", tmp_path), "schema", "orders")
    assert sorted(p.name for p in tmp_path.rglob("*")) == [
        *("audit--schema.lock", "audit--table_a_.._b.lock", "locks", "orders--schema.lock"),
    ]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_lock_dies_with_its_holder(tmp_path: Path, number: int) -> None:
    with another(tmp_path) as (child, _):
        child.send_signal(number)
        child.wait()
        lock(new("x", tmp_path))


def test_lock_wait_waits_until_the_other_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with another(tmp_path) as (child, _):
        pauses: list[float] = []

        def pause(seconds: float) -> None:  # the other ends while we wait
            pauses.append(seconds)
            child.communicate("")

        monkeypatch.setattr(stop, "pause", pause)
        lock(new("x", tmp_path, lock_wait=timedelta(minutes=5)))
    assert pauses == [0.25]


def test_lock_wait_ends_with_who_holds_the_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(clock, "monotonic", lambda: now[0])
    monkeypatch.setattr(stop, "pause", lambda seconds: now.append(now.pop() + seconds))  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]
    with another(tmp_path) as (_, run_id), pytest.raises(LockBusy, match=run_id):
        lock(new("x", tmp_path, lock_wait=timedelta(seconds=10)))
    assert now == [10.0]


def test_a_request_to_stop_ends_the_waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stop, "_signal_number", signal.SIGINT)
    with another(tmp_path), pytest.raises(Stopped):
        lock(new("x", tmp_path, lock_wait=timedelta(minutes=5)))


def test_what_an_earlier_holder_left_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "locks").mkdir()
    path = tmp_path / "locks" / "audit--schema.lock"
    path.write_text("x" * 10_000)
    run = new("roles apply", tmp_path)
    with locks.on_this_host(run, "audit", "schema"):
        assert json.loads(path.read_text()) == run.holder


def test_who_shares_a_lock_keeps_out_who_wants_it_alone_and_is_named(tmp_path: Path) -> None:
    path, alone = tmp_path / "one.lock", new("backup expire", tmp_path)
    gone, stays = new("backup verify", tmp_path), new("pitr restore", tmp_path)
    ended = subprocess.Popen(["true"])
    ended.wait()
    with locks.file_lock(path, stays, what="it", target="audit", shared=True):
        with locks.file_lock(path, gone, what="it", target="audit", shared=True):
            pass
        told = path.read_text().replace(f'"pid": "{os.getpid()}"', '"pid": "OTHER"')
        first, second = told.splitlines()
        path.write_text(f"{first.replace('OTHER', str(os.getpid()))}\n{second.replace('OTHER', str(ended.pid))}\n")
        with pytest.raises(LockBusy, match=stays.id), locks.file_lock(path, alone, what="it", target="audit"):
            pass
    with locks.file_lock(path, alone, what="it", target="audit"):
        shared = locks.file_lock(path, gone, what="it", target="audit", shared=True)
        with pytest.raises(LockBusy, match=alone.id), shared:
            pass
        assert json.loads(path.read_text()) == alone.holder


@pytest.mark.parametrize("text", ["", '{"pid": "0"}'], ids=["nobody", "who had it before"])
def test_a_holder_that_tells_its_name_a_moment_later_is_named(tmp_path: Path, text: str) -> None:
    path, holder = tmp_path / "locks" / "audit--schema.lock", new("roles apply", tmp_path)
    with another(tmp_path):
        path.write_text(text)
        naming = threading.Timer(0.05, path.write_text, [json.dumps(holder.holder)])
        naming.start()
        with pytest.raises(LockBusy, match=holder.id):
            lock(new("x", tmp_path))
        naming.join()


@pytest.mark.parametrize("text", ["", "no json", "[]", "5", "{}", '{"run": 1}'])
def test_a_holder_that_has_not_told_its_name_is_no_crash(tmp_path: Path, text: str) -> None:
    with another(tmp_path):
        (tmp_path / "locks" / "audit--schema.lock").write_text(text)
        with pytest.raises(LockBusy, match="has not told its name yet"):
            lock(new("x", tmp_path))


def test_a_state_directory_that_is_a_file_is_refused_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")
    with pytest.raises(Refused, match="cannot be opened") as error:
        lock(new("x", tmp_path / "state"))
    assert "state_dir" in str(error.value.hint)


def test_the_lock_is_released_when_the_work_fails(tmp_path: Path) -> None:
    run = new("x", tmp_path)
    with pytest.raises(ValueError, match="the work"), locks.on_this_host(run, "audit", "schema"):
        raise ValueError("the work")
    lock(run)
