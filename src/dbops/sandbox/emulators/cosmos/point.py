"""Requests for one item: what they say, what is done, what is answered."""

from typing import Any

from dbops.sandbox.emulators.cosmos import items, keys, patch, scope, sql
from dbops.sandbox.emulators.cosmos.answers import (
    Headers,
    Refused,
    charge_of_read,
    charge_of_write,
    missing,
    raw,
)
from dbops.sandbox.emulators.cosmos.containers import Container
from dbops.sandbox.emulators.cosmos.items import Condition, Partition, Stored
from dbops.sandbox.emulators.cosmos.tables import Tables
from dbops.sandbox.emulators.web import Reply, Request

_TRIGGERS = ("x-ms-documentdb-pre-trigger-include", "x-ms-documentdb-post-trigger-include")


def body_of(request: Request) -> Any:
    try:
        return request.json()
    except ValueError as error:
        raise Refused(
            400, f"The request payload is invalid. Ensure to provide a valid request payload. ({error})"
        ) from error


def check_wishes(request: Request) -> None:
    """Refuse what would change the meaning of a write in ways that are not implemented."""
    for name in _TRIGGERS:
        if name in request.headers:
            raise missing("triggers")
    if request.headers.get("x-ms-indexing-directive", "").lower() == "exclude":
        raise missing("items that are not indexed")


def create(tables: Tables, container: Container, request: Request) -> Reply:
    """Create or upsert."""
    within, document = _sent(tables, container, request)
    if request.headers.get("x-ms-documentdb-is-upsert", "").lower() == "true":
        with tables.transaction():
            stored, is_new = items.upsert(within, document, condition_of(request))
        return _written(within, stored, request, 201 if is_new else 200)
    if items.is_one_statement(container):
        tables.reserve()
        return _written(within, items.create(within, document), request, 201)
    with tables.transaction():
        stored = items.create(within, document)
    return _written(within, stored, request, 201)


def replace(tables: Tables, container: Container, request: Request, name: str) -> Reply:
    within, document = _sent(tables, container, request)
    with tables.transaction():
        stored = items.replace(within, name, document, condition_of(request))
    return _written(within, stored, request, 200)


def read(tables: Tables, container: Container, request: Request, name: str) -> Reply:
    within = _named(tables, container, request)
    stored = items.must_find(within, name)
    if condition_of(request).is_known(stored):
        return raw(304, b"", 1.0, _head(within, stored))
    return raw(200, stored.body, charge_of_read(len(stored.body)), _head(within, stored))


def delete(tables: Tables, container: Container, request: Request, name: str) -> Reply:
    check_wishes(request)
    within = _named(tables, container, request)
    with tables.transaction():
        gone = items.delete(within, name, condition_of(request))
    return raw(204, b"", charge_of_write(len(gone.body)), _session(within))


def patch_item(tables: Tables, container: Container, request: Request, name: str) -> Reply:
    check_wishes(request)
    within = _named(tables, container, request)
    body = body_of(request)
    with tables.transaction():
        stored = patched(within, name, body, condition_of(request))
    return _written(within, stored, request, 200)


def patched(within: Partition, name: str, body: Any, condition: Condition) -> Stored:
    """Change parts of an item, if it is as the condition says."""
    operations, wanted = patch.operations_of(body)
    found = items.must_find(within, name)
    condition.must_hold(found)
    document = found.document()
    if wanted is not None and not sql.condition(wanted, {})(document):
        raise Refused(412, "One of the specified pre-conditions is not met: the filter predicate.", substatus=1110)
    patch.apply(document, operations, within.container.scheme)
    return items.overwrite(within, found, items.document_of(document))


def _named(tables: Tables, container: Container, request: Request) -> Partition:
    return Partition(tables, container, scope.must_have_key(request.headers, container))


def _sent(tables: Tables, container: Container, request: Request) -> tuple[Partition, dict[str, Any]]:
    """Read the item that a client writes, and find where it belongs."""
    check_wishes(request)
    document = items.document_of(body_of(request))
    key = keys.must_match(container.scheme, document, scope.key_of(request.headers, container))
    return Partition(tables, container, key), document


def condition_of(request: Request) -> Condition:
    return Condition(request.headers.get("if-match"), request.headers.get("if-none-match"))


def _written(within: Partition, stored: Stored, request: Request, status: int) -> Reply:
    quiet = request.headers.get("prefer", "").lower() == "return=minimal"
    return raw(status, b"" if quiet else stored.body, charge_of_write(len(stored.body)), _head(within, stored))


def _head(within: Partition, stored: Stored) -> Headers:
    return (("etag", stored.etag), *_session(within))


def _session(within: Partition) -> Headers:
    return scope.session(within.container, within.container.range_of(within.key.epk), within.tables.last)
