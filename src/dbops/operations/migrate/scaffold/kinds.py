"""The kinds of change that `migrate new` can write. To add some: a module with a tuple KINDS, and one line here. Pure.

A kind is a function (Wanted, Known) -> Draft, such as

    def _rename(wanted: Wanted, known: Known) -> Draft:
        ...
        return Draft("Columns(table='public.users', ...)", imports=("from ...shapes.columns import Columns, New",),
                     about="rename public.users.name to full_name")

    KINDS = (Kind("rename-column", "rename a column", needs=("table", "column", "to"), takes=(), write=_rename),)
"""

from dbops.errors import UsageError
from dbops.operations.migrate.scaffold import added_kinds, column_kinds, table_kinds
from dbops.operations.migrate.scaffold.facts import Kind, Wanted, near

KINDS: tuple[Kind, ...] = (*column_kinds.KINDS, *added_kinds.KINDS, *table_kinds.KINDS)


def named(name: str) -> Kind:
    """Find a kind; refuse another name with those that are near."""
    found = {kind.name: kind for kind in KINDS}
    if name not in found:
        raise UsageError(f"there is no kind of change {name!r}{near(name, found)}", hint="dbops migrate new --help")
    return found[name]


def refuse_options(kind: Kind, wanted: Wanted) -> None:
    """An option that a kind does not know is a mistake, and so is one that is missing."""
    missing = [option(name) for name in ("target", "change", "impact", *kind.needs) if not getattr(wanted, name)]
    if missing:
        raise UsageError(f"{kind.name} needs {', '.join(missing)}", hint=typed(kind))
    known = {*kind.needs, *kind.takes, "target", "change", "impact", "kind"}
    for name in Wanted.__dataclass_fields__:
        if name not in known and getattr(wanted, name):
            raise UsageError(f"{kind.name} takes no {option(name)}", hint=typed(kind))


def typed(kind: Kind) -> str:
    """Write an example as it is typed."""
    return f'dbops migrate new {kind.name} --target NAME --change NAME --impact "..." {kind.example}'


def option(name: str) -> str:
    return "--" + name.replace("_", "-").replace("values", "value")
