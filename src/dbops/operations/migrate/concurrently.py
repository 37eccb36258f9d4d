"""Statements that build in pieces (CREATE INDEX CONCURRENTLY and its kind), wherever a revision runs them.

They get no lock timeout: they queue where nobody has to wait for them, and each timeout would leave an index that is
invalid, costs writes and serves nobody. What such a statement leaves when it fails is dropped at once; what an
earlier one left is dropped before; IF NOT EXISTS keeps only what is valid and as it should be.
"""
# ruff: noqa: S608  # the parts are names and SQL of the revision's author

import re
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, LiteralString, cast

import psycopg
import sqlalchemy as sa
from psycopg import sql
from sqlalchemy import event
from sqlalchemy.engine import ExceptionContext

from dbops.errors import DbopsError, LockBusy, Refused
from dbops.operations.migrate import duplicates

DUPLICATES = "dbops_duplicates"  # of the connection: the keys of rows that a unique index was refused for
_IDENTIFIER = r'(?:"(?:[^"]|"")+"|[^\s."();]+)'
_CREATE = re.compile(
    rf"\s*CREATE\s+(?P<unique>UNIQUE\s+)?INDEX\s+(?P<alone>CONCURRENTLY\s+)?(?P<once>IF\s+NOT\s+EXISTS\s+)?"
    rf"(?P<name>{_IDENTIFIER})\s+ON\s+(?:ONLY\s+)?(?P<table>(?:(?P<schema>{_IDENTIFIER})\s*\.\s*)?{_IDENTIFIER})"
    rf"(?P<rest>[\s\S]*)",
    re.IGNORECASE,
)
_ALONE = re.compile(
    r"\s*(?:CREATE\s+(?:UNIQUE\s+)?INDEX\s+CONCURRENTLY\b|DROP\s+INDEX\s+CONCURRENTLY\b"
    r"|REINDEX\b[\s\S]*\bCONCURRENTLY\b|ALTER\s+TABLE\b[\s\S]*\bDETACH\s+PARTITION\b[\s\S]*\bCONCURRENTLY\b)",
    re.IGNORECASE,
)
# Who builds an index holds this lock on its table to the end. Which index it is, plain roles see only of their own.
BUILDER: LiteralString = """
    SELECT min(l.pid) FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_stat_progress_create_index p ON p.pid = l.pid
     WHERE l.locktype = 'relation' AND l.relation = i.indrelid AND l.mode = 'ShareUpdateExclusiveLock' AND l.granted
       AND l.database = p.datid AND p.datname = current_database() AND l.pid <> pg_backend_pid()"""
_THERE: LiteralString = f"""
    SELECT i.indexrelid::bigint, i.indisvalid, c.relkind::text, pg_catalog.pg_get_indexdef(i.indexrelid), ({BUILDER})
      FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
     WHERE i.indexrelid = pg_catalog.to_regclass(%s)"""
_DROP_WITHIN = "10s"  # to clean up is worth a short wait; what is left then is dropped by the next run


@dataclass(frozen=True, slots=True)
class Found:
    """An index that has the name of one that is to come."""

    oid: int
    valid: bool
    kind: str
    definition: str
    builder: int | None


def attend(engine: sa.Engine) -> None:
    """Look after every such statement of an engine's connections."""
    event.listen(engine, "before_cursor_execute", _before, retval=True)
    event.listen(engine, "after_cursor_execute", _after)
    event.listen(engine, "handle_error", _failed)


def builds(statement: str) -> bool:
    """Say whether a statement builds in pieces, and so can run in no transaction."""
    return _ALONE.match(statement) is not None


def build(raw: psycopg.Connection[Any], statement: str) -> None:
    """Run one such statement where no engine attends to it; what it would build may be there. In no transaction."""
    told = _CREATE.match(statement)
    if told is not None and (told["alone"] or told["once"]) and _is_there_already(raw, told):
        return
    row = raw.execute("SELECT current_setting('lock_timeout')").fetchone()
    raw.execute("SELECT set_config('lock_timeout', '0', false)")
    within = _DROP_WITHIN
    try:
        raw.execute(sql.SQL(cast("LiteralString", statement)))
    except psycopg.errors.QueryCanceled:
        within = "1s"  # what it waited for, the drop would wait for too
        raise
    except psycopg.errors.UniqueViolation as error:
        # the server's own words hold values of rows
        keys = duplicates.keys(raw, _qualified(told)) if told is not None else ""
        raise DbopsError(
            f"{error.diag.message_primary}: rows have the same values; the keys of the first ones: {keys}",
            hint="correct these rows, then run it again: it goes on where it stopped",
        ) from None
    finally:
        with suppress(psycopg.Error, Refused, LockBusy):  # the failure itself is told; the next run finds what is left
            raw.execute("SELECT set_config('lock_timeout', %s, false)", row)
            found = _look(raw, _qualified(told)) if told is not None else None
            if told is not None and found is not None and not found.valid and found.kind == "i":
                _drop_at_once(raw, _qualified(told), within)


def _drop_at_once(raw: psycopg.Connection[Any], index: str, within: str = _DROP_WITHIN) -> None:
    raw.execute("SELECT set_config('statement_timeout', %s, false)", (within,))
    try:
        drop_invalid(raw, index)
    finally:
        raw.execute("SELECT set_config('statement_timeout', '0', false)")


