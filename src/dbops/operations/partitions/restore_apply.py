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
from dbops.operations.partitions.restore_facts import Action, Attach, InstallLedger, Kept, Load, Prove, There
from dbops.operations.partitions.restore_plan import constraint
from dbops.operations.partitions.retire_copy import FILE, Vaulted
from dbops.stores import ledger, postgres
from dbops.stores.postgres import Connection

SUBJECT = "partition"
RAMP = Ramp()


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
        case Prove():
            _prove(doing, step.action)
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


def _prove(doing: Doing, prove: Prove) -> None:
    there = _found(doing, prove.kept, prove.there)
    table = (there.schema, there.name)
    for name, told in prove.constraints:
        row = doing.connection.execute(_VALIDATED, (there.oid, name)).fetchone()
        add, validate = constraint(table, name, told)
        if row is None:
            _patiently(doing, f"add constraint {name}", (add,))
        if row is None or not row[0]:
            try:
                # it waits for nobody's writes, and may take as long as reading the rows takes
                _patiently(doing, f"validate constraint {name}", (validate,), reads=True)
            except errors.ForeignKeyViolation as error:
                why = f"{prove.kept.label} cannot be attached: {error.diag.message_primary}"
                hint = f"{error.diag.message_detail}; it can be read where it is now: {'.'.join(table)}"
                raise Refused(why, hint=hint, target=doing.target) from error


_VALIDATED = "SELECT convalidated FROM pg_catalog.pg_constraint WHERE conrelid = %s AND conname = %s"


def _attach(doing: Doing, step: Step[Action], attach: Attach) -> None:
    there = _found(doing, attach.kept, attach.there)

    def also() -> None:
        _record(doing, attach.kept, entries.RESTORED, {"oid": there.oid})

    _patiently(doing, step.summary, attach.statements, also)


def _patiently(
    doing: Doing,
    what: str,
    statements: tuple[Statement, ...],
    also: Callable[[], None] = lambda: None,
    *,
    reads: bool = False,
) -> None:
    def attempt(lock_timeout: timedelta) -> None:
        with doing.connection.transaction():
            postgres.set_local_timeouts(doing.connection, lock_timeout)
            if reads:
                doing.connection.execute("SELECT set_config('statement_timeout', '0', true)")
            for statement in statements:
                postgres.execute(doing.connection, statement)
            also()

    patiently(attempt, timed_out=postgres.NOT_GRANTED, what=what, target=doing.target, ramp=RAMP)


def _found(doing: Doing, kept: Kept, planned: There | None) -> There:
    """Find the table that is to be attached: the one that the plan saw, or the one that this run has loaded."""
    if planned is not None:
        row = doing.connection.execute(queries.STILL, (planned.oid,)).fetchone()
        if row is not None and (row[0], row[1]) == (planned.schema, planned.name) and row[2] is None:
            return planned
    else:
        found = doing.connection.execute(queries.ENTRIES, (doing.target, [entries.LOADED])).fetchall()
        mine = [int(d["oid"]) for _, _, d in found if (d["home"], d["name"]) == (kept.home, kept.name)]
        row = doing.connection.execute(queries.STILL, (mine[-1],)).fetchone() if mine else None
        if row is not None and row[2] is None:
            return There(mine[-1], row[0], row[1])
    raise Refused(f"{kept.label} was moved or dropped meanwhile", hint="run again", target=doing.target)


def _record(doing: Doing, kept: Kept, kind: str, detail: dict[str, Any]) -> None:
    past = {"home": kept.home, "name": kept.name, "parent": kept.parent, "bound": kept.bound, "folder": kept.folder}
    ledger.write(
        doing.connection, doing.run, target=doing.target, subject=SUBJECT, kind=kind, detail={**past, **detail}
    )
