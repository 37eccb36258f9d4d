"""What a container is: its definition as the service fills it in, its rules, and its ranges."""

import base64
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from dbops.sandbox.emulators.cosmos import keys, shapes
from dbops.sandbox.emulators.cosmos.answers import Refused, missing
from dbops.sandbox.emulators.cosmos.tables import items_of

_INDEXING = {
    "indexingMode": "consistent",
    "automatic": True,
    "includedPaths": [{"path": "/*"}],
    "excludedPaths": [{"path": '/"_etag"/?'}],
}
_CONFLICTS = {"mode": "LastWriterWins", "conflictResolutionPath": "/_ts", "conflictResolutionProcedure": ""}
_KEPT = ("partitionKey", "uniqueKeyPolicy", "vectorEmbeddingPolicy", "conflictResolutionPolicy")
_FORBIDDEN = frozenset("/\\?#")
_LARGEST_ID = 255
_LARGEST_ITEM_ID = 1023


@dataclass(frozen=True, slots=True)
class Range:
    """One physical partition: the hashes from `low` up to `high`, without it."""

    number: int
    low: str
    high: str
    parents: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Container:
    number: int
    items: str  # the table that holds its items
    rid: str
    rid_bytes: bytes
    link: str  # dbs/<rid>/colls/<rid>/
    name: str  # dbs/<id>/colls/<id>
    scheme: keys.Scheme
    definition: dict[str, Any]
    ranges: tuple[Range, ...]  # those that live, in order
    lows: tuple[str, ...]
    unique: tuple[tuple[tuple[str, ...], ...], ...]
    ttl: int | None  # None: nothing expires; -1: what says so itself

    def range_of(self, epk: str) -> Range:
        return self.ranges[bisect_right(self.lows, epk) - 1]


def of(number: int, name: str, definition: dict[str, Any], ranges: tuple[Range, ...]) -> Container:
    policy = cast("dict[str, Any]", definition.get("uniqueKeyPolicy") or {})
    return Container(
        number=number,
        items=items_of(number),
        rid=definition["_rid"],
        rid_bytes=base64.b64decode(definition["_rid"].replace("-", "/")),
        link=definition["_self"],
        name=name,
        scheme=keys.scheme(definition["partitionKey"]),
        definition=definition,
        ranges=ranges,
        lows=tuple(each.low for each in ranges),
        unique=tuple(tuple(keys.split(path) for path in each["paths"]) for each in policy.get("uniqueKeys", [])),
        ttl=definition.get("defaultTtl"),
    )


def checked_id(body: Mapping[str, Any], *, largest: int = _LARGEST_ID) -> str:
    """Read the id of a resource; the service refuses what could not stand in a path."""
    name = body.get("id")
    if not isinstance(name, str):
        raise Refused(400, "The input content is invalid because the required properties - 'id; ' - are missing")
    if not name or _FORBIDDEN & set(name) or name.endswith(" ") or len(name.encode("utf-8", "replace")) > largest:
        raise Refused(400, f"The input name '{name[:80]}' is invalid: no '/', '\\', '?', '#', no space at the end.")
    return name


def checked_item_id(document: Mapping[str, Any]) -> str:
    return checked_id(document, largest=_LARGEST_ITEM_ID)


def filled(body: Mapping[str, Any]) -> dict[str, Any]:
    """Check what a client wishes for, and fill in what it left out."""
    wish = {name: value for name, value in body.items() if not name.startswith("_") and value is not None}
    checked_id(wish)
    if "partitionKey" not in wish:
        raise Refused(400, "The partition key definition is missing.")
    keys.scheme(wish["partitionKey"])
    if wish.get("computedProperties"):
        raise missing("computed properties")
    if wish.get("fullTextPolicy"):
        raise missing("full text policies")
    if wish.get("changeFeedPolicy"):
        raise missing("the change feed mode with all versions and deletes")
    _check_ttl(wish)
    wish["partitionKey"] = {"version": 1, "kind": "Hash", **wish["partitionKey"]}
    wish["indexingPolicy"] = _filled_policy(wish.get("indexingPolicy") or {})
    wish["uniqueKeyPolicy"] = _checked_unique(wish.get("uniqueKeyPolicy") or {"uniqueKeys": []})
    wish.setdefault("conflictResolutionPolicy", _CONFLICTS)
    wish.setdefault("geospatialConfig", {"type": "Geography"})
    return wish


