"""Refresh views: each in one transaction with its entry in the ledger, so neither exists without the other."""

from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, assert_never

import psycopg
from psycopg import errors

from dbops import units
from dbops.engine import clock, stop
from dbops.engine.patience import Ramp, patiently
from dbops.engine.plan import Step
from dbops.engine.run import Run, each
from dbops.errors import DbopsError, LockBusy, Refused
from dbops.operations.views import observe
from dbops.operations.views.facts import Signature, View
from dbops.operations.views.plan import Action, InstallLedger, Refresh, Together
from dbops.redact import redact
from dbops.stores import ledger, postgres
from dbops.stores.postgres import Connection

RAMP = Ramp()
_CAN_FLUSH = 150000

_HOLDERS = """
    SELECT a.pid, a.usename, a.application_name, a.state
      FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
     WHERE l.relation = %s AND l.granted AND l.pid <> pg_backend_pid()
       AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
     ORDER BY a.xact_start LIMIT 3"""


class RefreshFailed(DbopsError):
    """The server could not refresh a view; its content is what it was."""


GOES_ON_AFTER = (RefreshFailed, LockBusy, Refused)


@dataclass(slots=True)
class Doing:
    """What the steps of one target share while they are done."""

    target: str
    run: Run
    connection: Connection
    another: Callable[[], AbstractContextManager[Connection]]  # for views that are refreshed at the same time
    administrator: Callable[[], AbstractContextManager[Connection]]
    views: dict[int, View]
    ramp: Ramp = RAMP
    failed: dict[int, DbopsError] = field(default_factory=dict[int, DbopsError])


def apply(doing: Doing, step: Step[Action]) -> None:
    """Carry out one step. A view whose turn comes after a failure below it is left out, and says so."""
    match step.action:
        case InstallLedger(statements):
            with doing.administrator() as connection:
                ledger.apply(connection, statements, target=doing.target)
        case Refresh() as one:
            _refresh(doing, doing.connection, one)
        case Together(refreshes, jobs):
            _together(doing, refreshes, jobs)
        case _:
            assert_never(step.action)


def _together(doing: Doing, refreshes: tuple[Refresh, ...], jobs: int) -> None:
    def work(one: Refresh) -> None:
        with doing.another() as connection:
            _refresh(doing, connection, one)

    ended = each(refreshes, work, jobs=jobs, stop_on_failure=False)
    failed = [one.error for one in ended if one.error is not None]
    for error in failed:
        if not isinstance(error, GOES_ON_AFTER):
            raise error
    stop.check()
    told = [error for error in failed if isinstance(error, DbopsError)]
    if told:
        raise type(told[0])("\n".join(error.message for error in told), hint=told[0].hint, target=doing.target)


def _refresh(doing: Doing, connection: Connection, one: Refresh) -> None:
    shown = doing.views[one.oid].shown
    for oid in sorted(one.after):
        if oid in doing.failed:
            why = f"{shown} was left out, because {doing.views[oid].shown} below it failed"
            doing.failed[one.oid] = error = type(doing.failed[oid])(why, target=doing.target)
            raise error
    began = clock.monotonic()
    try:
        with postgres.translated(doing.target):
            _refreshed(doing, connection, one)
    except DbopsError as error:
        doing.failed[one.oid] = error
        if isinstance(error, GOES_ON_AFTER) and not connection.closed:
            _record_failure(doing, connection, one, error, clock.monotonic() - began)
        raise


def _refreshed(doing: Doing, connection: Connection, one: Refresh) -> None:
    view = doing.views[one.oid]
    # Before the refresh: what changes in between is seen as a change by the next run.
    signature, read_at = observe.signature(connection, one.oid)
    if one.skippable and signature is not None and signature == view.past.signature and view.populated:
        return
    began = clock.monotonic()
    before = {"oid": one.oid, "how": one.how.value, "read_at": units.instant(read_at), "signature": _plain(signature)}

    def attempt(lock_timeout: timedelta) -> None:
        with connection.transaction():
            _set_timeouts(connection, lock_timeout, one.timeout)
            postgres.execute(connection, one.statement)
            took = round(clock.monotonic() - began, 6)
            detail = {**before, "took_s": took}
            ledger.write(
                connection,
                doing.run,
                target=doing.target,
                subject=view.subject,
                kind="MatviewRefreshed",
                detail=detail,
            )

    try:
        patiently(
            attempt,
            timed_out=(errors.LockNotAvailable,),
            what=f"refresh of {view.shown}",
            target=doing.target,
            ramp=doing.ramp,
            blockers=lambda: _blockers(connection, one.oid),
        )
    except psycopg.Error as error:
        if connection.closed or (isinstance(error, errors.QueryCanceled) and stop.requested()):
            raise
        raise _failed(error, view, one, doing.target) from error
    if connection.info.server_version >= _CAN_FLUSH:
        # Else what this refresh wrote is counted later, and views above it look changed once more.
        connection.execute("SELECT pg_stat_force_next_flush()")


def _failed(error: psycopg.Error, view: View, one: Refresh, target: str) -> RefreshFailed:
    if isinstance(error, errors.QueryCanceled) and one.timeout:
        limit = units.duration(one.timeout)
        hint = "give it a longer timeout and schedule, or make its query faster"
        return RefreshFailed(f"{view.shown} took longer than its timeout of {limit}", hint=hint, target=target)
    detail = error.diag.message_detail
    told = redact(f"{error.diag.message_primary or error}{f' ({detail})' if detail else ''}")
    hint = "its content is what it was; views that read it are left out too"
    return RefreshFailed(f"{view.shown} was not refreshed: {told}", hint=hint, target=target)


def _set_timeouts(connection: Connection, lock_timeout: timedelta, timeout: timedelta) -> None:
    lock = postgres.milliseconds(lock_timeout)
    whole = f"{round(timeout.total_seconds() * 1000)}ms"
    connection.execute(
        "SELECT set_config('lock_timeout', %s, true), set_config('statement_timeout', %s, true)", (lock, whole)
    )


def _record_failure(doing: Doing, connection: Connection, one: Refresh, error: DbopsError, took: float) -> None:
    detail = {"oid": one.oid, "how": one.how.value, "error": error.message, "took_s": round(took, 6)}
    # The failure itself is what has to be told, also where nobody may write it down any more.
    with suppress(DbopsError), postgres.translated(doing.target):
        subject = doing.views[one.oid].subject
        ledger.write(connection, doing.run, target=doing.target, subject=subject, kind="MatviewFailed", detail=detail)


def _plain(signature: Signature | None) -> dict[str, str] | None:
    if signature is None:
        return None
    return {"server": signature.server, "definition": signature.definition, "data": signature.data}


def _blockers(connection: Connection, oid: int) -> str:
    rows: list[Any] = connection.execute(_HOLDERS, (oid,)).fetchall()
    return ", ".join(f"held by {user} (pid {pid}, {name!r}, {state})" for pid, user, name, state in rows)
