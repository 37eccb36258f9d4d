"""A rehearsal, ready to be planned and run. It takes no lock: of the database itself it only reads, and adds proof."""

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import assert_never

import psycopg

from dbops.config.model import Config
from dbops.engine.finding import Finding
from dbops.engine.plan import Ready, Step
from dbops.engine.run import Run
from dbops.errors import Refused, VerifiedBad
from dbops.operations.migrate import checksum, open_changes, record
from dbops.operations.migrate.contract.facts import REHEARSED
from dbops.operations.migrate.open_changes import Change
from dbops.operations.migrate.rehearse import check, measure, observe, plan, walk
from dbops.operations.migrate.rehearse.copy import brought, copied, database_size
from dbops.operations.migrate.rehearse.facts import Phase, evidence
from dbops.operations.migrate.rehearse.walk import How, Walk
from dbops.operations.migrate.shapes.shape import Shape
from dbops.stores import databases, ledger, postgres

_HOW = How()
CLONED = "by pg_dump and pg_restore, which read it with ACCESS SHARE locks"


@dataclass(frozen=True, slots=True)
class Brought:
    """Another way to a copy: `opening` yields the conninfo of its superuser, who is asked no password there."""

    how: str
    opening: Callable[[], AbstractContextManager[str]]


class Failed(VerifiedBad):
    """A phase failed on the copy. What was measured up to there is in the ledger, and in the list that was given."""


@contextmanager
def rehearse(
    config: Config,
    path: Path,
    target: str,
    run: Run,
    now: datetime,
    *,
    change: str,
    how: How = _HOW,
    told: list[Phase] | None = None,
    source: Brought | None = None,
) -> Generator[Ready[plan.Action]]:
    """Plan the rest of the life of a change, on a copy. What was measured is added to `told`."""
    del now
    with ExitStack() as stack:
        where = _Where(config, path, target, run)
        facts, rows = _observe(where, change, how, source)
        doing = _Doing(where, stack, facts, how, rows, told if told is not None else [], source=source)
        yield Ready(plan.plan(facts), partial(_apply, doing), met=doing.met)


@dataclass(frozen=True, slots=True)
class _Where:
    config: Config
    path: Path
    target: str
    run: Run


@dataclass(slots=True)
class _Doing:
    """What the steps of one rehearsal share."""

    where: _Where
    stack: ExitStack
    facts: plan.Facts
    how: How
    rows: int | None  # of the database's own table
    phases: list[Phase]
    met: list[Finding] = field(default_factory=list[Finding])
    walk: Walk | None = None
    scale: float = 1.0  # rows of the database to rows of the copy
    source: Brought | None = None


def _observe(where: _Where, change: str, how: How, source: Brought | None) -> tuple[plan.Facts, int | None]:
    target = where.target
    with open_changes.connected(where.config, where.path, target, where.run) as (known, connection):
        found = open_changes.one(known, change)
        shape = _shape(found, target)
        facts = plan.Facts(
            target,
            change,
            shape,
            found.life.state,
            found.expanded,
            checksum.of(change, shape),
            database_size(connection),
            source.how if source is not None else CLONED,
            how.clients,
            ledger.install(ledger.observe(connection, target=target), owner=connection.info.user),
        )
        return facts, observe.rows(connection, shape.table)


def _shape(found: Change, target: str) -> Shape:
    if found.shape is None or found.expand is None:
        raise Refused(f"change {found.id} has no revision with phase = 'expand' and a shape", target=target)
    if found.contracted or found.rolled_back:
        what = "contracted" if found.contracted else "rolled back"
        raise Refused(f"change {found.id} is {what}: nothing of it is left to rehearse", target=target)
    return found.shape


def _apply(doing: _Doing, step: Step[plan.Action]) -> None:
    where = doing.where
    match step.action:
        case plan.InstallLedger(statements):
            with databases.administrator(where.config, where.target, where.run) as administrator:
                ledger.apply(administrator, statements, target=where.target)
        case plan.MakeCopy():
            _copy(doing)
        case plan.Live(phase):
            _phase(doing, phase)
        case plan.Prove():
            _prove(doing)
            doing.met += check.findings(where.target, doing.phases)
        case _:
            assert_never(step.action)


def _copy(doing: _Doing) -> None:
    where = doing.where
    if doing.source is None:
        copying = copied(where.config, where.path, where.target, where.run)
    else:
        there = doing.stack.enter_context(doing.source.opening())
        copying = brought(where.config, where.path, where.target, there)
    copy = doing.stack.enter_context(copying)
    doing.walk = Walk(copy, where.target, doing.facts.change, where.run, doing.how)
    with postgres.translated(where.target), psycopg.connect(copy.admin, autocommit=True) as connection:
        rows = observe.rows(connection, doing.facts.shape.table)
    if rows and doing.rows:
        doing.scale = max(1.0, doing.rows / rows)
    walk.prepare(doing.walk)


def _phase(doing: _Doing, name: plan.PhaseName) -> None:
    """Go through one phase; one that fails is the verdict, and goes on record."""
    assert doing.walk is not None  # noqa: S101  # the copy is the first step
    phase, error = measure.measured(doing.walk, name, doing.facts.shape, doing.scale)
    doing.phases.append(phase)
    if error is not None:
        _prove(doing)
        hint = "what was measured up to there is in the ledger; correct the change, then rehearse it again"
        message = f"{name} failed on the copy: {error.message}"
        raise Failed(message, hint=error.hint or hint, target=doing.where.target) from error


def _prove(doing: _Doing) -> None:
    where, phases = doing.where, tuple(doing.phases)
    told = evidence(doing.facts.checksum, phases, ok=check.good(phases), copied=doing.facts.copied, scale=doing.scale)
    with postgres.connect(where.config.postgres[where.target], where.run, target=where.target) as connection:
        about = {"target": where.target, "change": doing.facts.change}
        record.prove(connection, where.run, **about, kind=REHEARSED, evidence=told)
