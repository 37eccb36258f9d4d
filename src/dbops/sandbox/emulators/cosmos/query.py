"""Queries over items: where they run, what the service leaves to the client, and their pages."""

import re
from collections.abc import Collection
from typing import Any

from dbops.sandbox.emulators.cosmos import containers, pages, point, scope, shapes, sql
from dbops.sandbox.emulators.cosmos.answers import Refused, charge_of_page, listing, raw, told
from dbops.sandbox.emulators.cosmos.containers import Container
from dbops.sandbox.emulators.cosmos.feed import page_size
from dbops.sandbox.emulators.cosmos.pages import Asked
from dbops.sandbox.emulators.cosmos.scope import Scope
from dbops.sandbox.emulators.cosmos.tables import Tables
from dbops.sandbox.emulators.web import Reply, Request

_NOT_SERVABLE = 1004
_COUNT = re.compile(
    r"\s*SELECT\s+VALUE\s+(?P<open>\[\{\"item\":\s*)?COUNT\(1\)(?P<shut>\}\])?\s+FROM\s+\w+\s*", re.IGNORECASE
)


def wanted(request: Request) -> bool:
    return (
        request.headers.get("x-ms-documentdb-isquery", "").lower() == "true"
        or request.headers.get("content-type", "").startswith("application/query+json")
        or _asks_plan(request)
    )


def _asks_plan(request: Request) -> bool:
    return request.headers.get("x-ms-cosmos-is-query-plan-request", "").lower() == "true"


def parsed(request: Request, explicit: Collection[str] = ()) -> tuple[str, dict[str, Any], sql.Query]:
    """Read text and parameters, and understand them; `explicit` are the paths that the indexing policy names."""
    body = point.body_of(request)
    spec = {"query": body} if isinstance(body, str) else shapes.an_object(body, "a query")
    text = shapes.a_text(spec.get("query"), "query")
    listed = shapes.objects(spec.get("parameters") or [], "parameters")
    parameters = {str(one.get("name")): one.get("value") for one in listed}
    return text, parameters, sql.compile(text, parameters, explicit=explicit)


def run(tables: Tables, container: Container, request: Request, kept: pages.Kept) -> Reply:
    text, parameters, query = parsed(request, containers.named_paths(container))
    _check_order(container, query)
    where = scope.of(request.headers, container) or _by_equality(container, query)
    if _asks_plan(request):
        return _plan(query, where)
    if where is None:
        _check_cross(request, query)
    asked = Asked(container, where, query, text, parameters, page_size(request))
    return answer(tables, asked, request, kept)


def read_feed(tables: Tables, container: Container, request: Request, kept: pages.Kept) -> Reply:
    """Answer a plain list of the items: the query for all of them."""
    text = "SELECT * FROM c"
    where = scope.of(request.headers, container)
    asked = Asked(container, where, sql.compile(text, {}), text, {}, page_size(request))
    return answer(tables, asked, request, kept)


def answer(tables: Tables, asked: Asked, request: Request, kept: pages.Kept) -> Reply:
    counts = _COUNT.fullmatch(asked.text)
    if counts is not None and bool(counts["open"]) == bool(counts["shut"]):
        number = b"%d" % pages.count(tables, asked)
        parts, token = [b'[{"item":%b}]' % number if counts["open"] else number], None
        where = asked.container.range_of("" if asked.where is None else asked.where.low)
    else:
        parts, token, where = pages.page(tables, asked, request.headers.get("x-ms-continuation"), kept)
    body, number_of = listing(asked.container.rid, "Documents", parts)
    head = scope.session(asked.container, where, tables.last)
    head = (*head, ("x-ms-item-count", str(number_of)))
    if token is not None:
        head = (*head, ("x-ms-continuation", token))
    return raw(200, body, charge_of_page(len(body), number_of), head)


def _check_cross(request: Request, query: sql.Query) -> None:
    if request.headers.get("x-ms-documentdb-query-enablecrosspartition", "").lower() != "true":
        raise Refused(
            400,
            "Cross partition query is required but disabled. Please set x-ms-documentdb-query-enablecrosspartition to"
            " true, specify x-ms-documentdb-partitionkey, or revise your query to avoid this exception.",
        )
    if query.needs_plan:
        raise Refused(
            400,
            "The provided cross partition query can not be directly served by the gateway. This is a first chance"
            " (internal) exception that all newer clients will know how to handle gracefully.",
            substatus=_NOT_SERVABLE,
        )


def _plan(query: sql.Query, where: Scope | None) -> Reply:
    """Tell the client how to run the query over the ranges and merge what they answer."""
    info = sql.plan(query)
    low, high, point_like = ("", "FF", False) if where is None else (where.low, where.high, where.key is not None)
    ranges = [{"min": low, "max": high, "isMinInclusive": True, "isMaxInclusive": point_like}]
    return told(200, {"partitionedQueryExecutionInfoVersion": 2, "queryInfo": info, "queryRanges": ranges})


def _by_equality(container: Container, query: sql.Query) -> Scope | None:
    """Find the one logical partition that a query names in its text."""
    equal = query.equalities
    paths = ["/" + "/".join(path) for path in container.scheme.paths]
    if not all(path in equal for path in paths):
        return None
    try:
        key = container.scheme.key([equal[path] for path in paths])
    except Refused:
        return None
    return Scope(key.epk, key.epk, key)


def _check_order(container: Container, query: sql.Query) -> None:
    """Refuse an order that no index serves; over several paths a composite one has to, forwards or backwards."""
    if len(query.order) < 2:
        if query.order and not containers.is_ordered(container, tuple(map(str, query.order[0][0]))):
            raise Refused(400, "The index path corresponding to the specified order-by item is excluded.")
        return
    asked = tuple((tuple(map(str, path)), descending) for path, descending in query.order)
    reverse = tuple((path, not descending) for path, descending in asked)
    if not any(index in {asked, reverse} for index in containers.composite_of(container)):
        raise Refused(
            400, "The order by query does not have a corresponding composite index that it can be served from."
        )


def over(documents: list[dict[str, Any]], request: Request) -> list[Any]:
    """Run a query over definitions: databases, containers, offers."""
    _, _, query = parsed(request)
    return list(query.run(dict(each) for each in documents))
