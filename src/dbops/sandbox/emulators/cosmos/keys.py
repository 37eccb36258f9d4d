"""Partition keys: what a document's key is, and where its hash puts it.

The hash is the SDK's own, so that its feed ranges and ours are the same.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

import orjson
from azure.cosmos.partition_key import (
    PartitionKey,
    _to_hex_encoded_binary_string_v1,  # pyright: ignore[reportPrivateUsage]
)

from dbops.sandbox.emulators.cosmos import shapes
from dbops.sandbox.emulators.cosmos.answers import Refused

UNDEFINED: dict[str, Any] = {}  # as the SDK writes it
_LARGEST = {1: 101, 2: 2048}
_MISMATCH = 1001


@dataclass(frozen=True, slots=True)
class Key:
    """The key of one logical partition: its hash, and its text, because hashes may collide."""

    epk: str
    text: str


@dataclass(frozen=True, slots=True, eq=False)
class Scheme:
    """How a container finds the partition key of a document. One of each container: keys are cached by it."""

    paths: tuple[tuple[str, ...], ...]
    kind: str
    version: int

    def of(self, document: Mapping[str, Any]) -> Key:
        return self.key(self.components(document))

    def components(self, document: Mapping[str, Any]) -> list[Any]:
        return [_at(document, path) for path in self.paths]

    def key(self, components: Sequence[Any]) -> Key:
        if len(components) != len(self.paths):
            raise Refused(400, "Partition key provided doesn't correspond to definition in the collection.")
        text = _text(components)
        if len(text) > _LARGEST[self.version] * len(self.paths) + 4:
            raise Refused(400, f"Partition key is over the limit of {_LARGEST[self.version]} bytes.")
        return Key(_epk(self.kind, self.version, text), text)

    def prefix(self, components: Sequence[Any]) -> tuple[str, str]:
        """Find where all keys lie that begin so (hierarchical keys only)."""
        if self.kind != "MultiHash" or not 0 < len(components) < len(self.paths):
            raise Refused(400, "Partition key provided doesn't correspond to definition in the collection.")
        low = _epk(self.kind, self.version, _text(components))
        return low, low + "FF"

    @property
    def ends(self) -> tuple[int, int]:
        """The hashes that can occur, as numbers of 32 hexadecimal digits."""
        if self.version == 1 and self.kind == "Hash":
            return _number_v1(0.0), _number_v1(float(2**32 - 1))
        return 0, 0x40 << 120  # the hash's two highest bits are always clear

    def boundaries(self, count: int) -> list[str]:
        """Cut the space of hashes evenly; the first range begins at "" and the last ends at "FF"."""
        if self.version == 1 and self.kind == "Hash":
            inner = [_hex_v1(float(2**32 * n // count)) for n in range(1, count)]
        else:
            inner = [f"{(0x40 << 120) * n // count - 1:032X}" for n in range(1, count)]
        return ["", *inner, "FF"]

    def middle(self, low: str, high: str) -> str:
        """Find where a range is split."""
        first, last = self.ends
        begin = _number(low) if low else first
        end = last if high == "FF" else _number(high)
        return f"{(begin + end) // 2:032X}"


def scheme(value: Any) -> Scheme:
    """Read a partition key definition; refuses what the service refuses."""
    definition = shapes.an_object(value, "partitionKey")
    listed = shapes.paths(definition.get("paths"), "the paths of partitionKey")
    kind, version = definition.get("kind", "Hash"), definition.get("version", 1)
    if (kind, version) not in (("Hash", 1), ("Hash", 2), ("MultiHash", 2)):
        raise Refused(400, f"The partition key kind {kind} of version {version} is invalid.")
    if len(listed) > (1 if kind == "Hash" else 3):
        raise Refused(400, f"Too many partition key paths for kind {kind} of version {version}.")
    return Scheme(tuple(split(path) for path in listed), kind, version)


def split(path: str) -> tuple[str, ...]:
    """Cut `/a/"b c"` into its names."""
    return tuple(part[1:-1] if part[:1] == part[-1:] == '"' and len(part) > 1 else part for part in path[1:].split("/"))


def of_header(text: str) -> list[Any]:
    """Read the header that names a partition key."""
    try:
        components = orjson.loads(text)
    except ValueError:
        components = None
    if not isinstance(components, list):
        raise Refused(400, f"Partition key {text} is invalid.")
    return cast("list[Any]", components)


@lru_cache(maxsize=65536)
def named(scheme: Scheme, text: str) -> Key:
    """Find the key that a header names."""
    return scheme.key(of_header(text))


def must_match(scheme: Scheme, document: Mapping[str, Any], told: Key | None) -> Key:
    """Take the document's own key, which has to be the one that the request names."""
    if told is None:
        raise Refused(400, "PartitionKey value must be supplied for this operation.")
    if _text(scheme.components(document)) != told.text:
        raise Refused(
            400,
            "PartitionKey extracted from document doesn't match the one specified in the header.",
            substatus=_MISMATCH,
        )
    return told


def _at(document: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        if not isinstance(document, dict) or name not in document:
            return UNDEFINED
        document = cast("dict[str, Any]", document)[name]
    return document


def _text(components: Sequence[Any]) -> str:
    return orjson.dumps([_component(each) for each in components]).decode()


def _component(value: Any) -> Any:
    match value:
        case bool() | None | str():
            return value
        case int() | float() if math.isfinite(value):
            return float(value)  # 1 and 1.0 are the same key
        case dict() if not value:
            return UNDEFINED
        case _:
            raise Refused(400, "Partition key values are strings, numbers, booleans, null, or missing.")


@lru_cache(maxsize=65536)
def _epk(kind: str, version: int, text: str) -> str:
    hashed = PartitionKey._get_hashed_partition_key_string(orjson.loads(text), kind, version)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    return str(hashed).upper()


def _hex_v1(number: float) -> str:
    return _to_hex_encoded_binary_string_v1([number]).upper()


def _number_v1(number: float) -> int:
    return _number(_hex_v1(number))


def _number(text: str) -> int:
    return int(text[:32].ljust(32, "0"), 16)
