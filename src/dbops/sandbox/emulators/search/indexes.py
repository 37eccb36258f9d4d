"""Requests about indexes: made, changed, shown, counted, deleted."""

from typing import Any

from dbops.sandbox.emulators.search import aliases, answers, changes, definitions, query
from dbops.sandbox.emulators.search.answers import Failure, answer
from dbops.sandbox.emulators.search.catalog import Resource, check_preconditions
from dbops.sandbox.emulators.search.given import is_object
from dbops.sandbox.emulators.search.state import State
from dbops.sandbox.emulators.web import Reply, Request

QUOTA = 50  # of a service of the tier S1


def create(state: State, request: Request) -> Reply:
    definition = definitions.completed(request.json(), None, _synonym_maps(state))
    if state.catalog.read("index", definition["name"]) is not None:
        raise _taken(f"Cannot create index '{definition['name']}' because it already exists.")
    return _created(state, request, definition)


def create_or_update(state: State, request: Request, name: str) -> Reply:
    """Make the index or change it; an alias may stand for the index, as it may in the service."""
    actual = aliases.index_of(name, state.catalog)
    body = request.json()
    if actual != name and is_object(body) and body.get("name") == name:
        body["name"] = actual
    found = state.catalog.read("index", actual)
    check_preconditions(request.headers, found)
    definition = definitions.completed(body, actual, _synonym_maps(state))
    if found is None:
        return _created(state, request, definition)
    changes.check(found.body, definition, downtime=request.query.get("allowIndexDowntime", "").lower() == "true")
    table = state.index(actual).table
    with state.transaction():
        table.alter(definition)
        resource = state.catalog.write("index", actual, definition)
        state.remember(resource, table)
    if "return=representation" not in request.headers.get("prefer", ""):
        return Reply(204)
    return _told(request, 200, resource)


def _created(state: State, request: Request, definition: dict[str, Any]) -> Reply:
    name = definition["name"]
    if state.catalog.read("alias", name) is not None:
        raise _taken(f"Cannot create index '{name}' because an alias has that name.")
    quota = int(state.settings.get("indexes") or QUOTA)
    if state.catalog.count("index") >= quota:
        raise Failure(429, f"Index quota of {quota} has been exceeded for this service.", code="ResourceQuotaExceeded")
    with state.transaction() as connection:
        table = query.Table.open(connection, definition)
        table.create()
        resource = state.catalog.write("index", name, definition)
        state.remember(resource, table)
    return _told(request, 201, resource)


def _taken(message: str) -> Failure:
    return Failure(409, message, code="ResourceNameAlreadyInUse")


def _synonym_maps(state: State) -> set[str]:
    return {one.name for one in state.catalog.listed("synonymmap")}


def _told(request: Request, status: int, resource: Resource) -> Reply:
    return answer(request, status, resource.told(), "indexes/$entity", ("etag", resource.etag))


def show(state: State, request: Request, name: str) -> Reply:
    return _told(request, 200, state.index(name).resource)


def listed(state: State, request: Request) -> Reply:
    found = [one.told() for one in state.catalog.listed("index")]
    return answer(request, 200, {"value": selected(found, request)}, "indexes")


def selected(found: list[dict[str, Any]], request: Request) -> list[dict[str, Any]]:
    """Cut definitions down to the properties that a listing asks for."""
    wanted = request.query.get("$select", "*").strip()
    if wanted in ("", "*"):
        return found
    names = [name.strip() for name in wanted.split(",")]
    return [{name: one[name] for name in names if name in one} for one in found]


def delete(state: State, request: Request, name: str) -> Reply:
    if state.catalog.read("alias", name) is not None:
        raise Failure(400, f"'{name}' is an alias; an index is deleted by its own name.", code="OperationNotAllowed")
    found = state.catalog.read("index", name)
    check_preconditions(request.headers, found)
    if found is None:
        raise answers.missing(f"The index '{name}'")
    if pointing := aliases.pointing_to(name, state.catalog):
        raise Failure(
            400,
            f"Cannot delete index '{name}' because the aliases {', '.join(pointing)} are mapped to it. "
            "Delete them or map them to another index first.",
            code="OperationNotAllowed",
        )
    table = state.index(name).table
    with state.transaction():
        table.drop()
        state.catalog.delete("index", name)
        state.forget(name)
    return Reply(204)


def statistics(state: State, request: Request, name: str) -> Reply:
    documents, storage, vectors = state.index(name).table.sizes()
    told = {"documentCount": documents, "storageSize": storage, "vectorIndexSize": vectors}
    return answer(request, 200, told, "Microsoft.Azure.Search.V2024_07_01.IndexStatistics")
