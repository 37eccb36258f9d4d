"""The only room that knows the terminal: results to stdout, everything else to stderr."""

import contextlib
import errno
import json
import os
import re
import select
import shutil
import sys
from collections.abc import Generator, Sequence
from typing import Any, TextIO

from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from dbops.cli.screen import Cell, Line, Screen, Table, Tone, Verbatim
from dbops.engine import stop
from dbops.engine.finding import Finding, Severity
from dbops.engine.plan import Plan, Risk
from dbops.engine.run import Progress
from dbops.redact import redact, redacted

_TONES = {
    Tone.PLAIN: "",
    Tone.GOOD: "green",
    Tone.WARN: "yellow",
    Tone.BAD: "bold red",
    Tone.FAINT: "dim",
    Tone.STRONG: "bold",
}
_SEVERITIES = {
    Severity.INFO: Tone.FAINT,
    Severity.WARNING: Tone.WARN,
    Severity.UNKNOWN: Tone.WARN,
    Severity.MISSED: Tone.BAD,
    Severity.BAD: Tone.BAD,
    Severity.ERROR: Tone.BAD,
}
_RISKS = {Risk.SAFE: Tone.GOOD, Risk.BLOCKS: Tone.WARN, Risk.LOSES_DATA: Tone.BAD}
# What a hostile name could do to a terminal: shown as an escape instead of obeyed.
_DANGEROUS = r"\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff"
_CONTROL = re.compile(rf"[\t{_DANGEROUS}]")
_CONTROL_IN_FILE = re.compile(rf"[{_DANGEROUS}]")
_MOST_LINES = 12  # of a step's SQL before a question: what is asked stays on the screen with what it is about
_LINE_WIDTH = 100  # where nobody watches (a file, cron), tables are as wide as they promise to fit

_settings = {"plain": False, "quiet": False, "verbose": False, "unfinished": False}


def prepare(*, no_color: bool, quiet: bool, verbose: bool) -> None:
    _settings.update(plain=no_color, quiet=quiet, verbose=verbose)


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Let us tell a reader that has gone: rich would exit with 1."""
        raise  # noqa: PLE0704  # called where BrokenPipeError was caught


def _console(*, stderr: bool = False) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    watched = stream is not None and stream.isatty()
    dumb = os.environ.get("TERM") == "dumb"
    return _Console(
        file=stream,
        no_color=_settings["plain"] or None,
        color_system=None if _settings["plain"] or dumb or not watched else "auto",
        width=None if watched or "COLUMNS" in os.environ else _LINE_WIDTH,
        highlight=False,
        markup=False,
        emoji=False,
        soft_wrap=False,
        legacy_windows=False,
    )


def visible(text: str) -> str:
    """Redact, and show control characters instead of sending them to a terminal."""
    return _CONTROL.sub(_escaped, redact(text))


def _escaped(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode()


def _text(text: str, tone: Tone = Tone.PLAIN) -> Text:
    return Text(visible(text), style=_TONES[tone])


def screen(parts: Screen) -> None:
    """Draw a result on stdout."""
    if not parts:
        return
    _stdout()
    _end_progress()
    console = _console()
    for part in parts:
        match part:
            case Table():
                _draw(console, part)
            case Line():
                _line(console, part)
            case Verbatim():
                sys.stdout.write(_CONTROL_IN_FILE.sub(_escaped, redact(part.text)))
    sys.stdout.flush()


def _stdout() -> TextIO:
    if sys.stdout is None:  # pyright: ignore[reportUnnecessaryComparison]  # started with >&-
        raise OSError(errno.EBADF, "standard output is closed")
    return sys.stdout


def _line(console: Console, line: Line) -> None:
    console.print(Text(" " * line.indent) + _text(line.text, line.tone), soft_wrap=True)


def _draw(console: Console, table: Table) -> None:
    drawn = RichTable(box=None, pad_edge=False, show_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in table.columns:
        drawn.add_column(
            column.title,
            justify="right" if column.right else "left",
            no_wrap=not column.shrinks,
            overflow="fold" if column.shrinks else "ellipsis",
        )
    for row in table.rows:
        drawn.add_row(*(_cell(cell) for cell in row))
    if table.title:
        console.print(_text(table.title, Tone.STRONG))
    console.print(drawn)


def _cell(cell: Cell) -> Text:
    return Text(visible(cell.text).replace("\n", "\\n"), style=_TONES[cell.tone])


def json_line(envelope: dict[str, Any]) -> None:
    """Print the envelope; redaction looks at every string, so that no secret hides behind JSON's escapes."""
    stdout = _stdout()
    _end_progress()
    ascii_only = (stdout.encoding or "").lower().replace("_", "-") != "utf-8"
    text = json.dumps(redacted(envelope), ensure_ascii=ascii_only, indent=2)
    stdout.write(_CONTROL_IN_FILE.sub(lambda match: f"\\u{ord(match[0]):04x}", text) + "\n")
    stdout.flush()


def err_text(text: str) -> None:
    _on_stderr(text, Tone.PLAIN)


