"""The shape of an index's documents: checks what is sent, fills in what is missing, merges what is new."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from dbops.sandbox.emulators.search import values
from dbops.sandbox.emulators.search.answers import Failure, invalid
from dbops.sandbox.emulators.search.fields import COMPLEX, COMPLEX_COLLECTION, walk
from dbops.sandbox.emulators.search.given import is_list, is_object

Document = dict[str, Any]

_KEY = re.compile(r"[A-Za-z0-9\-=][A-Za-z0-9_\-=]{0,1023}")
_MOST_OBJECTS = 3000


@dataclass(frozen=True, slots=True)
class _Leaf:
    check: values.Check
    many: bool


class Level:
    """The fields of a document, or of a complex field in it."""

    __slots__ = ("_leaves", "_levels", "_many", "_names", "_order")

    def __init__(self, fields: list[dict[str, Any]]) -> None:
        self._order = [field["name"] for field in fields]
        self._names = frozenset(self._order)
        self._leaves: dict[str, _Leaf] = {}
        self._levels: dict[str, Level] = {}
        self._many: set[str] = set()
        for field in fields:
            if field["type"] in (COMPLEX, COMPLEX_COLLECTION):
                self._levels[field["name"]] = Level(field["fields"])
                if field["type"] == COMPLEX_COLLECTION:
                    self._many.add(field["name"])
            else:
                many = field["type"].startswith("Collection(") and field.get("dimensions") is None
                self._leaves[field["name"]] = _Leaf(values.check_of(field), many)

    def checked(self, given: Any, path: str = "") -> Document:
        """Return what was given, each value as it is kept; nothing is filled in."""
        if not is_object(given):
            raise _told(path.rstrip("/"), str(values.Mismatch(given, "Edm.ComplexType")))
        if not given.keys() <= self._names:
            raise _unknown(min(given.keys() - self._names), path)
        return {name: self._value(name, value, path) for name, value in given.items()}

    def _value(self, name: str, value: Any, path: str) -> Any:
        leaf = self._leaves.get(name)
        if leaf is not None:
            try:
                return leaf.check(value)
            except (values.Mismatch, values.Null, values.WrongLength) as error:
                raise _told(path + name, str(error)) from None
        level = self._levels[name]
        if name not in self._many:
            return None if value is None else level.checked(value, f"{path}{name}/")
        if value is None:
            raise _told(path + name, str(values.Null(COMPLEX_COLLECTION)))
        if type(value) is not list:
            raise _told(path + name, str(values.Mismatch(value, COMPLEX_COLLECTION)))
        return [level.filled(level.checked(one, f"{path}{name}/")) for one in cast("list[Any]", value)]

    def filled(self, checked: Document) -> Document:
        """Return a whole document in the order of the fields: null, or an empty collection, for what is missing."""
        whole: Document = {}
        for name in self._order:
            if name in checked:
                value = checked[name]
                if name in self._levels and type(value) is dict:
                    value = self._levels[name].filled(cast("Document", value))
                whole[name] = value
            elif name in self._many or (name in self._leaves and self._leaves[name].many):
                whole[name] = []
            else:
                whole[name] = None
        return whole

    def merged(self, before: Mapping[str, Any], checked: Document) -> Document:
        """Put new values over old ones: collections are replaced, complex values are merged."""
        after: Document = dict(before)
        for name, value in checked.items():
            old = before.get(name)
            if type(value) is dict and type(old) is dict and name in self._levels:
                after[name] = self._levels[name].merged(cast("Document", old), cast("Document", value))
            else:
                after[name] = value
        return self.filled(after)


def _told(path: str, message: str) -> Failure:
    return Failure(
        400,
        f"The request is invalid. Details: {path or 'documents'} : {message}",
        code="",
        details=(("InvalidDocument", f"The property '{path}': {message}"),),
    )


def _unknown(name: str, path: str) -> Failure:
    kind = "search.documentFields" if not path else f"search.complex.{path.rstrip('/').replace('/', '.')}"
    return Failure(
        400,
        f"The request is invalid. Details: The property '{name}' does not exist on type '{kind}' or is not present in "
        "the API version. Make sure to only use property names that are defined by the type.",
    )


class Shape:
    """What the documents of one index look like."""

    __slots__ = ("_counted", "_level", "_unstored", "key")

    def __init__(self, definition: dict[str, Any]) -> None:
        self._level = Level(definition["fields"])
        self.key = next(field["name"] for field in definition["fields"] if field.get("key"))
        self._counted = any(field["type"] == COMPLEX_COLLECTION for _, field in walk(definition["fields"]))
        self._unstored = [field["name"] for field in definition["fields"] if field.get("stored") is False]

    def key_of(self, given: Mapping[str, Any], number: int) -> str:
        """Return a document's key; the whole request fails when it has none, or one that no URL could hold."""
        key = given.get(self.key)
        if key is None or key == "":
            message = f"{number}: Document key cannot be missing or empty."
            raise invalid(message, code="MissingKeyField", parameter="actions")
        if type(key) is not str:
            raise _told(self.key, str(values.Mismatch(key, "Edm.String")))
        if len(key) > 1024:
            message = f"{number}: Document key cannot be longer than 1024 characters."
            raise invalid(message, code="InvalidDocumentKey", parameter="actions")
        if not _KEY.fullmatch(key):
            message = (
                f"{number}: Invalid document key: '{key}'. Keys can only contain letters, digits, underscore (_), "
                "dash (-), or equal sign (=), and cannot begin with an underscore."
            )
            raise invalid(message, code="InvalidDocumentKey", parameter="actions")
        return key

    def checked(self, given: Mapping[str, Any]) -> Document:
        """Check the values of a document; Failure refuses the request, values.TooLong only this document."""
        document = self._level.checked(given)
        if self._counted and _objects(document) > _MOST_OBJECTS:
            raise _told("", f"A document can hold {_MOST_OBJECTS} objects in its complex collections.")
        return document

    def whole(self, checked: Document) -> Document:
        return self._level.filled(checked)

    def merged(self, before: Mapping[str, Any], checked: Document) -> Document:
        # A vector that is not stored cannot be read back for a merge: who does not send it again loses it.
        kept = {name: value for name, value in before.items() if name not in self._unstored}
        return self._level.merged(kept, checked)


def _objects(value: Document) -> int:
    """Count the objects in collections; most documents have none, so look no deeper than needed."""
    found = 0
    for inner in value.values():
        if is_object(inner):
            found += _objects(inner)
        elif is_list(inner) and inner and is_object(inner[0]):
            found += len(inner) + sum(_objects(one) for one in inner)
    return found
