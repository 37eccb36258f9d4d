"""What is put on a table or taken from it: indexes, constraints, values of enums, generated columns, SQL. Pure."""

import re
from collections.abc import Mapping

from dbops.errors import UsageError
from dbops.operations.migrate.scaffold.facts import Draft, Kind, Known, Wanted
from dbops.operations.migrate.scaffold.text import call, mapping, text, tuple_of
from dbops.operations.migrate.shapes.across import plain, split
from dbops.operations.migrate.shapes.guarded import quoted

_SHAPES = "dbops.operations.migrate.shapes"
_PLACE = re.compile(r"\s*(BEFORE|AFTER)\s+'((?:[^']|'')+)'\s*", re.IGNORECASE)
_NOT_REVERSIBLE = (
    "Contract puts it out of the way, with all that is in it; changes.put_back(change, shape) brings it back.",
    "A later revision drops it for good: changes.remove(change, shape). Then there is nothing left but a backup.",
)


def _index(wanted: Wanted, known: Known) -> Draft:
    return _indexed(wanted, known, unique=False)


def _unique_index(wanted: Wanted, known: Known) -> Draft:
    return _indexed(wanted, known, unique=True)


def _indexed(wanted: Wanted, known: Known, *, unique: bool) -> Draft:
    name = _some(wanted.name)
    _refuse_twice(known, f"index {name}:")
    more = {"unique": "True"} if unique else {}
    arguments = {"table": text(wanted.table), "name": text(name), "definition": text(_some(wanted.definition))}
    return _draft("Index", "index", {**arguments, **more, **_parted(known)}, f"add index {name} on {wanted.table}")


def _check(wanted: Wanted, known: Known) -> Draft:
    told = _some(wanted.definition).strip()
    if not told.upper().startswith("CHECK"):
        told = f"CHECK {told}" if told.startswith("(") and told.endswith(")") else f"CHECK ({told})"
    return _constraint(wanted, known, told, keyed=False)


def _foreign_key(wanted: Wanted, known: Known) -> Draft:
    told = _some(wanted.definition).strip()
    told = re.sub(r"^REFERENCES\s+", "", told, flags=re.IGNORECASE)
    return _constraint(wanted, known, f"FOREIGN KEY ({_listed(wanted, known)}) REFERENCES {told}", keyed=True)


def _unique(wanted: Wanted, known: Known) -> Draft:
    return _constraint(wanted, known, f"UNIQUE ({_listed(wanted, known)})", keyed=True)


def _primary_key(wanted: Wanted, known: Known) -> Draft:
    if known.table and known.table.key:
        raise UsageError(f"{wanted.table} has a primary key already: {', '.join(known.table.key)}")
    name = wanted.name or f"{_bare(wanted.table)}_pkey"
    open_ = [one for one in wanted.column if known.table and not known.table.column(one).not_null]
    more = {"nullable": tuple_of([text(one) for one in open_])} if open_ else {}
    told = f"PRIMARY KEY ({_listed(wanted, known)})"
    return _constraint(wanted, known, told, keyed=True, name=name, more=more)


def _exclude(wanted: Wanted, known: Known) -> Draft:
    del known
    raise UsageError(
        f"PostgreSQL cannot add an EXCLUDE constraint to {wanted.table} while it is written",
        hint="replace the table: dbops migrate new replace-table, with the constraint in the new one",
    )


def _constraint(
    wanted: Wanted,
    known: Known,
    definition: str,
    *,
    keyed: bool,
    name: str | None = None,
    more: Mapping[str, str] | None = None,
) -> Draft:
    called = name or _some(wanted.name)
    _refuse_twice(known, f"constraint {called}:")
    arguments = {"table": text(wanted.table), "name": text(called), "definition": text(definition), **(more or {})}
    parted = _parted(known) if keyed else {}
    return _draft("Constraint", "constraint", {**arguments, **parted}, f"add constraint {called} to {wanted.table}")


def _enum_value(wanted: Wanted, known: Known) -> Draft:
    if len(wanted.values) != 1:
        raise UsageError("enum-value takes --value once", hint="a change for each")
    kind, value = _some(wanted.type), wanted.values[0]
    there = known.types.get(kind, known.types.get(f"public.{kind}"))
    if known.types and there is None:
        there_are = ", ".join(sorted(known.types))
        raise UsageError(f"there is no enum type {kind}; there are: {there_are}", hint="--type SCHEMA.NAME")
    if there and value in there:
        raise UsageError(f"{kind} has the value {value!r} already")
    arguments = {"type": text(kind), "value": text(value)}
    if wanted.definition is not None:
        place = _PLACE.fullmatch(wanted.definition)
        if place is None:
            raise UsageError("--definition tells where the value comes", hint="--definition \"AFTER 'open'\"")
        arguments[place[1].lower()] = text(place[2].replace("''", "'"))
    more = ("PostgreSQL cannot remove a value again: downgrade leaves it.",)
    return _draft("EnumValue", "enums", arguments, f"add a value to {kind}", more)


def _generated(wanted: Wanted, known: Known) -> Draft:
    if len(wanted.column) != 1:
        raise UsageError("generated-column takes --column once", hint="a change for each")
    (column,) = wanted.column
    if known.table:
        known.table.refuse_column(column)
    if set(wanted.up) != {column}:
        raise UsageError(f"--up tells what {column} follows from", hint=f"--up '{column}=r.amount * r.price'")
    arguments = {
        "table": text(wanted.table),
        "column": text(column),
        "type": text(_some(wanted.type)),
        "expression": text(wanted.up[column]),
    }
    more = ("Its trigger stays: GENERATED would rewrite the table under a lock.",)
    return _draft("Generated", "generated", arguments, f"add {wanted.table}.{column}, which follows from others", more)


