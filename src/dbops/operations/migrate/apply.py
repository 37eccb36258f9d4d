"""Do one step: revisions through the worker, what its owner may not do as the cluster's administrator."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, assert_never

import psycopg
from psycopg import errors

from dbops.engine import clock
from dbops.engine.patience import Ramp, patiently
from dbops.engine.plan import Statement, Step
from dbops.engine.run import Run
from dbops.errors import CouldNotVerify, DbopsError, LockBusy, Stopped
from dbops.operations.migrate import asking, figures, plan, record
from dbops.operations.migrate.facts import History
from dbops.stores import ledger, postgres, waiting
from dbops.stores.postgres import Connection

SUBJECT = "schema"


@dataclass(slots=True)
class Doing:
    """What the steps of one target share while they are done."""

    target: str
    connection: Connection  # the owner's, to look who blocks
    administrator: Callable[[], AbstractContextManager[Connection]]
    ask: asking.Ask
    backend: int
    ramp: Ramp
    run: Run
    phases: Mapping[str, tuple[str, str]] = field(default_factory=dict[str, tuple[str, str]])  # of changes, by revision
    blocking: tuple[int, ...] = ()  # backends that were seen to hold what we wait for
    blockers: str = ""
    behind: str = ""  # who waits for what we wait for, or hold
    since: float | None = None  # when this attempt began to wait without a break
    gave_up: bool = False


def apply(doing: Doing, step: Step[plan.Action]) -> None:
    match step.action:
        case plan.CreateExtension() | plan.CreateRole():
            with doing.administrator() as connection:
                for statement in step.statements:
                    _create(connection, statement)
        case plan.InstallLedger(statements):
            with doing.administrator() as connection:
                ledger.apply(connection, statements, target=doing.target)
        case plan.DropInvalid(index):
            _revise(doing, step, asking.drop_invalid(index))
        case plan.Upgrade(revision) if revision in doing.phases:
            _timed(doing, step, revision)
        case plan.Upgrade(revision):
            _revise(doing, step, asking.upgrade(revision))
        case plan.Downgrade(revision, to):
            _revise(doing, step, asking.downgrade(revision, to))
        case _:
            assert_never(step.action)


def phases(known: History) -> dict[str, tuple[str, str]]:
    """Tell which change each revision is a phase of."""
    return {one.id: (one.change, one.phase) for one in known.revisions if one.change is not None and one.phase}


def _timed(doing: Doing, step: Step[plan.Action], revision: str) -> None:
    """Run a phase of a change, and keep what it took beside what a rehearsal may have foretold."""
    change, phase = doing.phases[revision]
    began = clock.monotonic()
    went = _revise(doing, step, {**asking.upgrade(revision), "timed": True})
    took = 1000 * (clock.monotonic() - began)
    told = figures.read(went.statements)
    about: dict[str, Any] = {"attempts": went.attempts, "waited_ms": went.waited_ms, "revision": revision}
    with suppress(DbopsError, psycopg.Error):  # the revision is done: figures are worth no failure
        record.prove(
            doing.connection,
            doing.run,
            target=doing.target,
            change=change,
            kind=figures.TOOK,
            evidence=figures.evidence(phase, took, told, **about),
        )


@dataclass(slots=True)
class _Went:
    statements: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    attempts: int = 0
    waited_ms: float = 0.0  # by attempts that were given up


def _create(connection: Connection, statement: Statement) -> None:
    # The migration of another database of this cluster may have made the role just now.
    with suppress(errors.DuplicateObject, errors.UniqueViolation):
        postgres.execute(connection, statement)


def _revise(doing: Doing, step: Step[plan.Action], asked: dict[str, Any]) -> _Went:
    """Run one revision; while it waits for a lock, note who holds it, and try again with growing patience."""
    went = _Went()

    def attempt(lock_timeout: timedelta) -> None:
        wait = round(lock_timeout.total_seconds() * 1000)
        doing.since, doing.gave_up = None, False
        went.attempts += 1
        told: dict[str, Any] = {"lock_timeout_ms": wait, "meanwhile": lambda: _watch(doing)}
        try:
            went.statements = asking.revise(doing.ask, asked, doing.target, **told)
        except LockBusy:
            went.waited_ms += wait
            raise
        except CouldNotVerify as error:
            if not doing.gave_up:
                raise
            raise LockBusy(error.message, hint=error.hint, target=doing.target) from error

    patiently(
        attempt,
        timed_out=(LockBusy,),
        what=f"revision {step.id}" if isinstance(step.action, plan.Upgrade | plan.Downgrade) else step.id,
        target=doing.target,
        ramp=doing.ramp,
        blockers=lambda: "; ".join(filter(None, (doing.blockers, doing.behind))),
    )
    return went


def _watch(doing: Doing) -> None:
    with postgres.translated(doing.target):
        pids = waiting.holders(doing.connection, doing.backend)
        queue = waiting.behind(doing.connection, doing.backend) if pids else ()
    if not pids:
        doing.since = None
        return
    doing.since = doing.since or clock.monotonic()
    if pids != doing.blocking:
        doing.blocking = pids
        doing.blockers = f"blocked by {'; '.join(_who(doing, pids)) or 'somebody who has gone'}"
    if queue:
        doing.behind = f"{len(queue)} waited behind us: {'; '.join(_who(doing, queue))}"
    if clock.monotonic() - doing.since > doing.ramp.budget.total_seconds() and not doing.gave_up:
        # Only what has no timeout of its own gets here: a build that waits for somebody's old snapshot.
        doing.gave_up = True
        with postgres.translated(doing.target):
            doing.connection.execute("SELECT pg_cancel_backend(%s)", (doing.backend,))


def _who(doing: Doing, pids: Sequence[int]) -> list[str]:
    """Ask as the administrator, for the owner sees nothing of other people's transactions."""
    try:
        with doing.administrator() as connection:
            return waiting.named(connection, pids)
    except Stopped:
        raise
    except DbopsError:  # a good name is worth no failure
        return [f"backend {pid}" for pid in pids]
