"""The installed program from the outside: help, wrong usage, the envelope, exit codes."""

import json
import re
import shlex
import subprocess
from collections.abc import Callable, Generator
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.main import get_command

from dbops.cli import FAMILIES, SINGLE, app, hoisted
from dbops.engine import journal

from shell import CONFIG, risky

Dbops = Callable[..., subprocess.CompletedProcess[str]]

ESCAPE = "\x1b"


def commands() -> Generator[tuple[str, Any]]:
    """Walk every family: each verb with its words."""
    for name in FAMILIES:
        command: Any = get_command(import_module(f"dbops.cli.{name}").app)
        if name in SINGLE:
            yield name, command
        else:
            yield from ((f"{name} {verb}", inner) for verb, inner in command.commands.items())


COMMANDS = dict(commands())


def errors_of(ended: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    """The errors of an envelope on stdout."""
    told = json.loads(ended.stdout)
    assert (told["ok"], told["exit_code"]) == (False, ended.returncode)
    return [one for one in told["findings"] if one["severity"] == "error"]


# ── Help, version, examples ──────────────────────────────────────────────────────────────────────


def test_version_tells_what_is_installed_here(dbops: Dbops) -> None:
    told = dbops("--version")
    assert told.returncode == 0
    assert told.stdout.startswith(f"dbops {version('dbops')}\n")
    for part in (
        r"Python 3\.\d+",
        r"libpq \d+",
        r"postgres \(PostgreSQL\) \d+",
        r"pgBackRest \d",
        r"Redis server v=\d",
    ):
        assert re.search(part, told.stdout), part


def test_help_names_every_family_with_its_line(dbops: Dbops) -> None:
    told = dbops("--help", env={"COLUMNS": "200"})
    assert told.returncode == 0
    for name, line in FAMILIES.items():
        assert re.search(rf"\b{name}\b +{re.escape(line)}", told.stdout), name


@pytest.mark.parametrize("name", FAMILIES)
def test_the_line_of_a_family_is_its_own_help(name: str) -> None:
    command: Any = get_command(import_module(f"dbops.cli.{name}").app)
    assert command.help == FAMILIES[name]
    assert (name in SINGLE) == (not hasattr(command, "commands"))


@pytest.mark.parametrize("words", COMMANDS)
def test_every_command_has_a_line_and_help_for_every_parameter(words: str) -> None:
    command = COMMANDS[words]
    assert re.match(r"[A-Z].*\.(\s|$)", command.help), command.help
    assert [p.name for p in command.params if not p.help] == []


@pytest.mark.parametrize("words", COMMANDS)
def test_every_command_has_an_example_that_parses(words: str) -> None:
    examples = re.findall(r"^\$ dbops (.+)$", COMMANDS[words].epilog or "", re.MULTILINE)
    assert any(example.split()[: len(words.split())] == words.split() for example in examples)
    for example in examples:
        parsed(shlex.split(example.partition(" > ")[0]))


def parsed(arguments: list[str]) -> None:
    command: Any = get_command(app)
    context, name, rest = None, "dbops", hoisted(arguments)
    while True:
        context = command.make_context(name, list(rest), parent=context)
        if not hasattr(command, "resolve_command"):
            return
        name, command, rest = command.resolve_command(context, [*context._protected_args, *context.args])


def test_an_example_that_does_not_parse_would_be_noticed() -> None:
    with pytest.raises(typer.TyperException):
        parsed(["roles", "plan", "--no-such"])


@pytest.mark.parametrize("words", [*FAMILIES, *COMMANDS])
def test_help_of_every_family_and_verb_is_told(dbops: Dbops, words: str) -> None:
    told = dbops(*words.split(), "--help")
    assert (told.returncode, told.stderr) == (0, "")
    assert f"Usage: dbops {words}" in told.stdout
    assert ESCAPE not in told.stdout


# ── Wrong usage: 2, as text and as JSON ──────────────────────────────────────────────────────────

WRONG: list[tuple[list[str], str, str | None]] = [
    ([], "no command was given", "dbops --help"),
    (["nonsense"], "No such command 'nonsense'.", "dbops --help"),
    (["roles"], "no command was given", "dbops roles --help"),
    (["roles", "plam"], "No such command 'plam'. Did you mean 'plan'?", "dbops roles --help"),
    (["config", "show", "--no-such"], "No such option: --no-such", "dbops config show --help"),
    (["journal", "show"], "Missing argument 'RUN'.", "dbops journal show --help"),
    (
        ["journal", "list", "--limit", "0"],
        "'--limit': Input should be greater than or equal to 1",
        "dbops journal list --help",
    ),
    (["status", "--plan"], "No such option: --plan", "dbops status --help"),
    (["roles", "apply", "--lock-wait", "soon"], "--lock-wait: 'soon' is not a duration", None),
]


@pytest.mark.parametrize(("args", "message", "hint"), WRONG, ids=str)
def test_wrong_usage_is_2_with_a_hint(
    dbops: Dbops, configured: Path, args: list[str], message: str, hint: str | None
) -> None:
    told = dbops(*args, cwd=configured)
    assert (told.returncode, told.stdout) == (2, "")
    assert re.search(rf"^error \[usage\] .*{re.escape(message)}", told.stderr, re.MULTILINE)
    assert hint is None or f"-> {hint}\n" in told.stderr
    assert "Traceback" not in told.stderr


@pytest.mark.parametrize(("args", "message", "hint"), WRONG, ids=str)
@pytest.mark.parametrize("how", ["before", "after", "variable"])
def test_wrong_usage_honours_json(
    dbops: Dbops,
    configured: Path,
    *,
    args: list[str],
    message: str,
    hint: str | None,
    how: str,
) -> None:
    words = {"before": ["--output", "json", *args], "after": [*args, "-o", "json"], "variable": args}[how]
    told = dbops(*words, cwd=configured, env={"DBOPS_OUTPUT": "json"} if how == "variable" else {})
    [error] = errors_of(told)
    assert (told.returncode, error["code"]) == (2, "usage")
    assert message in error["message"]
    assert hint is None or error["hint"] == hint


def test_an_output_that_does_not_exist_is_wrong_usage(dbops: Dbops) -> None:
    assert dbops("config", "init", "--output", "yaml").returncode == 2
    assert dbops("config", "init", env={"DBOPS_OUTPUT": "yaml"}).returncode == 2


# ── The envelope ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("words", ["config show", "config check", "config init", "config schema", "journal list"])
def test_json_is_one_envelope_on_stdout_and_nothing_on_stderr(dbops: Dbops, configured: Path, words: str) -> None:
    for told in (
        dbops(*words.split(), "--output", "json", cwd=configured),
        dbops(*words.split(), cwd=configured, env={"DBOPS_OUTPUT": "json"}),
    ):
        envelope = json.loads(told.stdout)
        assert list(envelope) == [
            *("dbops", "command", "ok", "exit_code", "run_id", "data", "findings", "next_actions"),
        ]
        assert (envelope["command"], envelope["ok"], envelope["exit_code"], told.returncode) == (words, True, 0, 0)
        assert re.fullmatch(r"\d{8}T\d{6}\.\d{3}Z-[0-9a-f]{4}", envelope["run_id"])
        assert told.stderr == ""


@pytest.mark.parametrize(("severity", "code"), [("info", 0), ("warning", 3), ("unknown", 5), ("missed", 6), ("bad", 4)])
def test_a_finding_decides_the_exit_code_and_is_told_on_stderr(
    env: dict[str, str], folder: Path, severity: str, code: int
) -> None:
    told = risky(env, folder, severity)
    assert (told.returncode, told.stdout) == (code, "")
    assert "[odd] audit: something is odd\n  -> look at it\nnext:\n  $ dbops status\n" in told.stderr
    told = risky(env, folder, severity, "--quiet")
    assert told.stderr == ("" if severity == "info" else f"{severity} [odd] audit: something is odd\n")


# ── Configurations that are none: 8 ──────────────────────────────────────────────────────────────

BROKEN: dict[str, tuple[bytes | None, str]] = {
    "absent": (None, "no dbops.toml in"),
    "empty": (b"", "platform: field required"),
    "toml": (b"[platform\nname = 'x'", "is not valid TOML"),
    "bytes": (b"[platform]\nname = '\xff\xfe'", "is not UTF-8 text"),
    "long": (b'[platform]\nname = "' + b"x" * 10_000_000 + b'"\n', "platform.name: string should"),
    "deep": (b"x = " + b"[" * 50_000, "is not valid TOML"),
    "secret": (
        CONFIG.encode() + b'[cluster.a]\ndsn = "password=hunter22"\n',
        "cluster.a.dsn: holds a literal password",
    ),
    "hostile": (CONFIG.encode() + b'[cluster."a\\u001b[31m\\nfake line"]\ndsn = ""\nevil = 1\n', "no such key"),
}


@pytest.mark.parametrize("kind", BROKEN)
@pytest.mark.parametrize("output", ["text", "json"])
def test_a_configuration_that_is_none_is_8_in_one_paragraph(dbops: Dbops, folder: Path, kind: str, output: str) -> None:
    data, message = BROKEN[kind]
    if data is not None:
        (folder / "dbops.toml").write_bytes(data)
    told = dbops("config", "check", "-o", output, cwd=folder)
    assert told.returncode == 8
    if output == "json":
        [error] = errors_of(told)
        assert (error["code"], message in error["message"]) == ("config", True)
    else:
        assert told.stdout == ""
        assert "error [config] " in told.stderr
        assert message in told.stderr
    assert len(told.stderr) < 1500
    assert not re.search(f"Traceback|hunter22|{ESCAPE}|^fake", told.stdout + told.stderr, re.MULTILINE)


def test_a_folder_in_the_place_of_the_configuration_is_8(dbops: Dbops, folder: Path) -> None:
    told = dbops("config", "check", "--config", folder)
    assert told.returncode == 8
    assert f"{folder} cannot be read: Is a directory" in told.stderr


def test_secrets_that_do_not_resolve_are_8_and_all_of_them_are_named(dbops: Dbops, configured: Path) -> None:
    path = configured / "dbops.toml"
    path.write_text(
        CONFIG + '[cluster.a]\ndsn = ""\npassword = "${NO_SUCH_A}"\n[redis.b]\nurl = "redis://${NO_SUCH_B}@h"\n'
        '[redis.c]\nurl = "redis://h"\npassword = { file = "open" }\n'
    )
    (configured / "open").write_text("hunter22")
    (configured / "open").chmod(0o644)
    told = dbops("config", "check", cwd=configured)
    assert told.returncode == 8
    for part in ("NO_SUCH_A is not set", "NO_SUCH_B is not set", "can be read by others", "chmod 600"):
        assert part in told.stderr
    assert "hunter22" not in told.stdout + told.stderr
    (configured / "open").chmod(0o600)
    told = dbops("config", "check", cwd=configured, env={"NO_SUCH_A": "open sesame", "NO_SUCH_B": "x"})
    assert told.returncode == 0, told.stderr
    assert "sesame" not in told.stdout


def test_the_template_is_a_configuration_once_its_variables_exist(dbops: Dbops, folder: Path) -> None:
    template = dbops("config", "init")
    (folder / "dbops.toml").write_text(template.stdout)
    wanted = set(re.findall(r"\$\{(\w+)\}", template.stdout)) - {"NAME"}
    told = dbops("config", "check", cwd=folder, env=dict.fromkeys(wanted, "open sesame"))
    assert told.returncode == 0, told.stderr


def test_the_schema_can_be_sent_to_a_file_and_is_json(dbops: Dbops, folder: Path) -> None:
    assert json.loads(dbops("config", "schema").stdout)["properties"]["platform"]


def test_show_fills_in_defaults_and_keeps_secrets_references(dbops: Dbops, configured: Path) -> None:
    (configured / "dbops.toml").write_text(CONFIG + '[cluster.a]\ndsn = "user=ünï password=${SECRET_A}"\n')
    told = dbops("config", "show", cwd=configured, env={"SECRET_A": "hunter22"})
    shown = json.loads(told.stdout.partition("\n")[2])
    assert shown["cluster"]["a"]["dsn"] == "user=ünï password=${SECRET_A}"
    assert shown["platform"]["state_dir"] == str(configured / "state")
    assert "hunter22" not in told.stdout


# ── Refused: 9; verified bad: 4; unreachable: 75 ─────────────────────────────────────────────────


def test_a_run_that_nobody_knows_is_refused(dbops: Dbops, configured: Path) -> None:
    told = dbops("journal", "show", "2026", cwd=configured)
    assert told.returncode == 9
    assert "there is no journal that begins with '2026'" in told.stderr
    assert "-> dbops journal list" in told.stderr


def test_production_that_was_only_found_is_not_changed(dbops: Dbops, configured: Path) -> None:
    path = configured / "dbops.toml"
    path.write_text(CONFIG.replace('"test"', '"production"'))
    below = configured / "below"
    below.mkdir()
    told = dbops("roles", "apply", "--yes", cwd=below)
    assert told.returncode == 9
    assert f"-> name it: --config {path}" in told.stderr
    assert dbops("journal", "list", cwd=below).returncode == 0


def test_journals_are_listed_and_shown(dbops: Dbops, journaled: Path) -> None:
    told = json.loads(dbops("journal", "list", "-o", "json", cwd=journaled).stdout)
    assert [e["outcome"] for e in told["data"]["journals"]] == ["done", "unfinished", "done"]
    assert [f["code"] for f in told["findings"]] == ["journal-torn"]
    shown = dbops("journal", "show", "20261121", cwd=journaled)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "start  step=a\\x1b[31m" in shown.stdout
    ambiguous = dbops("journal", "show", "2026112", cwd=journaled)
    assert ambiguous.returncode == 9
    assert "type more of it" in ambiguous.stderr


@pytest.mark.parametrize("harm", ["altered", "removed", "garbage"])
@pytest.mark.parametrize("words", [["show", "20261123"], ["list"]], ids=str)
def test_a_journal_that_was_tampered_with_is_4(dbops: Dbops, journaled: Path, harm: str, words: list[str]) -> None:
    room = journal.folder(journaled / "state")
    third, second = (room / f"2026112{n}T000000.000Z-0000-audit.jsonl" for n in (3, 2))
    if harm == "removed":
        second.unlink()
    else:
        lines = third.read_bytes().splitlines(keepends=True)
        lines[1] = (
            b'{"event": "plan", "at": 5, "after": 5, "steps": [1]}\n'
            if harm == "garbage"
            else lines[1].replace(b"a", b"b")
        )
        third.write_bytes(b"".join(lines))
    told = dbops("journal", *words, cwd=journaled)
    assert told.returncode == 4, told.stderr
    assert ("is gone" if harm == "removed" else "was altered: line") in told.stderr
    assert "Traceback" not in told.stderr


def test_a_server_that_is_not_there_is_75(dbops: Dbops, configured: Path) -> None:
    (configured / "dbops.toml").write_text(CONFIG + '[cluster.a]\ndsn = "host=/nonexistent user=x dbname=x"\n')
    told = dbops("status", cwd=configured)
    assert told.returncode == 75, told.stderr


# ── What nobody expected: 1, with a redacted traceback ───────────────────────────────────────────


@pytest.mark.parametrize(
    ("how", "name"),
    [
        ("bug", "ValueError: password=*** is no number"),
        ("eof", "EOFError"),
        ("epipe", "BrokenPipeError"),
        ("memory", "MemoryError"),
        ("untyped", "TypeError: object has no form in a result"),
    ],
)
def test_a_bug_keeps_its_redacted_traceback_and_is_1(env: dict[str, str], folder: Path, how: str, name: str) -> None:
    told = risky(env, folder, how, "-o", "json")
    [error] = errors_of(told)
    assert (told.returncode, error["code"], error["message"]) == (1, "failed", name)
    assert "Traceback (most recent call last)" in told.stderr
    assert "this is a bug in dbops" in told.stderr
    assert "hunter22'} is" not in told.stderr
    assert "password='hunter22" not in told.stdout + told.stderr


def test_ctrl_c_outside_of_any_handler_is_130(env: dict[str, str], folder: Path) -> None:
    told = risky(env, folder, "ctrl-c")
    assert (told.returncode, "Traceback" in told.stderr) == (130, False)
    assert "stopped on request" in told.stderr
