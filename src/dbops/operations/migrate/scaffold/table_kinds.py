"""Tables: renamed, and replaced by another of another shape. Pure."""

import re
import shlex

from dbops.errors import UsageError
from dbops.operations.migrate.scaffold.facts import Draft, Kind, Known, Wanted
from dbops.operations.migrate.scaffold.text import call, mapping, text, tuple_of
from dbops.operations.migrate.shapes.across import schema_of, split
from dbops.operations.migrate.shapes.guarded import quoted

_SHAPES = "dbops.operations.migrate.shapes"
_NAME = re.compile(r'[^\W\d][\w$]*|"(?:[^"]|"")+"')
# What `=` calls equal is the same bytes; collations aside, which expand looks up.
_EXACT = re.compile(
    r"smallint|integer|bigint|int|boolean|date|uuid|bytea|text|name|numeric\(.*\)|character[^[]*|timestamp[^[]*|oid"
)


def _rename(wanted: Wanted, known: Known) -> Draft:
    del known
    to = _one(wanted)
    shape = call("RenamedTable", {"table": text(wanted.table), "to": text(to)})
    more = ("Old clients go on through a view: what it cannot do (COPY, TRUNCATE) is told in the module.",)
    return Draft(shape, (f"from {_SHAPES}.renamed import RenamedTable",), f"rename {wanted.table} to {to}", more)


def _replace(wanted: Wanted, known: Known) -> Draft:
    by = f"{schema_of(wanted.table)}.{_one(wanted)}"
    columns = known.table.columns if known.table else ()
    key = known.table.key if known.table else ()
    if known.table and not key:
        raise UsageError(f"{wanted.table} has no primary key: its rows have no name", hint="give it one first")
    told = {*key, *wanted.up, *wanted.down}
    same = [one for one in columns if one.name not in told and not one.generated]
    kept = [one for one in columns if one.name in key or one in same]
    loose = [text(one.name) for one in kept if not one.enum and not _EXACT.fullmatch(one.type)]
    arguments = {
        "table": text(wanted.table),
        "by": text(by),
        "create": text(wanted.definition or f"CREATE TABLE {by} (LIKE {wanted.table} INCLUDING ALL)"),
        "key": tuple_of([text(one) for one in key or ("id",)]),
        "same": tuple_of([text(one.name) for one in same]),
        "up": mapping(wanted.up),
        "down": mapping(wanted.down),
        **({"as_written": tuple_of(loose)} if loose else {}),
    }
    more = (
        "Correct create, same, up and down: the new table is written as a copy. Rights, policies, the sequence of the",
        "key, foreign keys, triggers and views follow by themselves.",
    )
    about = f"replace {split(wanted.table)[-1]}"
    return Draft(call("Replaced", arguments), (f"from {_SHAPES}.replaced import Replaced",), about, more)


def _one(wanted: Wanted) -> str:
    if len(wanted.to) != 1 or len(split(wanted.to[0])) != 1:
        raise UsageError("a table has one new name, in its own schema", hint="--to NAME")
    if not _NAME.fullmatch(wanted.to[0]):
        raise UsageError(
            f"--to {wanted.to[0]} is no name as SQL has it",
            hint=f"--to {shlex.quote(quoted(wanted.to[0]))}, with the quotes",
        )
    return wanted.to[0]


KINDS = (
    Kind(
        "rename-table",
        "give a table another name, and serve the old one by a view",
        needs=("table", "to"),
        takes=(),
        write=_rename,
        example="--table public.users --to people",
    ),
    Kind(
        "replace-table",
        "let a new table take the place of an old one",
        needs=("table", "to"),
        takes=("definition", "up", "down"),
        write=_replace,
        example="--table public.users --to users_v2",
    ),
)
