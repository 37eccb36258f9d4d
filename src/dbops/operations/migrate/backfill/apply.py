"""Do one step of a backfill: the ledger, the statistics, or the walk over all that is left."""

from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from typing import assert_never

import psycopg
from psycopg import sql

from dbops.copies import batches
from dbops.engine import clock, stop
from dbops.engine.finding import Finding
from dbops.engine.patience import Ramp, patiently
from dbops.engine.plan import Step
from dbops.engine.run import Run, each
from dbops.errors import DbopsError, LockBusy, Stopped, Unreachable, UsageError
from dbops.operations.migrate import figures, record
from dbops.operations.migrate.backfill import check, finish, jobs, progress, signals
from dbops.operations.migrate.backfill.facts import FILLED, By, Facts, Part, Wanted
from dbops.operations.migrate.backfill.meter import Meter, OnProgress
from dbops.operations.migrate.backfill.plan import Action, Analyze, Build, Conclude, Fill, InstallLedger
from dbops.operations.migrate.backfill.walk import Doing, failure, walk
from dbops.operations.migrate.backfill.watch import Watch, watching
from dbops.operations.migrate.life import Life, State
from dbops.operations.migrate.shapes import belongings
from dbops.operations.migrate.shapes.belongings import Belonging
from dbops.operations.migrate.shapes.expressions import SETTINGS
from dbops.stores import ledger, postgres
from dbops.stores.postgres import Connection

RAMP = Ramp()
_PARTS_PER_JOB = 4  # so that a slow part does not leave the others idle for long
_SEARCH_PATH = "public"
_COMES_BACK = (Stopped, LockBusy, Unreachable, UsageError)  # what says nothing about the change

Open = Callable[[], AbstractContextManager[Connection]]


@dataclass(slots=True)
class Filler:
    """What the steps of one backfill share."""

    run: Run
    connection: Connection
    own: Open  # another connection of the owner
    administrator: Open
    facts: Facts
    wanted: Wanted
    guard: Callable[[], None]
    on_progress: OnProgress
    schema: Callable[[], AbstractContextManager[object]] = nullcontext  # nobody else changes the catalog while open
    met: list[Finding] = field(default_factory=list[Finding])
    wal: int | None = None  # where the server was in its WAL when this run began with the first row

    @property
    def target(self) -> str:
        return self.facts.target


def apply(filler: Filler, step: Step[Action]) -> None:
    match step.action:
        case InstallLedger(statements):
            with filler.administrator() as connection:
                ledger.apply(connection, statements, target=filler.target)
        case Analyze(table):
            _analyze(filler, table)
        case Fill() as fill:
            _fill(filler, fill)
        case Build(one):
            began = clock.monotonic()
            _build(filler, one)
            _took(filler, one, 1000 * (clock.monotonic() - began))
        case Conclude(suppress):
            _conclude(filler, suppress=suppress)
        case _:
            assert_never(step.action)


def _took(filler: Filler, one: Belonging, ms: float) -> None:
    """Keep what a build took beside what a rehearsal may have foretold; it is done: figures are worth no failure."""
    told = figures.evidence(figures.BUILD, ms, (figures.Statement(belongings.told(one), ms),))
    with suppress(DbopsError, psycopg.Error):
        about = {"target": filler.target, "change": filler.facts.change}
        record.prove(filler.connection, filler.run, **about, kind=figures.TOOK, evidence=told)


def _analyze(filler: Filler, table: str) -> None:
    """Gather statistics; what vacuums the table or builds an index is waited for, with no lock of ours in a queue."""
    connection = filler.connection

    def attempt(lock_timeout: timedelta) -> None:
        with connection.transaction():
            connection.execute("SELECT set_config('lock_timeout', %s, true)", (postgres.milliseconds(lock_timeout),))
            connection.execute(f"ANALYZE {table}".encode())

    with postgres.translated(filler.target):
        patiently(attempt, timed_out=postgres.NOT_GRANTED[:1], what=f"ANALYZE {table}", target=filler.target, ramp=RAMP)


def _fill(filler: Filler, fill: Fill) -> None:
    with ExitStack() as stack, postgres.translated(filler.target):
        watch = _watch(filler, stack)
        try:
            parts = _begin(filler, fill)
            if not any(part.rows_seen for part in parts):
                filler.wal = progress.wal(filler.connection)
            doing = _doing(filler, fill, watch, parts)
            ended = each(parts, partial(walk, doing), jobs=doing.walkers)
            for one in ended:
                if one.error is not None:
                    raise one.error
            stop.check()
            _refuse_set_aside(filler, doing)
            if fill.last:
                _conclude(filler, suppress=fill.suppress)
        except DbopsError as error:
            if not isinstance(error, _COMES_BACK) and not filler.connection.closed:
                _record_failure(filler, error)
            raise


