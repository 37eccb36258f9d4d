"""Columns: added, made NOT NULL, of another type, renamed, split and merged, and values of enums. Pure."""

import re
from collections.abc import Mapping, Sequence

from dbops.engine.finding import Finding, Severity
from dbops.engine.plan import literal, qualified
from dbops.errors import UsageError
from dbops.operations.migrate.scaffold.facts import Carried, Column, Draft, Kind, Known, Wanted
from dbops.operations.migrate.scaffold.text import call, lines_of, mapping, text, tuple_of
from dbops.operations.migrate.scaffold.widening import holds_all

_SHAPES = "dbops.operations.migrate.shapes"
_COLUMNS = (f"from {_SHAPES}.columns import Columns, New",)
_GUESS = "Correct up and down: what is written here is a first guess."
_LOSSY = "lossy=True: the way there and back does not give the same for every row, and need not."


def _add(wanted: Wanted, known: Known) -> Draft:
    name = _one(wanted.column, "--column")
    if known.table:
        known.table.refuse_column(name)
    if wanted.not_null and wanted.default is None:
        raise UsageError("a column that is NOT NULL needs a value for the rows that are there", hint="--default SQL")
    new = _new(name, wanted.type or "", not_null=wanted.not_null, default=wanted.default)
    arguments = {"table": text(wanted.table), "new": tuple_of([new])}
    more: tuple[str, ...] = ()
    if known.volatile_default:
        arguments["up"] = mapping({name: wanted.default or ""})
        more = ("Its default is another for each row: the rows that are there get theirs from the backfill.",)
    return Draft(call("Columns", arguments), _COLUMNS, f"add {wanted.table}.{name}", more)


def _not_null(wanted: Wanted, known: Known) -> Draft:
    name = _one(wanted.column, "--column")
    if known.table and known.table.column(name).not_null:
        raise UsageError(f"{wanted.table}.{name} is NOT NULL already")
    arguments = {"table": text(wanted.table), "column": text(name)}
    more = () if wanted.fill else ("Without fill, whoever writes a NULL fails from the expand on.",)
    if wanted.fill:
        arguments["fill"] = text(wanted.fill)
    imports = (f"from {_SHAPES}.not_null import NotNull",)
    return Draft(call("NotNull", arguments), imports, f"make {wanted.table}.{name} NOT NULL", more)


def _rename(wanted: Wanted, known: Known) -> Draft:
    old, new = _one(wanted.column, "--column"), _one(wanted.to, "--to")
    found = _found(known, old, new)
    kind = wanted.type or (found.type if found else None)
    if kind is None:
        raise UsageError("the database cannot be asked for the type of the column", hint="--type SQL")
    return _columns(
        wanted,
        known,
        news=[_like(found, new, kind, wanted)],
        up={new: _of(old), **wanted.up},
        down={old: _of(new), **wanted.down},
        about=f"rename {old} to {new}",
    )


def _type(wanted: Wanted, known: Known) -> Draft:
    old, kind = _one(wanted.column, "--column"), wanted.type or ""
    new = wanted.to[0] if wanted.to else f"{old}_new"
    found = _found(known, old, new)
    back = f"{_of(new)}::{found.type}" if found else _of(new)
    there = _of(old) if found and holds_all(kind, found.type) else f"{_of(old)}::{kind}"
    blanks_go = found is not None and (found.type, kind.strip().lower()) == ("json", "jsonb")
    return _columns(
        wanted,
        known,
        news=[_like(found, new, kind, wanted)],
        up={new: there, **wanted.up},
        down={old: back, **wanted.down},
        about=f"make {old} {kind}, as {new}",
        more=(
            "The new column has a name of its own; another change can give it the old one, once that is gone.",
            _LOSSY if blanks_go else "Say lossy=True if the way there and back does not give the same for every row.",
        ),
    )


def _split(wanted: Wanted, known: Known) -> Draft:
    old = _one(wanted.column, "--column")
    found = _found(known, old, *wanted.to)
    kind = wanted.type or (found.type if found else "text")
    parts = [f"split_part({_of(old)}, ' ', {n})" for n in range(1, len(wanted.to))]
    behind = literal(rf"^(?:\S+\s+){{{len(parts)}}}(.*)$")
    rest = f"substring({_of(old)} FROM {behind})"
    return _columns(
        wanted,
        known,
        news=[_new(name, kind) for name in wanted.to],
        up={**dict(zip(wanted.to, [*parts, rest], strict=True)), **wanted.up},
        down={old: _joined(wanted.to), **wanted.down},
        about=f"split {old} into {', '.join(wanted.to)}",
        more=(_GUESS, _LOSSY),
    )


