"""How the service says yes and no: replies, refusals, and what a request costs."""

from collections.abc import Iterable
from typing import Any

import orjson

from dbops.sandbox.emulators.web import Reply

Headers = tuple[tuple[str, str], ...]

JSON = ("content-type", "application/json")
PER_KIB_READ = 1.0
PER_KIB_WRITTEN = 5.33

_CODES = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    405: "MethodNotAllowed",
    409: "Conflict",
    410: "Gone",
    412: "PreconditionFailed",
    413: "RequestEntityTooLarge",
    501: "NotImplemented",
}


class Refused(Exception):
    """The service says no."""

    def __init__(self, status: int, message: str, *, substatus: int = 0, more: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.substatus = substatus
        self.message = message
        self.more = more or {}

    def reply(self) -> Reply:
        body = {"code": _CODES.get(self.status, str(self.status)), "message": self.message, **self.more}
        told: Headers = (JSON, ("x-ms-request-charge", "1"), ("x-ms-substatus", str(self.substatus)))
        return Reply(self.status, orjson.dumps(body), told if self.substatus else told[:2])


def missing(feature: str) -> Refused:
    """Refuse what the service can and this emulator cannot: an honest no instead of a wrong answer."""
    return Refused(501, f"the emulator does not implement {feature}")


def not_found(what: str, *, substatus: int = 0) -> Refused:
    return Refused(404, f"Entity with the specified id does not exist in the system. ({what})", substatus=substatus)


def told(status: int, value: Any, *headers: tuple[str, str], charge: float = 1.0) -> Reply:
    return Reply(status, orjson.dumps(value), (JSON, ("x-ms-request-charge", f"{charge:.2f}"), *headers))


def raw(status: int, body: bytes, charge: float, headers: Headers) -> Reply:
    return Reply(status, body, (JSON, ("x-ms-request-charge", f"{charge:.2f}"), *headers))


def listing(rid: str, name: str, parts: Iterable[bytes]) -> tuple[bytes, int]:
    """Write the body of a feed around documents that are JSON already; tell how many there were."""
    documents = parts if isinstance(parts, list) else list(parts)
    head = b'{"_rid":"%b","%b":[' % (rid.encode(), name.encode())
    return head + b",".join(documents) + b'],"_count":%d}' % len(documents), len(documents)


def charge_of_read(size: int) -> float:
    return max(1.0, PER_KIB_READ * size / 1024)


def charge_of_write(size: int) -> float:
    return max(PER_KIB_WRITTEN, PER_KIB_WRITTEN * size / 1024)


def charge_of_page(size: int, count: int) -> float:
    return 2.3 + 0.6 * PER_KIB_READ * size / 1024 + 0.02 * count
