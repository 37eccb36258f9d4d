"""Reads expressions, from the loosest operator to the tightest."""

from collections.abc import Callable
from typing import Final

from dbops.sandbox.emulators.cosmos.sql.cursor import Cursor
from dbops.sandbox.emulators.cosmos.sql.problems import Unsupported
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
)
from dbops.sandbox.emulators.cosmos.sql.values import UNDEFINED

ReadSelect = Callable[[Cursor], Select]

# The published grammar binds || more loosely than =, SQL more tightly: beside another operator either may be meant.
_MIXED: Final = "|| beside another operator without parentheses"
_TIGHTNESS: Final = {
    "||": 1,
    "|": 2,
    "^": 3,
    "&": 4,
    "=": 5,
    "!=": 5,
    "<>": 5,
    "<": 6,
    "<=": 6,
    ">": 6,
    ">=": 6,
    "<<": 7,
    ">>": 7,
    ">>>": 7,
    "+": 8,
    "-": 8,
    "*": 9,
    "/": 9,
    "%": 9,
}
_BITWISE: Final = frozenset({"|", "^", "&", "<<", ">>", ">>>", "~"})
_LITERALS: Final = {"TRUE": True, "FALSE": False, "NULL": None, "UNDEFINED": UNDEFINED}


def expression(words: Cursor, select: ReadSelect) -> Expression:
    condition = _or(words, select)
    while words.took("??"):
        condition = Binary("??", condition, _or(words, select))
    if not words.took("?"):
        return condition
    then = expression(words, select)
    words.expect(":")
    return Conditional(condition, then, expression(words, select))


def _or(words: Cursor, select: ReadSelect) -> Expression:
    operands = [_and(words, select)]
    while words.took("OR"):
        operands.append(_and(words, select))
    return _balanced("OR", operands)


def _and(words: Cursor, select: ReadSelect) -> Expression:
    operands = [_predicate(words, select)]
    while words.took("AND"):
        operands.append(_predicate(words, select))
    return _balanced("AND", operands)


def _balanced(operator: str, operands: list[Expression]) -> Expression:
    """Long chains are common and these operators associative: a flat tree stays within the stack."""
    if len(operands) == 1:
        return operands[0]
    half = len(operands) // 2
    return Binary(operator, _balanced(operator, operands[:half]), _balanced(operator, operands[half:]))


def _predicate(words: Cursor, select: ReadSelect) -> Expression:
    value = _binary(words, select, 1)
    negated = words.sees("NOT") and words.next_word.text in {"IN", "BETWEEN", "LIKE"} and words.took("NOT")
    if words.sees("IN", "BETWEEN", "LIKE"):
        _refuse_bare_not(value)
    if words.took("IN"):
        words.expect("(")
        return In(value, _list(words, select, ")"), negated)
    if words.took("BETWEEN"):
        low = _binary(words, select, 1)
        words.expect("AND")
        return Between(value, low, _binary(words, select, 1), negated)
    if words.took("LIKE"):
        pattern = _binary(words, select, 1)
        escape = _binary(words, select, 1) if words.took_word("ESCAPE") else None
        return Like(value, pattern, escape, negated)
    return value


def _binary(words: Cursor, select: ReadSelect, tightness: int) -> Expression:
    left = _unary(words, select)
    last = None
    while words.word.kind == "operator" and _TIGHTNESS.get(words.word.text, 0) >= tightness:
        operator = words.take().text
        if operator in _BITWISE:
            raise Unsupported(f"bitwise operator {operator}")
        if last is not None and "||" in {operator, last} and operator != last:
            raise Unsupported(_MIXED)
        _refuse_bare_not(left)
        right = _unary(words, select) if operator == "||" else _binary(words, select, _TIGHTNESS[operator] + 1)
        left, last = Binary("!=" if operator == "<>" else operator, left, right), operator
    return left


def _refuse_bare_not(left: Expression) -> None:
    # The published grammar binds NOT to the value, SQL to the comparison: one of them would answer wrongly.
    if isinstance(left, Unary) and left.operator == "NOT":
        raise Unsupported("NOT before a comparison without parentheses")


def _unary(words: Cursor, select: ReadSelect) -> Expression:
    if words.took("NOT"):
        return Unary("NOT", _unary(words, select))
    for operator in ("-", "+"):
        if words.took(operator):
            operand = _unary(words, select)
            _refuse_bare_not(operand)
            return Unary(operator, operand)
    if words.sees("~"):
        raise Unsupported("bitwise operator ~")
    return _members(words, select, _primary(words, select))


def _members(words: Cursor, select: ReadSelect, of: Expression) -> Expression:
    while True:
        if words.took("."):
            of = Member(of, Constant(words.name()))
        elif words.took("["):
            of = Member(of, expression(words, select))
            words.expect("]")
        else:
            return of


def _primary(words: Cursor, select: ReadSelect) -> Expression:
    word = words.word
    match word.kind:
        case "number" | "string":
            return Constant(words.take().value)
        case "parameter":
            return Parameter(words.take().text)
        case "name":
            words.take()
            return _call(words, select, word.text) if words.took("(") else Name(word.text)
        case "keyword":
            return _keyword(words, select)
        case _:
            return _bracketed(words, select)


def _keyword(words: Cursor, select: ReadSelect) -> Expression:
    word = words.word
    if word.text in _LITERALS:
        words.take()
        return Constant(_LITERALS[word.text])
    if word.text in {"LEFT", "RIGHT"} and words.next_word.text == "(":
        words.take()
        words.take()
        return _call(words, select, word.text)
    if word.text in {"EXISTS", "ARRAY"}:
        words.take()
        words.expect("(")
        return _subquery(words, select, word.text.lower())
    if word.text == "UDF":
        raise Unsupported("user-defined functions")
    raise words.wrong("an expression was expected")


def _bracketed(words: Cursor, select: ReadSelect) -> Expression:
    if words.took("("):
        if words.sees("SELECT"):
            return _subquery(words, select, "scalar")
        inner = expression(words, select)
        words.expect(")")
        # Parentheses say what NOT belongs to; the wrapper remembers that they were there.
        return Unary("()", inner) if isinstance(inner, Unary) and inner.operator == "NOT" else inner
    if words.took("["):
        return ArrayLiteral(_list(words, select, "]"))
    if words.took("{"):
        return _object(words, select)
    raise words.wrong("an expression was expected")


def _subquery(words: Cursor, select: ReadSelect, kind: str) -> Expression:
    inner = select(words)
    words.expect(")")
    return Subquery(kind, inner)


def _call(words: Cursor, select: ReadSelect, name: str) -> Expression:
    return Call(name.upper(), _list(words, select, ")"))


def _list(words: Cursor, select: ReadSelect, end: str) -> tuple[Expression, ...]:
    items: list[Expression] = []
    if words.took(end):
        return ()
    while True:
        items.append(expression(words, select))
        if words.took(end):
            return tuple(items)
        words.expect(",")


def _object(words: Cursor, select: ReadSelect) -> Expression:
    properties: list[tuple[str, Expression]] = []
    if words.took("}"):
        return ObjectLiteral(())
    while True:
        if words.word.kind not in {"string", "name"}:
            raise words.wrong("a property name was expected")
        name = words.take().value
        words.expect(":")
        properties.append((name, expression(words, select)))
        if words.took("}"):
            return ObjectLiteral(tuple(properties))
        words.expect(",")