def _drop_column(wanted: Wanted, known: Known) -> Draft:
    arguments = {"table": text(wanted.table), "columns": tuple_of([text(one) for one in wanted.column])}
    found = [known.table.column(one) for one in wanted.column] if known.table else []
    required = [one.name for one in found if one.not_null and one.default is None and not one.identity]
    if required:
        default = text(wanted.fill) if wanted.fill else "None"
        arguments["required"] = "{" + ", ".join(f"{text(one)}: {default}" for one in required) + "}"
    elif wanted.fill:
        arguments["required"] = mapping(dict.fromkeys(wanted.column, wanted.fill))
    about = f"drop {', '.join(wanted.column)} of {wanted.table}"
    return _draft("Dropped", "dropped", arguments, about, _NOT_REVERSIBLE)


def _drop_table(wanted: Wanted, known: Known) -> Draft:
    del known
    return _draft("Dropped", "dropped", {"table": text(wanted.table)}, f"drop {wanted.table}", _NOT_REVERSIBLE)


def _sql(wanted: Wanted, known: Known) -> Draft:
    del known
    arguments = {"table": text(wanted.table)}
    for name, statements in (("up", wanted.sql_up), ("down", wanted.sql_down), ("on_complete", wanted.on_complete)):
        if statements:
            arguments[name] = tuple_of([text(one) for one in statements])
    return _draft("Plain", "plain", arguments, f"SQL of its own on {wanted.table}")


def _draft(shape: str, module: str, arguments: Mapping[str, str], about: str, more: tuple[str, ...] = ()) -> Draft:
    return Draft(call(shape, arguments), (f"from {_SHAPES}.{module} import {shape}",), about, more)


def _parted(known: Known) -> dict[str, str]:
    return {"partitioned": "True"} if known.table and known.table.partitioned else {}


def _refuse_twice(known: Known, beginning: str) -> None:
    there = (*known.table.constraints, *known.table.indexes) if known.table else ()
    for one in there:
        if one.replace('"', "").startswith(beginning):
            raise UsageError(f"there is one already: {one}", hint="choose another name")


def _listed(wanted: Wanted, known: Known) -> str:
    for one in wanted.column:
        if known.table:
            known.table.column(one)
    return ", ".join(map(quoted, wanted.column))


def _bare(table: str) -> str:
    return plain(split(table)[-1])


def _some(value: str | None) -> str:
    assert value is not None  # noqa: S101  # what a kind needs was given, or it was refused
    return value


KINDS = (
    Kind(
        "index",
        "add an index",
        needs=("table", "name", "definition"),
        takes=(),
        write=_index,
        example='--table public.users --name users_email_lower --definition "(lower(email)) WHERE is_active"',
    ),
    Kind(
        "unique-index",
        "add a unique index",
        needs=("table", "name", "definition"),
        takes=(),
        write=_unique_index,
        example='--table public.users --name users_email_lower --definition "(lower(email))"',
    ),
    Kind(
        "check",
        "add a CHECK constraint",
        needs=("table", "name", "definition"),
        takes=(),
        write=_check,
        example='--table public.orders --name orders_total_positive --definition "total >= 0"',
    ),
    Kind(
        "foreign-key",
        "add a FOREIGN KEY",
        needs=("table", "name", "column", "definition"),
        takes=(),
        write=_foreign_key,
        example='--table public.orders --name orders_of_user --column user_id --definition "public.users (id)"',
    ),
    Kind(
        "unique",
        "add a UNIQUE constraint",
        needs=("table", "name", "column"),
        takes=(),
        write=_unique,
        example="--table public.users --name users_email_key --column email",
    ),
    Kind(
        "primary-key",
        "add a PRIMARY KEY",
        needs=("table", "column"),
        takes=("name",),
        write=_primary_key,
        example="--table public.events --column id",
    ),
    Kind(
        "exclude",
        "add an EXCLUDE constraint: told how, for it cannot be added to a table in use",
        needs=("table",),
        takes=("name", "definition"),
        write=_exclude,
        example="--table public.bookings",
    ),
    Kind(
        "enum-value",
        "add a value to an enum type",
        needs=("type", "values"),
        takes=("definition",),
        write=_enum_value,
        example="--type public.state --value paused --definition \"AFTER 'open'\"",
    ),
    Kind(
        "generated-column",
        "add a column that follows from others",
        needs=("table", "column", "type", "up"),
        takes=(),
        write=_generated,
        example="--table public.orders --column total --type numeric --up 'total=r.amount * r.price'",
    ),
    Kind(
        "drop-column",
        "drop columns, in two stages",
        needs=("table", "column"),
        takes=("fill",),
        write=_drop_column,
        example="--table public.users --column fax --fill \"''\"",
    ),
    Kind(
        "drop-table",
        "drop a table, in two stages",
        needs=("table",),
        takes=(),
        write=_drop_table,
        example="--table public.faxes",
    ),
    Kind(
        "sql",
        "SQL of one's own",
        needs=("table", "sql_up", "sql_down"),
        takes=("on_complete",),
        write=_sql,
        example='--table public.users --sql-up "..." --sql-down "..." --on-complete "..."',
    ),
)
