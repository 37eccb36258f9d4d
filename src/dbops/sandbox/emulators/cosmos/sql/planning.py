"""The query plan: what each range is asked, and how the SDK merges the answers."""

from typing import Any, Final

from dbops.sandbox.emulators.cosmos.sql import aggregates
from dbops.sandbox.emulators.cosmos.sql.pipeline import count_of, is_aggregated, names
from dbops.sandbox.emulators.cosmos.sql.problems import Invalid, Unsupported
from dbops.sandbox.emulators.cosmos.sql.query import Query, root_alias
from dbops.sandbox.emulators.cosmos.sql.render import text_around, text_of, text_of_columns
from dbops.sandbox.emulators.cosmos.sql.tree import Call, Expression, ObjectLiteral, Select

# The SDK puts "true" here; a client that continues an ordered query puts the condition that skips what it has.
_FILTER: Final = "{documentdb-formattableorderbyquery-filter}"
_KINDS: Final = {
    "COUNT": "Count",
    "COUNTIF": "CountIf",
    "SUM": "Sum",
    "AVG": "Average",
    "MIN": "Min",
    "MAX": "Max",
}


def plan(query: Query) -> dict[str, Any]:
    """The queryInfo, as the client-side execution of azure-cosmos 4.17 reads it."""
    select = query.select
    if select.group:
        raise Invalid("Query contains the following features, which the calling client does not support: GroupBy")
    return {
        "distinctType": _distinct_type(select),
        "top": _count(query, select.top, "TOP"),
        "offset": _count(query, select.offset, "OFFSET"),
        "limit": _count(query, select.limit, "LIMIT"),
        "orderBy": ["Descending" if one.descending else "Ascending" for one in select.order],
        "orderByExpressions": [text_of(one.by) for one in select.order],
        "groupByExpressions": [],
        "groupByAliases": [],
        "aggregates": [_KINDS[call.name] for column in select.columns for call in aggregates.calls(column.value)],
        "groupByAliasToAggregateType": _aliases(select),
        "rewrittenQuery": _rewritten(query),
        "hasSelectValue": select.is_value,
        "hasNonStreamingOrderBy": False,
        "dCountInfo": None,
    }


def _count(query: Query, expression: Expression | None, clause: str) -> int | None:
    return None if expression is None else count_of(expression, query.scope, clause)


def _distinct_type(select: Select) -> str:
    if not select.distinct:
        return "None"
    ordered = {text_of(one.by) for one in select.order}
    selected = {text_of(column.value) for column in select.columns}
    # In order, equal results are neighbours, as long as nothing else is selected beside what orders them.
    return "Ordered" if selected and selected <= ordered else "Unordered"


def _aliases(select: Select) -> dict[str, str]:
    if select.is_value or not is_aggregated(select):
        return {}
    named = zip(names(select.columns), select.columns, strict=True)
    return {name: _KINDS[call.name] for name, column in named for call in aggregates.calls(column.value)}


def _rewritten(query: Query) -> str:
    """The text for each range; empty when the query itself will do."""
    select = query.select
    if is_aggregated(select):
        return _rewritten_aggregate(select)
    if select.order:
        return _rewritten_order(query)
    if select.offset is not None:
        return text_around(select, text_of_columns(select), span=_span(query))
    return ""


def _rewritten_aggregate(select: Select) -> str:
    if select.distinct:
        raise Unsupported("DISTINCT with an aggregate across partitions")
    if not select.is_value:
        return ""  # the SDK refuses this itself once it has seen the plan
    value = select.columns[0].value
    if not isinstance(value, Call):
        raise Invalid("Compositions of aggregates and other expressions are not allowed.")
    [of] = map(text_of, value.arguments)
    match value.name:
        case "AVG":
            item = f'{{"item": {{"sum": SUM({of}), "count": COUNT({of})}}}}'
        case "MIN" | "MAX":
            best = f"{value.name}({of})"
            item = f'{{"item": {best}, "item2": {{"{value.name.lower()}": {best}, "count": COUNT({of})}}}}'
        case _:
            item = f'{{"item": {text_of(value)}}}'
    return text_around(select, f"VALUE [{item}]", span="")


def _rewritten_order(query: Query) -> str:
    select = query.select
    alias = root_alias(select)
    items = ", ".join(f'{{"item": {text_of(one.by)}}}' for one in select.order)
    payload = _payload(select)
    conditions = [f"({_FILTER})"] if select.where is None else [text_of(select.where), f"({_FILTER})"]
    if select.is_value and payload != alias:
        conditions.append(f"IS_DEFINED({payload})")  # a result that is undefined is none
    return text_around(
        select,
        f"{alias}._rid, [{items}] AS orderByItems, {payload} AS payload",
        where=" AND ".join(conditions),
        # The first results of a range may all be the same one when they are to be distinct.
        span="" if select.distinct else _span(query),
        distinct=False,
    )


def _payload(select: Select) -> str:
    if select.is_star:
        return select.sources[0].alias or ""
    if select.is_value:
        return text_of(select.columns[0].value)
    named = zip(names(select.columns), select.columns, strict=True)
    return text_of(ObjectLiteral(tuple((name, column.value) for name, column in named)))


def _span(query: Query) -> str | None:
    """Any of the wanted results may come from one range, and so may all those before them."""
    offset, limit = (_count(query, one, "OFFSET LIMIT") for one in (query.select.offset, query.select.limit))
    return None if offset is None or limit is None else f"OFFSET 0 LIMIT {offset + limit}"
