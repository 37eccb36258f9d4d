"""What the operator types. Families are imported only when their name was typed."""

import errno
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from io import TextIOWrapper
from typing import Any, NoReturn

import typer
from typer.core import TyperGroup
from typer.main import get_command

from dbops.cli import given

given.spare()

FAMILIES = {
    "status": "Show every target on one screen: reachable, version, backups, what needs attention.",
    "migrate": "The schemas of the databases, revision by revision: up, down, history, SQL.",
    "partition": "Tables partitioned by time: runway, what is missing, what is past its retention.",
    "roles": "Least-privilege roles, memberships, grants and owners, as the configuration declares them.",
    "matview": "Materialized views: what they read, how fresh they are, refreshing them without stalling readers.",
    "backup": "Backups of clusters: taken, listed, proved, expired; and what stands in the way of a recovery.",
    "pitr": "Any moment of a cluster back: what is within reach, what it would take, restoring it.",
    "vault": "The artifacts of every store: what is there, whether it is whole, second copies.",
    "config": "The configuration: a template, its validation, the resolved view, a JSON Schema.",
    "journal": "What was done, by whom, with what outcome.",
    "sandbox": "The embedded platform: every store, in one folder, without Docker or services.",
}
SINGLE = frozenset({"status"})  # families that are one command, not a group of verbs

# Common options may also stand before the verb; True: it takes a value.
_COMMON = {
    "--config": True,
    "--output": True,
    "--lock-wait": True,
    "--confirm": True,
    "--expect-plan": True,
    "--metrics-file": True,
    "--ping-url-env": True,
    "--quiet": False,
    "--verbose": False,
    "--no-color": False,
    "--plan": False,
    "--yes": False,
    "--skip-if-running": False,
    "-o": True,
    "-q": False,
    "-v": False,
    "-y": False,
}


class Families(TyperGroup):
    """Help and completion need no more than FAMILIES."""

    def __init__(self, **attrs: Any) -> None:
        super().__init__(**attrs)
        self.commands.update({name: TyperGroup(name=name, help=line) for name, line in FAMILIES.items()})

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if (name := args[0]) in FAMILIES:
            self.commands[name] = get_command(import_module(f"{__name__}.{name}").app)
        return super().resolve_command(ctx, args)


app = typer.Typer(
    cls=Families,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Common options (--config, --output, --plan, --yes ...) may stand before or after the verb: "
    "dbops status --help. Exit codes: README.",
)


def _version(wanted: bool) -> None:
    if wanted:
        from dbops.cli import version

        print(version.text())
        raise typer.Exit


@app.callback()
def dbops(
    _version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Show versions and exit."),
) -> None:
    """One command for the people who keep a data platform alive."""


def _verb_after(words: Sequence[str]) -> int:
    return 1 if words and words[0] in SINGLE else 2


def hoisted(argv: Sequence[str]) -> list[str]:
    """Move common options that stand before the verb to just behind it, where Typer looks for them."""
    words: list[str] = []
    moved: list[str] = []
    rest = list(argv)
    while rest and len(words) < _verb_after(words):
        token = rest[0]
        name, _, value = token.partition("=")
        if name in _COMMON:
            taken = 2 if _COMMON[name] and not value else 1
            moved, rest = [*moved, *rest[:taken]], rest[taken:]
        elif token.startswith("-"):
            break
        else:
            words, rest = [*words, token], rest[1:]
    # without a verb there is nobody to take them: then the verb is what is missing, not the option
    return [*words, *moved, *rest] if len(words) == _verb_after(words) else [*words, *rest]


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run one command and exit with its code: the only way out, whatever the output mode."""
    _occupy_standard_streams()
    if "_DBOPS_COMPLETE" in os.environ:
        from dbops.cli import completion

        completion.prepare(hoisted)
    given_words = list(sys.argv[1:] if argv is None else argv)
    try:
        outcome = app(hoisted(given_words), prog_name="dbops", standalone_mode=False)
    except typer.TyperException as error:
        from dbops.cli import door

        door.leave(door.close(door.usage(error, given_words)))
    except (OSError, SystemExit) as error:  # help that nobody could be shown; rich and Typer make 1 of a broken pipe
        sys.exit(_unwritten(error))
    except Exception as error:  # noqa: BLE001  # a family that cannot even be imported
        from dbops.cli import door

        door.leave(door.close(door.crashed(error, given_words)))
    if outcome is None or isinstance(outcome, int):  # help, version, completion
        sys.exit(_flushed(outcome or 0))
    from dbops.cli import door

    door.leave(door.close(outcome))


def _occupy_standard_streams() -> None:
    """Let no file or socket of ours take the number of a standard stream that our starter has closed."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a name that this terminal cannot show is no reason to fail
            stream.reconfigure(errors="backslashreplace")


def _flushed(code: int) -> int:
    """Learn now, not in the interpreter's last breath, whether help was written."""
    if sys.stdout is None:  # pyright: ignore[reportUnnecessaryComparison]  # started with >&-
        return _unwritten(OSError(errno.EBADF, "standard output is closed"))
    try:
        sys.stdout.flush()
    except OSError as error:
        return _unwritten(error)
    return code


def _unwritten(error: OSError | SystemExit) -> int:
    from dbops.cli import render

    render.abandon_stdout()
    if isinstance(error, BrokenPipeError) or isinstance(error.__context__, BrokenPipeError):
        return 0  # the reader had enough
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else 1
    render.err_text(f"this could not be written: {error.strerror}")
    return 1
