"""Streams that are closed, full or nobody reads; terminals and their colours; completion in a real bash."""

import json
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from dbops.cli import FAMILIES
from dbops.engine import journal

from shell import DBOPS, RISKY, risky, sh
from terminal import Terminal

ESCAPE = "\x1b"

# ── Streams ──────────────────────────────────────────────────────────────────────────────────────

LOUD = ["config schema", "config init --quiet", "--help", "roles --help", "--version", "config schema --output json"]


@pytest.mark.parametrize("words", LOUD)
def test_a_reader_that_has_seen_enough_is_no_error(env: dict[str, str], folder: Path, words: str) -> None:
    # more lines than a pipe holds, so that the writer meets the closed pipe
    ended = sh(f"for n in 1 2 3; do dbops {words} | true || exit; done", env, folder)
    assert (ended.returncode, ended.stderr) == (0, "")
    ended = sh(f"dbops {words} | head -1", env, folder)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_the_exit_code_survives_a_reader_that_has_gone(env: dict[str, str], journaled: Path) -> None:
    path = journal.folder(journaled / "state") / "20261123T000000.000Z-0000-audit.jsonl"
    path.write_bytes(path.read_bytes().replace(b"start", b"begin"))
    ended = sh("dbops journal list | true", env, journaled)
    assert ended.returncode == 4
    assert "was altered" in ended.stderr


@pytest.mark.parametrize("words", LOUD)
@pytest.mark.parametrize(
    ("where", "why"), [("> /dev/full", "No space left on device"), (">&-", "standard output is closed")]
)
def test_a_result_that_cannot_be_written_is_1_with_a_message(
    env: dict[str, str], folder: Path, words: str, where: str, why: str
) -> None:
    ended = sh(f"dbops {words} {where}", env, folder)
    assert ended.returncode == 1
    assert re.fullmatch(rf"(the result|this) could not be written: {why}\n", ended.stderr)


def test_a_failure_keeps_its_code_when_it_cannot_be_written(env: dict[str, str], folder: Path) -> None:
    for where in ("> /dev/full", ">&-", "2> /dev/full", "2>&-", "> /dev/full 2>&1", ">&- 2>&- <&-"):
        assert sh(f"dbops config show -o json {where}", env, folder).returncode == 8, where


def test_with_stderr_closed_nothing_but_the_result_is_on_stdout(env: dict[str, str], folder: Path) -> None:
    assert sh("dbops config show 2>&-", env, folder).stdout == ""
    assert json.loads(sh("dbops config show -o json 2>&-", env, folder).stdout)["exit_code"] == 8


def test_no_file_of_ours_takes_the_place_of_a_closed_stream(env: dict[str, str], folder: Path) -> None:
    change = shlex.join(
        [*RISKY, "change", "--world", str(folder), "--during", "readlink /proc/$PPID/fd/[012] > streams"]
    )
    assert sh(f"{change} <&- >&- 2>&-", env, folder).returncode == 1  # done, but the result had no place
    assert (folder / "streams").read_text() == "/dev/null\n" * 3
    state = folder / "state"
    assert [journal.read(state, name).outcome for name in journal.names(state)] == ["done"]
    assert (folder / "audit").read_text() == "step 0\nstep 1\n"


def test_stdin_that_is_closed_is_no_terminal_and_no_error(env: dict[str, str], configured: Path) -> None:
    assert sh("dbops config show <&-", env, configured).returncode == 0
    change = shlex.join([*RISKY, "change", "--world", str(configured), "--risk", "BLOCKS"])
    assert sh(f"{change} <&-", env, configured).returncode == 7


@pytest.mark.parametrize("language", ["C", "POSIX", "en_US.ISO-8859-1", "C.UTF-8"])
def test_names_that_a_terminal_cannot_show_are_escaped_and_json_stays_json(
    env: dict[str, str], folder: Path, language: str
) -> None:
    env |= {"LC_ALL": language, "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    told = risky(env, folder, "unprintable")
    assert told.returncode == 0, told.stderr
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", told.stdout)
    [name] = json.loads(risky(env, folder, "unprintable", "-o", "json").stdout)["data"]["names"]
    assert name == "a\x1b[31m\x9bb\nc\u202ed\udcffé🙂"


# ── Terminals ────────────────────────────────────────────────────────────────────────────────────


def on_terminal(argv: list[str | Path], cwd: Path, env: dict[str, str], columns: int = 100) -> str:
    terminal = Terminal(argv, cwd=cwd, env=env, columns=columns)
    terminal.end()
    terminal.close()
    return terminal.shown


def test_colours_are_for_terminals_that_want_them(env: dict[str, str], journaled: Path) -> None:
    argv: list[str | Path] = [DBOPS, "journal", "list"]
    assert ESCAPE in on_terminal(argv, journaled, env)
    for plain, more in (
        ({**env, "NO_COLOR": "1"}, []),
        ({**env, "TERM": "dumb"}, []),
        (env, ["--no-color"]),
    ):
        assert not re.search(rf"{ESCAPE}\[[0-9;]*3[0-9]", on_terminal([*argv, *more], journaled, plain))
    assert ESCAPE not in on_terminal(argv, journaled, {**env, "TERM": "dumb"})
    assert ESCAPE not in on_terminal([*argv, "--no-color"], journaled, env)
    assert ESCAPE not in sh("dbops journal list 2>&1", env, journaled).stdout


@pytest.mark.parametrize("columns", [80, 100, 200])
def test_what_is_shown_fits_the_terminal(env: dict[str, str], journaled: Path, columns: int) -> None:
    for words in ("journal list", "--help", "roles apply --help", "config check"):
        shown = on_terminal(
            [DBOPS, *words.split(), *(() if "help" in words else ("--no-color",))], journaled, env, columns
        )
        plain = re.sub(rf"{ESCAPE}\[[0-9;]*[A-Za-z]", "", shown)
        assert max(len(line) for line in plain.splitlines()) <= columns, plain


# ── Completion ───────────────────────────────────────────────────────────────────────────────────


def completed(env: dict[str, str], folder: Path, typed: str) -> list[str]:
    """Let bash complete a line, with the script that the program gives it."""
    words = shlex.split(typed) + ([""] if typed.endswith(" ") else [])
    script = f"""
        PATH={shlex.quote(str(DBOPS.parent))}:$PATH
        eval "$(_DBOPS_COMPLETE=source_bash dbops)"
        read -r -a how <<< "$(complete -p dbops)"
        for n in "${{!how[@]}}"; do [ "${{how[n]}}" = -F ] && function=${{how[n+1]}}; done
        COMP_WORDS=({shlex.join(words)}) COMP_CWORD={len(words) - 1}
        "$function" dbops
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    ended = subprocess.run(["bash", "-c", script], env=env, cwd=folder, capture_output=True, text=True, check=False)
    assert ended.stderr == ""
    return ended.stdout.split()


@pytest.mark.parametrize(
    ("typed", "wanted"),
    [
        ("dbops ro", {"roles"}),
        ("dbops ", set(FAMILIES)),
        ("dbops journal ", {"list", "show"}),
        ("dbops roles pl", {"plan"}),
        ("dbops roles apply --exp", {"--expect-plan"}),
        ("dbops config show --output ", {"text", "json"}),
        ("dbops --output json jour", {"journal"}),
        ("dbops --config x.toml --quiet roles pl", {"plan"}),
    ],
)
def test_bash_completes_families_verbs_and_options(
    env: dict[str, str], folder: Path, typed: str, wanted: set[str]
) -> None:
    assert set(completed(env, folder, typed)) == wanted
