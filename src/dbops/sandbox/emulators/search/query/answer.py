"""One search: the request is checked, the rows are found, and the answer's bytes are put together."""

from dataclasses import dataclass, replace
from typing import Any

import orjson

from dbops.sandbox.emulators.search.query import facets, filters, matching, nearness, ordering
from dbops.sandbox.emulators.search.query.chosen import Chosen, choose
from dbops.sandbox.emulators.search.query.document import shown_bytes
from dbops.sandbox.emulators.search.query.refusal import Invalid, Unsupported
from dbops.sandbox.emulators.search.query.source import Source
from dbops.sandbox.emulators.search.query.table import Table

_PAGE = 50
_LARGEST_PAGE = 1_000
_LARGEST_SKIP = 100_000
_TAKEN = {
    "search", "searchMode", "searchFields", "queryType", "filter", "orderby", "select", "top", "skip", "count",
    "facets", "vectorQueries", "vectorFilterMode",
}  # fmt: skip
_WITHOUT_EFFECT = {"sessionId", "scoringStatistics", "minimumCoverage", "highlightPreTag", "highlightPostTag"}
_MISSING = {
    "highlight": "highlights",
    "scoringProfile": "scoring profiles",
    "scoringParameters": "scoring parameters",
    "semanticConfiguration": "semantic ranking",
    "semanticErrorHandling": "semantic ranking",
    "semanticMaxWaitInMilliseconds": "semantic ranking",
    "semanticQuery": "semantic ranking",
    "semanticFields": "semantic ranking",
    "answers": "semantic answers",
    "captions": "semantic captions",
    "speller": "the speller",
    "queryLanguage": "query languages",
    "queryRewrites": "query rewrites",
    "hybridSearch": "parameters of hybrid search",
    "featuresMode": "features of scores",
    "debug": "debugging of scores",
}


@dataclass(frozen=True, slots=True)
class _Page:
    size: int
    skip: int
    top: int | None


def search(table: Table, request: dict[str, Any], now: float) -> dict[str, Any]:
    """Answer the body of a search; rows are orjson fragments, so orjson must write the answer.

    Raises Invalid (400) and Unsupported (501). `@odata.context` and `@odata.nextLink` are the wire's, which knows its
    address; `@search.nextPageParameters` is there when there is more.
    """
    _refuse(request)
    _text(request, "searchFields")
    page = _page(request)
    chosen = choose(table.schema, _text(request, "select"))
    asked_facets = facets.read(table.schema, request.get("facets"))
    source = _source(table, request, now)
    answer: dict[str, Any] = {}
    if request.get("count"):
        answer["@odata.count"] = _count(table, source.counted)
    if request.get("minimumCoverage") is not None:
        answer["@search.coverage"] = 100.0
    if asked_facets:
        answer["@search.facets"] = {
            facet.field.path: facets.count(table.connection, table.schema, source.counted, facet)
            for facet in asked_facets
        }
    found = _rows(table, source, _order(table, request, source), page, chosen)
    more = len(found) > page.size and (page.top is None or page.top > page.size)
    if more:
        answer["@search.nextPageParameters"] = _next(request, page)
    answer["value"] = found[: page.size]
    return answer


def _refuse(request: dict[str, Any]) -> None:
    for name, value in request.items():
        if name in _TAKEN or name in _WITHOUT_EFFECT or value is None or value == []:
            continue
        if name == "debug" and value == "disabled":
            continue
        if name in _MISSING:
            raise Unsupported(_MISSING[name])
        raise Invalid(
            f"The parameter '{name}' in the request payload is not a valid parameter for the operation 'search'.\r\n"
            "Parameter name: parameters"
        )
    kind = request.get("queryType") or "simple"
    if kind == "semantic":
        raise Unsupported("semantic ranking")
    if kind not in ("simple", "full"):
        raise Invalid(
            f"The value '{kind}' of the parameter 'queryType' is not valid: it is 'simple', 'full' or 'semantic'."
        )


