"""The metrics file: how runs ended, for node_exporter's textfile collector, in a text that OpenMetrics reads too.

Many jobs write one file. Each merges its own series into what it finds, under a lock on the file's folder, and
replaces the file as a whole: no reader ever sees half of it, and no job loses the series of another.
"""

import fcntl
import math
import os
import re
import stat
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from dbops.engine import clock
from dbops.engine.ending import Ending, Measure
from dbops.engine.finding import Finding, Severity
from dbops.errors import ExitCode
from dbops.redact import redact

Labels = tuple[tuple[str, str], ...]
Series = Mapping[Labels, str]

SUCCESS = frozenset({ExitCode.OK, ExitCode.WARNINGS})  # everything required is complete

_RUN = "dbops_last_run_timestamp_seconds"
_SUCCESS = "dbops_last_success_timestamp_seconds"
_STATUS = "dbops_last_status"
_DURATION = "dbops_last_duration_seconds"
_OBJECTIVE = "dbops_objective_seconds"
_MEASURED = "dbops_measured_seconds"
_HELP = {
    _RUN: "When the command last ended, with whatever result; an empty target is the command as a whole.",
    _SUCCESS: "When the command last ended with exit code 0 or 3.",
    _STATUS: "The exit code of the last run.",
    _DURATION: "How long the last run took.",
    _OBJECTIVE: "What is promised.",
    _MEASURED: "What the last run measured of it; +Inf where there is nothing, such as no backup at all.",
}
_MARK = b"# HELP dbops_"  # how every file of ours begins
_PATIENCE_S = 5.0
_POLL_S = 0.01
_NAME = r"[a-zA-Z_][a-zA-Z0-9_]*"
_SAMPLE = re.compile(rf'({_NAME})\{{((?:{_NAME}="(?:[^"\\\n]|\\.)*",?)*)\}} (\S+)')
_LABEL = re.compile(rf'({_NAME})="((?:[^"\\\n]|\\.)*)"')
_COMMENT = re.compile(rf"# (HELP|TYPE) ({_NAME}) (.*)")
_ESCAPES = {"\\": "\\\\", "\n": "\\n", '"': '\\"'}
_UNESCAPES = {escaped: plain for plain, escaped in _ESCAPES.items()}


@dataclass(frozen=True, slots=True)
class Report:
    """All that one run has to tell."""

    command: str
    at: datetime
    endings: tuple[Ending, ...]
    measures: tuple[Measure, ...] = ()


@dataclass(frozen=True, slots=True)
class Exposition:
    """What a metrics file says: each name's help, and its series. A later dbops may have names that we do not know."""

    helps: Mapping[str, str]
    samples: Mapping[str, Series]


EMPTY = Exposition({}, {})


def parse(text: str) -> Exposition:
    """Read what `render` wrote; ValueError names the first line that is something else."""
    helps: dict[str, str] = {}
    samples: dict[str, dict[Labels, str]] = {}
    for number, line in enumerate(text.split("\n"), start=1):  # no splitlines: a label may hold other line ends
        if comment := _COMMENT.fullmatch(line):
            if comment[1] == "HELP":
                helps[comment[2]] = comment[3]
        elif sample := _SAMPLE.fullmatch(line):
            labels = tuple((name, _unescaped(value)) for name, value in _LABEL.findall(sample[2]))
            float(sample[3])
            samples.setdefault(sample[1], {})[labels] = sample[3]
        elif line not in {"", "# EOF"}:
            raise ValueError(f"line {number} is not a metric")
    return Exposition(helps, samples)


def merged(old: Exposition, report: Report) -> Exposition:
    """Put a run's series in the place of its earlier ones, and keep all others."""
    samples = {name: dict(series) for name, series in old.samples.items()}

    def put(name: str, labels: Labels, value: float) -> None:
        samples.setdefault(name, {})[labels] = _number(value)

    now = report.at.timestamp()
    for ending in report.endings:
        labels = _labels(command=report.command, target=ending.target)
        put(_RUN, labels, now)
        if ending.skipped:
            continue
        put(_STATUS, labels, ending.code)
        if ending.took is not None:
            put(_DURATION, labels, ending.took.total_seconds())
        if ending.code in SUCCESS:
            put(_SUCCESS, labels, now)
    # What this run did not measure is not told: an age that nobody measures any more would stay good for ever.
    looked_at = {e.target for e in report.endings if not e.skipped} | {m.target for m in report.measures}
    for name in (_OBJECTIVE, _MEASURED):
        for labels in [*samples.get(name, {})]:
            told = dict(labels)
            if told.get("command") == report.command and told.get("target") in looked_at:
                del samples[name][labels]
    for measure in report.measures:
        labels = _labels(command=report.command, target=measure.target, objective=measure.objective)
        put(_MEASURED, labels, math.inf if measure.measured is None else measure.measured.total_seconds())
        if measure.promised is not None:
            put(_OBJECTIVE, labels, measure.promised.total_seconds())
    return Exposition(old.helps, samples)


