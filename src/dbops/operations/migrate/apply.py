"""Do one step: revisions through the worker, what its owner may not do as the cluster's administrator."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, assert_never

from psycopg import errors

from dbops import units
from dbops.engine import clock
from dbops.engine.patience import Ramp, patiently
from dbops.engine.plan import Statement, Step
from dbops.errors import CouldNotVerify, DbopsError, LockBusy, Stopped
from dbops.operations.migrate import asking, plan
from dbops.redact import redact
from dbops.stores import ledger, postgres
from dbops.stores.postgres import Connection

SUBJECT = "schema"

_BLOCKING = "SELECT pg_blocking_pids(%s)"
_BEHIND = """
    SELECT DISTINCT l.pid FROM pg_locks l WHERE NOT l.granted AND %s = ANY(pg_blocking_pids(l.pid)) ORDER BY 1"""
_WHO = """
    SELECT pid, usename, application_name, state, clock_timestamp() - xact_start, left(query, 200)
      FROM pg_stat_activity WHERE pid = ANY(%s) ORDER BY xact_start LIMIT 3"""


@dataclass(slots=True)
class Doing:
    """What the steps of one target share while they are done."""

    target: str
    connection: Connection  # the owner's, to look who blocks
    administrator: Callable[[], AbstractContextManager[Connection]]
    ask: asking.Ask
    backend: int
    ramp: Ramp
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
        case plan.Upgrade(revision):
            _revise(doing, step, asking.upgrade(revision))
        case plan.Downgrade(revision, to):
            _revise(doing, step, asking.downgrade(revision, to))
        case _:
            assert_never(step.action)


def _create(connection: Connection, statement: Statement) -> None:
    # The migration of another database of this cluster may have made the role just now.
    with suppress(errors.DuplicateObject, errors.UniqueViolation):
        postgres.execute(connection, statement)


def _revise(doing: Doing, step: Step[plan.Action], asked: dict[str, Any]) -> None:
    """Run one revision; while it waits for a lock, note who holds it, and try again with growing patience."""

    def attempt(lock_timeout: timedelta) -> None:
        wait = round(lock_timeout.total_seconds() * 1000)
        doing.since, doing.gave_up = None, False
        try:
            asking.revise(doing.ask, asked, doing.target, lock_timeout_ms=wait, meanwhile=lambda: _watch(doing))
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


def _watch(doing: Doing) -> None:
    with postgres.translated(doing.target):
        row = doing.connection.execute(_BLOCKING, (doing.backend,)).fetchone()
        pids = tuple(row[0]) if row else ()
        queue = [pid for (pid,) in doing.connection.execute(_BEHIND, (doing.backend,)).fetchall()] if pids else []
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
            return [_blocker(row) for row in connection.execute(_WHO, (list(pids),)).fetchall()]
    except Stopped:
        raise
    except DbopsError:  # a good name is worth no failure
        return [f"backend {pid}" for pid in pids]


def _blocker(row: tuple[int, str, str, str, timedelta | None, str]) -> str:
    pid, user, application, state, age, query = row
    since = f", its transaction is {units.duration(age)} old" if age is not None else ""
    told = " ".join(redact(query).split())
    return f"backend {pid} of {user} ({application or 'no application name'}, {state}{since}: {told[:80]})"
