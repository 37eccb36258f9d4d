"""Reads whole queries: SELECT, FROM, JOIN, WHERE, GROUP BY, ORDER BY, OFFSET and LIMIT."""

from functools import lru_cache

from dbops.sandbox.emulators.cosmos.sql.cursor import Cursor
from dbops.sandbox.emulators.cosmos.sql.expressions import expression
from dbops.sandbox.emulators.cosmos.sql.problems import Invalid, Unsupported
from dbops.sandbox.emulators.cosmos.sql.tree import (
    Column,
    Constant,
    Expression,
    Member,
    Name,
    Ordering,
    Parameter,
    Select,
    Source,
)


@lru_cache(maxsize=512)
def parse(text: str) -> Select:
    """The query as data; remembered, since programs ask the same question over and over."""
    words = Cursor(text)
    try:
        select = _select(words)
    except RecursionError:
        raise Unsupported("expressions nested this deep") from None
    if words.word.kind != "end":
        raise words.wrong("the query should end here")
    return select


def _select(words: Cursor) -> Select:
    words.expect("SELECT")
    distinct = words.took("DISTINCT")
    top = _count(words, "TOP") if words.took("TOP") else None
    is_value = words.took("VALUE")
    columns = () if words.sees("*") and words.take() else _columns(words, alone=is_value)
    if is_value and not columns:
        raise Invalid("Syntax error, incorrect syntax near '*': VALUE wants an expression")
    sources = _sources(words) if words.took("FROM") else ()
    where = expression(words, _select) if words.took("WHERE") else None
    group = _group(words) if words.took("GROUP") else ()
    order = _order(words) if words.took("ORDER") else ()
    offset = limit = None
    if words.took("OFFSET"):
        offset = _count(words, "OFFSET")
        words.expect("LIMIT")
        limit = _count(words, "LIMIT")
    _check(columns, sources, top, offset)
    return Select(columns, is_value, distinct, top, sources, where, group, order, offset, limit)


def _check(
    columns: tuple[Column, ...], sources: tuple[Source, ...], top: Expression | None, offset: Expression | None
) -> None:
    if not columns and len(sources) != 1:
        raise Invalid("'SELECT *' is only valid with a single input set.")
    if top is not None and offset is not None:
        raise Invalid("'TOP' and 'OFFSET LIMIT' are not allowed in one query.")
    aliases = [source.alias for source in sources if source.alias is not None]
    for alias in aliases:
        if aliases.count(alias) > 1:
            raise Invalid(f"The input alias '{alias}' is specified more than once in the FROM clause.")


def _count(words: Cursor, clause: str) -> Expression:
    word = words.word
    if word.kind == "parameter":
        return Parameter(words.take().text)
    if word.kind == "number" and isinstance(word.value, int):
        return Constant(words.take().value)
    raise words.wrong(f"{clause} wants a whole number or a parameter")


def _columns(words: Cursor, *, alone: bool) -> tuple[Column, ...]:
    columns: list[Column] = []
    while True:
        value = expression(words, _select)
        alias = words.name() if words.took("AS") or words.word.kind == "name" else None
        columns.append(Column(value, alias))
        if alone or not words.took(","):
            return tuple(columns)


def _sources(words: Cursor) -> tuple[Source, ...]:
    sources = [_source(words)]
    while words.took("JOIN"):
        sources.append(_source(words))
    return tuple(sources)


def _source(words: Cursor) -> Source:
    if words.word.kind == "name" and words.next_word.text == "IN":
        alias = words.name()
        words.expect("IN")
        if words.sees("("):
            raise Unsupported("IN over a subquery in FROM")
        return Source(_path(words), alias, each=True)
    if words.took("("):
        inner = _select(words)
        words.expect(")")
        alias = words.name() if words.took("AS") or words.word.kind == "name" else None
        return Source(inner, alias, each=False)
    of = _path(words)
    named = words.took("AS") or words.word.kind == "name"
    return Source(of, words.name() if named else _last_name(of), each=False)


def _path(words: Cursor) -> Expression:
    of: Expression = Name(words.name())
    while True:
        if words.took("."):
            of = Member(of, Constant(words.name()))
        elif words.took("["):
            if words.word.kind not in {"string", "number"}:
                raise words.wrong("FROM wants a constant path")
            of = Member(of, Constant(words.take().value))
            words.expect("]")
        else:
            return of


def _last_name(of: Expression) -> str | None:
    match of:
        case Name(name):
            return name
        case Member(_, Constant(str() as name)):
            return name
        case _:
            return None


def _group(words: Cursor) -> tuple[Expression, ...]:
    words.expect("BY")
    group = [expression(words, _select)]
    while words.took(","):
        group.append(expression(words, _select))
    return tuple(group)


def _order(words: Cursor) -> tuple[Ordering, ...]:
    words.expect("BY")
    order: list[Ordering] = []
    while True:
        by = expression(words, _select)
        descending = words.took("DESC")
        if not descending:
            words.took("ASC")
        order.append(Ordering(by, descending))
        if not words.took(","):
            return tuple(order)
