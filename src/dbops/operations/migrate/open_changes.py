"""The changes of one database as every verb sees them: their revisions, their life, their jobs, what controls them."""

from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from psycopg.rows import dict_row

from dbops.config.model import Config
from dbops.engine.run import Run
from dbops.errors import Refused, UsageError
from dbops.operations.migrate import history, record
from dbops.operations.migrate.facts import History, Revision
from dbops.operations.migrate.life import Life, Place, State
from dbops.operations.migrate.shapes import exchanging, retiring
from dbops.operations.migrate.shapes.shape import Comparison, Shape
from dbops.stores import ledger, postgres
from dbops.stores.postgres import Connection

_WITH_JOBS = 3  # the version of the ledger that knows changes


@dataclass(frozen=True, slots=True)
class Control:
    """What somebody wished from another terminal."""

    paused: bool
    rows_per_s: int | None
    actor: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Job:
    """A row of dbops.jobs: one part of a walk over a table. It means something in `place` alone."""

    id: int
    kind: str  # backfill, verify, verify back
    part: int
    parts: int
    work: str
    run: str
    begun: datetime
    at: datetime
    finished: datetime | None
    cursor: Any
    rows_total: int
    rows_seen: int
    rows_changed: int
    batch_rows: int
    busy_ms: int
    throttled_ms: int
    throttled_by: str | None
    place: Place


@dataclass(frozen=True, slots=True)
class Change:
    """A change in one database: what its revisions say, and what the ledger tells."""

    id: str
    impact: str
    shape: Shape | None  # None: nothing of it is in the folder, only in the ledger
    expand: Revision | None
    contract: Revision | None  # once it was written
    rollback: Revision | None
    expanded: bool  # its revision is stamped
    contracted: bool
    rolled_back: bool
    life: Life
    control: Control | None = None
    jobs: tuple[Job, ...] = ()
    percent: int = 0  # of the readers that follow

    @property
    def open(self) -> bool:
        """Say whether there is something left to do, or to decide."""
        return self.expanded and not self.contracted and not self.rolled_back

    @property
    def paused(self) -> bool:
        return self.control is not None and self.control.paused


@dataclass(frozen=True, slots=True)
class Known:
    """All changes of a target, oldest first."""

    target: str
    history: History
    stamp: str | None
    here: Place
    changes: tuple[Change, ...] = ()

    @property
    def open(self) -> tuple[Change, ...]:
        return tuple(change for change in self.changes if change.open)


@dataclass(frozen=True, slots=True)
class Work:
    """One change under its lock: nobody else works on it while this is open."""

    known: Known
    change: Change
    shape: Shape
    connection: Connection  # the owner's, to the primary
    guard: Callable[[], None]

    @property
    def comparisons(self) -> tuple[Comparison, ...]:
        """Tell what is to be compared, by the names that the tables have now."""
        return exchanging.comparisons(self.shape, swapped=self.change.life.state is State.SWITCHED)


def observe(config: Config, path: Path, target: str, run: Run) -> Known:
    """Read the folder, and ask the database."""
    with connected(config, path, target, run) as (known, _):
        return known


@contextmanager
def connected(config: Config, path: Path, target: str, run: Run) -> Generator[tuple[Known, Connection]]:
    """Observe, and keep the connection for what comes next."""
    known = history.read(history.folder(config, path), history.section(config, target), target)
    with postgres.connect(config.postgres[target], run, target=target) as connection:
        yield read(connection, known), connection


@contextmanager
def at_work(config: Config, path: Path, target: str, run: Run, change: str) -> Generator[Work]:
    """Take the lock of a change that is under way (subject change:NAME), and look at it then."""
    folder = history.folder(config, path)
    known = history.read(folder, history.section(config, target), target)
    place = config.postgres[target]
    with postgres.connect(place, run, target=target) as connection, ExitStack() as stack:
        expanded(read(connection, known), change)  # a name that is wrong is told before anybody is kept waiting
        guard: Callable[[], None] = lambda: None  # noqa: E731
        if not run.plan_only:
            postgres.reap_dead_runs(connection, target)
            guard = stack.enter_context(postgres.only_run(place, run, target=target, subject=f"change:{change}"))
        seen = read(connection, known)
        found, shape = expanded(seen, change)
        yield Work(seen, found, shape, connection, guard)


def read(connection: Connection, known: History) -> Known:
    """Ask a database of this history; where there is no ledger, no change has begun."""
    stamp = _stamp(connection)
    place = record.here(connection)
    kept = _kept(connection, known.target)
    done = {revision.id for revision in known.until(stamp)}
    named = dict.fromkeys(revision.change for revision in known.revisions if revision.change is not None)
    every = (*named, *(name for name in kept.lives if name not in named))
    changes = [_change(name, [one for one in known.revisions if one.change == name], done, kept) for name in every]
    return Known(known.target, known, stamp, place, tuple(changes))


