"""How the service answers: OData's envelope, and refusals with status, code and message."""

from collections.abc import Sequence
from typing import Any

import orjson

from dbops.sandbox.emulators.web import Reply, Request

_TYPE = "application/json; odata.metadata={}"


class Failure(Exception):
    """A request that the service refuses; told to the client as it tells it."""

    def __init__(self, status: int, message: str, *, code: str = "", details: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.details = details

    def reply(self) -> Reply:
        error: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.details:
            error["details"] = [{"code": code, "message": message} for code, message in self.details]
        return Reply(self.status, orjson.dumps({"error": error}), (("content-type", "application/json"),))


def invalid(message: str, *, code: str = "InvalidRequestParameter", parameter: str = "definition") -> Failure:
    """Refuse what was sent, naming the parameter that held it."""
    return Failure(
        400,
        f"The request is invalid. Details: {parameter} : {message}",
        code="OperationNotAllowed",
        details=((code, f"{message} Parameters: {parameter}"),),
    )


def missing(what: str) -> Failure:
    return Failure(404, f"{what} was not found.", code="ResourceNotFound")


def unsupported(feature: str) -> Failure:
    """Say that this emulator lacks a feature: better than a wrong answer."""
    return Failure(501, f"the emulator does not implement {feature}", code="NotImplemented")


def without_metadata(request: Request) -> bool:
    return "odata.metadata=none" in request.headers.get("accept", "").replace(" ", "")


def answer(request: Request, status: int, body: dict[str, Any], context: str, *headers: tuple[str, str]) -> Reply:
    """Answer with JSON; the context, for clients that want metadata, says what it is."""
    bare = without_metadata(request)
    if not bare:
        body = {"@odata.context": f"{request.base}/$metadata#{context}", **body}
    kind = _TYPE.format("none" if bare else "minimal")
    return Reply(status, orjson.dumps(body), (("content-type", kind), ("odata-version", "4.0"), *headers))