def _merge(wanted: Wanted, known: Known) -> Draft:
    new = _one(wanted.to, "--to")
    found = [_found(known, old, new) for old in wanted.column]
    kind = wanted.type or (found[0].type if found and found[0] else "text")
    parts = {old: f"split_part({_of(new)}, ' ', {n})" for n, old in enumerate(wanted.column, 1)}
    return _columns(
        wanted,
        known,
        news=[_new(new, kind, not_null=wanted.not_null, default=wanted.default)],
        up={new: _joined(wanted.column), **wanted.up},
        down={**parts, **wanted.down},
        about=f"merge {', '.join(wanted.column)} into {new}",
        more=(_GUESS, _LOSSY),
    )


def _enum_values(wanted: Wanted, known: Known) -> Draft:
    """Values that go or get another name: PostgreSQL removes none from an enum, so the column is replaced."""
    old, new, kind = _one(wanted.column, "--column"), _one(wanted.to, "--to"), wanted.type or ""
    found = _found(known, old, new)
    renamed = dict(_pair(value) for value in wanted.values)
    if found and found.enum and (unknown := [value for value in renamed if value not in found.enum]):
        raise UsageError(f"{wanted.table}.{old} has no value {unknown[0]!r}; it has: {', '.join(found.enum)}")
    back = {value: key for key, value in renamed.items()}
    lossy = len(back) < len(renamed) or bool(found and set(back) & set(found.enum))
    before = found.type if found else "text"
    return _columns(
        wanted,
        known,
        news=[_like(found, new, kind, wanted, renamed)],
        up={new: _mapped(_of(old), renamed, kind), **wanted.up},
        down={old: _mapped(_of(new), {} if lossy else back, before), **wanted.down},
        about=f"replace values of {old}, as {new}",
        more=(_LOSSY,) if lossy else (),
    )


def _pair(value: str) -> tuple[str, str]:
    old, equals, new = value.partition("=")
    if not equals or not old or not new:
        raise UsageError(f"--value {value!r} does not tell what becomes of it", hint="--value OLD=NEW")
    return old, new


def _mapped(of: str, values: Mapping[str, str], kind: str) -> str:
    if not values:
        return f"{of}::text::{kind}"
    cases = " ".join(f"WHEN {literal(old)} THEN {literal(new)}" for old, new in values.items())
    return f"(CASE {of}::text {cases} ELSE {of}::text END)::{kind}"


def _columns(
    wanted: Wanted,
    known: Known,
    *,
    news: Sequence[str],
    up: Mapping[str, str],
    down: Mapping[str, str],
    about: str,
    more: tuple[str, ...] = (),
) -> Draft:
    arguments = {
        "table": text(wanted.table),
        "old": tuple_of([text(one) for one in wanted.column]),
        "new": tuple_of(news),
        "up": mapping(up),
        "down": mapping(down),
    }
    if _LOSSY in more:
        arguments["lossy"] = "True"
    if known.table and (cut := [one for one in wanted.column if one in known.table.cut_by]):
        raise UsageError(
            f"{wanted.table} is cut into partitions by {', '.join(cut)}, which cannot be replaced in place",
            hint="replace the table: dbops migrate new replace-table",
        )
    carried = [one for one in known.carried if one.problem is None]
    if carried:
        arguments["carry"] = lines_of([_carry(one) for one in carried])
    imports = (*_COLUMNS, *sorted({_CARRY_IMPORTS[_shape(one)] for one in carried}))
    draft = Draft(call("Columns", arguments), imports, f"{wanted.table}: {about}", more)
    return draft if known.table is None else _warned(wanted, known, draft)


_CARRY_IMPORTS = {
    "Index": f"from {_SHAPES}.index import Index",
    "Constraint": f"from {_SHAPES}.constraint import Constraint",
}


def _shape(one: Carried) -> str:
    return "Index" if one.kind.endswith("INDEX") else "Constraint"


def _carry(one: Carried) -> str:
    more = [", unique=True"] if one.kind == "UNIQUE INDEX" else []
    more += [", partitioned=True"] if one.partitioned else []
    return f"{_shape(one)}({text(one.table)}, {text(one.name)}, {text(one.definition)}{''.join(more)})"