def one(known: Known, change: str) -> Change:
    """Find the change that was named."""
    for each in known.changes:
        if each.id == change:
            return each
    names = ", ".join(each.id for each in known.changes) or "none"
    raise UsageError(
        f"there is no change {change!r}; known are: {names}",
        hint=f"dbops migrate history --target {known.target}",
        target=known.target,
    )


def expanded(known: Known, change: str) -> tuple[Change, Shape]:
    """Find a change that is under way here, with its shape; tell what else it is."""
    found = one(known, change)
    up = f"dbops migrate up --target {known.target}"
    if found.shape is None or found.expand is None:
        raise Refused(
            f"change {change} has no revision with phase = 'expand' and a shape in {known.history.folder}",
            hint="use the migrations that it was made with",
            target=known.target,
        )
    if not found.expanded:
        raise Refused(
            f"change {change} is not expanded yet: revision {found.expand.id} is to run", hint=up, target=known.target
        )
    if found.contracted:
        told = f"change {change} is contracted: its old names are gone"
        raise Refused(told, hint=_way_back(known, found), target=known.target)
    if found.rolled_back:
        raise Refused(f"change {change} was rolled back", hint="write its expand revision anew", target=known.target)
    return found, found.shape


def _way_back(known: Known, found: Change) -> str:
    if found.contract is None or not retiring.comes_back(found.shape):
        return "only a restore to a point in time brings them back: dbops pitr plan"
    ids = known.history.ids
    before = ids[ids.index(found.contract.id) - 1]
    return f"dbops migrate down --target {known.target} --to {before} brings back what was put away"


@dataclass(frozen=True, slots=True)
class _Kept:
    """What the ledger holds, by the name of the change."""

    lives: dict[str, Life]
    controls: dict[str, Control] = field(default_factory=dict[str, Control])
    jobs: dict[str, list[Job]] = field(default_factory=dict[str, list[Job]])
    percents: dict[str, int] = field(default_factory=dict[str, int])


def _kept(connection: Connection, target: str) -> _Kept:
    version = ledger.observe(connection, target=target)
    lives = record.read(connection, target=target)
    if version is None or version < _WITH_JOBS:
        return _Kept(lives)
    return _Kept(lives, _controls(connection), _jobs(connection), _percents(connection))


def _change(name: str, revisions: Sequence[Revision], done: set[str], kept: _Kept) -> Change:
    expand = next((one for one in reversed(revisions) if one.phase == "expand"), None)
    behind = revisions[revisions.index(expand) + 1 :] if expand is not None else ()
    contract = next((one for one in behind if one.phase == "contract"), None)
    rollback = next((one for one in behind if one.phase == "rollback"), None)
    life = kept.lives.get(name, Life())
    expanded = expand is not None and expand.id in done
    rolled_back = rollback is not None and rollback.id in done
    if expanded and not rolled_back and life.state in {State.PLANNED, State.ROLLED_BACK}:
        life = replace(life, state=State.EXPANDED)  # by other means: a bare alembic writes no ledger
    gone = expand is None and life.state is State.CONTRACTED
    return Change(
        name,
        (expand.impact if expand is not None else None) or "",
        expand.shape if expand is not None else None,
        expand,
        contract,
        rollback,
        expanded=expanded,
        contracted=gone or (contract is not None and contract.id in done),
        rolled_back=rolled_back,
        life=life,
        control=kept.controls.get(name),
        jobs=tuple(kept.jobs.get(name, ())),
        percent=kept.percents.get(name, 0),
    )


def _stamp(connection: Connection) -> str | None:
    row = connection.execute("SELECT to_regclass('public.alembic_version') IS NOT NULL").fetchone()
    if row is None or not row[0]:
        return None
    row = connection.execute("SELECT version_num FROM public.alembic_version").fetchone()
    return None if row is None else str(row[0])


_JOBS = """
    SELECT change, id, kind, part, parts, work, run, begun, at, finished, cursor, rows_total, rows_seen, rows_changed,
           batch_rows, busy_ms, throttled_ms, throttled_by, system_identifier, database_oid::bigint, timeline
      FROM dbops.jobs ORDER BY id"""


def _jobs(connection: Connection) -> dict[str, list[Job]]:
    found: dict[str, list[Job]] = {}
    with connection.cursor(row_factory=dict_row) as cursor:
        for row in cursor.execute(_JOBS):
            change = row.pop("change")
            place = Place(row.pop("system_identifier"), row.pop("database_oid"), row.pop("timeline"))
            found.setdefault(change, []).append(Job(**row, place=place))
    return found


def _controls(connection: Connection) -> dict[str, Control]:
    rows = connection.execute("SELECT change, paused, rows_per_s, actor, at FROM dbops.controls").fetchall()
    return {change: Control(paused, limit, actor, at) for change, paused, limit, actor, at in rows}


def _percents(connection: Connection) -> dict[str, int]:
    rows = connection.execute("SELECT change, percent FROM dbops.readers").fetchall()
    return {change: percent for change, percent in rows}  # noqa: C416
