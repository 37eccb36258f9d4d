"""A filter as data: what the parser makes and SQL is made of."""

from dataclasses import dataclass
from typing import Literal as Only

Operator = Only["eq", "ne", "gt", "ge", "lt", "le"]
Kind = Only["Edm.String", "Edm.Int32", "Edm.Int64", "Edm.Double", "Edm.Boolean", "Edm.DateTimeOffset", "null"]
Path = tuple[str, ...]  # names of fields; the first can be a range variable


@dataclass(frozen=True, slots=True)
class Literal:
    kind: Kind
    value: str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Compare:
    operator: Operator
    path: Path
    literal: Literal


@dataclass(frozen=True, slots=True)
class Truth:
    """A boolean field on its own."""

    path: Path


@dataclass(frozen=True, slots=True)
class Constant:
    value: bool


@dataclass(frozen=True, slots=True)
class In:
    path: Path
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Matches:
    """search.ismatch: full text as a condition, without a score."""

    text: str
    fields: str = ""
    syntax: str = "simple"
    mode: str = "any"


@dataclass(frozen=True, slots=True)
class Not:
    part: "Expression"


@dataclass(frozen=True, slots=True)
class And:
    parts: "tuple[Expression, ...]"


@dataclass(frozen=True, slots=True)
class Or:
    parts: "tuple[Expression, ...]"


@dataclass(frozen=True, slots=True)
class Every:
    """`any` and `all`: `any` without a variable asks whether there is an element."""

    path: Path
    each: bool  # all, not any
    variable: str
    body: "Expression"


Expression = Compare | Truth | Constant | In | Matches | Not | And | Or | Every
