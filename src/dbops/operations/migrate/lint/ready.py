"""Lint one database: its history, run in a scratch server, or the live one as it is with what is pending on it."""

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg

from dbops.config.model import Config
from dbops.engine.finding import Finding, Severity, failure
from dbops.engine.run import Run
from dbops.errors import DbopsError, Stopped
from dbops.operations.migrate import history
from dbops.operations.migrate.facts import History
from dbops.operations.migrate.forecast import phases, scratch, script
from dbops.operations.migrate.forecast import ready as forecasts
from dbops.operations.migrate.forecast.facts import Hazard, Seen, Sizes
from dbops.operations.migrate.forecast.ready import Asking, Forecast
from dbops.operations.migrate.lint import allow, observe, squawk
from dbops.operations.migrate.lint import facts as lints
from dbops.operations.migrate.lint.check import check
from dbops.operations.migrate.lint.facts import Agreed, Facts, Linted, Script
from dbops.stores import postgres

AGREED = "lint.toml"
_REMOVES = {"DBM110", "DBM111", "DBM135", "DBM142"}  # what revisions that contract or roll back are for


@dataclass(frozen=True, slots=True)
class Judged:
    told: Linted
    findings: tuple[Finding, ...]
    files: dict[str, Path]  # of the revisions
    asked_squawk: bool = True


@dataclass(frozen=True, slots=True)
class _Looked:
    catalog: lints.Seen
    forecast: Forecast


Judge = Callable[[str], Judged]
_Look = Callable[[str, History, Agreed], _Looked]


@contextmanager
def on_history(config: Config, path: Path, run: Run) -> Generator[Judge]:
    """Judge what each history builds from nothing, and each statement of it. No server of the platform is asked."""
    del run
    with scratch.running() as create:

        def look(target: str, known: History, agreed: Agreed) -> _Looked:
            place, section = history.folder(config, path), history.section(config, target)
            written = script.read(place, section, target, first=None)
            dsn = create(target)
            empty = frozenset(one.id for one in known.until(agreed.baseline))
            found = forecasts.on_clone(dsn, known, written, Sizes(empty=empty), with_roles=False)
            with postgres.translated(target), psycopg.connect(dsn, autocommit=True) as connection:
                return _Looked(observe.observe(connection), found)

        yield lambda target: _judged(config, path, target, look, against="history")


@contextmanager
def on_databases(config: Config, path: Path, run: Run) -> Generator[Judge]:
    """Judge the databases as they are, and their pending revisions. An allowance may cover what this one lacks."""
    with scratch.when_needed() as create:

        def look(target: str, known: History, agreed: Agreed) -> _Looked:
            del agreed
            with postgres.connect(config.postgres[target], run, target=target) as connection:
                catalog = observe.observe(connection)
            try:
                forecast = forecasts.of_pending(Asking(config, path, run), target, known, create)
            except Stopped:
                raise
            except DbopsError as error:  # the catalog can be judged all the same
                forecast = Forecast(error=error)
            return _Looked(catalog, forecast)

        yield lambda target: _judged(config, path, target, look, against="database")


def _judged(config: Config, path: Path, target: str, look: _Look, *, against: str) -> Judged:
    place, section = history.folder(config, path), history.section(config, target)
    agreed = allow.read(place / "postgres" / section / AGREED, target)
    facts, stale, failed = Facts(target), False, ()
    forecast, files = Forecast(), dict[str, Path]()
    try:
        files = history.files(place, section, target)
        facts = Facts(target, scripts=tuple(_script(id_, file, ()) for id_, file in files.items()))
        known = history.read(place, section, target)
        looked = look(target, known, agreed)
        scripts = tuple(_script(each.id, files[each.id], each.up) for each in known.revisions)
        forecast, seen = looked.forecast, looked.catalog
        facts = Facts(target, seen.tables, seen.code, seen.names, scripts, _hazards(scripts, forecast))
        stale = against == "history"
        if forecast.error is not None:
            if stale:  # built in parts
                facts, stale = replace(facts, tables=(), code=(), names=()), False
            raise forecast.error  # told as every other failure
    except Stopped:
        raise
    except DbopsError as error:  # what could not be judged is told beside what could: it is no pass
        failed = (failure(error, target),)
    findings, silenced = check(facts, agreed, stale=stale)
    meeting_rows = _meeting_rows(facts.scripts, agreed, against)
    lines = tuple(line for line in forecast.lines if line.revision in meeting_rows)
    seen_there = [one for one in forecast.seen if one.revision in meeting_rows]
    opinions = squawk.opinions(seen_there, facts.hazards)
    told = Linted(
        target,
        against if facts.tables or not failed else "revisions",
        len(facts.tables),
        len(findings),
        tuple(silenced),
        lines,
        opinions or (),
        facts.hazards,
    )
    return Judged(told, (*findings, *failed), files, opinions is not None)


def _meeting_rows(scripts: Sequence[Script], agreed: Agreed, against: str) -> set[str]:
    """Name the revisions that may run while there are rows: those after the baseline."""
    ids = [one.id for one in scripts]
    if against == "history" and agreed.baseline in ids:
        ids = ids[ids.index(agreed.baseline) + 1 :]
    return set(ids)


def _hazards(scripts: Sequence[Script], forecast: Forecast) -> tuple[Hazard, ...]:
    """Add what the phases of revisions promise; what is removed on purpose is no surprise."""
    of_revision: dict[str, list[Seen]] = {}
    for one in forecast.seen:
        of_revision.setdefault(one.revision, []).append(one)
    phase = {one.id: phases.attribute(one.source, "phase") for one in scripts if one.id in of_revision}
    found = [
        replace(one, severity=Severity.INFO)
        if one.code in _REMOVES and phase.get(one.revision) in {phases.CONTRACT, phases.ROLLBACK, phases.REMOVE}
        else one
        for one in forecast.hazards
    ]
    for revision, seen in of_revision.items():
        found += phases.hazards(revision, phase.get(revision), seen)
    return tuple(found)


def _script(revision: str, file: Path, statements: tuple[str, ...]) -> Script:
    return Script(revision, file.name, file.read_text(encoding="utf-8"), statements)
