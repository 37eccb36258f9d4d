"""A transactional batch: all of its operations, or none."""

from typing import Any

import orjson

from dbops.sandbox.emulators.cosmos import items, point, shapes
from dbops.sandbox.emulators.cosmos.answers import Refused, charge_of_read, charge_of_write
from dbops.sandbox.emulators.cosmos.items import Condition, Partition
from dbops.sandbox.emulators.cosmos.keys import must_match

_MOST = 100
_LARGEST = 2 * 1024 * 1024
_FAILED_DEPENDENCY = 424


def operations_of(body: Any, size: int) -> list[dict[str, Any]]:
    operations = shapes.objects(body, "a batch")
    if not operations:
        raise Refused(400, "A batch needs at least one operation.")
    if len(operations) > _MOST:
        raise Refused(400, f"Batch request has more operations than what is supported: {_MOST}.")
    if size > _LARGEST:
        raise Refused(413, "Request size is too large")
    return operations


def run(within: Partition, operations: list[dict[str, Any]]) -> tuple[int, bytes, float]:
    """Do all operations; after a failure nothing is kept, and it alone has a status of its own."""
    results: list[bytes] = []
    charge = 0.0
    try:
        with within.tables.transaction():
            for operation in operations:
                result, cost = _one(within, operation)
                results.append(result)
                charge += cost
    except Refused as refused:
        failed = len(results)
        codes = [_FAILED_DEPENDENCY] * len(operations)
        codes[failed] = refused.status
        body = [
            {"statusCode": code, "subStatusCode": refused.substatus if n == failed else 0, "requestCharge": 0.0}
            for n, code in enumerate(codes)
        ]
        return 207, orjson.dumps(body), max(charge, 1.0)
    return 200, b"[" + b",".join(results) + b"]", charge


def _one(within: Partition, operation: dict[str, Any]) -> tuple[bytes, float]:
    match, none_match = (shapes.maybe_text(operation.get(name), name) for name in ("ifMatch", "ifNoneMatch"))
    condition = Condition(match, none_match)
    name, body = operation.get("id"), operation.get("resourceBody")
    match operation.get("operationType"):
        case "Create":
            document = _document(within, body)
            return _written(201, items.create(within, document))
        case "Upsert":
            document = _document(within, body)
            stored, new = items.upsert(within, document, condition)
            return _written(201 if new else 200, stored)
        case "Replace":
            document = _document(within, body)
            return _written(200, items.replace(within, shapes.a_text(name, "id"), document, condition))
        case "Patch":
            return _written(200, point.patched(within, shapes.a_text(name, "id"), body, condition))
        case "Delete":
            gone = items.delete(within, shapes.a_text(name, "id"), condition)
            cost = charge_of_write(len(gone.body))
            return b'{"statusCode":204,"requestCharge":%.2f}' % cost, cost
        case "Read":
            stored = items.must_find(within, shapes.a_text(name, "id"))
            cost = charge_of_read(len(stored.body))
            if condition.is_known(stored):
                return b'{"statusCode":304,"requestCharge":%.2f}' % cost, cost
            return _result(200, stored, cost), cost
        case unknown:
            raise Refused(400, f"The batch operation '{unknown}' is invalid.")


def _document(within: Partition, body: Any) -> dict[str, Any]:
    document = items.document_of(body)
    must_match(within.container.scheme, document, within.key)
    return document


def _written(status: int, stored: items.Stored) -> tuple[bytes, float]:
    cost = charge_of_write(len(stored.body))
    return _result(status, stored, cost), cost


def _result(status: int, stored: items.Stored, cost: float) -> bytes:
    return b'{"statusCode":%d,"requestCharge":%.2f,"eTag":%b,"resourceBody":%b}' % (
        status,
        cost,
        orjson.dumps(stored.etag),
        stored.body,
    )
