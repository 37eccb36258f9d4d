"""Turns expressions into closures over rows: the tree is walked once, not once for each document."""

from collections.abc import Callable
from typing import assert_never

from dbops.sandbox.emulators.cosmos.sql import aggregates, closures, operators
from dbops.sandbox.emulators.cosmos.sql.closures import Stream
from dbops.sandbox.emulators.cosmos.sql.functions import ABSENT, CLOCKS, FUNCTIONS
from dbops.sandbox.emulators.cosmos.sql.problems import Invalid, Unsupported
from dbops.sandbox.emulators.cosmos.sql.render import text_of
from dbops.sandbox.emulators.cosmos.sql.scope import Evaluate, Scope
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
from dbops.sandbox.emulators.cosmos.sql.values import identity

CompileSelect = Callable[[Select, Scope], Stream]


class Expressions:
    """Compiles expressions; `select` compiles the queries within them."""

    __slots__ = ("select",)

    def __init__(self, select: CompileSelect) -> None:
        self.select = select

    def compile(self, expression: Expression, scope: Scope) -> Evaluate:
        value = self._compile(expression, scope)
        if _is_fixed(expression) and not isinstance(expression, Constant | Parameter):
            return closures.fixed(value(()))
        return value

    def _compile(self, expression: Expression, scope: Scope) -> Evaluate:
        match expression:
            case Constant(value):
                return closures.fixed(value)
            case Parameter(name):
                return closures.fixed(scope.parameter(name))
            case Name(name):
                return closures.slot(scope.slot(name))
            case Member():
                return self._member(expression, scope)
            case Unary(operator, operand):
                return closures.signed(operator, self.compile(operand, scope))
            case Binary():
                return self._binary(expression, scope)
            case Conditional(condition, then, otherwise):
                return closures.conditional(*(self.compile(one, scope) for one in (condition, then, otherwise)))
            case In():
                return self._in(expression, scope)
            case Between():
                return self._between(expression, scope)
            case Like():
                return self._like(expression, scope)
            case Call():
                return self._call(expression, scope)
            case ArrayLiteral(items):
                return closures.array([self.compile(item, scope) for item in items])
            case ObjectLiteral(properties):
                return closures.record([(name, self.compile(value, scope)) for name, value in properties])
            case Subquery(kind, select):
                return closures.subquery(kind, self.select(select, scope))
            case _:
                assert_never(expression)

    def _member(self, member: Member, scope: Scope) -> Evaluate:
        of = self.compile(member.of, scope)
        if isinstance(member.key, Constant) and isinstance(member.key.value, str):
            key = member.key.value
            if isinstance(member.of, Name):
                return closures.property_of_slot(scope.slot(member.of.name), key)
            return closures.property_of(of, key)
        return closures.item_of(of, self.compile(member.key, scope))

    def _binary(self, binary: Binary, scope: Scope) -> Evaluate:
        left, right = self.compile(binary.left, scope), self.compile(binary.right, scope)
        match binary.operator:
            case "AND":
                return closures.both(left, right)
            case "OR":
                return closures.either(left, right)
            case "??":
                return closures.coalesce(left, right)
            case "=" if _is_fixed(binary.right):
                return closures.equals_constant(left, right(()))
            case "=" if _is_fixed(binary.left):
                return closures.equals_constant(right, left(()))
            case operator:
                return closures.of_two(operators.BINARY[operator], left, right)

    def _in(self, expression: In, scope: Scope) -> Evaluate:
        value = self.compile(expression.value, scope)
        items = [self.compile(item, scope) for item in expression.items]
        if all(map(_is_fixed, expression.items)):
            wanted = frozenset(identity(item(())) for item in items)
            return closures.in_constants(value, wanted, negated=expression.negated)
        return closures.in_values(value, items, negated=expression.negated)

    def _between(self, expression: Between, scope: Scope) -> Evaluate:
        at_least = self._binary(Binary(">=", expression.value, expression.low), scope)
        at_most = self._binary(Binary("<=", expression.value, expression.high), scope)
        inside = closures.both(at_least, at_most)
        return closures.turned(inside) if expression.negated else inside

    def _like(self, expression: Like, scope: Scope) -> Evaluate:
        value, pattern = self.compile(expression.value, scope), self.compile(expression.pattern, scope)
        if expression.escape is not None and not _is_fixed(expression.escape):
            raise Invalid("ESCAPE wants a constant.")
        escape = None if expression.escape is None else self.compile(expression.escape, scope)(())
        if escape is not None and (not isinstance(escape, str) or len(escape) != 1):
            raise Invalid("ESCAPE wants a string of one character.")
        found = closures.matches(value, pattern, escape)
        return closures.turned(found) if expression.negated else found

    def _call(self, call: Call, scope: Scope) -> Evaluate:
        if call.name in aggregates.AGGREGATES:
            if scope.aggregates is None:
                raise Invalid(f"The aggregate {call.name} is not allowed in this place.")
            return closures.slot(scope.aggregates[text_of(call)])
        if call.name in CLOCKS:
            return closures.fixed(CLOCKS[call.name](scope.now()))
        if call.name in ABSENT or call.name.startswith("ST_"):
            raise Unsupported(call.name)
        function = FUNCTIONS.get(call.name)
        if function is None:
            raise Invalid(f"'{call.name}' is not a recognized built-in function name.")
        if not function.least <= len(call.arguments) <= function.most:
            raise Invalid(f"The {call.name} function requires {function.least} to {function.most} argument(s).")
        return closures.applied(function.call, [self.compile(one, scope) for one in call.arguments])


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