def _text(request: dict[str, Any], name: str) -> str | None:
    value = request.get(name)
    if value is None or isinstance(value, str):
        return value
    raise Invalid(f"The parameter '{name}' must be a string.")


def _number(request: dict[str, Any], name: str) -> int | None:
    value = request.get(name)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise Invalid(f"Value must be greater than or equal to 0.\r\nParameter name: ${name}")
    return value


def _page(request: dict[str, Any]) -> _Page:
    top, skip = _number(request, "top"), _number(request, "skip") or 0
    if skip > _LARGEST_SKIP:
        raise Invalid(f"Value must be between 0 and {_LARGEST_SKIP}.\r\nParameter name: $skip")
    return _Page(_PAGE if top is None else min(top, _LARGEST_PAGE), skip, top)


def _next(request: dict[str, Any], page: _Page) -> dict[str, Any]:
    following = {**request, "skip": page.skip + page.size}
    if page.top is not None:
        following["top"] = page.top - page.size
    return following


def _source(table: Table, request: dict[str, Any], now: float) -> Source:
    where, values = table.seen(now)
    seen = (where, list(values))
    filtered = _text(request, "filter")
    if filtered is not None and filtered.strip():
        condition, more = filters.condition(table, filtered)
        where, values = f"{where} AND ({condition})", [*values, *more]
    searched = _text(request, "search")
    questions = nearness.read(table.schema, request.get("vectorQueries"))
    text = None
    if not matching.is_everything(searched):
        _refuse_default_profile(table)
        text = matching.matches(table, request, where, values)
    if not questions:
        return text or Source(f"{table.docs} d", where, [], values, constant=True)
    mode = request.get("vectorFilterMode") or "preFilter"
    if mode == "preFilter":
        return nearness.nearest(table, questions, (where, values), text)
    if mode != "postFilter":
        raise Unsupported(f"the vector filter mode {mode}")
    found = nearness.nearest(table, questions, seen, text)
    return replace(found, where=where, after=values)


def _refuse_default_profile(table: Table) -> None:
    if table.schema.definition.get("defaultScoringProfile"):
        raise Unsupported("full-text search with a default scoring profile")


def _order(table: Table, request: dict[str, Any], source: Source) -> str:
    told = _text(request, "orderby")
    if told is not None and told.strip():
        return ordering.order(table.schema, told, source.score if source.ranked else None)
    return f"{source.score}, d.n" if source.ranked else "d.n"


def _count(table: Table, source: Source) -> int:
    (found,) = table.connection.execute(
        f"SELECT count(*) FROM {source.tables} WHERE {source.where}",  # noqa: S608
        source.values,
    ).fetchone()
    return found


def _rows(table: Table, source: Source, order: str, page: _Page, chosen: Chosen) -> list[orjson.Fragment]:
    """Give the page and, if there is one, the row after it. Bodies are fetched last: sorting them would cost."""
    vectors = "".join(
        f", (SELECT v FROM {table.vectors_of(field)} v WHERE v.n = p.n)"  # noqa: S608
        for field in chosen.vectors
    )
    rows = table.connection.execute(
        f"SELECT p.n, p.s, b.body{vectors} FROM (SELECT d.n AS n, {source.score} AS s FROM {source.tables}"  # noqa: S608
        f" WHERE {source.where} ORDER BY {order} LIMIT ? OFFSET ?) p CROSS JOIN {table.docs} b ON b.n = p.n",
        [*source.values, page.size + 1, page.skip],
    )
    shown = chosen.shown()
    found: list[orjson.Fragment] = []
    for n, place, stored, *data in rows:
        score = 1.0 if source.constant else -place if source.scores is None else source.scores[n]
        body = shown(stored)
        parts = [b'{"@search.score":', repr(score).encode()]
        if body != b"{}":
            parts += [b",", body[1:-1]]
        for field, vector in zip(chosen.vectors, data, strict=True):
            parts += [b',"', field.name.encode(), b'":', b"null" if vector is None else shown_bytes(field, vector)]
        parts.append(b"}")
        found.append(orjson.Fragment(b"".join(parts)))
    return found