def render(exposition: Exposition) -> str:
    """Write it as the textfile collector and OpenMetrics both read it: no timestamps, each name's help once."""
    known = [name for name in _HELP if exposition.samples.get(name)]
    others = sorted(name for name, series in exposition.samples.items() if series and name not in _HELP)
    lines: list[str] = []
    for name in (*known, *others):
        lines.append(f"# HELP {name} {_HELP.get(name) or exposition.helps.get(name, '')}".rstrip())
        lines.append(f"# TYPE {name} gauge")
        for labels, value in sorted(exposition.samples[name].items()):
            told = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels)
            lines.append(f"{name}{{{told}}} {value}")
    return "\n".join([*lines, "# EOF", ""])


def _labels(**labels: str) -> Labels:
    # what is not Unicode becomes a question mark: one bad name must not make the whole file unreadable
    return tuple((key, redact(text.encode("utf-8", "replace").decode())) for key, text in sorted(labels.items()))


def _number(value: float) -> str:
    if math.isinf(value):
        return "+Inf"
    return f"{value:.3f}".rstrip("0").rstrip(".")


def _escaped(text: str) -> str:
    return "".join(_ESCAPES.get(character, character) for character in text)


def _unescaped(text: str) -> str:
    return re.sub(r"\\.", lambda match: _UNESCAPES.get(match[0], match[0]), text)


def write(path: Path, report: Report) -> tuple[Finding, ...]:
    """Merge a run into the metrics file. What goes wrong is told and never raised: the run itself is over."""
    path = Path(os.path.realpath(path))  # a link leads to the file, and stays
    try:
        return tuple(_write(path, report))
    except TimeoutError:
        why = f"its folder has been locked for {_PATIENCE_S:g} s: fuser -v {path.parent} tells by whom"
    except OSError as error:
        why = error.strerror or str(error)
    return (_told("metrics-failed", f"the metrics file {path} was not written: {why}", _ALARM),)


_ALARM = "what the file says is older than this run"


def _told(code: str, message: str, hint: str) -> Finding:
    return Finding(Severity.WARNING, code, "-", message, hint)


def _write(path: Path, report: Report) -> Iterator[Finding]:
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _lock(folder)
        old = _read(path)
        if old is not None and not old.startswith(_MARK):  # never the place of a file that somebody else needs
            message = f"the metrics file {path} was not written: what is there is not a metrics file of dbops"
            yield _told("metrics-failed", message, "name another file, or remove this one")
            return
        try:
            before = parse(old.decode()) if old else EMPTY
        except ValueError as error:
            before, aside = EMPTY, path.with_name(f"{path.name}.broken")
            path.replace(aside)
            message = f"the metrics file {path} was damaged ({_why(error)}) and is begun anew"
            yield _told("metrics-damaged", message, f"what it was is in {aside}; other jobs come back when they run")
        _replace(path, folder, render(merged(before, report)))
    finally:
        os.close(folder)


def _why(error: ValueError) -> str:
    return "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)


def _lock(folder: int) -> None:
    """Lock the folder: a lock file beside would stay, and might belong to another account."""
    deadline = clock.monotonic() + _PATIENCE_S
    while True:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if clock.monotonic() > deadline:
                raise TimeoutError from None
            time.sleep(_POLL_S)
        else:
            return


def _read(path: Path) -> bytes | None:
    """Return what the file holds; None where there is none, or an empty one that somebody has prepared."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    with open(descriptor, "rb") as file:  # noqa: PTH123  # a descriptor has no path
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return b"no file"  # a device or a pipe: to replace /dev/null would harm everybody
        head = file.read(len(_MARK))
        return (head + file.read() if head == _MARK else head) or None


def _replace(path: Path, folder: int, text: str) -> None:
    fresh = f".{path.name}.new"
    _remove(fresh, folder)  # of a run that was killed, perhaps of another account; we hold the lock
    try:
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644, dir_fd=folder)
        with open(descriptor, "wb") as file:  # noqa: PTH123  # a descriptor has no path
            os.fchmod(descriptor, 0o644)  # whatever the umask of cron is
            file.write(text.encode())
            file.flush()
            os.fsync(descriptor)
        os.rename(fresh, path.name, src_dir_fd=folder, dst_dir_fd=folder)
    finally:
        _remove(fresh, folder)


def _remove(name: str, folder: int) -> None:
    try:
        os.unlink(name, dir_fd=folder)
    except FileNotFoundError:
        return


def of_command(
    command: str, at: datetime, whole: Ending, endings: Sequence[Ending], measures: Sequence[Measure]
) -> Report:
    """Put together what a run tells; a target that had several turns tells its last one."""
    last = {ending.target: ending for ending in endings}
    return Report(command, at, (whole, *last.values()), tuple(measures))