def _check_ttl(wish: Mapping[str, Any]) -> None:
    if "defaultTtl" not in wish:
        return
    ttl = wish["defaultTtl"]
    if isinstance(ttl, bool) or not isinstance(ttl, int) or not (ttl == -1 or 0 < ttl < 2**31):
        raise Refused(400, f"The default time to live '{ttl}' is invalid: -1 or a positive number of seconds.")


def _filled_policy(value: Any) -> dict[str, Any]:
    policy = shapes.an_object(value, "indexingPolicy")
    mode = str(policy.get("indexingMode", "consistent")).lower()
    if mode not in {"consistent", "none", "lazy"}:
        raise Refused(400, f"The indexing mode '{mode}' is invalid.")
    named = {side: _rules(policy.get(side), side) for side in ("includedPaths", "excludedPaths")}
    filled: dict[str, Any] = {**_INDEXING, **policy, "indexingMode": mode}
    if mode == "none":
        filled |= {"automatic": False, **named}
    elif any(named.values()):
        filled |= named
        if "/*" not in {one["path"] for side in named.values() for one in side}:
            raise Refused(400, "The special mandatory indexing path '/' is not provided in any of the path type sets.")
    for group in shapes.a_list(policy.get("compositeIndexes") or [], "compositeIndexes"):
        if len(_rules(group, "compositeIndexes")) < 2:
            raise Refused(400, "A composite index needs at least two paths.")
    return filled


def _rules(value: Any, what: str) -> list[dict[str, Any]]:
    rules = shapes.objects(value or [], what)
    if rules:
        shapes.paths([one.get("path") for one in rules], what)
    return rules


def _checked_unique(value: Any) -> dict[str, Any]:
    groups = shapes.objects(shapes.an_object(value, "uniqueKeyPolicy").get("uniqueKeys") or [], "uniqueKeys")
    for group in groups:
        shapes.paths(group.get("paths"), "the paths of a unique key")
    return {"uniqueKeys": groups}


def replaced(before: Container, body: Mapping[str, Any]) -> dict[str, Any]:
    """Check a new definition: what decides where items lie can never change."""
    wish = filled(body)
    if wish["id"] != before.definition["id"]:
        raise Refused(400, "The id of a container cannot change.")
    for name in _KEPT:
        if name not in wish and name != "partitionKey":
            if name in before.definition:
                wish[name] = before.definition[name]
        elif name in wish and wish[name] != before.definition.get(name) and name in body:
            raise Refused(400, f"Replacing {name} of a container is not allowed.")
    return wish


def is_ordered(container: Container, path: tuple[str, ...]) -> bool:
    """Tell whether the values at a path are indexed: the rule that names the path most exactly counts."""
    policy = container.definition["indexingPolicy"]
    included = max((_fit(one["path"], path) for one in policy["includedPaths"]), default=0)
    excluded = max((_fit(one["path"], path) for one in policy["excludedPaths"]), default=0)
    return policy["indexingMode"] != "none" and included >= excluded and included > 0


def named_paths(container: Container) -> list[str]:
    """Return the paths that the policy includes by name, as "/a/b"."""
    rules = [keys.split(one["path"]) for one in container.definition["indexingPolicy"]["includedPaths"]]
    return ["/" + "/".join(names) for *names, end in rules if end == "?"]


def _fit(rule: str, path: tuple[str, ...]) -> int:
    """Measure how exactly a rule like `/a/b/?` or `/a/*` names a path; 0: not at all."""
    *names, end = keys.split(rule)
    if end == "?":
        return 2 * len(names) + 2 if tuple(names) == path else 0
    return 2 * len(names) + 1 if end == "*" and path[: len(names)] == tuple(names) else 0


def composite_of(container: Container) -> list[tuple[tuple[tuple[str, ...], bool], ...]]:
    """Read the composite indexes: for each its paths, and whether they descend."""
    groups = cast("list[list[dict[str, Any]]]", container.definition["indexingPolicy"].get("compositeIndexes") or [])
    return [
        tuple((keys.split(one["path"]), str(one.get("order", "ascending")).lower() == "descending") for one in group)
        for group in groups
    ]
