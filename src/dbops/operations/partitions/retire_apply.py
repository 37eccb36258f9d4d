"""Give each step of retiring its meaning. A step may find its work done: by a killed run, or by somebody else."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, assert_never

from psycopg import errors

from dbops.copies import rows
from dbops.engine.finding import Finding, Severity
from dbops.engine.patience import Ramp, patiently
from dbops.engine.plan import Statement, Step
from dbops.engine.run import Run
from dbops.errors import Refused
from dbops.operations.partitions import retire_copy as copying
from dbops.operations.partitions import retire_ledger as entries
from dbops.operations.partitions import retire_queries as queries
from dbops.operations.partitions import retire_sql as sql
from dbops.operations.partitions.retire_facts import (
    Action,
    Compare,
    Copied,
    Detach,
    Drop,
    Export,
    Finalize,
    InstallLedger,
    Part,
    Retired,
    Seal,
    Shelve,
    grace_schema,
)
from dbops.stores import ledger, postgres
from dbops.stores.postgres import Connection

SUBJECT = "partition"
RAMP = Ramp()
_COMPARISONS = 3


@dataclass(frozen=True, slots=True)
class Doing:
    """What it takes to carry out steps on one table."""

    connection: Connection
    run: Run
    table: Retired
    vaulted: copying.Vaulted
    administrator: Callable[[], AbstractContextManager[Connection]]
    told: list[Finding]  # what is worth telling of what was met on the way


@dataclass(frozen=True, slots=True)
class _Now:
    """Where a table is at this moment."""

    schema: str
    name: str
    attached: bool
    pending: bool


def apply(doing: Doing, step: Step[Action]) -> None:
    match step.action:
        case InstallLedger(statements):
            with doing.administrator() as connection:
                ledger.apply(connection, statements, target=doing.table.target)
        case Finalize(schema, name):
            _ramped(doing, step.summary, lambda: _detached(doing, sql.finalize(doing.table, (schema, name))), None)
        case Export(part):
            _export(doing, part)
        case Detach(part, concurrently):
            _detach(doing, part, concurrently=concurrently)
        case Seal(part):
            _seal(doing, part)
        case Compare(part):
            _compare(doing, part)
        case Shelve(part):
            _shelve(doing, part)
        case Drop(part, compared):
            _drop(doing, part, compared=compared)
        case _:
            assert_never(step.action)


def _export(doing: Doing, part: Part) -> Copied:
    here = _here(doing, part)
    if here is None:
        raise _gone(doing, part)
    table = doing.table
    copied, findings = copying.exported(
        doing.connection,
        part if here.schema == part.schema else _at(part, here),
        doing.vaulted,
        parent=table.label,
        column=table.column,
        target=table.target,
        run=doing.run.id,
    )
    doing.told.extend(one for one in findings if one not in doing.told)
    with doing.connection.transaction():
        detail = {"folder": copied.folder, "digest": copied.digest, "rows": copied.rows}
        _record(doing, part, entries.EXPORTED, detail)
    return copied


def _detach(doing: Doing, part: Part, *, concurrently: bool) -> None:
    here = _here(doing, part)
    if here is None:
        raise _gone(doing, part)
    with doing.connection.transaction():
        # first of all: what hangs on no table any more must be known for what it was
        past = {"home": part.home, "parent": doing.table.label, "bound": part.bound}
        _record(doing, part, entries.LEFT, past)

    def attempt() -> None:
        now = _here(doing, part)
        if now is None:
            raise _gone(doing, part)
        if now.pending:
            _detached(doing, sql.finalize(doing.table, (now.schema, now.name)))
        elif now.attached:
            _detached(doing, sql.detach(doing.table, part, concurrently=concurrently))

    _ramped(doing, f"detach {part.label}", attempt, part.oid, whole=not concurrently)


def _detached(doing: Doing, statement: Statement) -> None:
    try:
        postgres.execute(doing.connection, statement)
    except (errors.UndefinedTable, errors.InvalidTableDefinition) as error:
        raise Refused(
            f"{statement.shown()}: {error.diag.message_primary}",
            hint="somebody else was at it meanwhile; run again: it plans what is left",
            target=doing.table.target,
        ) from error


def _ramped(doing: Doing, what: str, attempt: Callable[[], None], part: int | None, *, whole: bool = False) -> None:
    """Wait for the locks of a statement that cannot be in a transaction; a detach that times out goes on later.

    `whole`: it takes several strong locks, and while it waits for one the application waits for the others.
    """

    def once(lock_timeout: timedelta) -> None:
        wait = postgres.milliseconds(lock_timeout)
        doing.connection.execute(
            "SELECT set_config('lock_timeout', %s, false), set_config('statement_timeout', %s, false)",
            (wait, wait if whole else "0"),
        )
        try:
            attempt()
        finally:
            doing.connection.execute(
                "SELECT set_config('lock_timeout', '0', false), set_config('statement_timeout', '0', false)"
            )

    patiently(
        once,
        timed_out=postgres.NOT_GRANTED,
        what=what,
        target=doing.table.target,
        ramp=RAMP,
        blockers=lambda: _holders(doing, part),
    )


def _in_one(doing: Doing, what: str, part: Part, work: Callable[[timedelta], None]) -> None:
    """Run a step whole or not at all; queue for its locks only briefly, again and again."""

    def attempt(lock_timeout: timedelta) -> None:
        with doing.connection.transaction():
            postgres.set_local_timeouts(doing.connection, lock_timeout)
            work(lock_timeout)

    patiently(
        attempt,
        timed_out=postgres.NOT_GRANTED,
        what=what,
        target=doing.table.target,
        ramp=RAMP,
        blockers=lambda: _holders(doing, part.oid),
    )


def _seal(doing: Doing, part: Part) -> None:
    here = _must_be_off(doing, part)
    part = _at(part, here)
    for (name,) in doing.connection.execute(queries.FOREIGN_KEYS, (part.oid,)).fetchall():
        # one transaction each: every one of them takes a strong lock on another table
        cut = sql.drop_foreign_key(part, name)
        _in_one(doing, f"drop foreign key {name}", part, lambda _, cut=cut: postgres.execute(doing.connection, cut))

    def work(_: timedelta) -> None:
        postgres.execute(doing.connection, sql.lock(part.schema, part.name, "SHARE ROW EXCLUSIVE"))
        row = doing.connection.execute(queries.GRANTEES, ([part.oid],)).fetchone()
        for statement in sql.revoke(part, tuple(row[1]) if row is not None else ()):
            postgres.execute(doing.connection, statement)
        _record(doing, part, entries.SEALED, {})

    _in_one(doing, f"seal {part.label}", part, work)


def _compare(doing: Doing, part: Part) -> None:
    """Compare what is sealed with its copy. Rows that came in before the seal are exported, too."""
    for _ in range(_COMPARISONS):
        here = _must_be_off(doing, part)
        copied = _copied(doing, part)
        shape = rows.observe(doing.connection, part.oid, schema=here.schema, table=here.name)
        if copied is not None and str(copying.digest(doing.connection, shape)) == copied.digest:
            with doing.connection.transaction():
                _record(doing, part, entries.AGREED, {"digest": copied.digest})
            return
        _export(doing, _at(part, here))
    raise Refused(
        f"{part.label} is changed again and again, although nobody but its owner may",
        hint="find out who writes to it as its owner or as a superuser",
        target=doing.table.target,
    )


def _shelve(doing: Doing, part: Part) -> None:
    here = _must_be_off(doing, part)
    there = grace_schema(part.home)
    postgres.execute(doing.connection, sql.create_grace(part))

    def work(_: timedelta) -> None:
        if here.schema != there:
            postgres.execute(doing.connection, sql.set_schema(here.schema, here.name, there))
        _record(doing, part, entries.SHELVED, {"schema": there})

    _in_one(doing, f"shelve {part.label}", part, work)


def _drop(doing: Doing, part: Part, *, compared: bool) -> None:
    """Compare once more, alone with the table, and drop it. What differs is kept, exported anew, and waits anew."""
    here = _here(doing, part)
    if here is None:
        return  # by hand, meanwhile
    _must_be_off(doing, part)
    copied = _copied(doing, part) if compared else None
    if compared:
        if copied is None:
            raise Refused(f"{part.label} has no copy", hint="run again", target=doing.table.target)
        copying.still_whole(copied, doing.vaulted, target=doing.table.target)
    shape = rows.observe(doing.connection, part.oid, schema=here.schema, table=here.name)
    differs: list[str] = []

    def work(lock_timeout: timedelta) -> None:
        differs.clear()
        postgres.execute(doing.connection, sql.lock(here.schema, here.name, "ACCESS EXCLUSIVE"))
        if copied is not None:
            doing.connection.execute("SELECT set_config('statement_timeout', '0', true)")
            with rows.formed(doing.connection):
                found = str(rows.digest(doing.connection, shape))
            if found != copied.digest:
                differs.append(found)
                return
            postgres.set_local_timeouts(doing.connection, lock_timeout)
        postgres.execute(doing.connection, Statement("DROP TABLE {}", ((here.schema, here.name),)))
        _record(doing, part, entries.DROPPED, {"folder": copied.folder if copied is not None else ""})

    _in_one(doing, f"drop {part.label}", part, work)
    if differs:
        _begin_anew(doing, part, here)


def _begin_anew(doing: Doing, part: Part, here: _Now) -> None:
    part = _at(part, here)
    _seal(doing, part)
    _compare(doing, part)
    _shelve(doing, part)
    told = f"{part.label} was changed after it was copied: it was not dropped, exported anew, and its grace begins anew"
    hint = "nobody but its owner and superusers may write to it: find out who did"
    doing.told.append(Finding(Severity.WARNING, "partition_changed", doing.table.target, told, hint))


def _here(doing: Doing, part: Part) -> _Now | None:
    """Find the table by its oid, wherever it is; None when it is gone."""
    row = doing.connection.execute(queries.STILL, (part.oid,)).fetchone()
    return None if row is None else _Now(row[0], row[1], row[2] is not None, row[3])


def _must_be_off(doing: Doing, part: Part) -> _Now:
    here = _here(doing, part)
    if here is None:
        raise _gone(doing, part)
    if here.attached:
        raise Refused(
            f"{part.label} was attached again meanwhile",
            hint="run again: it plans what is left",
            target=doing.table.target,
        )
    return here


def _gone(doing: Doing, part: Part) -> Refused:
    told = f"{part.label} was dropped by somebody else meanwhile"
    return Refused(told, hint="run again: it plans what is left", target=doing.table.target)


def _at(part: Part, here: _Now) -> Part:
    return replace(part, schema=here.schema, name=here.name)


def _copied(doing: Doing, part: Part) -> Copied | None:
    """Read from the ledger which copy is the last one: this run may have written it."""
    found = doing.connection.execute(queries.ENTRIES, (doing.table.target, list(entries.KINDS))).fetchall()
    return entries.stories(found).get(part.oid, entries.Story()).copied


def _record(doing: Doing, part: Part, kind: str, detail: dict[str, Any]) -> None:
    whole = {"oid": part.oid, "name": part.name, **detail}
    ledger.write(doing.connection, doing.run, target=doing.table.target, subject=SUBJECT, kind=kind, detail=whole)


def _holders(doing: Doing, part: int | None) -> str:
    """Tell who holds a lock on the table, on the partition, or on what their foreign keys point to."""
    tables = [doing.table.oid, *([part] if part is not None else [])]
    found = doing.connection.execute(queries.HOLDERS, {"tables": tables}).fetchall()
    return ", ".join(f"held by {user} (pid {pid}, {application!r}, {state})" for pid, user, application, state in found)
