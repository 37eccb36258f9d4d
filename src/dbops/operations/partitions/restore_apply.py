"""Bring a partition back: the rows and the table in one transaction, then ATTACH in a short one."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, assert_never

from psycopg import errors, sql

from dbops.copies import artifact, rows
from dbops.engine.patience import Ramp, patiently
from dbops.engine.plan import Statement, Step
from dbops.engine.run import Run
from dbops.errors import Refused, VerifiedBad
from dbops.operations.partitions import retire_ledger as entries
from dbops.operations.partitions import retire_queries as queries
from dbops.operations.partitions.restore_facts import Action, Attach, InstallLedger, Kept, Load, There
from dbops.operations.partitions.retire_copy import FILE, Vaulted
from dbops.stores import ledger, postgres
from dbops.stores.postgres import Connection

SUBJECT = "partition"
RAMP = Ramp()
_NOT_GRANTED = (errors.LockNotAvailable, errors.QueryCanceled)


@dataclass(frozen=True, slots=True)
class Doing:
    connection: Connection
    run: Run
    target: str
    vaulted: Vaulted
    administrator: Callable[[], AbstractContextManager[Connection]]


def apply(doing: Doing, step: Step[Action]) -> None:
    match step.action:
        case InstallLedger(statements):
            with doing.administrator() as connection:
                ledger.apply(connection, statements, target=doing.target)
        case Load():
            _load(doing, step.action)
        case Attach():
            _attach(doing, step, step.action)
        case _:
            assert_never(step.action)


def _load(doing: Doing, load: Load) -> None:
    """Bring rows back, and compare what the table holds then with what was copied once."""
    kept = load.kept
    store = doing.vaulted.store()
    found = artifact.find(store, kept.folder)
    if not isinstance(found, artifact.Artifact) or found.manifest.digest != kept.digest:
        told = f"{kept.folder} is no longer in the vault as it was written"
        raise VerifiedBad(told, hint="look for another copy: dbops vault list --kind partition", target=doing.target)
    columns = tuple(rows.Column(name, kind) for name, kind in kept.columns)
    shape = rows.Shape(*load.into, columns, kept.key)
    connection = doing.connection
    with connection.transaction(), rows.formed(connection):
        connection.execute("SELECT set_config('lock_timeout', '2s', true)")
        postgres.execute(connection, Statement("CREATE SCHEMA IF NOT EXISTS {}", ((load.into[0],),)))
        try:
            postgres.execute(connection, load.make)
        except errors.DuplicateTable as error:
            told = f"there is a table {'.'.join(load.into)} already, and nothing tells that it is this partition"
            raise Refused(told, hint="look at it, then move it away", target=doing.target) from error
        sent = rows.load(connection, shape, artifact.read(store, found, FILE, identity=doing.vaulted.identity()))
        now = rows.digest(connection, shape)
        if not str(sent) == str(now) == kept.digest:
            told = f"{kept.label} came back with other rows than were copied; nothing of it was kept"
            hint = "verify the copy; if a column has another type by now, bring it back beside its table: --detached"
            raise VerifiedBad(told, hint=hint, target=doing.target)
        for statement in load.more:
            postgres.execute(connection, statement)
        row = connection.execute("SELECT %s::regclass::oid", (sql.Identifier(*load.into).as_string(),)).fetchone()
        _record(doing, kept, entries.LOADED, {"oid": int(row[0]) if row is not None else 0})


def _attach(doing: Doing, step: Step[Action], attach: Attach) -> None:
    kept = attach.kept

    def attempt(lock_timeout: timedelta) -> None:
        there = _found(doing, attach)
        with doing.connection.transaction():
            postgres.set_local_timeouts(doing.connection, lock_timeout)
            doing.connection.execute("SELECT set_config('statement_timeout', '0', true)")
            for statement in attach.statements:
                postgres.execute(doing.connection, statement)
            _record(doing, kept, entries.RESTORED, {"oid": there.oid})

    try:
        patiently(attempt, timed_out=_NOT_GRANTED, what=step.summary, target=doing.target, ramp=RAMP)
    except errors.ForeignKeyViolation as error:
        told = f"{kept.label} cannot be attached: {error.diag.message_primary} ({error.diag.message_detail})"
        hint = "its rows refer to what is gone by now; it stays beside its table, where it can be read"
        raise Refused(told, hint=hint, target=doing.target) from error


def _found(doing: Doing, attach: Attach) -> There:
    """Find the table that is to be attached: the one that the plan saw, or the one that this run has loaded."""
    if attach.there is not None:
        row = doing.connection.execute(queries.STILL, (attach.there.oid,)).fetchone()
        if row is not None and (row[0], row[1]) == (attach.there.schema, attach.there.name) and row[2] is None:
            return attach.there
    else:
        found = doing.connection.execute(queries.ENTRIES, (doing.target, [entries.LOADED])).fetchall()
        mine = [int(d["oid"]) for _, _, d in found if (d["home"], d["name"]) == (attach.kept.home, attach.kept.name)]
        row = doing.connection.execute(queries.STILL, (mine[-1],)).fetchone() if mine else None
        if row is not None and row[2] is None:
            return There(mine[-1], row[0], row[1])
    raise Refused(f"{attach.kept.label} was moved or dropped meanwhile", hint="run again", target=doing.target)


def _record(doing: Doing, kept: Kept, kind: str, detail: dict[str, Any]) -> None:
    past = {"home": kept.home, "name": kept.name, "parent": kept.parent, "bound": kept.bound, "folder": kept.folder}
    ledger.write(
        doing.connection, doing.run, target=doing.target, subject=SUBJECT, kind=kind, detail={**past, **detail}
    )
