"""The whole service behind its URLs."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from dbops.sandbox.emulators.faults import Faults
from dbops.sandbox.emulators.search import access, documents, indexes, reading, resources, statistics
from dbops.sandbox.emulators.search.answers import Failure, answer, unsupported
from dbops.sandbox.emulators.search.routes import Route, parse
from dbops.sandbox.emulators.search.state import State
from dbops.sandbox.emulators.web import Reply, Request

LARGEST_BODY = 16 << 20
_VERSION = re.compile(r"20\d\d-\d\d-\d\d(-[Pp]review)?")
_COLLECTIONS = frozenset({"indexes", "aliases", "synonymmaps", "servicestats"})
_ABSENT = frozenset({"datasources", "indexers", "skillsets", "knowledgebases", "knowledgesources", "indexstats"})
_ABSENT_ACTIONS = {
    "analyze": "the analysis of text",
    "docs/search.suggest": "suggestions",
    "docs/search.post.suggest": "suggestions",
    "docs/suggest": "suggestions",
    "docs/search.autocomplete": "autocompletion",
    "docs/search.post.autocomplete": "autocompletion",
    "docs/autocomplete": "autocompletion",
}


class Search:
    """One emulated search service over one folder."""

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        self._state = State(folder, settings)

    @property
    def faults(self) -> Faults:
        return self._state.faults

    def close(self) -> None:
        self._state.close()

    def __call__(self, request: Request) -> Reply:
        try:
            return self._answer(request, parse(request.path))
        except Failure as failure:
            return failure.reply()

    def _answer(self, request: Request, route: Route) -> Reply:
        access.allow(request, route, self._state.settings)
        if not _VERSION.fullmatch(request.query.get("api-version", "")):
            raise Failure(400, "Invalid or missing api-version query string parameter.", code="MissingApiVersion")
        if len(request.body) > LARGEST_BODY:
            raise Failure(
                413, "The request has exceeded the maximum allowed size of 16 MB.", code="RequestEntityTooLarge"
            )
        if route.collection in _ABSENT:
            raise unsupported(route.collection)
        if route.collection not in _COLLECTIONS:
            raise Failure(404, f"There is no '{request.path}'.", code="ResourceNotFound")
        try:
            reply = self._routed(request, route)
        except orjson.JSONDecodeError as error:
            raise Failure(400, f"The request is invalid. Details: the body is no JSON: {error}") from None
        if reply is None:
            raise Failure(405, f"{request.method} is not allowed for '{request.path}'.", code="MethodNotAllowed")
        return reply

    def _routed(self, request: Request, route: Route) -> Reply | None:
        if (request.method, route.action) != ("POST", "docs/index"):
            self._state.flush()
        if route.collection == "servicestats":
            return statistics.show(self._state, request) if request.method == "GET" else None
        if route.collection in resources.SORTS:
            return None if route.action else resources.ask(self._state, request, route)
        if route.name is None:
            return self._all_indexes(request)
        if route.action.startswith("docs"):
            return self._documents(request, route, route.name)
        return self._one_index(request, route, route.name)

    def _all_indexes(self, request: Request) -> Reply | None:
        match request.method:
            case "GET":
                return indexes.listed(self._state, request)
            case "POST":
                return indexes.create(self._state, request)
            case _:
                return None

    def _one_index(self, request: Request, route: Route, name: str) -> Reply | None:
        if route.action in _ABSENT_ACTIONS:
            raise unsupported(_ABSENT_ACTIONS[route.action])
        match (request.method, route.action):
            case ("GET", ""):
                return indexes.show(self._state, request, name)
            case ("PUT", ""):
                return indexes.create_or_update(self._state, request, name)
            case ("DELETE", ""):
                return indexes.delete(self._state, request, name)
            case ("GET", "stats"):
                return indexes.statistics(self._state, request, name)
            case (_, "" | "stats"):
                return None
            case _:
                raise Failure(404, f"There is no '{request.path}'.", code="ResourceNotFound")

    def _documents(self, request: Request, route: Route, name: str) -> Reply | None:
        if route.action in _ABSENT_ACTIONS:
            raise unsupported(_ABSENT_ACTIONS[route.action])
        match (request.method, route.action):
            case ("GET", "docs"):
                return reading.search_by_url(self._state, request, name)
            case ("GET", "docs/key"):
                return reading.lookup(self._state, request, name, route.key or "")
            case ("GET", "docs/$count"):
                return reading.count(self._state, name)
            case ("POST", "docs/search"):
                return reading.search(self._state, request, name)
            case ("POST", "docs/index"):
                return self._write(request, name)
            case (_, "docs" | "docs/key" | "docs/$count" | "docs/search" | "docs/index"):
                return None
            case _:
                raise Failure(404, f"There is no '{request.path}'.", code="ResourceNotFound")

    def _write(self, request: Request, name: str) -> Reply:
        opened = self._state.index(name)
        actions = documents.read(request.json(), opened.shape)
        self._state.settle(opened, [action.key for action in actions])
        done, after = documents.outcome(opened.table, opened.shape, actions, self._state.faults)
        self._state.keep(opened, after, size=len(request.body))
        status = 200 if all(one.status in (200, 201) for one in done) else 207
        context = (
            f"indexes('{opened.resource.name}')/$metadata#Collection(Microsoft.Azure.Search.V2024_07_01.IndexResult)"
        )
        return answer(request, status, {"value": [one.told() for one in done]}, context)