def _on_stderr(text: str, tone: Tone, *, wrap: bool = False) -> None:
    """Print on stderr; `wrap` at words where a person watches, never in a log that is searched line by line."""
    if sys.stderr is None:  # pyright: ignore[reportUnnecessaryComparison]  # rich would take stdout instead
        return
    _end_progress()
    with _nobody_may_listen():
        console = _console(stderr=True)
        console.print(_text(text, tone), soft_wrap=not (wrap and console.is_terminal))


def findings(found: Sequence[Finding], next_actions: Sequence[str]) -> None:
    """Tell what is wrong and what to type next, on stderr."""
    for finding in found:
        if finding.severity is Severity.INFO and _settings["quiet"]:
            continue
        where = "" if finding.target == "-" else f"{finding.target}: "
        _on_stderr(f"{_word(finding)} {where}{finding.message}", _SEVERITIES[finding.severity], wrap=True)
        if finding.hint and not _settings["quiet"]:
            _on_stderr(f"  -> {finding.hint}", Tone.FAINT, wrap=True)
    if next_actions and not _settings["quiet"]:
        _on_stderr("next:", Tone.FAINT)
        for line in next_actions:
            _on_stderr(f"  $ {line}", Tone.FAINT)


def _word(finding: Finding) -> str:
    return f"{finding.severity.value} [{finding.code}]"


def progress(event: Progress) -> None:
    """Tell how far a run is: on one line that a terminal overwrites; each step for a log only when asked."""
    if _settings["quiet"]:
        return
    text = f"{event.target}: {event.done}/{event.total} {event.step}"
    over = event.done == event.total
    if _settings["verbose"]:
        if not over:
            _on_stderr(text, Tone.FAINT)
    elif sys.stderr is not None and sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
        width = shutil.get_terminal_size().columns - 1
        with _nobody_may_listen():
            sys.stderr.write("\r\x1b[2K" + ("" if over else visible(text).replace("\n", " ")[:width]))
            sys.stderr.flush()
        _settings["unfinished"] = not over


def _end_progress() -> None:
    """Take the line of progress away before anything else is said: a failed run leaves it behind."""
    if _settings["unfinished"]:
        _settings["unfinished"] = False
        with _nobody_may_listen():
            sys.stderr.write("\r\x1b[2K")
            sys.stderr.flush()


def plan_screen(plan: Plan[Any], environment: str = "", *, most: int | None = None) -> Screen:
    """Show a plan: where, what, in which order, how risky, with which SQL; of each step at most so many lines of it."""
    count = len(plan.steps)
    title = f"{plan.target}{f' ({environment})' if environment else ''}: {plan.title}"
    if not count:
        return (Line(f"{title}: nothing to do", Tone.GOOD),)
    lines: list[Line] = [Line(f"{title}: {count} step{'s' if count > 1 else ''}", Tone.STRONG)]
    for number, step in enumerate(plan.steps, start=1):
        lines.append(Line(f"{number:>3}. [{step.risk.label}] {step.summary}", _RISKS[step.risk], indent=1))
        sql = [text for statement in step.statements for text in f"{statement.shown()};".splitlines()]
        left = 0 if most is None or len(sql) <= most + 1 else len(sql) - most
        lines += [Line(text, indent=7) for text in sql[: len(sql) - left]]
        if left:
            lines.append(Line(f"... and {left} more lines of SQL, which --plan shows", Tone.FAINT, indent=7))
        lines += [Line(f"note: {note}", Tone.FAINT, indent=7) for note in step.notes]
    return (*lines, Line(f"plan {plan.sha}", Tone.FAINT))


def plan_preview(plan: Plan[Any], environment: str) -> None:
    """Show a plan on stderr, before the question whether it may run: --quiet does not silence what is agreed to."""
    if plan.steps:
        for part in plan_screen(plan, environment, most=_MOST_LINES):
            if isinstance(part, Line):
                _on_stderr(" " * part.indent + part.text, part.tone)


def stdin_is_terminal() -> bool:
    return sys.stdin is not None and sys.stderr is not None and sys.stdin.isatty() and sys.stderr.isatty()


def ask(question: str) -> str:
    """Ask on stderr, read one line of the terminal; a signal ends the waiting."""
    _end_progress()
    sys.stderr.write(visible(question))
    sys.stderr.flush()
    terminal = sys.stdin.fileno()
    while not select.select([terminal], [], [], 0.1)[0]:
        stop.check()
    # not through sys.stdin: what its buffer held, such as a pasted second answer, select would not see
    return os.read(terminal, 4096).decode(errors="replace").strip()


@contextlib.contextmanager
def _nobody_may_listen() -> Generator[None]:
    """A run outlives the reader of its stderr: the exit code and the journal still tell."""
    try:
        yield
    except (OSError, ValueError):
        _abandon(sys.stderr)


def abandon_stdout() -> None:
    with contextlib.suppress(OSError):
        _abandon(_stdout())


def _abandon(stream: TextIO) -> None:
    """Point a stream at nothing, so that the interpreter's last flush does not fail and change the exit code."""
    with contextlib.suppress(OSError, ValueError):
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, stream.fileno())
        os.close(nothing)
