"""Turns a whole query into a stream of results over a stream of rows."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

from dbops.sandbox.emulators.cosmos.sql import aggregates
from dbops.sandbox.emulators.cosmos.sql.closures import Stream, record, slot
from dbops.sandbox.emulators.cosmos.sql.compiler import Expressions
from dbops.sandbox.emulators.cosmos.sql.problems import Invalid, Unsupported
from dbops.sandbox.emulators.cosmos.sql.render import text_of
from dbops.sandbox.emulators.cosmos.sql.scope import Evaluate, Row, Scope
from dbops.sandbox.emulators.cosmos.sql.tree import (
    Call,
    Column,
    Constant,
    Expression,
    Member,
    Name,
    Select,
    Source,
    Subquery,
    children,
    path,
)
from dbops.sandbox.emulators.cosmos.sql.values import UNDEFINED, identity, order_key

Rows = Callable[[Iterable[Row]], Iterable[Row]]


def compile_select(select: Select, scope: Scope) -> Stream:
    """A subquery: it starts from the row around it."""
    return compile_over(select, scope, select.sources)


def compile_over(select: Select, scope: Scope, sources: tuple[Source, ...]) -> Stream:
    """A query whose first input may be bound already: `sources` are those left to bind."""
    expressions = Expressions(compile_select)
    steps: list[Rows] = []
    for source in sources:
        steps.append(_source(source, scope, expressions))
        scope = scope.bound(source.alias)
    if select.where is not None:
        if aggregates.calls(select.where):
            raise Invalid("An aggregate may not appear in the WHERE clause.")
        steps.append(_where(expressions.compile(select.where, scope)))
    if is_aggregated(select):
        steps.append(_grouped(select, scope, expressions))
        scope = _after_grouping(select, scope)
    elif select.order:
        steps.append(_ordered(select, scope, expressions))
    project = _projection(select, scope, expressions)
    first, last = window(select, scope)
    return _stream(steps, project, (first, last), distinct=select.distinct)


def _stream(steps: list[Rows], project: Evaluate, span: tuple[int, int | None], *, distinct: bool) -> Stream:
    first, last = span

    def stream(rows: Iterable[Row]) -> Iterator[Any]:
        for step in steps:
            rows = step(rows)
        results = (value for row in rows if (value := project(row)) is not UNDEFINED)
        if distinct:
            results = _distinct(results)
        return results if first == 0 and last is None else islice(results, first, last)

    return stream


def _distinct(results: Iterable[Any]) -> Iterator[Any]:
    seen: set[Any] = set()
    for value in results:
        key = identity(value)
        if key not in seen:
            seen.add(key)
            yield value


def window(select: Select, scope: Scope) -> tuple[int, int | None]:
    """Which results are wanted: from the first to before the last."""
    if select.top is not None:
        return 0, count_of(select.top, scope, "TOP")
    if select.offset is None or select.limit is None:
        return 0, None
    first = count_of(select.offset, scope, "OFFSET")
    return first, first + count_of(select.limit, scope, "LIMIT")


def count_of(expression: Expression, scope: Scope, clause: str) -> int:
    value = expression.value if isinstance(expression, Constant) else scope.parameter(text_of(expression))
    if value.__class__ is not int or not 0 <= value < 2**31:
        raise Invalid(f"The {clause} value must be a whole number that is not negative.")
    return value


def _where(condition: Evaluate) -> Rows:
    return lambda rows: (row for row in rows if condition(row) is True)


def _source(source: Source, scope: Scope, expressions: Expressions) -> Rows:
    if isinstance(source.of, Select):
        stream = compile_select(source.of, scope)
        return lambda rows: ((*row, value) for row in rows for value in stream([row]))
    of = expressions.compile(source.of, scope)

    def each(rows: Iterable[Row]) -> Iterator[Row]:
        for row in rows:
            values = of(row)
            if values.__class__ is list:
                for value in values:
                    yield (*row, value)

    if source.each:
        return each
    return lambda rows: ((*row, value) for row in rows if (value := of(row)) is not UNDEFINED)


def _ordered(select: Select, scope: Scope, expressions: Expressions) -> Rows:
    keys = [(expressions.compile(one.by, scope), one.descending) for one in select.order]
    # A range index knows a document without the property only if the policy names its path; a composite index does.
    steps = path(select.order[0].by)
    drops = len(keys) == 1 and "/" + "/".join(map(str, (steps or ())[1:])) not in scope.explicit

    def ordered(rows: Iterable[Row]) -> Iterable[Row]:
        by, descending = keys[-1]
        if drops:
            rows = (row for row in rows if by(row) is not UNDEFINED)
        found = sorted(rows, key=lambda row: order_key(by(row)), reverse=descending)
        for earlier, turned in reversed(keys[:-1]):
            found.sort(key=lambda row, of=earlier: order_key(of(row)), reverse=turned)
        return found

    return ordered


# -- projection ---------------------------------------------------------------------------------------------------


def _projection(select: Select, scope: Scope, expressions: Expressions) -> Evaluate:
    if select.is_star:
        return slot(_star_slot(select, scope))
    if select.is_value:
        return expressions.compile(select.columns[0].value, scope)
    named = zip(names(select.columns), select.columns, strict=True)
    return record([(name, expressions.compile(column.value, scope)) for name, column in named])


def _star_slot(select: Select, scope: Scope) -> int:
    alias = select.sources[0].alias
    return scope.width - 1 if alias is None else scope.slot(alias)


def names(columns: tuple[Column, ...]) -> list[str]:
    """What the columns are called: the alias, else the last name of a path, else $1, $2, ..."""
    found: list[str] = []
    unnamed = 0
    for column in columns:
        name = column.alias or _path_name(column.value)
        if name is None:
            unnamed += 1
            name = f"${unnamed}"
        if name in found:
            raise Invalid(f"The property name '{name}' is specified more than once in the SELECT clause.")
        found.append(name)
    return found


def _path_name(value: Expression) -> str | None:
    steps = path(value)
    return steps[-1] if steps is not None and isinstance(steps[-1], str) else None


# -- aggregation --------------------------------------------------------------------------------------------------


def is_aggregated(select: Select) -> bool:
    return bool(select.group) or any(aggregates.calls(column.value) for column in select.columns)


def _aggregates(select: Select) -> dict[str, Call]:
    return {text_of(call): call for column in select.columns for call in aggregates.calls(column.value)}


def _after_grouping(select: Select, scope: Scope) -> Scope:
    places = {text: scope.width + place for place, text in enumerate(_aggregates(select))}
    return replace(scope, aggregates=places, width=scope.width + len(places))


def _grouped(select: Select, scope: Scope, expressions: Expressions) -> Rows:
    _check_grouping(select)
    keys = [expressions.compile(one, scope) for one in select.group]
    calls = list(_aggregates(select).values())
    for call in calls:
        if len(call.arguments) != 1 or aggregates.calls(call.arguments[0]):
            raise Invalid(f"The {call.name} aggregate wants one argument, without an aggregate inside.")
    values = [expressions.compile(call.arguments[0], scope) for call in calls]
    makers = [aggregates.AGGREGATES[call.name] for call in calls]

    def grouped(rows: Iterable[Row]) -> Iterator[Row]:
        groups: dict[Any, tuple[Row, list[aggregates.Aggregate]]] = {}
        if not keys:
            groups[()] = ((UNDEFINED,) * scope.width, [make() for make in makers])
        for row in rows:
            key = tuple(identity(one(row)) for one in keys)
            if key not in groups:
                groups[key] = (row, [make() for make in makers])
            for aggregate, value in zip(groups[key][1], values, strict=True):
                aggregate.add(value(row))
        for row, found in groups.values():
            yield (*row, *(aggregate.result() for aggregate in found))

    return grouped


def _check_grouping(select: Select) -> None:
    if select.is_star:
        raise Invalid("'SELECT *' is not allowed with GROUP BY.")
    if select.group and select.order:
        raise Invalid("'ORDER BY' is not allowed together with 'GROUP BY'.")
    if select.order:
        raise Unsupported("ORDER BY with an aggregate")
    by = {text_of(one) for one in select.group}
    for column in select.columns:
        loose = _loose(column.value, by)
        if loose is not None:
            raise Invalid(
                f"Property reference '{loose}' is invalid in the select list because it is not contained in either "
                "an aggregate function or the GROUP BY clause."
            )


def _loose(expression: Expression, by: set[str]) -> str | None:
    text = text_of(expression)
    if text in by:
        return None
    match expression:
        case Call(name, _) if name in aggregates.AGGREGATES:
            return None
        case Name() | Member():
            return text
        case Subquery():
            raise Unsupported("a subquery beside an aggregate")
        case _:
            return next((loose for child in children(expression) if (loose := _loose(child, by)) is not None), None)
