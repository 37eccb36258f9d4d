"""Give each action its meaning: one transaction a step, its lock asked for briefly, again and again."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import LiteralString, assert_never

from psycopg import errors, sql

from dbops.engine.patience import Ramp, patiently
from dbops.engine.plan import Statement, Step
from dbops.engine.run import Run
from dbops.errors import DbopsError, ExitCode, LockBusy, Refused, Stopped
from dbops.operations.partitions.plan import Action, Analyze, Create, DropDefault, Finalize
from dbops.stores import ledger, postgres
from dbops.stores.postgres import Connection

RAMP = Ramp(timeout=timedelta(milliseconds=300), longest_timeout=timedelta(seconds=1), attempts=20)

_BLOCKERS = """
    SELECT l.relation::regclass::text, a.pid, a.usename, a.application_name, a.state
      FROM pg_locks l JOIN pg_stat_activity a USING (pid)
     WHERE l.granted AND l.locktype = 'relation' AND l.pid <> pg_backend_pid()
       AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
       AND a.backend_type = 'client backend' AND l.relation >= 16384
     ORDER BY a.xact_start LIMIT 3"""


class NoPartitionForNow(DbopsError):
    """Rows of this moment have nowhere to go: told as that, whatever kept the partition from being made."""

    code = ExitCode.MISSED


class NotMade(DbopsError):
    """One partition could not be made; the others still can. What is missed is the runway."""

    code = ExitCode.MISSED


@dataclass(frozen=True, slots=True)
class Doing:
    """What it takes to carry out steps on one target."""

    connection: Connection
    run: Run
    target: str
    ledger: bool  # whether the database has one
    ramp: Ramp = RAMP


def apply(doing: Doing, step: Step[Action]) -> None:
    match step.action:
        case Finalize(parent, name, again):
            with suppress(*(() if again else (LockBusy,))):  # its second turn, at the end, is the one that counts
                _alone(doing, step, _PENDING, (parent, name))
        case Create():
            _create(doing, step, step.action)
        case Analyze():
            _analyze(doing, step)
        case DropDefault():
            _drop_default(doing, step, step.action)
        case _:
            assert_never(step.action)


def _together(connection: Connection, statements: tuple[Statement, ...]) -> None:
    """Send them in one message: sixty partitions are sixty round trips, not a thousand."""
    connection.execute(sql.SQL("; ").join([postgres.compose(one) for one in statements]))


def _create(doing: Doing, step: Step[Action], action: Create) -> None:
    connection = doing.connection

    def attempt(lock_timeout: timedelta) -> None:
        wait = postgres.milliseconds(lock_timeout)
        whole = (
            Statement("SELECT set_config('lock_timeout', %s, true)", values=(wait,)),
            *action.make,
            # ATTACH takes several locks, and each would have the whole time for itself
            Statement("SELECT set_config('statement_timeout', %s, true)", values=(wait,)),
            *action.attach,
        )
        if action.identity_index is None and not doing.ledger:
            _together(connection, whole)  # one message is one transaction
            return
        with connection.transaction():
            _together(connection, whole)
            if action.identity_index is not None:
                _identity(connection, action)
            _record(doing, step, "partition-created", action.parent, action.name)

    try:
        with postgres.translated(doing.target):
            _patiently(doing, step, attempt)
    except Stopped:
        raise
    except DbopsError as error:
        if isinstance(error.__cause__, errors.DuplicateTable) and _attached(doing, action):
            return
        raise _not_made(doing, action, error) from error


def _not_made(doing: Doing, action: Create, error: DbopsError) -> DbopsError:
    """Tell what it means: the others have their turn all the same, unless the connection is gone."""
    if action.for_now:
        return NoPartitionForNow(
            f"{action.parent[1]} has no partition for now: {error.message}",
            hint="runbook partition-runway; run again as soon as what is in its way is over",
            target=doing.target,
        )
    if doing.connection.closed or isinstance(error, LockBusy):
        return error
    hint = "if its name is taken or a detach is pending, run again" if error.hint is None else error.hint
    return NotMade(f"{action.name[1]} was not made: {error.message}", hint=hint, target=doing.target)


def _attached(doing: Doing, action: Create) -> bool:
    """Tell whether another run made just this partition meanwhile."""
    row = doing.connection.execute(
        "SELECT inhparent = to_regclass(%s) FROM pg_inherits WHERE inhrelid = to_regclass(%s)",
        (_quoted(action.parent), _quoted(action.name)),
    ).fetchone()
    return row is not None and bool(row[0])


def _quoted(name: tuple[str, str]) -> str:
    return sql.Identifier(*name).as_string()


def _identity(connection: Connection, action: Create) -> None:
    """Name the index by its parent's: what LIKE calls it is not known before."""
    row = connection.execute(
        "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
        " JOIN pg_index x ON x.indexrelid = c.oid"
        " WHERE x.indrelid = to_regclass(%s) AND i.inhparent = to_regclass(%s)",
        (_quoted(action.name), _quoted((action.parent[0], action.identity_index or ""))),
    ).fetchone()
    if row is not None:
        postgres.execute(
            connection,
            Statement("ALTER TABLE {} REPLICA IDENTITY USING INDEX {}", (action.name, (str(row[0]),))),
        )


