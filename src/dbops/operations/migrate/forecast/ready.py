"""Forecast the revisions that are pending on a live database, on a copy of its schema with its statistics."""

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psycopg

from dbops.config.model import Config
from dbops.engine.plan import Plan
from dbops.engine.run import Run
from dbops.errors import DbopsError, Refused
from dbops.operations.migrate import history
from dbops.operations.migrate.facts import History
from dbops.operations.migrate.forecast import backfills, check, copy, scratch, script, sizes, told, trial
from dbops.operations.migrate.forecast.facts import Hazard, Line, Seen, Sizes
from dbops.operations.migrate.forecast.script import Written
from dbops.operations.migrate.forecast.trial import Tried
from dbops.operations.migrate.observe import observe
from dbops.stores import postgres

Create = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Asking:
    """Whose databases, and on whose behalf."""

    config: Config
    path: Path
    run: Run


@dataclass(frozen=True, slots=True)
class Forecast:
    """What is to be expected of revisions; with an error, of those before it."""

    seen: tuple[Seen, ...] = ()
    hazards: tuple[Hazard, ...] = ()
    lines: tuple[Line, ...] = ()
    error: DbopsError | None = None
    major: int = 0  # the version of the server that it was made with


def on_clone(
    dsn: str, known: History, written: Mapping[str, list[Written]], sizes_: Sizes, *, with_roles: bool = True
) -> Forecast:
    """Run revisions on a clone, and judge what was seen."""
    target = known.target
    with postgres.translated(target):
        built = backfills.built(known.revisions, written)
        tried = trial.tried(dsn, built, written.keys() - sizes_.empty, with_roles=with_roles)
        hazards = check.hazards(tried.seen, sizes_)
        lines = backfills.marked(told.lines(tried.seen, hazards, sizes_), written)
        meeting_rows = [one for one in known.revisions if one.id in written.keys() - sizes_.empty]
        with psycopg.connect(dsn, autocommit=True) as clone:
            lines = (*lines, *backfills.lines(clone, meeting_rows, sizes_))
    order = [*written]
    lines = tuple(sorted(lines, key=lambda line: order.index(line.revision)))
    return Forecast(tried.seen, hazards, lines, _told(tried, target), tried.major)


def _told(tried: Tried, target: str) -> DbopsError | None:
    if tried.error is None:
        return None
    try:
        with postgres.translated(target):
            raise tried.error
    except DbopsError as error:
        last = tried.seen[-1] if tried.seen else None
        error.message = f"revision {last.revision}: {error.message}" if last else error.message
        return error


def of_pending(asking: Asking, target: str, known: History, create: Create) -> Forecast:
    """Run what is pending on a copy of the live schema; `create` makes the database for it."""
    config = asking.config
    place, section = history.folder(config, asking.path), history.section(config, target)
    with postgres.connect(config.postgres[target], asking.run, target=target) as live:
        stamp = observe(live, known, target=target).stamp
        if stamp is not None and stamp not in known.ids:
            raise Refused(f"{stamp} is no revision of this history", hint="dbops migrate status", target=target)
        if not known.after(stamp):
            return Forecast()
        written = script.read(place, section, target, first=stamp)
        scratch_dsn = create(target)
        live_dsn = postgres.dsn(config.postgres[target], target=target)
        copy.copy(live, live_dsn, scratch_dsn, target=target)
        known_sizes, major = Sizes(known=sizes.observe(live)), live.info.server_version // 10000
    found = on_clone(scratch_dsn, known, written, known_sizes)
    return replace(found, hazards=(*check.versions(next(iter(written)), found.major, major), *found.hazards))


@contextmanager
def noting(config: Config, path: Path, run: Run) -> Generator[Callable[[str], dict[str, tuple[str, ...]]]]:
    """Yield what tells of a target what to expect of each pending revision, line by line: for the preview of `up`.

    A scratch server is started for the first target that has pending revisions, and serves the others too.
    """
    with scratch.when_needed() as create:

        def notes(target: str) -> dict[str, tuple[str, ...]]:
            known = history.read(history.folder(config, path), history.section(config, target), target)
            return _notes(of_pending(Asking(config, path, run), target, known, create))

        yield notes


def annotated(plan: Plan[Any], told: Mapping[str, tuple[str, ...]]) -> Plan[Any]:
    """Put beside each revision of a plan what to expect of it; it stays the same plan."""
    steps = tuple(replace(step, notes=(*step.notes, *told.get(step.id, ()))) for step in plan.steps)
    return replace(plan, steps=steps)


def _notes(found: Forecast) -> dict[str, tuple[str, ...]]:
    by_revision: dict[str, list[str]] = {}
    for line in found.lines:
        by_revision.setdefault(line.revision, []).append(told.text(line))
    if found.error is not None and found.seen[-1].failed is None:  # the transaction could not be ended
        by_revision.setdefault(found.seen[-1].revision, []).append(f"fails: {found.error.message}")
    return {revision: tuple(texts) for revision, texts in by_revision.items()}
