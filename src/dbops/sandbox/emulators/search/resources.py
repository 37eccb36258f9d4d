"""Requests about aliases and synonym maps: the same five for both."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dbops.sandbox.emulators.search import aliases, synonyms
from dbops.sandbox.emulators.search.answers import Failure, answer, missing
from dbops.sandbox.emulators.search.catalog import Kind, Resource, check_preconditions
from dbops.sandbox.emulators.search.indexes import selected
from dbops.sandbox.emulators.search.routes import Route
from dbops.sandbox.emulators.search.state import State
from dbops.sandbox.emulators.web import Reply, Request


@dataclass(frozen=True, slots=True)
class _Sort:
    kind: Kind
    what: str
    most: int
    completed: Callable[[Any, str | None, State], dict[str, Any]]


SORTS = {
    "aliases": _Sort("alias", "alias", 100, lambda body, name, state: aliases.completed(body, name, state.catalog)),
    "synonymmaps": _Sort("synonymmap", "synonym map", 20, lambda body, name, _: synonyms.completed(body, name)),
}


def ask(state: State, request: Request, route: Route) -> Reply | None:
    """Answer, or nothing when there is no such operation."""
    sort = SORTS[route.collection]
    match (request.method, route.name):
        case ("GET", None):
            found = [one.told() for one in state.catalog.listed(sort.kind)]
            return answer(request, 200, {"value": selected(found, request)}, route.collection)
        case ("POST", None):
            return _create(state, request, route, sort)
        case ("GET", str(name)):
            return _told(request, 200, route, _found(state, sort, name))
        case ("PUT", str(name)):
            return _put(state, request, route, sort, name)
        case ("DELETE", str(name)):
            check_preconditions(request.headers, state.catalog.read(sort.kind, name))
            _found(state, sort, name)
            with state.transaction():
                state.catalog.delete(sort.kind, name)
            return Reply(204)
        case _:
            return None


def _found(state: State, sort: _Sort, name: str) -> Resource:
    found = state.catalog.read(sort.kind, name)
    if found is None:
        raise missing(f"The {sort.what} '{name}'")
    return found


def _told(request: Request, status: int, route: Route, resource: Resource) -> Reply:
    return answer(request, status, resource.told(), f"{route.collection}/$entity", ("etag", resource.etag))


def _create(state: State, request: Request, route: Route, sort: _Sort) -> Reply:
    body = sort.completed(request.json(), None, state)
    if state.catalog.read(sort.kind, body["name"]) is not None:
        raise Failure(
            409,
            f"Cannot create {sort.what} '{body['name']}' because it already exists.",
            code="ResourceNameAlreadyInUse",
        )
    return _write(state, request, route, sort, body)


def _put(state: State, request: Request, route: Route, sort: _Sort, name: str) -> Reply:
    found = state.catalog.read(sort.kind, name)
    check_preconditions(request.headers, found)
    body = sort.completed(request.json(), name, state)
    if found is None:
        return _write(state, request, route, sort, body)
    with state.transaction():
        resource = state.catalog.write(sort.kind, name, body)
    if "return=representation" not in request.headers.get("prefer", ""):
        return Reply(204)
    return _told(request, 200, route, resource)


def _write(state: State, request: Request, route: Route, sort: _Sort, body: dict[str, Any]) -> Reply:
    if state.catalog.count(sort.kind) >= sort.most:
        raise Failure(
            429, f"The quota of {sort.most} for each {sort.what} has been exceeded.", code="ResourceQuotaExceeded"
        )
    with state.transaction():
        resource = state.catalog.write(sort.kind, body["name"], body)
    return _told(request, 201, route, resource)
