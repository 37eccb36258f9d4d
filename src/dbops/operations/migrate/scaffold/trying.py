"""PostgreSQL as the judge of what was typed: types, expressions, definitions and statements, on an empty copy."""
# ruff: noqa: S608  # the parts are SQL of the revision's author, and run as one statement

import re
from collections.abc import Iterator

from psycopg import errors
from psycopg.pq import ExecStatus

from dbops.engine.plan import Statement, Verbatim
from dbops.errors import UsageError
from dbops.operations.migrate.scaffold.facts import Known, Wanted
from dbops.operations.migrate.shapes.across import schema_of
from dbops.stores import postgres
from dbops.stores.postgres import Connection

_LIKE = "pg_temp.dbops_like"
_TABLE_KINDS = frozenset({"rename-table", "replace-table"})
_UP_READS_THE_TABLE = frozenset({"rename-column", "type", "split-columns", "merge-columns", "enum-values"})
_ANOTHER = re.compile(r"\s*(?:REFERENCES\s+)?(?P<table>[^(]+?)\s*(?:\(|$)", re.IGNORECASE)


def refuse(connection: Connection, wanted: Wanted, known: Known) -> None:
    """Refuse what the server does not take. Nothing is left of the trial; a role that may not try learns of it later.

    An expression has to hold for no row, so that none is read.
    """
    with connection.transaction(force_rollback=True):
        connection.execute("SET LOCAL search_path = public, pg_temp")
        for option, text in _statements(wanted):
            _parse(connection, option, text)
        if wanted.kind == "enum-value" and not {wanted.type, f"public.{wanted.type}"} & set(known.types):
            raise UsageError(f"there is no enum type {wanted.type}", hint="--type SCHEMA.NAME")
        if known.table is None or wanted.kind == "sql":
            return
        _refuse_taken(connection, wanted)
        try:
            with connection.transaction():
                connection.execute("SET LOCAL client_min_messages = error")
                _run(connection, f"CREATE TEMP TABLE dbops_like (LIKE {known.table.name} INCLUDING GENERATED)")
        except (errors.InsufficientPrivilege, errors.ReadOnlySqlTransaction):
            return
        for option, text in _trials(wanted, known):
            _try(connection, option, text)


def _statements(wanted: Wanted) -> Iterator[tuple[str, str]]:
    for option, every in (
        ("--sql-up", wanted.sql_up),
        ("--sql-down", wanted.sql_down),
        ("--on-complete", wanted.on_complete),
    ):
        yield from ((option, text) for text in every)


def _parse(connection: Connection, option: str, text: str) -> None:
    """Let the server read a statement, and no more than that: what it names may be made by the one before."""
    with connection.transaction(force_rollback=True):
        found = connection.pgconn.prepare(b"", text.encode(errors="replace"))
        if found.status != ExecStatus.FATAL_ERROR:
            return
        message = found.error_message.decode(errors="replace").partition("\n")[0].removeprefix("ERROR:").strip()
        if message.startswith(("syntax error", "unterminated")):
            raise UsageError(f"PostgreSQL does not take {option}: {message}", hint=f"{option} SQL")


def _refuse_taken(connection: Connection, wanted: Wanted) -> None:
    """Refuse the new name of a table that something has already."""
    if wanted.kind not in _TABLE_KINDS or len(wanted.to) != 1:
        return
    schema = schema_of(wanted.table)
    asked = "SELECT to_regclass(concat_ws('.', nullif(%s::text, ''), %s::text))::text"
    try:
        with connection.transaction():
            row = connection.execute(asked, (schema, wanted.to[0])).fetchone()
    except errors.Error:
        return  # it needs quotes: what it means is told when the file is run
    if row is not None and row[0] is not None:
        raise UsageError(f"there is a {wanted.to[0]} already: {row[0]}", hint="--to NAME, which nothing has yet")


def _trials(wanted: Wanted, known: Known) -> Iterator[tuple[str, str]]:
    """Name what is tried, in this order: new columns come before what is told of them."""
    if wanted.kind in _TABLE_KINDS:
        yield from (("--up", f"SELECT ({text}) FROM {_LIKE} AS r WHERE false") for text in wanted.up.values())
        return
    yield from _of_types(wanted, known)
    if wanted.kind in _UP_READS_THE_TABLE or wanted.kind == "generated-column":
        for option, every in (("--up", wanted.up), ("--down", wanted.down)):
            yield from ((option, f"SELECT ({text}) FROM {_LIKE} AS r WHERE false") for text in every.values())
    if wanted.fill is not None:
        yield "--fill", f"SELECT ({wanted.fill}) FROM {_LIKE} AS r WHERE false"
    yield from _of_definitions(wanted)


def _of_types(wanted: Wanted, known: Known) -> Iterator[tuple[str, str]]:
    if wanted.kind == "enum-value":
        return
    there = {one.name: one for one in known.table.columns} if known.table is not None else {}
    kind = wanted.type or next((there[one].type for one in wanted.column if one in there), None)
    if kind is None:
        return
    new = wanted.to if wanted.kind in _UP_READS_THE_TABLE else tuple(one for one in wanted.column if one not in there)
    if not new and wanted.kind == "type":
        new = tuple(f"{one}_new" for one in wanted.column)
    for one in new:
        yield "--type", f"ALTER TABLE {_LIKE} ADD COLUMN {_quoted(one)} {kind}"


def _of_definitions(wanted: Wanted) -> Iterator[tuple[str, str]]:
    told = (wanted.definition or "").strip()
    match wanted.kind:
        case "index" | "unique-index":
            yield "--definition", f"CREATE INDEX ON {_LIKE} {told}"
        case "check":
            bare = told if told.upper().startswith("CHECK") else f"CHECK ({told})"
            yield "--definition", f"ALTER TABLE {_LIKE} ADD CONSTRAINT dbops_tried {bare}"
        case "foreign-key":
            found = _ANOTHER.match(told)
            if found is not None:
                yield "--definition", f"TABLE {found['table']} LIMIT 0"
        case _:
            return


def _try(connection: Connection, option: str, text: str) -> None:
    try:
        with connection.transaction():
            _run(connection, text)
    except errors.Error as error:
        if isinstance(error, errors.OperationalError | errors.InsufficientPrivilege):
            raise
        message = str(error).partition("\n")[0].replace("dbops_like", "the table")
        raise UsageError(f"PostgreSQL does not take {option}: {message}", hint=f"correct {option}") from error


def _run(connection: Connection, text: str) -> None:
    """Run one statement; a second one behind it is a mistake that the server tells."""
    connection.execute(postgres.compose(Statement("{}", (Verbatim(text),))), prepare=True)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
