"""The door: a command's body runs inside it, and every exception becomes an Outcome before Typer sees it."""

import contextlib
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from functools import wraps
from inspect import Parameter, Signature, signature
from itertools import pairwise
from pathlib import Path
from typing import Any, NoReturn

import typer

from dbops import __version__
from dbops.cli import FAMILIES, SINGLE, hoisted, render
from dbops.cli.envelope import plain
from dbops.cli.options import Asked, Invocation, Output
from dbops.cli.screen import Screen
from dbops.engine import stop
from dbops.engine.ending import Measure
from dbops.engine.finding import Finding, Severity
from dbops.engine.finding import exit_code as code_of
from dbops.errors import DbopsError, ExitCode, Stopped, UsageError, worst
from dbops.process import signal_groups
from dbops.redact import redact


@dataclass(frozen=True, slots=True)
class Result:
    """What a command found or did: data for machines, a screen for people."""

    data: Any = None
    screen: Screen = ()
    findings: tuple[Finding, ...] = ()
    next_actions: tuple[str, ...] = ()
    measures: tuple[Measure, ...] = ()  # for the metrics file: what is promised, and what it is
    codes: tuple[ExitCode, ...] = ()  # of targets that failed, where others went on
    exit_with: int | None = None  # `sandbox exec` hands on what its command said
    as_json: bool = False  # asked for in the command's own words, as --output json would

    @property
    def exit_code(self) -> int:
        return worst([code_of(self.findings), *self.codes]) if self.exit_with is None else self.exit_with


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a command ended: with a result, or with an error."""

    asked: Asked
    result: Result = field(default_factory=Result)
    error: BaseException | None = None
    trace: str = ""

    @property
    def exit_code(self) -> int:
        match self.error:
            case None:
                return self.result.exit_code
            case DbopsError():
                return int(self.error.exit_code)
            case KeyboardInterrupt():
                return ExitCode.INTERRUPTED
            case SystemExit():
                return self.error.code if isinstance(self.error.code, int) else ExitCode.FAILED
            case _:
                return ExitCode.FAILED


def family(name: str) -> typer.Typer:
    """Make the group of a family's verbs."""
    app = typer.Typer(name=name, help=FAMILIES[name], add_completion=False)
    if name not in SINGLE:
        app.callback()(_group)  # or a family with one verb would collapse into it
    return app


def _group() -> None: ...


def command(
    app: typer.Typer, name: str, *examples: str, **settings: Any
) -> Callable[[Callable[..., Result]], Callable[..., Outcome]]:
    """Register a command whose body takes Asked or AskedChange first, and returns a Result."""

    def register(body: Callable[..., Result]) -> Callable[..., Outcome]:
        first, *own = signature(body, eval_str=True).parameters.values()
        kind: type[Asked] = first.annotation
        shared = [f for f in fields(kind) if f.metadata.get("option", True)]
        title = f"{app.info.name} {name}" if app.info.name and app.info.name != name else name

        @wraps(body)
        def guarded(**named: Any) -> Outcome:
            asked = kind(**{f.name: named.pop(f.name) for f in shared}, invocation=Invocation(title))
            render.prepare(no_color=asked.no_color, quiet=asked.quiet, verbose=asked.verbose)
            try:
                with stop.signals(), stop.listening(signal_groups):
                    _begin(asked)
                    return Outcome(asked, body(asked, **named))
            except BaseException as error:  # noqa: BLE001  # whatever it is: told once, in `close`
                return Outcome(asked, error=error, trace=traceback.format_exc())

        options = [Parameter(f.name, Parameter.KEYWORD_ONLY, annotation=f.type, default=_default(f)) for f in shared]
        keyword = [p.replace(kind=Parameter.KEYWORD_ONLY) for p in own]
        setattr(guarded, "__signature__", Signature([*keyword, *options]))  # noqa: B010  # not known to the type
        epilog = "\n\n".join(["Examples:", *(f"$ {line}" for line in examples)])
        return app.command(name, epilog=epilog, **settings)(guarded)

    return register


def _begin(asked: Asked) -> None:
    """Learn where the pings go before anything is done, and send the first; a plan is no run."""
    if not _plan_only(asked):
        asked.invocation.watch.aim(asked.ping_url_env, asked.invocation.run_id)
        if not getattr(asked, "skip_if_running", False):  # else `flow` tells, when it has a lock
            asked.invocation.watch.working()


def _plan_only(asked: Asked) -> bool:
    return bool(getattr(asked, "plan", False))


def _default(option: Any) -> Any:
    return option.default


def usage(error: typer.TyperException, args: Sequence[str]) -> Outcome:
    """Tell a wrong command line in the output mode that was asked for, as far as that can be told."""
    context = getattr(error, "ctx", None)
    path = context.command_path.removeprefix("dbops").strip() if context is not None else ""
    asked = _asked_by(args, path or "dbops", is_verb=context is not None and not hasattr(context.command, "commands"))
    hint = f"{context.command_path if context is not None else 'dbops'} --help"
    message = error.format_message()
    if message.startswith("Missing command") and context is not None:
        message = "no command was given"
        if asked.output is Output.TEXT:
            _help_on_stderr(context)
    return Outcome(asked, error=UsageError(message, hint=hint))


