"""Writing documents: what a batch of actions does to them, and one result for each action."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from dbops.sandbox.emulators.faults import Faults
from dbops.sandbox.emulators.search import values
from dbops.sandbox.emulators.search.answers import Failure, invalid
from dbops.sandbox.emulators.search.given import is_list, is_object
from dbops.sandbox.emulators.search.shape import Document, Shape

MOST_ACTIONS = 1000
_ACTIONS = frozenset({"upload", "merge", "mergeOrUpload", "delete"})
_LATEST = float("inf")  # a writer sees what it wrote, whatever readers see yet
_INJECTED = {
    409: "The document was changed by another request at the same time. Try again.",
    422: "The index is temporarily unavailable because it was updated with 'allowIndexDowntime' set to 'true'.",
    503: "The service is temporarily unavailable, possibly due to heavy load. Try again.",
}


class Written(Protocol):
    """The part of an index's table that a batch looks at."""

    def get(self, key: str, now: float) -> Document | None: ...

    def exists(self, keys: Iterable[str]) -> set[str]: ...


@dataclass(frozen=True, slots=True)
class Action:
    kind: str
    key: str
    values: Document
    problem: str | None = None  # of this document alone


@dataclass(frozen=True, slots=True)
class Outcome:
    key: str
    status: int
    message: str | None = None

    def told(self) -> dict[str, Any]:
        good = self.status in (200, 201)
        return {"key": self.key, "status": good, "errorMessage": self.message, "statusCode": self.status}


def read(body: Any, shape: Shape) -> list[Action]:
    """Check a whole batch before anything is written: one wrong value refuses all of it."""
    actions = body.get("value") if is_object(body) else None
    if not is_list(actions) or not actions:
        raise invalid("No indexing actions found in the request.", code="MissingActions", parameter="actions")
    if len(actions) > MOST_ACTIONS:
        raise invalid(
            f"The batch has {len(actions)} actions; the limit is {MOST_ACTIONS}.",
            code="TooManyActions",
            parameter="actions",
        )
    return [_action(given, number, shape) for number, given in enumerate(actions)]


def _action(given: Any, number: int, shape: Shape) -> Action:
    if not is_object(given):
        raise invalid(f"{number}: The action is no JSON object.", parameter="actions")
    document = dict(given)
    kind = document.pop("@search.action", "upload")
    if not isinstance(kind, str) or kind not in _ACTIONS:
        raise invalid(f"{number}: '{kind}' is no action.", code="InvalidAction", parameter="actions")
    key = shape.key_of(document, number)
    if kind == "delete":
        return Action(kind, key, {})  # the service looks at nothing but the key
    try:
        return Action(kind, key, shape.checked(document))
    except values.TooLong as error:
        return Action(kind, key, {}, str(error))


def outcome(
    table: Written, shape: Shape, actions: list[Action], faults: Faults
) -> tuple[list[Outcome], dict[str, Document | None]]:
    """Return what becomes of each action, done in their order, and which documents are then there (None: gone)."""
    there = table.exists([action.key for action in actions])
    after: dict[str, Document | None] = {}
    outcomes: list[Outcome] = []
    for action in actions:
        result = _failed(action, faults)
        if result is None:
            result, document = _done(action, table, shape, there, after)
            if result.status in (200, 201):
                after[action.key] = document
                there.discard(action.key) if document is None else there.add(action.key)
        outcomes.append(result)
    return outcomes, after


def _failed(action: Action, faults: Faults) -> Outcome | None:
    if action.problem is not None:
        return Outcome(action.key, 400, action.problem)
    rule = faults.take("document", action.key)
    if rule is None:
        return None
    status = int(rule.get("status", 503))
    return Outcome(action.key, status, str(rule.get("body") or _INJECTED.get(status, "injected")))


def _done(
    action: Action, table: Written, shape: Shape, there: set[str], after: dict[str, Document | None]
) -> tuple[Outcome, Document | None]:
    exists = action.key in there
    if action.kind == "delete":
        return Outcome(action.key, 200), None  # of a missing document too
    if action.kind == "merge" and not exists:
        return Outcome(action.key, 404, "Document not found."), None
    if action.kind == "upload" or not exists:
        return Outcome(action.key, 200 if exists else 201), shape.whole(action.values)
    before = after[action.key] if action.key in after else table.get(action.key, _LATEST)
    if before is None:
        raise Failure(500, f"the document '{action.key}' exists and cannot be read", code="EmulatorBug")
    return Outcome(action.key, 200), shape.merged(before, action.values)
