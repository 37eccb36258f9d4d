"""A query back as text: the rewritten queries of a plan are parsed again, range by range."""

from typing import assert_never

import orjson

from dbops.sandbox.emulators.cosmos.sql.lexer import RESERVED
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
    Source,
    Subquery,
    Unary,
    path,
)
from dbops.sandbox.emulators.cosmos.sql.values import UNDEFINED


def text_of(expression: Expression) -> str:
    match expression:
        case Constant(value):
            return "undefined" if value is UNDEFINED else orjson.dumps(value).decode()
        case Parameter(name) | Name(name):
            return name
        case Member(of, Constant(str() as key)) if key.isidentifier() and path(expression) is not None:
            return f"{text_of(of)}[{_quoted(key)}]" if _is_reserved(key) else f"{text_of(of)}.{key}"
        case Member(of, key):
            return f"{text_of(of)}[{text_of(key)}]"
        case Unary("()", operand):
            return text_of(operand)
        case Unary(operator, operand):
            return f"({operator} {text_of(operand)})"
        case Binary(operator, left, right):
            return f"({text_of(left)} {operator} {text_of(right)})"
        case Conditional(condition, then, otherwise):
            return f"({text_of(condition)} ? {text_of(then)} : {text_of(otherwise)})"
        case In(value, items, negated):
            return f"({text_of(value)}{_not(negated)} IN ({_list(items)}))"
        case Between(value, low, high, negated):
            return f"({text_of(value)}{_not(negated)} BETWEEN {text_of(low)} AND {text_of(high)})"
        case Like(value, pattern, escape, negated):
            tail = "" if escape is None else f" ESCAPE {text_of(escape)}"
            return f"({text_of(value)}{_not(negated)} LIKE {text_of(pattern)}{tail})"
        case Call(name, arguments):
            return f"{name}({_list(arguments)})"
        case ArrayLiteral(items):
            return f"[{_list(items)}]"
        case ObjectLiteral(properties):
            return "{" + ", ".join(f"{_quoted(name)}: {text_of(value)}" for name, value in properties) + "}"
        case Subquery(kind, select):
            return f"{'' if kind == 'scalar' else kind.upper()}({text_of_select(select)})"
        case _:
            assert_never(expression)


def text_of_select(select: Select) -> str:
    return text_around(select, text_of_columns(select))


def text_of_columns(select: Select) -> str:
    columns = ", ".join(
        text_of(column.value) + ("" if column.alias is None else f" AS {column.alias}") for column in select.columns
    )
    return f"{'VALUE ' if select.is_value else ''}{columns or '*'}"


def text_around(
    select: Select, columns: str, *, where: str | None = None, span: str | None = None, distinct: bool | None = None
) -> str:
    """The query with other columns, and perhaps with another condition or another OFFSET and LIMIT in place of its own.

    An empty span leaves out TOP, OFFSET and LIMIT.
    """
    parts = ["SELECT"]
    if select.distinct if distinct is None else distinct:
        parts.append("DISTINCT")
    if select.top is not None and span is None:
        parts.append(f"TOP {text_of(select.top)}")
    parts.append(columns)
    if select.sources:
        parts.append("FROM " + " JOIN ".join(map(_source, select.sources)))
    condition = text_of(select.where) if where is None and select.where is not None else where
    if condition is not None:
        parts.append(f"WHERE {condition}")
    if select.group:
        parts.append(f"GROUP BY {_list(select.group)}")
    if select.order:
        by = (f"{text_of(one.by)} {'DESC' if one.descending else 'ASC'}" for one in select.order)
        parts.append(f"ORDER BY {', '.join(by)}")
    if span is not None:
        parts.append(span)
    elif select.offset is not None and select.limit is not None:
        parts.append(f"OFFSET {text_of(select.offset)} LIMIT {text_of(select.limit)}")
    return " ".join(parts).rstrip()


def _source(source: Source) -> str:
    of = f"({text_of_select(source.of)})" if isinstance(source.of, Select) else text_of(source.of)
    if source.each:
        return f"{source.alias} IN {of}"
    return of if source.alias is None or source.alias == of else f"{of} AS {source.alias}"


def _list(items: tuple[Expression, ...]) -> str:
    return ", ".join(map(text_of, items))


def _not(negated: bool) -> str:
    return " NOT" if negated else ""


def _quoted(text: str) -> str:
    return orjson.dumps(text).decode()


def _is_reserved(word: str) -> bool:
    return word.upper() in RESERVED