def crashed(error: Exception, args: Sequence[str]) -> Outcome:
    """Tell a bug that came before the command's own body, as one of the command that was typed."""
    words = hoisted(args)
    known = bool(words) and words[0] in FAMILIES
    words = words[: 1 if known and words[0] in SINGLE else 2]
    asked = _asked_by(args, " ".join(words) if known else "dbops", is_verb=known)
    return Outcome(asked, error=error, trace="".join(traceback.format_exception(error)))


def _help_on_stderr(context: Any) -> None:
    if sys.stderr is not None:  # pyright: ignore[reportUnnecessaryComparison]  # started with 2>&-
        with contextlib.redirect_stdout(sys.stderr), contextlib.suppress(OSError, SystemExit):
            context.get_help()  # rich prints it at once


def _asked_by(args: Sequence[str], command: str, *, is_verb: bool) -> Asked:
    """Gather from a wrong command line what says how its end is to be told."""
    output = _value_of(args, "--output", "-o") or os.environ.get("DBOPS_OUTPUT", "text")
    metrics = _value_of(args, "--metrics-file") or os.environ.get("DBOPS_METRICS_FILE")
    asked = Asked(
        output=Output.JSON if output == "json" else Output.TEXT,
        # a verb that does not exist would leave a series that no later run could ever mend
        metrics_file=Path(metrics) if metrics and is_verb else None,
        ping_url_env=_value_of(args, "--ping-url-env"),
        invocation=Invocation(command),
    )
    with contextlib.suppress(DbopsError):  # the wrong command line is told; what else is wrong can wait
        asked.invocation.watch.aim(asked.ping_url_env, asked.invocation.run_id)
    return asked


def _value_of(args: Sequence[str], *names: str) -> str | None:
    told = None
    for here, after in pairwise((*args, "")):
        name, equals, value = here.partition("=")
        if name in names:
            told = value if equals else after
    return told


def close(outcome: Outcome) -> int:
    """Print the outcome, tell it to whom it was to be told, and return the exit code: the only place that does."""
    try:
        code = _printed(outcome)
    except Exception as error:  # noqa: BLE001  # a result that has no form is a bug like any other
        outcome = Outcome(outcome.asked, error=error, trace=traceback.format_exc())
        code = _printed(outcome)
    except KeyboardInterrupt:
        _report(outcome, ExitCode.INTERRUPTED)
        raise
    _report(outcome, code)
    return code


def _report(outcome: Outcome, code: int) -> None:
    """Write metrics and send the last ping. Whatever happens here, the code of the run stays what it is."""
    asked = outcome.asked
    if _plan_only(asked) or (asked.metrics_file is None and asked.ping_url_env is None):
        return
    try:
        with stop.signals():  # a signal ends the telling: what was done is done
            told = asked.invocation.watch.close(
                asked.metrics_file,
                command=asked.invocation.command,
                run_id=asked.invocation.run_id,
                code=code,
                findings=[*outcome.result.findings, *_told(outcome)],
                measures=outcome.result.measures,
            )
    except Stopped as error:
        told = [Finding(Severity.WARNING, "untold", "-", f"metrics and pings: {error.message}")]
    except Exception:  # noqa: BLE001  # a bug, and none of the run's
        render.err_text(traceback.format_exc())
        told = []
    render.findings(told, ())


def leave(code: int) -> NoReturn:
    """Exit. A second signal waits for nobody: neither for our threads, nor for the programs that they attend."""
    if stop.requested() and any(not t.daemon for t in threading.enumerate() if t is not threading.main_thread()):
        signal_groups(signal.SIGKILL)
        os._exit(code)
    sys.exit(code)


def _printed(outcome: Outcome) -> int:
    code = outcome.exit_code
    findings = [*outcome.result.findings, *_told(outcome)]
    bug = outcome.error is not None and not isinstance(outcome.error, DbopsError | SystemExit | KeyboardInterrupt)
    if bug:
        render.err_text(outcome.trace)
    try:
        if outcome.asked.output is Output.JSON or outcome.result.as_json:
            render.json_line(_envelope(outcome, code, findings))
        else:
            render.screen(outcome.result.screen)
    except BrokenPipeError:
        render.abandon_stdout()  # the reader had enough; what was done is done, and the code tells it
    except OSError as error:
        render.abandon_stdout()
        render.err_text(f"the result could not be written: {error.strerror}")
        code = ExitCode.FAILED if code == ExitCode.OK else code
    if (outcome.asked.output is Output.TEXT and not outcome.result.as_json) or outcome.error is not None:
        render.findings(findings, outcome.result.next_actions)
    return code


def _told(outcome: Outcome) -> list[Finding]:
    error = outcome.error
    if error is None or isinstance(error, SystemExit):
        return []
    target = "-"
    hint: str | None = "this is a bug in dbops; the traceback above (redacted) tells where"
    message = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    code = ExitCode(outcome.exit_code)
    if isinstance(error, DbopsError):
        target, hint, message = error.target or "-", error.hint, error.message
    elif isinstance(error, KeyboardInterrupt):
        hint, message = Stopped(2).hint, "stopped on request"
    return [Finding(Severity.ERROR, code.name.lower(), target, redact(message), redact(hint) if hint else None)]


def _envelope(outcome: Outcome, code: int, findings: Sequence[Finding]) -> dict[str, Any]:
    return {
        "dbops": __version__,
        "command": outcome.asked.invocation.command,
        "ok": code == 0,
        "exit_code": int(code),
        "run_id": outcome.asked.invocation.run_id,
        "data": plain(outcome.result.data),
        "findings": [plain(f) for f in findings],
        "next_actions": list(outcome.result.next_actions),
    }
