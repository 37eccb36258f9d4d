"""A query as data: what the parser builds, and the compiler and the renderer read."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Constant:
    value: Any


@dataclass(frozen=True, slots=True)
class Parameter:
    name: str  # with its @


@dataclass(frozen=True, slots=True)
class Name:
    name: str


@dataclass(frozen=True, slots=True)
class Member:
    of: "Expression"
    key: "Expression"


@dataclass(frozen=True, slots=True)
class Unary:
    operator: str
    operand: "Expression"


@dataclass(frozen=True, slots=True)
class Binary:
    operator: str
    left: "Expression"
    right: "Expression"


@dataclass(frozen=True, slots=True)
class Conditional:
    condition: "Expression"
    then: "Expression"
    otherwise: "Expression"


@dataclass(frozen=True, slots=True)
class In:
    value: "Expression"
    items: tuple["Expression", ...]
    negated: bool


@dataclass(frozen=True, slots=True)
class Between:
    value: "Expression"
    low: "Expression"
    high: "Expression"
    negated: bool


@dataclass(frozen=True, slots=True)
class Like:
    value: "Expression"
    pattern: "Expression"
    escape: "Expression | None"
    negated: bool


@dataclass(frozen=True, slots=True)
class Call:
    name: str  # upper case
    arguments: tuple["Expression", ...]


@dataclass(frozen=True, slots=True)
class ArrayLiteral:
    items: tuple["Expression", ...]


@dataclass(frozen=True, slots=True)
class ObjectLiteral:
    properties: tuple[tuple[str, "Expression"], ...]


@dataclass(frozen=True, slots=True)
class Subquery:
    """A query within an expression: its only result, all of them as an array, or whether there is one."""

    kind: str  # scalar, array, exists
    select: "Select"


Expression = (
    Constant
    | Parameter
    | Name
    | Member
    | Unary
    | Binary
    | Conditional
    | In
    | Between
    | Like
    | Call
    | ArrayLiteral
    | ObjectLiteral
    | Subquery
)


@dataclass(frozen=True, slots=True)
class Column:
    value: Expression
    alias: str | None


@dataclass(frozen=True, slots=True)
class Source:
    """One part of FROM: a path, or a subquery; `each` walks over the items of an array."""

    of: "Expression | Select"
    alias: str | None
    each: bool


@dataclass(frozen=True, slots=True)
class Ordering:
    by: Expression
    descending: bool


@dataclass(frozen=True, slots=True)
class Select:
    columns: tuple[Column, ...]  # none: *
    is_value: bool
    distinct: bool
    top: Expression | None
    sources: tuple[Source, ...]
    where: Expression | None
    group: tuple[Expression, ...]
    order: tuple[Ordering, ...]
    offset: Expression | None
    limit: Expression | None

    @property
    def is_star(self) -> bool:
        return not self.columns


def children(expression: Expression) -> tuple[Expression, ...]:
    """The expressions within one, subqueries left alone."""
    match expression:
        case Member(of, key):
            return (of, key)
        case Unary(_, operand):
            return (operand,)
        case Binary(_, left, right):
            return (left, right)
        case Conditional(condition, then, otherwise):
            return (condition, then, otherwise)
        case In(value, items, _):
            return (value, *items)
        case Between(value, low, high, _):
            return (value, low, high)
        case Like(value, pattern, escape, _):
            return (value, pattern) if escape is None else (value, pattern, escape)
        case Call(_, items) | ArrayLiteral(items):
            return items
        case ObjectLiteral(properties):
            return tuple(value for _, value in properties)
        case Constant() | Parameter() | Name() | Subquery():
            return ()


def path(expression: Expression) -> tuple[str | int, ...] | None:
    """The alias and the steps of a plain property path, or None for anything else."""
    match expression:
        case Name(name):
            return (name,)
        case Member(of, Constant(key)) if key.__class__ in {str, int}:
            before = path(of)
            return None if before is None else (*before, key)
        case _:
            return None
