"""Lint one database: its history, built in a scratch server, or the live one as it is."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from dbops.config.model import Config
from dbops.engine import stop
from dbops.engine.finding import Finding, failure
from dbops.engine.run import Run
from dbops.errors import DbopsError, Stopped
from dbops.operations.migrate import asking, history
from dbops.operations.migrate.facts import History
from dbops.operations.migrate.lint import allow, observe, scratch
from dbops.operations.migrate.lint.check import check
from dbops.operations.migrate.lint.facts import Facts, Linted, Script, Seen
from dbops.stores import postgres

AGREED = "lint.toml"
_LOCK_TIMEOUT_MS = 10_000  # nobody else is there


@dataclass(frozen=True, slots=True)
class Judged:
    told: Linted
    findings: tuple[Finding, ...]


Judge = Callable[[str], Judged]


@contextmanager
def on_history(config: Config, path: Path, run: Run) -> Generator[Judge]:
    """Judge what each history builds from nothing. No server of the platform is asked."""
    with scratch.running() as create:

        def look(target: str, known: History) -> Seen:
            place, section = history.folder(config, path), history.section(config, target)
            dsn = create(target)
            told = asking.about(place, section, target, run, config=path, dsn=dsn)
            with asking.worker(told) as (ask, _):
                for revision in known.revisions:
                    stop.check()
                    asking.revise(ask, asking.upgrade(revision.id), target, lock_timeout_ms=_LOCK_TIMEOUT_MS)
            with postgres.translated(target), psycopg.connect(dsn, autocommit=True) as connection:
                return observe.observe(connection)

        yield lambda target: _judged(config, path, target, look, against="history")


@contextmanager
def on_databases(config: Config, path: Path, run: Run) -> Generator[Judge]:
    """Judge the databases as they are. An allowance may cover what this one does not have: that is no finding."""

    def look(target: str, known: History) -> Seen:
        del known
        with postgres.connect(config.postgres[target], run, target=target) as connection:
            return observe.observe(connection)

    yield lambda target: _judged(config, path, target, look, against="database")


def _judged(config: Config, path: Path, target: str, look: Callable[[str, History], Seen], *, against: str) -> Judged:
    place, section = history.folder(config, path), history.section(config, target)
    agreed = allow.read(place / "postgres" / section / AGREED, target)
    facts, stale, failed = Facts(target), False, ()
    try:
        files = history.files(place, section, target)
        facts = Facts(target, scripts=tuple(_script(id_, file, ()) for id_, file in files.items()))
        known = history.read(place, section, target)
        seen = look(target, known)
        scripts = tuple(_script(each.id, files[each.id], each.up) for each in known.revisions)
        facts, stale = Facts(target, seen.tables, seen.code, seen.names, scripts), against == "history"
    except Stopped:
        raise
    except DbopsError as error:  # what could not be judged is told beside what could: it is no pass
        failed = (failure(error, target),)
    findings, silenced = check(facts, agreed, stale=stale)
    told = Linted(target, "revisions" if failed else against, len(facts.tables), len(findings), tuple(silenced))
    return Judged(told, (*findings, *failed))


def _script(revision: str, file: Path, statements: tuple[str, ...]) -> Script:
    return Script(revision, file.name, file.read_text(encoding="utf-8"), statements)