def _before(  # noqa: PLR0917  # SQLAlchemy's signature
    connection: sa.Connection,
    cursor: Any,
    statement: str,
    parameters: Any,
    context: Any,
    executemany: bool,
) -> tuple[str, Any]:
    del context, executemany
    raw: psycopg.Connection[Any] = cursor.connection
    told = _CREATE.match(statement)
    if told is not None and (told["alone"] or told["once"]) and _is_there_already(raw, told):
        return "SELECT 'it is there already'", parameters
    if _ALONE.match(statement):
        row = raw.execute("SELECT current_setting('lock_timeout')").fetchone()
        raw.execute("SELECT set_config('lock_timeout', '0', false)")
        connection.info["dbops_lock_timeout"] = row[0] if row else "0"
        connection.info["dbops_building"] = _qualified(told) if told is not None else None
    return statement, parameters


def _after(  # noqa: PLR0917
    connection: sa.Connection,
    cursor: Any,
    statement: str,
    parameters: Any,
    context: Any,
    executemany: bool,
) -> None:
    del statement, parameters, context, executemany
    _restore(connection, cursor.connection)


def _failed(context: ExceptionContext) -> None:
    connection = context.connection
    if connection is None or "dbops_lock_timeout" not in connection.info:
        return
    raw = cast("psycopg.Connection[Any]", connection.connection.driver_connection)
    index: str | None = connection.info["dbops_building"]
    with suppress(psycopg.Error, Refused, LockBusy):  # the failure itself is told; the next run finds what is left
        _restore(connection, raw)
        if index is not None and (found := _look(raw, index)) is not None and not found.valid:
            if isinstance(context.original_exception, psycopg.errors.UniqueViolation):
                connection.info[DUPLICATES] = duplicates.keys(raw, index)
            _drop_at_once(raw, index)


def _restore(connection: sa.Connection, raw: psycopg.Connection[Any]) -> None:
    before = connection.info.pop("dbops_lock_timeout", None)
    connection.info.pop("dbops_building", None)
    if before is not None:
        raw.execute("SELECT set_config('lock_timeout', %s, false)", (before,))


def _is_there_already(raw: psycopg.Connection[Any], told: re.Match[str]) -> bool:
    """Say whether the index is there, valid and as it should be; drop it where a dead run left it invalid."""
    index = _qualified(told)
    found = _look(raw, index)
    if found is None:
        return False
    if found.builder is not None:
        raise LockBusy(
            f"index {index} is being built by backend {found.builder}", hint="run again when it is done, or was ended"
        )
    if not found.valid and found.kind == "i" and told["alone"]:
        drop_invalid(raw, index)
        return False
    if not found.valid and found.kind == "i":
        raise Refused(f"index {index} is there, but invalid", hint=f"drop it first: DROP INDEX CONCURRENTLY {index}")
    if _as_would_be(raw, told) != _told(found.definition):
        raise Refused(
            f"index {index} exists already, and is another one: {found.definition}",
            hint="give the new one another name, or remove that one",
        )
    return True


def drop_invalid(raw: psycopg.Connection[Any], index: str) -> None:
    """Drop an index that is invalid and that nobody builds; in no transaction. `index` is quoted where needed."""
    found = _look(raw, index)
    if found is None:
        return
    if found.builder is not None:
        raise LockBusy(f"index {index} is being built by backend {found.builder}", hint="run again when it is done")
    if found.valid or found.kind != "i":
        raise Refused(f"index {index} is not what a failed build leaves", hint="run again: it is looked at anew")
    raw.execute(sql.SQL("DROP INDEX CONCURRENTLY IF EXISTS " + index))  # pyright: ignore[reportArgumentType]


def _look(raw: psycopg.Connection[Any], index: str) -> Found | None:
    row = raw.execute(_THERE, (index,)).fetchone()
    return Found(*row) if row is not None else None


def _qualified(told: re.Match[str]) -> str:
    return f"{told['schema']}.{told['name']}" if told["schema"] else told["name"]


def _as_would_be(raw: psycopg.Connection[Any], told: re.Match[str]) -> tuple[bool, str]:
    """Ask PostgreSQL how it would write the index that is to come: on an empty table of the same columns."""
    unique = "UNIQUE " if told["unique"] else ""
    text = f"CREATE {unique}INDEX dbops_same_index ON pg_temp.dbops_same {told['rest']}"
    made = ("", False)
    with raw.transaction(force_rollback=True):
        raw.execute(sql.SQL(f"CREATE TEMP TABLE dbops_same (LIKE {told['table']})"))  # pyright: ignore[reportArgumentType]
        raw.execute(sql.SQL(text))  # pyright: ignore[reportArgumentType]
        row = raw.execute("SELECT pg_catalog.pg_get_indexdef('pg_temp.dbops_same_index'::regclass)").fetchone()
        made = row[0] if row else ""
    return _told(str(made))


def _told(definition: str) -> tuple[bool, str]:
    return definition.startswith("CREATE UNIQUE"), definition.partition(" USING ")[2]
