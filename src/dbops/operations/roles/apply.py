"""Give each action its meaning: one transaction a step, together with its ledger entry where it has one."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, assert_never

from dbops.engine.patience import Ramp, patiently
from dbops.engine.plan import Statement, Step
from dbops.engine.run import Run
from dbops.errors import Refused
from dbops.operations.roles import passwords, queries, scram, sql
from dbops.operations.roles.actions import (
    AddMember,
    AlterRole,
    ClusterAction,
    CommentRole,
    CreateRole,
    DatabaseAction,
    DropRole,
    Grant,
    GrantDefault,
    InstallLedger,
    ReleaseRole,
    RemoveMember,
    Revoke,
    RevokeDefault,
    SetOwner,
    SetPassword,
)
from dbops.operations.roles.facts import ATTRIBUTES, RELATIONS, Attributes
from dbops.operations.roles.words import told
from dbops.stores import ledger, postgres
from dbops.stores.postgres import Connection

SUBJECT = "roles"
RAMP = Ramp()

AnyStep = Step[ClusterAction] | Step[DatabaseAction]


@dataclass(frozen=True, slots=True)
class Doing:
    """What it takes to carry out steps on one target."""

    connection: Connection
    run: Run
    target: str
    database: Callable[[str], AbstractContextManager[Connection]]  # opens another database of the same cluster


def apply(doing: Doing, step: AnyStep) -> None:
    """Carry out one step. Each one may find its work done already, by us before a kill or by somebody else."""
    action = step.action
    match action:
        case CreateRole():
            _in_one(doing, step, (_create_or_alter(doing, action),))
        case SetPassword():
            verifier = scram.verifier(passwords.fetch_or_make(action.secret, target=doing.target))
            _in_one(doing, step, (sql.set_password(action.name, verifier),))
        case ReleaseRole():
            _release(doing, action)
        case AlterRole() | CommentRole() | AddMember() | RemoveMember() | DropRole():
            _in_one(doing, step, step.statements)
        case InstallLedger():
            ledger.apply(doing.connection, action.statements, target=doing.target)
        case SetOwner() | Grant() | Revoke() | GrantDefault() | RevokeDefault():
            _in_one(doing, step, step.statements, recorded=True)
        case _:
            assert_never(action)


def _in_one(doing: Doing, step: AnyStep, statements: tuple[Statement, ...], *, recorded: bool = False) -> None:
    """Run a step whole or not at all; queue for its locks only briefly, again and again."""
    action = step.action
    several_locks = isinstance(action, SetOwner)

    def attempt(lock_timeout: timedelta) -> None:
        with doing.connection.transaction():
            if several_locks:
                postgres.set_local_timeouts(doing.connection, lock_timeout)
            else:
                wait = postgres.milliseconds(lock_timeout)
                doing.connection.execute("SELECT set_config('lock_timeout', %s, true)", (wait,))
            for statement in statements:
                postgres.execute(doing.connection, statement)
            if recorded:
                detail = {"step": step.id, "summary": step.summary, "sql": [s.shown() for s in statements]}
                kind = type(action).__name__
                ledger.write(
                    doing.connection, doing.run, target=doing.target, subject=SUBJECT, kind=kind, detail=detail
                )

    patiently(
        attempt,
        timed_out=postgres.NOT_GRANTED,
        what=step.summary,
        target=doing.target,
        ramp=RAMP,
        blockers=lambda: _blockers(doing.connection, action),
    )


def _blockers(connection: Connection, action: ClusterAction | DatabaseAction) -> str:
    if not isinstance(action, SetOwner) or action.kind not in RELATIONS:
        return ""
    rows = connection.execute(queries.HOLDERS, {"schema": action.schema, "name": action.name}).fetchall()
    return ", ".join(
        f"held by {told(user)} (pid {pid}, {application!r}, {state})" for pid, user, application, state in rows
    )


def _create_or_alter(doing: Doing, action: CreateRole) -> Statement:
    row = doing.connection.execute("SELECT 1 FROM pg_catalog.pg_roles WHERE rolname = %s", (action.name,)).fetchone()
    if row is None:
        return sql.create_role(action.name, action.attributes)
    return sql.alter_role(action.name, action.attributes, _opposite(action.attributes))


def _opposite(attributes: Attributes) -> Attributes:
    """Differ in everything, so that every attribute is written."""
    other: dict[str, Any] = {name: not getattr(attributes, name) for name in ATTRIBUTES}
    return Attributes(**other, connection_limit=attributes.connection_limit - 1)


def _release(doing: Doing, action: ReleaseRole) -> None:
    with doing.database(action.database) as connection, connection.transaction():
        row = connection.execute(queries.OWNS_HERE, {"role": action.name}).fetchone()
        if row is None or row[0]:
            raise Refused(
                f"{told(action.name)} owns objects in {told(action.database)} by now; nothing was dropped",
                hint="run again: the plan tells what has to move first",
                target=doing.target,
            )
        connection.execute("SELECT set_config('lock_timeout', '2s', true)")
        postgres.execute(connection, sql.release(action.name))
