"""Which key may do what: an admin key everything, a query key nothing but read documents."""

import hmac
from collections.abc import Mapping
from typing import Any

from dbops.sandbox.emulators.search.answers import Failure, unsupported
from dbops.sandbox.emulators.search.routes import Route
from dbops.sandbox.emulators.web import Request

_READS = {
    ("GET", "docs"),
    ("GET", "docs/key"),
    ("GET", "docs/$count"),
    ("POST", "docs/search"),
    ("GET", "docs/search.suggest"),
    ("POST", "docs/search.post.suggest"),
    ("GET", "docs/search.autocomplete"),
    ("POST", "docs/search.post.autocomplete"),
}


def _is(given: str, wanted: Any) -> bool:
    return bool(wanted) and hmac.compare_digest(given.encode("latin-1"), str(wanted).encode())


def allow(request: Request, route: Route, settings: Mapping[str, Any]) -> None:
    """Let a request pass, or refuse it as the service does: 403 for a missing, a wrong and a too weak key alike."""
    given = request.headers.get("api-key")
    if given is None and "authorization" in request.headers:
        raise unsupported("bearer tokens")
    if given is not None and _is(given, settings.get("key")):
        return
    if given is None or not _is(given, settings.get("query_key")):
        raise Failure(403, "The api-key is missing or not valid.", code="Forbidden")
    if route.collection != "indexes" or (request.method, route.action) not in _READS:
        raise Failure(403, "A query key may only read documents.", code="Forbidden")
