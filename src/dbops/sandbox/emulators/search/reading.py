"""Requests that read documents: by key, by query, counted."""

from typing import Any
from urllib.parse import urlencode

from dbops.sandbox.emulators.search import answers, projection, query
from dbops.sandbox.emulators.search.answers import Failure, answer, invalid
from dbops.sandbox.emulators.search.given import is_object
from dbops.sandbox.emulators.search.state import State
from dbops.sandbox.emulators.web import Reply, Request

_NUMBERS = {"skip": int, "top": int, "minimumCoverage": float}
_REPEATED = {"facet", "scoringParameter"}
_ONLY_IN_A_BODY = {"vectorQueries", "facets", "scoringParameters"}
_NOT_PASSED_ON = {"api-version"}


def count(state: State, name: str) -> Reply:
    found = state.index(name).table.count(state.now())
    # The service begins its plain numbers with a byte order mark.
    return Reply(200, f"\ufeff{found}".encode(), (("content-type", "text/plain"),))


def lookup(state: State, request: Request, name: str, key: str) -> Reply:
    opened = state.index(name)
    tree = projection.wanted(opened.resource.body["fields"], request.query.get("$select"))
    document = opened.table.get(key, state.now())
    if document is None:
        raise answers.missing(f"The document '{key}'")
    shown = projection.shown(document, tree)
    return answer(request, 200, shown, "docs(*)/$entity")


def search(state: State, request: Request, name: str) -> Reply:
    body = request.json()
    if not is_object(body):
        raise invalid("The query is no JSON object.", parameter="parameters")
    found = _asked(state, name, body)
    if "@search.nextPageParameters" in found:
        version = request.query["api-version"]
        link = f"{request.base}/indexes('{name}')/docs/search.post.search?api-version={version}"
        found = {**found, "@odata.nextLink": link}
    return answer(request, 200, found, "docs(*)")


def search_by_url(state: State, request: Request, name: str) -> Reply:
    """Answer the GET form of a query: the next page is a link, since there is no body to send again."""
    if repeated := _REPEATED & request.query.keys():
        raise answers.unsupported(f"'{min(repeated)}' in a URL; send the query by POST")
    wanted: dict[str, Any] = {}
    for given, value in request.query.items():
        if given in _NOT_PASSED_ON:
            continue
        parameter = given.removeprefix("$")
        if parameter in _ONLY_IN_A_BODY:
            raise Failure(400, f"The query parameter '{given}' is not valid for the operation 'search'.")
        wanted[parameter] = _typed(given, parameter, value)
    found = _asked(state, name, wanted)
    following = found.pop("@search.nextPageParameters", None)
    if following is not None:
        again = {**request.query, "$skip": following["skip"]}
        if "top" in following:
            again["$top"] = following["top"]
        found["@odata.nextLink"] = f"{request.base}/indexes('{name}')/docs?{urlencode(again)}"
    return answer(request, 200, found, "docs(*)")


def _typed(given: str, parameter: str, value: str) -> Any:
    if parameter == "count":
        if value not in ("true", "false"):
            raise Failure(400, f"Invalid value '{value}' for the query parameter '{given}'.")
        return value == "true"
    try:
        return _NUMBERS.get(parameter, str)(value)
    except ValueError:
        raise Failure(400, f"Invalid value '{value}' for the query parameter '{given}'.") from None


def _asked(state: State, name: str, wanted: dict[str, Any]) -> dict[str, Any]:
    try:
        return query.search(state.index(name).table, wanted, state.now())
    except query.Invalid as error:
        raise Failure(400, str(error), code="InvalidRequestParameter") from None
    except query.Unsupported as error:
        raise answers.unsupported(str(error)) from None
