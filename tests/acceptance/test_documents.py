"""Documents cannot rot: what they tell to type is parsed by the real program, and their tables come from it."""

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.main import get_command

from dbops.cli import app, hoisted
from dbops.errors import ExitCode

TOP = Path(__file__).resolve().parents[2]
DOCUMENTS = (TOP / "README.md", *sorted((TOP / "runbooks").glob("*.md")))
_TYPED = re.compile(r"^[ >]*\$ (?:\S*/)?dbops +((?:[^\n]*\\\n)*[^\n]+)$", re.MULTILINE)


def typed(document: Path) -> list[str]:
    """Find what the document tells to type behind `$ dbops`, up to a pipe or a redirection."""
    return [match[1] for match in _TYPED.finditer(document.read_text(encoding="utf-8"))]


def words(line: str) -> list[str]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;<>")
    lexer.whitespace_split = True
    lexer.commenters = ""
    found = list(lexer)
    return found[: next((n for n, word in enumerate(found) if set(word) <= set("|&;<>")), len(found))]


def parse(arguments: list[str]) -> None:
    """Let the program parse it, down to the last option, without running anything."""
    command: Any = get_command(app)
    context: Any = None
    rest = hoisted(arguments)
    name = "dbops"
    while True:
        try:
            context = command.make_context(name, list(rest), parent=context)
        except typer.Exit:  # --version, --help: told while parsing
            return
        if not hasattr(command, "resolve_command"):
            return
        name, command, rest = command.resolve_command(context, [*context._protected_args, *context.args])


@pytest.mark.parametrize(
    "line", [pytest.param(line, id=f"{book.stem}: {line}") for book in DOCUMENTS for line in typed(book)]
)
def test_every_line_that_a_document_tells_to_type_parses(line: str) -> None:
    parse(words(line))


@pytest.mark.parametrize("line", ["rolls plan", "roles plam", "roles plan --no-such-option", "status --output yaml"])
def test_a_line_that_the_program_does_not_know_is_noticed(line: str) -> None:
    with pytest.raises(typer.TyperException):
        parse(words(line))


def test_the_readme_has_lines_to_type() -> None:
    assert len(typed(TOP / "README.md")) >= 5  # or the pattern above has gone blind


def test_the_tables_of_the_readme_are_those_of_the_program() -> None:
    checked = subprocess.run(
        [sys.executable, str(TOP / "scripts" / "docs.py"), "--check"], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("code", list(ExitCode), ids=lambda code: code.name)
def test_every_exit_code_is_explained_in_the_readme(code: ExitCode) -> None:
    assert f"| {int(code)} | {code.meaning} |" in (TOP / "README.md").read_text(encoding="utf-8")
