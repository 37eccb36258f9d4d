"""One phase on a copy: gone through with load beside it and a watcher, and told in figures."""

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg

from dbops.engine import clock
from dbops.errors import CouldNotVerify, DbopsError, Refused, Stopped, Unreachable
from dbops.operations.migrate import figures
from dbops.operations.migrate.rehearse import load, observe, walk
from dbops.operations.migrate.rehearse.facts import Phase
from dbops.operations.migrate.rehearse.plan import PhaseName
from dbops.operations.migrate.rehearse.walk import Walk
from dbops.operations.migrate.rehearse.watch import watching
from dbops.operations.migrate.shapes.exchanging import Exchanging
from dbops.operations.migrate.shapes.shape import Shape
from dbops.stores import postgres

_BY_ROWS = frozenset({"backfill", "verify"})  # these walk all rows: they take longer where there are more


def measured(on: Walk, name: PhaseName, shape: Shape, scale: float) -> tuple[Phase, DbopsError | None]:
    """Go through it. An error that tells of the change is returned; one that tells of the copy is raised."""
    aims = [*_aims(shape, name)]
    tables = [aim.table for aim in _aims(shape, "expand")]
    owner = postgres.dsn(on.copy.config.postgres[on.target], target=on.target)
    with _lost(on, name), psycopg.connect(on.copy.admin, autocommit=True) as eye:
        before = observe.look(eye, tables)
        with load.beside(owner, aims, on.how.clients) as met, watching(on.copy.admin, on.run) as watched:
            went = _gone(on, name)
        after = observe.look(eye, tables)
        with psycopg.connect(owner, autocommit=True) as own:  # whoever trusts the ledger, which need be nobody else
            walked = observe.walked(own, on.change, name, on.run.id) if name in _BY_ROWS else observe.Walked()
            told = observe.took(own, on.target, on.change, on.run.id, name)
    statements = tuple(one for each in told for one in figures.read(each["statements"]))
    phase = Phase(
        name,
        went.took_ms,
        _predicted(went.took_ms, walked, told, statements, scale),
        watched.locks(),
        observe.rewritten(before, after),
        after.wal - before.wal,
        observe.sizes(before, after),
        met.traffic(),
        walked.rows,
        walked.rows_per_s,
        went.revisions,
        went.error.message if went.error is not None else None,
        walked.ms,
        statements,
        sum(one["attempts"] for one in told),
    )
    return phase, went.error


def _predicted(
    took_ms: float,
    walked: observe.Walked,
    told: Sequence[Mapping[str, Any]],
    statements: Sequence[figures.Statement],
    scale: float,
) -> float:
    """Foretell a phase: what reads all rows takes longer where there are more; what surrounds it is not counted."""
    if walked.ms is not None:
        return walked.ms * scale  # what is built behind it is foretold by itself
    if not told:
        return took_ms
    return sum(one["ms"] for one in told) + (scale - 1) * sum(one.ms for one in statements if figures.builds(one))


@dataclass(frozen=True, slots=True)
class _Went:
    took_ms: float
    revisions: Mapping[str, float] = field(default_factory=dict[str, float])
    error: DbopsError | None = None


def _gone(on: Walk, name: PhaseName) -> _Went:
    began = clock.monotonic()
    try:
        revisions = walk.through(on, name)
    except (Stopped, Unreachable, CouldNotVerify):
        raise
    except DbopsError as error:
        if name == "backfill" and isinstance(error, Refused):  # a choice is missing, as it would be in earnest
            raise
        return _Went(1000 * (clock.monotonic() - began), error=error)
    return _Went(1000 * (clock.monotonic() - began), revisions)


@contextmanager
def _lost(on: Walk, name: PhaseName) -> Generator[None]:
    """Tell what broke the measuring: nothing of it is the change's fault."""
    try:
        yield
    except psycopg.Error as error:
        raise CouldNotVerify(
            f"{name} could not be measured on the copy: {str(error).strip()}",
            hint="is there room for it? TMPDIR names its folder",
            target=on.target,
        ) from error


def _aims(shape: Shape, name: PhaseName) -> Iterator[load.Aim]:
    """Name the tables of a change that clients use in a phase, and what they leave alone."""
    filling, old = shape.filling(), shape.old_names()
    tables = {shape.table, *(one.table for one in shape.comparisons())}
    if filling is not None:
        tables |= {filling.table, filling.writes}
    exchanged = name == "switch" and isinstance(shape, Exchanging)  # a name leads to another table afterwards
    for table in sorted(tables):
        goes = old is not None and old.table == table
        if goes and old is not None and not old.columns and name == "contract":
            continue
        yield load.Aim(table, old.columns if goes and old is not None else (), written=not exchanged)
