"""Write the tables of README.md from the program itself. `--check` compares, and tells what differs."""

import difflib
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from typer.main import get_command

from dbops.cli import FAMILIES
from dbops.errors import ExitCode

README = Path(__file__).resolve().parent.parent / "README.md"


def commands() -> Iterator[tuple[str, str]]:
    """Walk every command: what one types, and the first sentence of its help."""
    for family, line in FAMILIES.items():
        found: Any = get_command(import_module(f"dbops.cli.{family}").app)
        verbs: dict[str, Any] = getattr(found, "commands", {})
        if not verbs:
            yield f"dbops {family}", line
        for name, verb in sorted(verbs.items()):
            yield f"dbops {family} {name}", verb.get_short_help_str(limit=200)


def table(heads: tuple[str, str], rows: Iterator[tuple[str, str]]) -> str:
    lines = [heads, ("---", "---"), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def tables() -> dict[str, str]:
    return {
        "commands": table(("command", "what it does"), ((f"`{name}`", what) for name, what in commands())),
        "exit codes": table(("code", "meaning"), ((str(int(code)), code.meaning) for code in ExitCode)),
    }


def filled(text: str) -> str:
    """Put each table between its two markers; a missing marker is an error, not a table that nobody sees."""
    for name, body in tables().items():
        begin, end = f"<!-- begin {name}: written by scripts/docs.py -->", f"<!-- end {name} -->"
        if text.count(begin) != 1 or text.count(end) != 1:
            sys.exit(f"README.md must have these two lines once: {begin} and {end}")
        before, rest = text.split(begin)
        text = f"{before}{begin}\n\n{body}\n\n{end}{rest.split(end)[1]}"
    return text


def main() -> None:
    now = README.read_text(encoding="utf-8")
    then = filled(now)
    if "--check" not in sys.argv[1:]:
        README.write_text(then, encoding="utf-8")
    elif now != then:
        sys.stdout.writelines(
            difflib.unified_diff(now.splitlines(True), then.splitlines(True), "README.md", "the program")
        )
        sys.exit("README.md is not what the program does: run .venv/bin/python scripts/docs.py")


if __name__ == "__main__":
    main()
