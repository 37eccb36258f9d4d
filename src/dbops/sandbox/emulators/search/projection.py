"""Which fields of a document are shown: what may be retrieved, cut down to what was selected."""

from collections.abc import Mapping
from typing import Any, cast

from dbops.sandbox.emulators.search.answers import Failure
from dbops.sandbox.emulators.search.fields import is_complex

Wanted = dict[str, "Wanted | None"]


def wanted(fields: list[dict[str, Any]], select: str | None) -> Wanted:
    """Return the tree of shown fields; asking for a hidden or unknown one by name is an error."""
    if select is None or select.strip() in ("", "*"):
        return _retrievable(fields)
    tree: Wanted = {}
    for path in (part.strip() for part in select.split(",")):
        _add(tree, fields, path)
    return tree


def _retrievable(fields: list[dict[str, Any]]) -> Wanted:
    tree: Wanted = {}
    for field in fields:
        if is_complex(field):
            tree[field["name"]] = _retrievable(field["fields"])
        elif field["retrievable"]:
            tree[field["name"]] = None
    return tree


def _add(tree: Wanted, fields: list[dict[str, Any]], path: str) -> None:
    level, names = tree, path.split("/")
    for depth, name in enumerate(names):
        field = next((one for one in fields if one["name"] == name), None)
        last = depth == len(names) - 1
        if field is None or (not last and not is_complex(field)):
            raise _refused(f"Could not find a property named '{path}' on type 'search.document'.")
        if is_complex(field):
            fields = field["fields"]
            below = cast("Wanted", level.setdefault(name, {}))
            if last:
                below.update(_retrievable(fields))
            level = below
        elif not field["retrievable"]:
            raise _refused(f"The field '{path}' is not retrievable.")
        else:
            level[name] = None


def _refused(message: str) -> Failure:
    return Failure(400, f"Invalid expression: {message}\r\nParameter name: $select", code="InvalidRequestParameter")


def shown(document: Mapping[str, Any], tree: Wanted) -> dict[str, Any]:
    """Cut a document down to a tree, keeping the document's order."""
    return {name: _inner(value, tree[name]) for name, value in document.items() if name in tree}


def _inner(value: Any, tree: "Wanted | None") -> Any:
    if tree is None or value is None:
        return value
    if isinstance(value, list):
        return [shown(one, tree) for one in cast("list[Mapping[str, Any]]", value)]
    return shown(cast("Mapping[str, Any]", value), tree)
