"""Changes to parts of an item, one after the other; all of them or none."""

from collections.abc import Mapping
from typing import Any, cast

from dbops.sandbox.emulators.cosmos import shapes
from dbops.sandbox.emulators.cosmos.answers import Refused
from dbops.sandbox.emulators.cosmos.keys import Scheme

_MOST = 10
_SYSTEM = frozenset({"id", "_rid", "_self", "_etag", "_attachments", "_ts"})
_ABSENT = object()

Place = tuple[Any, str]  # the object or array, and what is meant in it


def operations_of(body: Any) -> tuple[list[dict[str, Any]], str | None]:
    """Read a patch: its operations and its condition."""
    wish = shapes.an_object(body, "a patch")
    operations = shapes.objects(wish.get("operations"), "the operations of a patch")
    if not operations:
        raise Refused(400, "The patch request needs operations.")
    if len(operations) > _MOST:
        raise Refused(400, f"The number of patch operations can't exceed '{_MOST}'.")
    return operations, shapes.maybe_text(wish.get("condition"), "condition")


def apply(document: dict[str, Any], operations: list[dict[str, Any]], scheme: Scheme) -> None:
    """Change a document in place; refuses with 400 what does not fit it."""
    for operation in operations:
        path = _path(operation.get("path"))
        _must_be_free(path, scheme)
        _one(document, operation, path, scheme)


def _one(document: dict[str, Any], operation: Mapping[str, Any], path: tuple[str, ...], scheme: Scheme) -> None:
    match operation.get("op"):
        case "add":
            _put(_place(document, path), _value(operation), insert=True)
        case "set":
            _put(_place(document, path), _value(operation), insert=False)
        case "replace":
            place = _place(document, path)
            if _get(place) is _ABSENT:
                raise _wrong(path, "replace needs a path that exists")
            _put(place, _value(operation), insert=False)
        case "remove":
            _drop(_place(document, path), path)
        case "incr" | "increment":
            _increment(_place(document, path), _value(operation), path)
        case "move":
            source = _path(operation.get("from"))
            _must_be_free(source, scheme)
            if path[: len(source)] == source and path != source:
                raise _wrong(path, "an object cannot move into itself")
            value = _get(_place(document, source))
            _drop(_place(document, source), source)
            _put(_place(document, path), value, insert=True)
        case unknown:
            raise Refused(400, f"The patch operation '{unknown}' is invalid.")


def _path(text: Any) -> tuple[str, ...]:
    if not isinstance(text, str) or not text.startswith("/") or len(text) < 2:
        raise Refused(400, f"The patch path '{text}' is invalid.")
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in text[1:].split("/"))


def _must_be_free(path: tuple[str, ...], scheme: Scheme) -> None:
    if path[0] in _SYSTEM:
        raise _wrong(path, "system properties cannot be patched")
    if any(path[: len(each)] == each or each[: len(path)] == path for each in scheme.paths):
        raise _wrong(path, "the partition key cannot be patched")


def _value(operation: Mapping[str, Any]) -> Any:
    if "value" not in operation:
        raise Refused(400, f"The patch operation '{operation.get('op')}' needs a value.")
    return operation["value"]


def _wrong(path: tuple[str, ...], why: str) -> Refused:
    return Refused(400, f"For Operation on path /{'/'.join(path)}: {why}.")


def _place(document: dict[str, Any], path: tuple[str, ...]) -> Place:
    """Walk to the parent, which has to exist."""
    at: Any = document
    for part in path[:-1]:
        inner: Any = _get((at, part))
        if not isinstance(inner, dict | list):
            raise _wrong(path, "the parent does not exist")
        at = cast("Any", inner)
    return at, path[-1]


def _index(name: str, end: int) -> int | None:
    return int(name) if name.isdigit() and int(name) < end else None


def _get(place: Place) -> Any:
    owner, name = place
    if isinstance(owner, list):
        items = cast("list[Any]", owner)
        index = _index(name, len(items))
        return _ABSENT if index is None else items[index]
    return owner.get(name, _ABSENT)


def _put(place: Place, value: Any, *, insert: bool) -> None:
    owner, name = place
    if not isinstance(owner, list):
        owner[name] = value
        return
    items = cast("list[Any]", owner)
    if name == "-":
        items.append(value)
        return
    index = _index(name, len(items) + 1)
    if index is None:
        raise _wrong((name,), "the array has no such index")
    if insert or index == len(items):
        items.insert(index, value)
    else:
        items[index] = value


def _drop(place: Place, path: tuple[str, ...]) -> None:
    owner, name = place
    if _get(place) is _ABSENT:
        raise _wrong(path, "the path does not exist")
    if isinstance(owner, list):
        del owner[int(name)]
    else:
        del owner[name]


def _increment(place: Place, by: Any, path: tuple[str, ...]) -> None:
    if isinstance(by, bool) or not isinstance(by, int | float):
        raise _wrong(path, "incr needs a number")
    before = _get(place)
    if before is _ABSENT:
        _put(place, by, insert=False)
        return
    if isinstance(before, bool) or not isinstance(before, int | float):
        raise _wrong(path, "incr needs a number at the path")
    _put(place, before + by, insert=False)