def _alone(doing: Doing, step: Step[Action], wanted: LiteralString, names: tuple[tuple[str, str], ...]) -> None:
    """Run one statement outside a transaction, as FINALIZE wants it, unless its work is done by now."""
    connection = doing.connection

    def attempt(lock_timeout: timedelta) -> None:
        if connection.execute(wanted, [_quoted(name) for name in names]).fetchone() is None:
            return
        # longer than for a lock: it also waits for old snapshots, which holds up nobody
        wait, whole = postgres.milliseconds(lock_timeout), postgres.milliseconds(lock_timeout * 10)
        connection.execute(
            "SELECT set_config('lock_timeout', %s, false), set_config('statement_timeout', %s, false)", (wait, whole)
        )
        try:
            _together(connection, step.statements)
        finally:
            connection.execute(
                "SELECT set_config('lock_timeout', '0', false), set_config('statement_timeout', '0', false)"
            )

    _patiently(doing, step, attempt)


_PENDING = """
    SELECT 1 FROM pg_inherits WHERE inhparent = to_regclass(%s) AND inhrelid = to_regclass(%s) AND inhdetachpending"""


def _analyze(doing: Doing, step: Step[Action]) -> None:
    """Run it only for tables that are there: one whose step failed is not."""
    assert isinstance(step.action, Analyze)  # noqa: S101
    there = [
        name
        for name in step.action.names
        if doing.connection.execute("SELECT to_regclass(%s)::oid", (_quoted(name),)).fetchone() != (None,)
    ]
    if there:
        tables = sql.SQL(", ").join([sql.Identifier(*name) for name in there])

        def attempt(lock_timeout: timedelta) -> None:
            with doing.connection.transaction():
                wait = postgres.milliseconds(lock_timeout)
                doing.connection.execute("SELECT set_config('lock_timeout', %s, true)", (wait,))
                doing.connection.execute(sql.SQL("ANALYZE {}").format(tables))

        _patiently(doing, step, attempt)


def _drop_default(doing: Doing, step: Step[Action], action: DropDefault) -> None:
    """Count once more under the lock: a row may have come since the plan."""
    connection = doing.connection

    def attempt(lock_timeout: timedelta) -> None:
        with connection.transaction():
            postgres.set_local_timeouts(connection, lock_timeout)
            postgres.execute(connection, Statement("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE", (action.parent,)))
            rows = connection.execute(
                sql.SQL("SELECT EXISTS (SELECT FROM {})").format(sql.Identifier(*action.name))
            ).fetchone()
            if rows is None or rows[0]:
                raise Refused(
                    f"{action.name[1]} has rows by now; nothing was dropped",
                    hint="dbops partition default shows them by range",
                    target=doing.target,
                )
            _together(connection, step.statements)
            _record(doing, step, "default-dropped", action.parent, action.name)

    _patiently(doing, step, attempt)


def _patiently(doing: Doing, step: Step[Action], attempt: Callable[[timedelta], None]) -> None:
    patiently(
        attempt,
        timed_out=postgres.NOT_GRANTED,
        what=step.summary,
        target=doing.target,
        ramp=doing.ramp,
        blockers=lambda: _blockers(doing.connection),
    )


def _blockers(connection: Connection) -> str:
    rows = connection.execute(_BLOCKERS).fetchall()
    return "; ".join(
        f"{table} is held by {user} (pid {pid}, {app!r}, {state})" for table, pid, user, app, state in rows
    )


def _record(doing: Doing, step: Step[Action], kind: str, parent: tuple[str, str], name: tuple[str, str]) -> None:
    if doing.ledger:
        detail = {"step": step.id, "summary": step.summary, "partition": ".".join(name)}
        detail["table"] = ".".join(parent)
        ledger.write(doing.connection, doing.run, target=doing.target, subject="partition", kind=kind, detail=detail)
