"""Turns expressions into closures over rows: the tree is walked once, not once for each document."""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, Final, assert_never

from dbops.sandbox.emulators.cosmos.sql import aggregates, operators, strings
from dbops.sandbox.emulators.cosmos.sql.functions import ABSENT, CLOCKS, FUNCTIONS
from dbops.sandbox.emulators.cosmos.sql.problems import Invalid, Unsupported
from dbops.sandbox.emulators.cosmos.sql.render import text_of
from dbops.sandbox.emulators.cosmos.sql.scope import Evaluate, Row, Scope
from dbops.sandbox.emulators.cosmos.sql.tree import (
    ArrayLiteral,
    Between,
    Binary,
    Call,
    Conditional,
    Constant,
    Expression,
    In,
    Like,
    Member,
    Name,
    ObjectLiteral,
    Parameter,
    Select,
    Subquery,
    Unary,
    children,
)
from dbops.sandbox.emulators.cosmos.sql.values import UNDEFINED, identity, is_number, number, same

Stream = Callable[[Iterable[Row]], Iterator[Any]]
CompileSelect = Callable[[Select, Scope], Stream]


class Expressions:
    """Compiles expressions; `select` compiles the queries within them."""

    __slots__ = ("select",)

    def __init__(self, select: CompileSelect) -> None:
        self.select = select

    def compile(self, expression: Expression, scope: Scope) -> Evaluate:
        value = self._compile(expression, scope)
        if _is_fixed(expression) and not isinstance(expression, Constant | Parameter):
            return _constant(value(()))
        return value

    def _compile(self, expression: Expression, scope: Scope) -> Evaluate:
        match expression:
            case Constant(value):
                return _constant(value)
            case Parameter(name):
                return _constant(scope.parameter(name))
            case Name(name):
                return slot(scope.slot(name))
            case Member():
                return self._member(expression, scope)
            case Unary(operator, operand):
                return _unary(operator, self.compile(operand, scope))
            case Binary():
                return self._binary(expression, scope)
            case Conditional(condition, then, otherwise):
                return _conditional(*(self.compile(one, scope) for one in (condition, then, otherwise)))
            case In():
                return self._in(expression, scope)
            case Between():
                return self._between(expression, scope)
            case Like():
                return self._like(expression, scope)
            case Call():
                return self._call(expression, scope)
            case ArrayLiteral(items):
                return _array([self.compile(item, scope) for item in items])
            case ObjectLiteral(properties):
                return record([(name, self.compile(value, scope)) for name, value in properties])
            case Subquery(kind, select):
                return _subquery(kind, self.select(select, scope))
            case _:
                assert_never(expression)

    def _member(self, member: Member, scope: Scope) -> Evaluate:
        of = self.compile(member.of, scope)
        if isinstance(member.key, Constant) and isinstance(member.key.value, str):
            key = member.key.value
            return _property_of_slot(scope.slot(member.of.name), key) if isinstance(member.of, Name) else _get(of, key)
        return _index(of, self.compile(member.key, scope))

    def _binary(self, binary: Binary, scope: Scope) -> Evaluate:
        left, right = self.compile(binary.left, scope), self.compile(binary.right, scope)
        match binary.operator:
            case "AND":
                return _and(left, right)
            case "OR":
                return _or(left, right)
            case "??":
                return _coalesce(left, right)
            case "=" if _is_fixed(binary.right):
                return _equals_constant(left, right(()))
            case "=" if _is_fixed(binary.left):
                return _equals_constant(right, left(()))
            case operator:
                return _both(operators.BINARY[operator], left, right)

    def _in(self, expression: In, scope: Scope) -> Evaluate:
        value = self.compile(expression.value, scope)
        items = [self.compile(item, scope) for item in expression.items]
        if all(map(_is_fixed, expression.items)):
            return _in_constants(value, frozenset(identity(item(())) for item in items), negated=expression.negated)
        return _in_values(value, items, negated=expression.negated)

    def _between(self, expression: Between, scope: Scope) -> Evaluate:
        at_least = self._binary(Binary(">=", expression.value, expression.low), scope)
        at_most = self._binary(Binary("<=", expression.value, expression.high), scope)
        inside = _and(at_least, at_most)
        return _not(inside) if expression.negated else inside

    def _like(self, expression: Like, scope: Scope) -> Evaluate:
        value, pattern = self.compile(expression.value, scope), self.compile(expression.pattern, scope)
        if expression.escape is not None and not _is_fixed(expression.escape):
            raise Invalid("ESCAPE wants a constant.")
        escape = None if expression.escape is None else self.compile(expression.escape, scope)(())
        if escape is not None and (not isinstance(escape, str) or len(escape) != 1):
            raise Invalid("ESCAPE wants a string of one character.")
        matches = _like(value, pattern, escape)
        return _not(matches) if expression.negated else matches

    def _call(self, call: Call, scope: Scope) -> Evaluate:
        if call.name in aggregates.AGGREGATES:
            if scope.aggregates is None:
                raise Invalid(f"The aggregate {call.name} is not allowed in this place.")
            return slot(scope.aggregates[text_of(call)])
        if call.name in CLOCKS:
            return _constant(CLOCKS[call.name](scope.now()))
        if call.name in ABSENT or call.name.startswith("ST_"):
            raise Unsupported(call.name)
        function = FUNCTIONS.get(call.name)
        if function is None:
            raise Invalid(f"'{call.name}' is not a recognized built-in function name.")
        if not function.least <= len(call.arguments) <= function.most:
            raise Invalid(f"The {call.name} function requires {function.least} to {function.most} argument(s).")
        return _apply(function.call, [self.compile(one, scope) for one in call.arguments])


