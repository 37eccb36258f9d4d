"""Who has to agree to what, on a terminal and without one; and how a run stops when it is asked to."""

import json
import os
import re
import select
import signal
import subprocess
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from dbops.engine import journal
from dbops.servers import alive

from shell import RISKY
from terminal import Terminal

PROGRAM = [*RISKY, "change"]


def received(pipe: Path) -> str:
    """Read what somebody writes into a named pipe; who never does fails the test instead of hanging it."""
    descriptor = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        assert select.select([descriptor], [], [], 30)[0], f"nobody wrote into {pipe.name}"
        os.set_blocking(descriptor, True)
        with os.fdopen(os.dup(descriptor)) as file:
            return file.read()
    finally:
        os.close(descriptor)


class World:
    """A folder with what was done, its journals and its locks."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.env = {"PATH": os.environ["PATH"], "HOME": str(folder), "LANG": "C.UTF-8", "TERM": "xterm"}
        self.argv = [*PROGRAM, "--world", str(folder)]
        self._go: int | None = None

    def done(self, target: str = "audit") -> list[str]:
        file = self.folder / target
        return file.read_text().splitlines() if file.exists() else []

    def journals(self) -> dict[str, tuple[str, int | None]]:
        """What each target's journals say: outcome and exit code."""
        state = self.folder / "state"
        reads = [journal.read(state, name) for name in journal.names(state)]
        return {str(r.records[0].facts["target"]): (r.outcome, r.records[-1].facts.get("exit_code")) for r in reads}

    def run(self, *args: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run without a terminal."""
        return subprocess.run(
            [*self.argv, *args], env=self.env, input=stdin, capture_output=True, text=True, timeout=60, check=False
        )

    @contextmanager
    def watched(self, *args: str) -> Generator[Terminal]:
        """Run on a terminal; the result goes to the file `out`."""
        terminal = Terminal([*self.argv, *args], cwd=self.folder, env=self.env, stdout=self.folder / "out")
        try:
            yield terminal
        finally:
            terminal.close()

    @contextmanager
    def midway(self, *args: str, targets: Sequence[str] = ("audit",)) -> Generator[subprocess.Popen[str]]:
        """Run without a terminal, up to the middle of the first step of every target (or of the first alone)."""
        self.make_pipes(*targets)
        argv = [*self.argv, "--during", "meet", *args]
        pipe = subprocess.PIPE
        with subprocess.Popen(
            argv, env=self.env, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, text=True
        ) as child:
            try:
                for target in targets:
                    self.meet(f"{target}.started")
                yield child
            finally:
                child.kill()

    def make_pipes(self, *targets: str) -> None:
        for name in ("told", "go", *(f"{target}.started" for target in targets)):
            os.mkfifo(self.folder / name)
        self._go = os.open(self.folder / "go", os.O_RDWR | os.O_CLOEXEC)  # both ends: neither side waits for the other

    def meet(self, name: str) -> None:
        """Read from a named pipe what the program writes when it is there."""
        assert received(self.folder / name) == "here"

    def go(self) -> None:
        assert self._go is not None
        os.write(self._go, b"go\n")

    def close(self) -> None:
        if self._go is not None:
            os.close(self._go)


@pytest.fixture
def world(tmp_path: Path) -> Generator[World]:
    one = World(tmp_path)
    yield one
    one.close()


# ── Without a terminal ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("risk", "args", "code"),
    [
        ("SAFE", [], 0),
        ("BLOCKS", [], 7),
        ("BLOCKS", ["--yes"], 0),
        ("BLOCKS", ["--confirm", "audit"], 0),
        ("BLOCKS", ["--confirm", "other"], 7),
        ("LOSES_DATA", [], 7),
        ("LOSES_DATA", ["--yes"], 7),
        ("LOSES_DATA", ["--confirm", "other"], 7),
        ("LOSES_DATA", ["--yes", "--confirm", "audit"], 0),
        ("LOSES_DATA", ["--confirm", "audit"], 0),
    ],
)
def test_without_a_terminal_only_options_agree(world: World, risk: str, args: list[str], code: int) -> None:
    ended = world.run("--risk", risk, *args, stdin="y\naudit\n")
    assert ended.returncode == code, ended.stderr
    assert world.done() == ([] if code else ["step 0", "step 1"])
    assert world.journals() == ({} if code else {"audit": ("done", 0)})
    if code:
        wanted = "--yes" if risk == "BLOCKS" else "--confirm audit"
        assert re.search(f"-> look with --plan, then agree with {wanted}", ended.stderr)


@pytest.mark.parametrize("risk", ["SAFE", "BLOCKS", "LOSES_DATA"])
@pytest.mark.parametrize("args", [[], ["--yes"], ["--confirm", "audit"]], ids=str)
def test_a_plan_is_shown_whatever_its_risk_and_changes_nothing(world: World, risk: str, args: list[str]) -> None:
    ended = world.run("--plan", "--risk", risk, *args)
    assert ended.returncode == 0
    assert "audit (test): be risky: 2 steps" in ended.stdout
    assert f"[{risk.lower().replace('_', ' ')}] do step 1" in ended.stdout
    assert not list(world.folder.iterdir())  # no lock, no journal, no world


def test_a_second_run_has_nothing_to_do_and_asks_nobody(world: World) -> None:
    world.run("--risk", "LOSES_DATA", "--confirm", "audit")
    ended = world.run("--risk", "LOSES_DATA")
    assert (ended.returncode, ended.stdout) == (0, "audit: be risky: nothing to do\n")


def test_a_missing_confirmation_for_one_of_many_ends_the_command_before_the_first(world: World) -> None:
    ended = world.run("--risk", "LOSES_DATA", "--target", "a", "--target", "b", "--confirm", "a")
    assert ended.returncode == 7
    assert world.done("a") == world.done("b") == []
    both = world.run("--risk", "LOSES_DATA", "--target", "a", "--target", "b", "--confirm", "a", "--confirm", "b")
    assert both.returncode == 0
    assert world.done("a") == world.done("b") == ["step 0", "step 1"]


def test_the_plan_that_was_looked_at_is_the_plan_that_runs(world: World) -> None:
    [told] = json.loads(world.run("--plan", "-o", "json").stdout)["data"]["plans"]
    refused = world.run("--expect-plan", "0" * 64)
    assert refused.returncode == 9
    assert "look at it with --plan" in refused.stderr
    assert world.done() == []
    assert world.run("--expect-plan", told["sha"]).returncode == 0
    again = world.run("--expect-plan", told["sha"])  # the target has changed since: by ourselves
    assert again.returncode == 9


# ── On a terminal ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("risk", "question", "answer", "code"),
    [
        ("BLOCKS", r"Go on\? \[y/N\] ", "y\n", 0),
        ("BLOCKS", r"Go on\? \[y/N\] ", "YES\n", 0),
        ("BLOCKS", r"Go on\? \[y/N\] ", "\n", 7),
        ("BLOCKS", r"Go on\? \[y/N\] ", "audit\n", 7),
        ("BLOCKS", r"Go on\? \[y/N\] ", "\x04", 7),
        ("BLOCKS", r"Go on\? \[y/N\] ", "\x03", 130),
        ("LOSES_DATA", r"Type audit to go on: ", "audit\n", 0),
        ("LOSES_DATA", r"Type audit to go on: ", "y\n", 7),
        ("LOSES_DATA", r"Type audit to go on: ", "Audit\n", 7),
        ("LOSES_DATA", r"Type audit to go on: ", "\x04", 7),
        ("LOSES_DATA", r"Type audit to go on: ", "\x03", 130),
    ],
)
def test_on_a_terminal_the_plan_is_shown_and_a_person_is_asked(
    world: World, risk: str, question: str, answer: str, code: int
) -> None:
    with world.watched("--risk", risk, "--quiet") as terminal:
        terminal.await_text(r"audit \(test\): be risky: 2 steps[^$]*do step 1")
        terminal.await_text(question)
        assert world.done() == []
        terminal.type(answer)
        assert terminal.end() == code, terminal.shown
    assert world.done() == ([] if code else ["step 0", "step 1"])
    assert world.journals() == ({} if code else {"audit": ("done", 0)})
    assert ("nothing was changed" in terminal.shown) == (code == 7)
    assert (world.folder / "out").read_text() == ("" if code else "audit: be risky: done, 2 steps\n")


@pytest.mark.parametrize(
    ("risk", "args"),
    [("SAFE", []), ("BLOCKS", ["--yes"]), ("BLOCKS", ["--confirm", "audit"]), ("LOSES_DATA", ["--confirm", "audit"])],
)
def test_who_agreed_already_is_not_asked(world: World, risk: str, args: list[str]) -> None:
    with world.watched("--risk", risk, *args) as terminal:
        assert terminal.end() == 0
    assert "go on" not in terminal.shown.lower()
    assert world.done() == ["step 0", "step 1"]


def test_yes_does_not_agree_to_the_loss_of_data(world: World) -> None:
    with world.watched("--risk", "LOSES_DATA", "--yes") as terminal:
        terminal.await_text("Type audit to go on: ")
        terminal.type("\n")
        assert terminal.end() == 7


def test_each_target_is_asked_for_and_answers_may_be_pasted_together(world: World) -> None:
    with world.watched("--risk", "LOSES_DATA", "--target", "a", "--target", "b") as terminal:
        terminal.await_text("Type a to go on: ")
        terminal.type("a\nb\n")
        assert terminal.end() == 0
    assert world.done("a") == world.done("b") == ["step 0", "step 1"]


def test_a_no_for_the_second_target_leaves_the_first_done(world: World) -> None:
    with world.watched("--risk", "BLOCKS", "--target", "a", "--target", "b") as terminal:
        terminal.await_text(r"plan for a .*Go on\?")
        terminal.type("y\n")
        terminal.await_text(r"plan for b .*Go on\?")
        terminal.type("n\n")
        assert terminal.end() == 7
    assert (world.done("a"), world.done("b")) == (["step 0", "step 1"], [])


def test_json_on_a_terminal_asks_on_stderr_and_keeps_stdout_clean(world: World) -> None:
    with world.watched("--risk", "BLOCKS", "-o", "json") as terminal:
        terminal.await_text(r"Go on\?")
        terminal.type("y\n")
        assert terminal.end() == 0
    assert json.loads((world.folder / "out").read_text())["data"]["plans"][0]["outcome"] == "done"


def test_a_question_needs_stdin_and_stderr_to_be_a_terminal(world: World) -> None:
    with world.watched("--risk", "BLOCKS") as terminal:
        terminal.await_text(r"Go on\?")
    argv = ["sh", "-c", 'exec "$@" 2>err', "sh", *world.argv, "--risk", "BLOCKS"]
    silent = Terminal(argv, cwd=world.folder, env=world.env)
    assert silent.end() == 7
    silent.close()
    assert "agree with --yes" in (world.folder / "err").read_text()


# ── Overlapping runs ─────────────────────────────────────────────────────────────────────────────


def test_an_overlapping_run_is_busy_names_the_other_and_may_be_skipped(world: World) -> None:
    with world.midway() as first:
        busy = world.run()
        assert busy.returncode == 11
        assert f"pid {first.pid}" in busy.stderr
        skipped = world.run("--skip-if-running", "-o", "json")
        assert skipped.returncode == 0
        told = json.loads(skipped.stdout)
        assert [p["outcome"] for p in told["data"]["plans"]] == ["skipped"]
        assert told["findings"][0]["code"] == "locked"
        world.go()
        assert first.wait(30) == 0
    assert world.done() == ["step 0", "step 1"]


def test_a_lock_that_the_application_holds_is_a_failure_even_when_running_is_skipped(world: World) -> None:
    ended = world.run("--skip-if-running", "--during", "busy")
    assert ended.returncode == 11, ended.stderr
    assert world.journals() == {"audit": ("failed", 11)}


# ── Several targets ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_one_target_that_fails_keeps_the_rest_from_beginning_unless_told_otherwise(world: World, jobs: str) -> None:
    targets = ["--target", "broken", "--target", "b", "--target", "c", "--jobs", jobs]
    first = world.run(*targets, "-o", "json", "--yes", "--keep-going")
    told = json.loads(first.stdout)
    assert (first.returncode, told["ok"], told["exit_code"]) == (9, False, 9)
    assert [p["outcome"] for p in told["data"]["plans"]] == ["failed", "done", "done"]
    assert [p["exit_code"] for p in told["data"]["plans"]] == [9, 0, 0]
    assert {s["target"] for s in told["data"]["steps"]} == {"b", "c"}
    assert [(f["severity"], f["code"], f["target"]) for f in told["findings"]] == [("error", "refused", "broken")]


def test_without_keep_going_nothing_is_begun_after_a_failure(world: World) -> None:
    with world.watched("--target", "broken", "--target", "b") as terminal:
        assert terminal.end() == 9
    assert (world.folder / "out").read_text() == "broken: failed\nb: not begun\n"
    assert world.done("b") == []


def test_a_step_that_fails_keeps_its_code_and_is_on_record(world: World) -> None:
    ended = world.run("--during", "fail")
    assert ended.returncode == 9
    assert world.journals() == {"audit": ("failed", 9)}
    assert "error [refused] audit: this step fails" in ended.stderr


# ── Signals ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_stops_between_steps_and_the_next_run_goes_on(world: World, number: int, code: int) -> None:
    with world.midway() as child:
        child.send_signal(number)
        world.meet("told")
        world.go()
        _, err = child.communicate(timeout=30)
        assert child.returncode == code
    assert "run the same command again" in err
    assert world.done() == ["step 0"]
    assert world.journals() == {"audit": ("failed", code)}
    assert world.run().returncode == 0
    assert world.done() == ["step 0", "step 1"]


def test_a_second_signal_does_not_wait_for_the_step(world: World) -> None:
    with world.midway() as child:
        child.send_signal(signal.SIGTERM)
        world.meet("told")
        child.send_signal(signal.SIGINT)
        _, err = child.communicate(timeout=30)
        assert child.returncode == 143
    assert "at once, at the second signal" in err
    assert world.journals() == {"audit": ("failed", 143)}


def test_a_second_signal_does_not_wait_for_other_targets_either(world: World) -> None:
    with world.midway("--jobs", "2", "--target", "a", "--target", "b", targets=("a", "b")) as child:
        child.send_signal(signal.SIGTERM)
        world.meet("told")
        child.send_signal(signal.SIGTERM)
        _, err = child.communicate(timeout=30)
        assert child.returncode == 143
    assert "Traceback" not in err
    assert set(world.journals().values()) == {("unfinished", None)}


def test_targets_that_a_signal_kept_from_beginning_are_not_success(world: World) -> None:
    with world.midway("--target", "a", "--target", "b", "--steps", "1", "-o", "json", targets=("a",)) as child:
        child.send_signal(signal.SIGTERM)
        world.meet("told")
        world.go()
        out, _ = child.communicate(timeout=30)
        assert child.returncode == 143
    told = json.loads(out)
    assert [p["outcome"] for p in told["data"]["plans"]] == ["done", "not begun"]
    assert (told["ok"], told["exit_code"], told["findings"][0]["code"]) == (False, 143, "terminated")


def test_ctrl_c_on_a_terminal_stops_between_steps(world: World) -> None:
    world.make_pipes("audit")
    with world.watched("--during", "meet") as terminal:
        world.meet("audit.started")
        terminal.type("\x03")
        world.meet("told")
        world.go()
        assert terminal.end() == 130
    assert world.done() == ["step 0"]


def test_children_are_ended_with_their_group(world: World) -> None:
    os.mkfifo(world.folder / "pids")
    script = f"sleep 1000 & echo $$ $! > {world.folder}/pids; wait"
    with subprocess.Popen([*world.argv, "--during", script], env=world.env, stderr=subprocess.PIPE, text=True) as run:
        pids = [int(word) for word in received(world.folder / "pids").split()]
        assert all(alive.is_alive(pid) for pid in pids)
        run.send_signal(signal.SIGTERM)
        run.communicate(timeout=60)
        assert run.returncode == 143
    assert not [pid for pid in pids if alive.is_alive(pid)]
    assert world.journals() == {"audit": ("failed", 143)}


def test_a_signal_that_our_starter_ignores_stays_ignored(world: World, restored: Callable[[], None]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # as nohup and a shell's & do
    with world.midway() as child:
        restored()
        child.send_signal(signal.SIGINT)
        world.go()
        child.communicate(timeout=30)
        assert child.returncode == 0
    assert world.done() == ["step 0", "step 1"]


@pytest.fixture
def restored() -> Generator[Callable[[], None]]:
    before = signal.getsignal(signal.SIGINT)

    def restore() -> None:
        signal.signal(signal.SIGINT, before)

    yield restore
    restore()
