"""A filter's tree becomes an SQL condition, after everything that the service would refuse was refused.

The service knows two truth values: a comparison with a missing value is false, except `ne`. SQL has three. Where
nothing negates, unknown is as good as false; so only what is below a `not` is made definite.
"""

import math
from dataclasses import dataclass, field
from typing import Any, assert_never

import orjson

from dbops.sandbox.emulators.search.query import lambdas, matching
from dbops.sandbox.emulators.search.query.fields import (
    BOOLEAN,
    COMPLEX,
    DATE,
    DOUBLE,
    GEO,
    INTEGERS,
    STRING,
    Field,
)
from dbops.sandbox.emulators.search.query.parser import parse
from dbops.sandbox.emulators.search.query.refusal import Invalid, Unsupported
from dbops.sandbox.emulators.search.query.table import Table, column
from dbops.sandbox.emulators.search.query.tree import (
    And,
    Compare,
    Constant,
    Every,
    Expression,
    In,
    Literal,
    Matches,
    Not,
    Or,
    Path,
    Truth,
)
from dbops.sandbox.emulators.search.query.values import NAN, encode

_SQL = {"gt": ">", "ge": ">=", "lt": "<", "le": "<="}
_KINDS = {
    "eq": "Equal",
    "ne": "NotEqual",
    "gt": "GreaterThan",
    "ge": "GreaterThanOrEqual",
    "lt": "LessThan",
    "le": "LessThanOrEqual",
}
_BEHIND = "\r\nParameter name: $filter"


def condition(table: Table, text: str) -> tuple[str, list[Any]]:
    """Give the condition on rows `d` that a filter means, and its values."""
    compiler = _Compiler(table)
    sql = compiler.compile(parse(text), None)
    return sql, compiler.values


@dataclass(frozen=True, slots=True)
class _Scope:
    """Inside any or all: only the range variable can be referred to."""

    variable: str
    element: Field
    alias: str


@dataclass(slots=True)
class _Compiler:
    table: Table
    values: list[Any] = field(default_factory=list[Any])
    aliases: int = 0

    def compile(self, expression: Expression, scope: _Scope | None) -> str:
        match expression:
            case Constant(value):
                return "1" if value else "0"
            case Not(part):
                return f"NOT ifnull({self.compile(part, scope)}, 0)"
            case And(parts):
                return _joined("AND", [self.compile(part, scope) for part in parts])
            case Or(parts):
                return _joined("OR", [self.compile(part, scope) for part in parts])
            case Truth(path):
                return self._truth(path, scope)
            case In(path, wanted):
                return self._in(path, wanted, scope)
            case Compare():
                return self._compare(expression, scope)
            case Every():
                return self._every(expression, scope)
            case Matches():
                return self._matches(expression, scope)
            case _:
                assert_never(expression)

    def _truth(self, path: Path, scope: _Scope | None) -> str:
        at, sql = self._simple(path, scope)
        if at.type != BOOLEAN:
            raise Invalid(
                "Invalid expression: The $filter expression must evaluate to a single boolean value."
                f" '{'/'.join(path)}' is of type '{at.type}'.{_BEHIND}"
            )
        return f"{sql} = 1"

    def _in(self, path: Path, wanted: tuple[str, ...], scope: _Scope | None) -> str:
        at, sql = self._simple(path, scope)
        if at.type != STRING:
            raise Invalid(
                f"Invalid expression: search.in works on strings, and '{at.path}' is of type '{at.type}'.{_BEHIND}"
            )
        # One value in JSON, however many there are: SQLite counts its parameters.
        self.values.append(orjson.dumps(wanted).decode())
        return f"{sql} IN (SELECT value FROM json_each(?))"  # noqa: S608

    def _compare(self, asked: Compare, scope: _Scope | None) -> str:
        at, sql = self._simple(asked.path, scope)
        value = _comparable(at, asked)
        if asked.operator in ("eq", "ne"):
            if value == NAN and at.type == DOUBLE:
                return "1" if asked.operator == "ne" else "0"
            self.values.append(value)
            return f"{sql} IS ?" if asked.operator == "eq" else f"{sql} IS NOT ?"
        if at.type != DOUBLE:
            self.values.append(value)
            return f"{sql} {_SQL[asked.operator]} ?"
        if value == NAN:
            return "0"
        self.values.append(value)
        if asked.operator in ("lt", "le"):
            return f"{sql} {_SQL[asked.operator]} ?"
        # NaN is stored as a text, and every text is greater than every number.
        again = self._again(asked.path, scope)
        return f"({sql} {_SQL[asked.operator]} ? AND {again} < '')"

    def _matches(self, asked: Matches, scope: _Scope | None) -> str:
        if scope is not None:
            raise Invalid(
                f"The function 'ismatch' has no parameters bound to the range variable '{scope.variable}'. Only bound"
                f" field references are supported inside lambda expressions ('any' or 'all').{_BEHIND}"
            )
        sql, values = matching.condition(
            self.table, asked.text, fields=asked.fields, syntax=asked.syntax, mode=asked.mode
        )
        self.values.extend(values)
        return sql

    def _every(self, asked: Every, scope: _Scope | None) -> str:
        at, place, inside = self._field(asked.path, scope)
        is_element = scope is not None and len(asked.path) == 1
        if not at.collection or is_element or at.dimensions is not None:
            raise Invalid(
                f"Invalid expression: any and all work on collections, and '{at.path}' is of type"
                f" '{at.told_type}'.{_BEHIND}"
            )
        if at.type == GEO:
            raise Unsupported("filters on collections of geography points")
        if at.type != COMPLEX:
            _must_be_filterable(at)
        self.aliases += 1
        name = f"e{self.aliases}"
        rows = f"json_each({place}.value, {_json_path(inside)})" if inside else f"json_each({place})"
        body = self.compile(asked.body, _Scope(asked.variable, at, name))
        if at.type != COMPLEX:
            lambdas.check(at, asked)
        if asked.each:
            return f"NOT EXISTS (SELECT 1 FROM {rows} {name} WHERE NOT ifnull({body}, 0))"  # noqa: S608
        return f"EXISTS (SELECT 1 FROM {rows} {name} WHERE {body})"  # noqa: S608

    # -- fields

    def _field(self, path: Path, scope: _Scope | None) -> tuple[Field, str, list[str]]:
        """Find a field: it, the column or alias it lies in, and the way inside that."""
        if scope is None:
            at = _walked(self.table.schema.fields, path, "search.document")
            return at, f"d.{column(at)}", []
        if path[0] != scope.variable:
            raise Invalid(
                f"Invalid expression: '{'/'.join(path)}' is not bound to the range variable '{scope.variable}'. Only"
                f" bound field references are supported inside lambda expressions ('any' or 'all').{_BEHIND}"
            )
        if len(path) == 1:
            return scope.element, scope.alias, []
        at = _walked(scope.element.children, path[1:], scope.element.path)
        return at, scope.alias, list(path[1:])

    def _simple(self, path: Path, scope: _Scope | None) -> tuple[Field, str]:
        at, place, inside = self._field(path, scope)
        is_element = scope is not None and len(path) == 1
        if at.type == COMPLEX or (at.collection and not is_element):
            raise Invalid(
                f"Invalid expression: '{'/'.join(path)}' is of type '{at.told_type}' and cannot be compared.{_BEHIND}"
            )
        if at.type == GEO:
            raise Unsupported("comparisons of geography points")
        _must_be_filterable(at)
        if scope is None:
            return at, place
        return at, f"json_extract({place}.value, {_json_path(inside)})" if inside else f"{place}.value"

    def _again(self, path: Path, scope: _Scope | None) -> str:
        return self._simple(path, scope)[1]


