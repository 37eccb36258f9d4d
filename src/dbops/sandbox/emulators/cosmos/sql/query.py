"""A compiled query, and what its caller may know of it beforehand."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from dbops.engine import clock
from dbops.sandbox.emulators.cosmos.sql.closures import Stream
from dbops.sandbox.emulators.cosmos.sql.pipeline import compile_over, is_aggregated
from dbops.sandbox.emulators.cosmos.sql.problems import Invalid, Unsupported
from dbops.sandbox.emulators.cosmos.sql.scope import Scope
from dbops.sandbox.emulators.cosmos.sql.statements import parse
from dbops.sandbox.emulators.cosmos.sql.tree import (
    Binary,
    Constant,
    Expression,
    Name,
    Parameter,
    Select,
    path,
)
from dbops.sandbox.emulators.cosmos.sql.values import UNDEFINED

_SCALARS: Final = (str, int, float, bool, type(None))


@dataclass(frozen=True, slots=True)
class Query:
    """`run` gives the results in order; everything else helps to choose the documents and the way."""

    select: Select
    scope: Scope
    stream: Stream
    whole: bool  # SELECT * FROM an alias and nothing else: documents may go out unparsed
    order: tuple[tuple[tuple[str | int, ...], bool], ...]  # (path without the alias, descending)
    needs_plan: bool  # across partitions the client has to merge
    equalities: Mapping[str, Any]  # "/a/b" -> constant, where a document that differs cannot be a result
    constant: bool  # without FROM: one result, whatever the documents are

    def run(self, documents: Iterable[dict[str, Any]]) -> Iterator[Any]:
        return self.stream([()] if self.constant else zip(documents, strict=False))


def compile(  # noqa: A001 - the word of the trade, used as sql.compile
    text: str,
    parameters: Mapping[str, Any],
    *,
    now: Callable[[], datetime] = clock.now,
    explicit: Collection[str] = (),
) -> Query:
    """`explicit` are the paths ("/a/b") that the indexing policy includes by name, not by a wildcard."""
    select = parse(text)
    alias = root_alias(select)
    constant = not select.sources
    scope = Scope({}, 0, parameters, now, frozenset(explicit))
    rest = select.sources
    if alias is not None:
        scope, rest = scope.bound(alias), rest[1:]
    elif not constant:
        scope = _under_container_name(select, scope)
    try:
        stream = compile_over(select, scope, rest)
    except RecursionError:
        raise Unsupported("expressions nested this deep") from None
    return Query(
        select=select,
        scope=scope,
        stream=stream,
        whole=_is_whole(select),
        order=_order(select, alias),
        needs_plan=needs_plan(select) and not constant,
        equalities=_equalities(select.where, alias, parameters),
        constant=constant,
    )


def condition(
    text: str, parameters: Mapping[str, Any] | None = None, *, now: Callable[[], datetime] = clock.now
) -> Callable[[dict[str, Any]], bool]:
    """The condition of a patch, `from c where ...`, as a predicate."""
    query = compile("SELECT * " + text, parameters or {}, now=now)
    if needs_plan(query.select) or not query.select.sources:
        raise Invalid("A condition consists of FROM and WHERE.")
    nothing = object()
    return lambda document: next(query.run([document]), nothing) is not nothing


def root_alias(select: Select) -> str | None:
    """The alias of the documents themselves, when FROM names the container and no path within it."""
    if not select.sources:
        return None
    first = select.sources[0]
    return first.alias if isinstance(first.of, Name) and not first.each else None


def _under_container_name(select: Select, scope: Scope) -> Scope:
    """FROM x IN c.items: the container's name opens the path and can be used nowhere else."""
    of = select.sources[0].of
    if isinstance(of, Select):
        raise Unsupported("a subquery as the first input of FROM")
    steps = path(of)
    return scope.bound(None if steps is None else str(steps[0]))


def needs_plan(select: Select) -> bool:
    return bool(select.order or select.distinct or select.top or select.offset) or is_aggregated(select)


def _is_whole(select: Select) -> bool:
    plain = root_alias(select) is not None and len(select.sources) == 1 and select.where is None
    if not plain or needs_plan(select):
        return False
    column = select.columns[0].value if select.columns else None
    return select.is_star or (select.is_value and column == Name(root_alias(select) or ""))


def _order(select: Select, alias: str | None) -> tuple[tuple[tuple[str | int, ...], bool], ...]:
    found: list[tuple[tuple[str | int, ...], bool]] = []
    for one in select.order:
        steps = path(one.by)
        if steps is None or steps[0] != alias or len(steps) < 2:
            raise Invalid(
                "Unsupported ORDER BY clause. ORDER BY item expression could not be mapped to a document path."
            )
        found.append((steps[1:], one.descending))
    return tuple(found)


def _equalities(where: Expression | None, alias: str | None, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    match where:
        case Binary("AND", left, right):
            return {**_equalities(right, alias, parameters), **_equalities(left, alias, parameters)}
        case Binary("=", left, (Constant() | Parameter()) as right):
            return _equality(left, right, alias, parameters)
        case Binary("=", (Constant() | Parameter()) as left, right):
            return _equality(right, left, alias, parameters)
        case _:
            return {}


def _equality(
    of: Expression, to: Constant | Parameter, alias: str | None, parameters: Mapping[str, Any]
) -> Mapping[str, Any]:
    steps = path(of)
    value = to.value if isinstance(to, Constant) else parameters.get(to.name, UNDEFINED)
    if steps is None or len(steps) < 2 or steps[0] != alias or not isinstance(value, _SCALARS):
        return {}
    if not all(isinstance(step, str) and step.isidentifier() for step in steps):
        return {}
    return {"/" + "/".join(map(str, steps[1:])): value}