def _is_fixed(expression: Expression) -> bool:
    match expression:
        case Constant() | Parameter():
            return True
        case Name() | Subquery():
            return False
        case Call(name, _) if name in aggregates.AGGREGATES:
            return False
        case _:
            return all(map(_is_fixed, children(expression)))


def _constant(value: Any) -> Evaluate:
    return lambda _row: value


def slot(place: int) -> Evaluate:
    return lambda row: row[place]


def _property_of_slot(place: int, key: str) -> Evaluate:
    def get(row: Row) -> Any:
        whole = row[place]
        return whole.get(key, UNDEFINED) if whole.__class__ is dict else UNDEFINED

    return get


def _get(of: Evaluate, key: str) -> Evaluate:
    def get(row: Row) -> Any:
        whole = of(row)
        return whole.get(key, UNDEFINED) if whole.__class__ is dict else UNDEFINED

    return get


def _index(of: Evaluate, key: Evaluate) -> Evaluate:
    def get(row: Row) -> Any:
        whole, at = of(row), key(row)
        if whole.__class__ is dict and at.__class__ is str:
            return whole.get(at, UNDEFINED)
        if whole.__class__ is list and is_number(at) and 0 <= at < len(whole) and at == int(at):
            return whole[int(at)]
        return UNDEFINED

    return get


def _not(operand: Evaluate) -> Evaluate:
    def turn(row: Row) -> Any:
        value = operand(row)
        return not value if value.__class__ is bool else UNDEFINED

    return turn


def _unary(operator: str, operand: Evaluate) -> Evaluate:
    if operator == "NOT":
        return _not(operand)
    if operator == "()":
        return operand
    sign = -1 if operator == "-" else 1

    def signed(row: Row) -> Any:
        value = operand(row)
        return number(sign * value) if is_number(value) else UNDEFINED

    return signed


def _and(left: Evaluate, right: Evaluate) -> Evaluate:
    def both(row: Row) -> Any:
        first = left(row)
        if first is False:
            return False
        second = right(row)
        if first is True and second is True:
            return True
        return False if second is False else UNDEFINED

    return both


def _or(left: Evaluate, right: Evaluate) -> Evaluate:
    def either(row: Row) -> Any:
        first = left(row)
        if first is True:
            return True
        second = right(row)
        if second is True:
            return True
        return False if first is False and second is False else UNDEFINED

    return either


def _coalesce(left: Evaluate, right: Evaluate) -> Evaluate:
    def first_defined(row: Row) -> Any:
        value = left(row)
        return right(row) if value is UNDEFINED else value

    return first_defined


def _conditional(condition: Evaluate, then: Evaluate, otherwise: Evaluate) -> Evaluate:
    return lambda row: then(row) if condition(row) is True else otherwise(row)


def _both(operator: Callable[[Any, Any], Any], left: Evaluate, right: Evaluate) -> Evaluate:
    return lambda row: operator(left(row), right(row))


def _equals_constant(of: Evaluate, constant: Any) -> Evaluate:
    """The commonest condition by far, without the detour over types where Python's == is exact."""
    if constant is UNDEFINED:
        return _constant(UNDEFINED)

    def equals(row: Row) -> Any:
        value = of(row)
        return UNDEFINED if value is UNDEFINED else value == constant

    def equals_singleton(row: Row) -> Any:
        value = of(row)
        return UNDEFINED if value is UNDEFINED else value is constant

    def equals_any(row: Row) -> Any:
        value = of(row)
        return UNDEFINED if value is UNDEFINED else same(value, constant)

    if isinstance(constant, str):
        return equals
    return equals_singleton if constant is None or isinstance(constant, bool) else equals_any


def _in_constants(of: Evaluate, wanted: frozenset[Any], *, negated: bool) -> Evaluate:
    def check(row: Row) -> Any:
        value = of(row)
        return UNDEFINED if value is UNDEFINED else (identity(value) in wanted) is not negated

    return check


def _in_values(of: Evaluate, items: list[Evaluate], *, negated: bool) -> Evaluate:
    def check(row: Row) -> Any:
        value = of(row)
        return UNDEFINED if value is UNDEFINED else any(same(value, item(row)) for item in items) is not negated

    return check


def _like(of: Evaluate, pattern: Evaluate, escape: str | None) -> Evaluate:
    def check(row: Row) -> Any:
        value, wanted = of(row), pattern(row)
        if value.__class__ is not str or wanted.__class__ is not str:
            return UNDEFINED
        return strings.like(wanted, escape).fullmatch(value) is not None

    return check


def _apply(function: Callable[..., Any], arguments: list[Evaluate]) -> Evaluate:
    match arguments:
        case [one]:
            return lambda row: function(one(row))
        case [one, two]:
            return lambda row: function(one(row), two(row))
        case _:
            return lambda row: function(*(argument(row) for argument in arguments))


def _array(items: list[Evaluate]) -> Evaluate:
    return lambda row: [value for item in items if (value := item(row)) is not UNDEFINED]


def record(properties: list[tuple[str, Evaluate]]) -> Evaluate:
    """An object of the properties that are defined."""
    return lambda row: {name: value for name, of in properties if (value := of(row)) is not UNDEFINED}


def _subquery(kind: str, stream: Stream) -> Evaluate:
    def scalar(row: Row) -> Any:
        found = list(islice(stream([row]), 2))
        if len(found) > 1:
            raise Invalid("The cardinality of a scalar subquery result set cannot be greater than one.")
        return found[0] if found else UNDEFINED

    match kind:
        case "exists":
            return lambda row: next(stream([row]), _NOTHING) is not _NOTHING
        case "array":
            return lambda row: list(stream([row]))
        case _:
            return scalar


_NOTHING: Final = object()