def _watch(filler: Filler, stack: ExitStack) -> Watch:
    """Look as whoever sees most: a plain owner sees little of replicas, of the archive, and of who waits."""
    seeing = ExitStack()
    try:
        connection = seeing.enter_context(filler.administrator())
    except Stopped:
        raise
    except DbopsError:
        connection = seeing.enter_context(filler.own())
    stack.enter_context(seeing)
    own = stack.enter_context(filler.own())
    wanted = filler.wanted
    eye = signals.looking(connection, own, filler.facts.table.oid, wanted.limits, wanted.throttle_sql)
    watch = stack.enter_context(watching(eye, filler.target))
    filler.met += check.unseen(filler.target, watch.seen)
    return watch


def _begin(filler: Filler, fill: Fill) -> list[Part]:
    """Cut the table where nothing of it counts yet; take the parts over; all in one transaction with the state."""
    connection = filler.connection
    table = batches.observe(connection, filler.facts.table.oid)  # with the statistics of the step before
    filler.facts = facts = replace(filler.facts, table=table)
    before = facts.life
    with connection.transaction():
        if fill.anew:
            wanted = filler.wanted.jobs
            cut = batches.cut(connection, table, wanted * _PARTS_PER_JOB if wanted > 1 else 1)
            jobs.begin(connection, filler.run, facts, cut, place=record.here(connection))
        jobs.claim(connection, filler.run, facts.change, facts.work)
        if before.state is State.PLANNED:  # its revision was run by other means than ours
            evidence = {"by": "other means"}
            _write(filler, State.EXPANDED, Life(State.PLANNED), evidence)
            before = Life(State.EXPANDED)
        parts, _ = jobs.read(connection, facts.change, facts.work)
        _write(filler, State.BACKFILLING, before, {"work": facts.work, "parts": len(parts), "anew": fill.anew})
    return list(parts)


def _write(filler: Filler, to: State, before: Life, evidence: Mapping[str, object]) -> None:
    change = filler.facts.change
    record.move(
        filler.connection, filler.run, target=filler.target, change=change, to=to, before=before, evidence=evidence
    )


def _doing(filler: Filler, fill: Fill, watch: Watch, parts: list[Part]) -> Doing:
    facts = filler.facts
    by_administrator = fill.suppress and facts.suppressing is By.ADMINISTRATOR
    look = partial(progress.fraction, filler.connection, facts.table, facts.change, facts.work)
    done, total = sum(part.rows_seen for part in parts), sum(part.rows_total for part in parts)
    return Doing(
        filler.run,
        facts,
        filler.wanted,
        open=partial(_walker, filler.administrator if by_administrator else filler.own),
        role=filler.connection.info.user if by_administrator else None,
        suppress=fill.suppress,
        watch=watch,
        meter=Meter(filler.target, done, total, filler.on_progress, look),
        guard=filler.guard,
        walkers=max(1, min(filler.wanted.jobs, len(parts))),
        met=filler.met,
    )


@contextmanager
def _walker(opening: Open) -> Generator[Connection]:
    """Open a connection where names mean what they mean in revisions."""
    with opening() as connection:
        connection.execute(sql.SQL("SET search_path = {}").format(sql.Identifier(_SEARCH_PATH)))
        for name, value in SETTINGS.items():  # as in the triggers
            connection.execute("SELECT set_config(%s, %s, false)", (name, value))
        connection.execute("SET lock_timeout = '1s'")  # to look for the next rows, too, waits for nobody's DDL
        yield connection


def _refuse_set_aside(filler: Filler, doing: Doing) -> None:
    totals = jobs.totals(filler.connection, filler.facts.change, filler.facts.work)
    if totals.set_aside:
        raise failure(doing, filler.connection, totals)


def _build(filler: Filler, one: Belonging) -> None:
    how = finish.Finishing(
        filler.target, filler.facts.change, filler.own, filler.administrator, filler.wanted.patience, RAMP
    )
    try:
        with postgres.translated(filler.target), filler.schema():
            finish.build(how, one)
    except DbopsError as error:
        if not isinstance(error, _COMES_BACK) and not filler.connection.closed:
            _record_failure(filler, error, filled=True)
        raise


def _conclude(filler: Filler, *, suppress: bool) -> None:
    """Tell the ledger that all rows are filled."""
    facts, connection = filler.facts, filler.connection
    totals = jobs.totals(connection, facts.change, facts.work)
    with postgres.translated(filler.target), connection.transaction():
        evidence = {
            "work": facts.work,
            "rows": totals.rows,
            "changed": totals.changed,
            "set_aside": totals.set_aside,
            "busy_s": totals.busy_ms / 1000,
            "throttled_s": totals.throttled_ms / 1000,
            "parts": totals.parts,
            "wal_bytes": progress.wal(connection) - filler.wal if filler.wal is not None else None,
            "triggers": "suppressed" if suppress else "fired" if facts.triggers else "none",
        }
        _write(filler, State.BACKFILLED, Life(State.BACKFILLING), evidence)


def _record_failure(filler: Filler, error: DbopsError, *, filled: bool = False) -> None:
    facts = filler.facts
    with filler.connection.transaction():
        evidence = {"error": error.message, "work": facts.work, **({FILLED: True} if filled else {})}
        record.write(
            filler.connection,
            filler.run,
            target=filler.target,
            change=facts.change,
            state=State.FAILED,
            evidence=evidence,
        )
