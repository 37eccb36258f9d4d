"""Writing documents to AI Search, as far as it is pure: how they are cut into requests, and what answers mean."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import orjson

from dbops.redact import redact
from dbops.stores import azure

MOST_DOCUMENTS = 1000  # of one request
MOST_BYTES = 15_500_000  # of the 16 MB that one request may have
_COME_AGAIN = frozenset({409, 422, 429, 503})  # per document: indexed by another, index busy, throttled


@dataclass(frozen=True, slots=True)
class Failed:
    """One document that the service did not take."""

    key: str
    status: int
    message: str


@dataclass(frozen=True, slots=True)
class Written:
    """What became of the documents of a write."""

    done: int = 0
    failed: tuple[Failed, ...] = ()

    def __add__(self, other: "Written") -> "Written":
        return Written(self.done + other.done, self.failed + other.failed)


def batches(
    actions: Iterable[bytes], *, most: int = MOST_DOCUMENTS, most_bytes: int = MOST_BYTES
) -> Iterator[list[bytes]]:
    """Cut documents into requests that the service takes; one that is too large alone goes alone."""
    batch: list[bytes] = []
    size = 0
    for action in actions:
        if batch and (len(batch) == most or size + len(action) + 1 > most_bytes):
            yield batch
            batch, size = [], 0
        batch.append(action)
        size += len(action) + 1
    if batch:
        yield batch


def to_repeat(results: Sequence[Mapping[str, Any]]) -> list[int]:
    """Find what may succeed later; of a key that comes twice, an earlier document must not overwrite a later one."""
    times = Counter(one["key"] for one in results)
    return [
        number
        for number, one in enumerate(results)
        if not one["status"] and one["statusCode"] in _COME_AGAIN and times[one["key"]] == 1
    ]


def refused(one: Mapping[str, Any]) -> Failed:
    return Failed(str(one["key"]), int(one["statusCode"]), azure.first_line(redact(str(one.get("errorMessage") or ""))))


def key_of(action: bytes) -> str:
    """Name a document that the service did not look at: which field its key is, only the index knows."""
    told = cast("dict[str, Any]", orjson.loads(action))
    return next((str(value) for name, value in told.items() if not name.startswith("@")), "?")