def _left(wanted: Wanted, known: Known) -> list[str]:
    """Tell what the new columns will not have: where one replaces one, the database was asked for each."""
    assert known.table is not None  # noqa: S101
    if known.carried:
        return [f"{one.was} ({one.problem})" for one in known.carried if one.problem is not None]
    there = (*known.table.constraints, *known.table.indexes)
    return [name for name in there if any(_mentions(name, column) for column in wanted.column)]


def _warned(wanted: Wanted, known: Known, draft: Draft) -> Draft:
    """Tell what the new column will not have by itself, here and in the file."""
    left = _left(wanted, known)
    findings = tuple(
        Finding(
            Severity.INFO,
            "not-carried-over",
            wanted.target,
            f"{name} is on an old column; what is new has none of it",
            "add it in a change of its own, before readers are switched",
        )
        for name in left
    )
    more = (*draft.more, *(f"Not carried over: {name}" for name in left))
    return Draft(draft.shape, draft.imports, draft.about, more, findings)


def _mentions(definition: str, column: str) -> bool:
    """Say whether a column stands in the definition of a constraint or an index, behind its own name."""
    _, _, sql = definition.partition(": ")
    return re.search(rf"(?<![\w$\"]){re.escape(qualified((column,)))}(?![\w$\"])", sql) is not None


def _found(known: Known, old: str, *new: str) -> Column | None:
    if known.table is None:
        return None
    for name in new:
        known.table.refuse_column(name)
    found = known.table.column(old)
    if found.generated:
        raise UsageError(f"{known.table.name}.{old} is generated: nobody writes it, so nothing is to be kept alike")
    return found


def _like(found: Column | None, new: str, kind: str, wanted: Wanted, renamed: Mapping[str, str] | None = None) -> str:
    """Carry NOT NULL and the default over, as far as they mean the same in the new column."""
    not_null = wanted.not_null or bool(found and found.not_null)
    default = wanted.default
    if default is None and found and found.default is not None:
        if found.type == kind:
            default = found.default
        else:
            bare = found.default.rpartition("::")[0] or found.default
            value = next((k for k in (renamed or {}) if literal(k) == bare), None)
            default = f"{literal((renamed or {})[value]) if value is not None else bare}::{kind}"
    return _new(new, kind, not_null=not_null, default=default)


def _new(name: str, kind: str, *, not_null: bool = False, default: str | None = None) -> str:
    more = [", not_null=True"] if not_null else []
    more += [f", default={text(default)}"] if default is not None else []
    return f"New({text(name)}, {text(kind)}{''.join(more)})"


def _joined(names: Sequence[str]) -> str:
    return f"concat_ws(' ', {', '.join(map(_of, names))})"


def _of(column: str) -> str:
    return f"r.{qualified((column,))}"


def _one(names: tuple[str, ...], option: str) -> str:
    if len(names) != 1:
        raise UsageError(f"this kind of change takes {option} once", hint="dbops migrate new --help")
    return names[0]


_MAPS = ("up", "down")
KINDS = (
    Kind(
        "add-column",
        "add a column",
        needs=("table", "column", "type"),
        takes=("default", "not_null"),
        write=_add,
        example="--table public.users --column locale --type text --default \"'en'\" --not-null",
    ),
    Kind(
        "not-null",
        "make a column NOT NULL",
        needs=("table", "column"),
        takes=("fill",),
        write=_not_null,
        example="--table public.users --column email --fill \"'unknown'\"",
    ),
    Kind(
        "rename-column",
        "rename a column",
        needs=("table", "column", "to"),
        takes=("type", "default", "not_null", *_MAPS),
        write=_rename,
        example="--table public.users --column name --to full_name",
    ),
    Kind(
        "type",
        "give a column another type",
        needs=("table", "column", "type"),
        takes=("to", "default", "not_null", *_MAPS),
        write=_type,
        example="--table public.orders --column total --type numeric(12,2) --to total_v2",
    ),
    Kind(
        "split-columns",
        "split a column into several",
        needs=("table", "column", "to"),
        takes=("type", *_MAPS),
        write=_split,
        example="--table public.users --column name --to first --to last",
    ),
    Kind(
        "merge-columns",
        "merge columns into one",
        needs=("table", "column", "to"),
        takes=("type", "default", "not_null", *_MAPS),
        write=_merge,
        example="--table public.users --column first --column last --to name",
    ),
    Kind(
        "enum-values",
        "remove or rename values of an enum's column",
        needs=("table", "column", "to", "type", "values"),
        takes=("default", "not_null", *_MAPS),
        write=_enum_values,
        example="--table public.jobs --column state --to state_v2 --type text --value queued=waiting",
    ),
)