def _walked(fields: tuple[Field, ...], path: Path, kind: str) -> Field:
    at: Field | None = None
    for name in path:
        if at is not None and at.collection:
            raise Invalid(f"Invalid expression: '{at.path}' is a collection: any and all reach its parts.{_BEHIND}")
        found = next((one for one in fields if one.name == name), None)
        if found is None:
            within = at.path if at else kind
            raise Invalid(f"Invalid expression: Could not find a property named '{name}' on type '{within}'.{_BEHIND}")
        at, fields = found, found.children
    if at is None:  # a path has a part: the parser saw to it
        raise AssertionError
    return at


def _must_be_filterable(at: Field) -> None:
    if not at.filterable:
        raise Invalid(
            f"Invalid expression: '{at.path}' is not a filterable field. Only filterable fields can be used in filter"
            f" expressions.{_BEHIND}"
        )
    at.must_be_exact()


def _comparable(at: Field, asked: Compare) -> int | str | float | None:
    literal = asked.literal
    ranged = asked.operator in _SQL
    numeric = (DOUBLE, *INTEGERS)
    fits = (
        literal.kind == at.type
        or (at.type in numeric and literal.kind in numeric)
        or (literal.kind == "null" and not ranged)
    )
    if not fits or (ranged and at.type == BOOLEAN):
        raise Invalid(
            "Invalid expression: A binary operator with incompatible types was detected. Found operand types"
            f" '{at.type}' and '{literal.kind}' for operator kind '{_KINDS[asked.operator]}'.{_BEHIND}"
        )
    if literal.value is None:
        return None
    if at.type in INTEGERS:
        return _for_integer(at, literal)
    if at.type == DATE:
        return encode(DATE, literal.value)
    return encode(at.type, literal.value)


def _for_integer(at: Field, literal: Literal) -> int | float:
    value = literal.value
    if not isinstance(value, int | float):
        raise AssertionError(literal)  # noqa: TRY004  # the types were compared
    if not math.isfinite(value):
        raise Invalid(f"Invalid expression: '{at.path}' of type '{at.type}' cannot be compared to {value}.{_BEHIND}")
    return value


def _json_path(names: list[str]) -> str:
    return "'$" + "".join(f'."{name}"' for name in names) + "'"


def _joined(word: str, parts: list[str]) -> str:
    """Join as a balanced tree: SQLite takes no expression deeper than 1,000."""
    if len(parts) == 1:
        return parts[0]
    middle = len(parts) // 2
    return f"({_joined(word, parts[:middle])} {word} {_joined(word, parts[middle:])})"
