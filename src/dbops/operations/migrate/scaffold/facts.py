"""What `migrate new` was told, what it knows of the database, and what a kind of change makes of it. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from enum import Enum, auto

from dbops.engine.finding import Finding
from dbops.errors import UsageError

_NEAR = 3
_MOST_TOLD = 25


@dataclass(frozen=True, slots=True)
class Wanted:
    """The options, as they were typed. Which of them a kind needs, and which it takes, is said by the kind."""

    target: str
    change: str
    impact: str
    kind: str = ""
    table: str = ""
    column: tuple[str, ...] = ()  # there already, or (add-column) to come
    to: tuple[str, ...] = ()  # new names
    type: str | None = None
    default: str | None = None
    not_null: bool = False
    up: Mapping[str, str] = field(default_factory=dict[str, str])  # by new column, over the row `r`
    down: Mapping[str, str] = field(default_factory=dict[str, str])  # by old column
    fill: str | None = None
    name: str | None = None  # of a constraint, an index
    definition: str | None = None  # of a constraint, an index: SQL
    values: tuple[str, ...] = ()  # of an enum
    sql_up: tuple[str, ...] = ()
    sql_down: tuple[str, ...] = ()
    on_complete: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    type: str
    not_null: bool = False
    default: str | None = None
    generated: bool = False
    identity: bool = False
    enum: tuple[str, ...] = ()  # the values, where the type is one


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the live database, its name as SQL has it: public.users."""

    name: str
    columns: tuple[Column, ...] = ()
    key: tuple[str, ...] = ()
    partitioned: bool = False
    cut_by: tuple[str, ...] = ()  # the columns that partitions are told apart by
    constraints: tuple[str, ...] = ()
    indexes: tuple[str, ...] = ()

    def column(self, name: str) -> Column:
        found = {one.name: one for one in self.columns}
        if name not in found:
            raise UsageError(f"{self.name} has no column {name!r}{near(name, found)}", hint="--column NAME")
        return found[name]

    def refuse_column(self, name: str) -> None:
        if any(one.name == name for one in self.columns):
            raise UsageError(f"{self.name} has a column {name!r} already", hint="choose another name")


class Meaning(Enum):
    """What becomes of the values of a column that is replaced by another one."""

    SAME = auto()  # another name, or another type of the same value
    OTHER = auto()  # something that follows from them


@dataclass(frozen=True, slots=True)
class Carried:
    """An index or a constraint on an old column, as it has to stand on the new one."""

    kind: str  # INDEX, UNIQUE INDEX, CHECK, UNIQUE, PRIMARY KEY, FOREIGN KEY, EXCLUDE
    table: str
    name: str
    definition: str
    was: str  # what is there
    partitioned: bool = False
    problem: str | None = None  # why it cannot


@dataclass(frozen=True, slots=True)
class Known:
    """The live database, as far as it could be reached: `table` is None when it could not, or none was named."""

    table: Table | None = None
    volatile_default: bool = False  # the default that was asked for is another for each row
    types: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])  # enums, and their values
    carried: tuple[Carried, ...] = ()  # what stands on the one column that is replaced by another one


@dataclass(frozen=True, slots=True)
class Draft:
    """What a kind of change writes: the shape, and what upgrade() and downgrade() do with it.

    `shape` is Python, such as `Columns(...)`; `imports` are what it needs, one line each.
    """

    shape: str
    imports: tuple[str, ...]
    about: str  # the first line of the revision's docstring
    more: tuple[str, ...] = ()  # further lines of it: what to look at before it is run
    findings: tuple[Finding, ...] = ()
    upgrade: str = "changes.expand(change, shape)"
    downgrade: str = "changes.undo(change, shape)"


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of change: `needs` and `takes` name fields of Wanted; the table is needed unless it says otherwise."""

    name: str
    about: str
    needs: tuple[str, ...]
    takes: tuple[str, ...]
    write: Callable[[Wanted, Known], Draft]
    example: str = ""


def near(name: str, others: Mapping[str, object] | tuple[str, ...]) -> str:
    found = get_close_matches(name, list(others), _NEAR, 0.5)
    if found:
        return f"; near it: {', '.join(found)}"
    every = sorted(others)
    more = f" and {len(every) - _MOST_TOLD} more" if len(every) > _MOST_TOLD else ""
    return f"; there are: {', '.join(every[:_MOST_TOLD])}{more}" if every else "; there is none"
