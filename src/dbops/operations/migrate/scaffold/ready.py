"""A new revision, ready to be written. It changes a folder only: the database is asked, where it can be reached."""

import os
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from dbops.config.model import Config
from dbops.engine.finding import Finding, Severity
from dbops.engine.plan import Ready, Step
from dbops.engine.run import Run
from dbops.errors import DbopsError, Refused, Unreachable, UsageError
from dbops.operations.migrate import history
from dbops.operations.migrate.facts import History
from dbops.operations.migrate.scaffold import kinds, naming, text, trying
from dbops.operations.migrate.scaffold.facts import Draft, Kind, Wanted
from dbops.operations.migrate.scaffold.observe import observe, unseen
from dbops.operations.migrate.scaffold.plan import WriteRevision, plan
from dbops.stores import postgres

_PATIENCE = timedelta(seconds=5)


@contextmanager
def new(
    config: Config, path: Path, wanted: Wanted, run: Run, now: datetime, *, revision: str | None = None
) -> Generator[Ready[WriteRevision]]:
    """Plan the file behind the head. Takes no lock: a file that is there already is never overwritten."""
    kind = kinds.named(wanted.kind)
    kinds.refuse_options(kind, wanted)
    naming.refuse(wanted, revision)
    place, name = history.folder(config, path), history.section(config, wanted.target)
    known = history.read(place, name, wanted.target)
    _refuse_twice(known, wanted)
    wanted, draft, findings = _drafted(config, kind, wanted, run)
    id = revision or _next(known, now)  # noqa: A001  # Alembic's word
    if id in known.ids:
        raise UsageError(f"{known.target} has a revision {id} already", hint="--revision ID, or none")
    file = place / "postgres" / name / f"{id}_{text.slug(wanted.change)}.py"
    planned = plan(wanted.target, wanted.change, str(file), text.revision(wanted, draft, id=id, after=known.head))

    def do(step: Step[WriteRevision]) -> None:
        _write(step.action)
        try:
            history.read(place, name, wanted.target)
        except DbopsError as error:
            file.unlink()
            raise UsageError(f"what would be written is no revision: {error.message}", hint=kind.example) from error

    yield Ready(planned, do, findings=(*findings, *draft.findings))


def _refuse_twice(known: History, wanted: Wanted) -> None:
    for one in known.revisions:
        if one.change == wanted.change:
            raise Refused(
                f"{known.target} has a change {wanted.change} already: revision {one.id}",
                hint="choose another name, or edit that revision if nobody ran it yet",
                target=known.target,
            )


def _drafted(config: Config, kind: Kind, wanted: Wanted, run: Run) -> tuple[Wanted, Draft, tuple[Finding, ...]]:
    """Ask the live database, and let it judge what was typed; without one, the author has to know more."""
    try:
        with postgres.connect(
            config.postgres[wanted.target], run, target=wanted.target, connect_timeout=_PATIENCE
        ) as connection:
            live = observe(connection, wanted)
            if live.table is not None:
                wanted = replace(wanted, table=live.table.name)
            draft = kind.write(wanted, live)
            trying.refuse(connection, wanted, live)
            return wanted, draft, ()
    except Unreachable as error:
        told = f"the database was not asked for the table: {error.message}"
        found = Finding(Severity.INFO, "not-looked-up", wanted.target, told, "check names, type and default yourself")
        return wanted, kind.write(wanted, unseen(wanted)), (found,)


def _next(known: History, now: datetime) -> str:
    """Name a revision by the minute, and keep the names in order."""
    at = now
    while (name := f"{at:%Y_%m_%d_%H%M}") in known.ids:
        at += timedelta(minutes=1)
    return name


def _write(action: WriteRevision) -> None:
    file = Path(action.path)
    file.parent.mkdir(parents=True, exist_ok=True)
    beside = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        beside.write_text(action.text, encoding="utf-8")
        os.link(beside, file)  # fails where somebody was faster; half a file is never seen
    except FileExistsError as error:
        raise Refused(f"{file} is there already", hint="run again: the next one gets another name") from error
    finally:
        beside.unlink(missing_ok=True)
