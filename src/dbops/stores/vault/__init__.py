"""Where artifacts lie: one behaviour over a folder, a container of Azure Blob and a bucket of S3.

Names are `/`-separated, below the place's prefix. What is being written is invisible until it is complete.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from dbops.config.model import Place
from dbops.errors import Refused

BLOCK = 1 << 20  # what is read and handed on at a time


class AlreadyThere(Refused):
    """A name that is written once has been written before."""


class Absent(Refused):
    """There is nothing of this name."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One object, as a listing tells it."""

    name: str
    size: int
    modified: datetime


class Writing(Protocol):
    """An object that is being written."""

    def write(self, block: bytes) -> None: ...


class Store(Protocol):
    """A place for objects. Every error is one of ours, and names the target."""

    target: str
    url: str  # without credentials, for messages
    keeps_classes: bool  # whether it knows storage classes

    def put_new(self, name: str, data: bytes) -> None:
        """Write a small object once; AlreadyThere when the name is taken by other bytes."""
        ...

    def writing(self, name: str, *, storage_class: str | None = None) -> AbstractContextManager[Writing]:
        """Write a large object: complete and durable when the block ends well, otherwise not there."""
        ...

    def get(self, name: str) -> bytes:
        """Read a small object whole; Absent when there is none."""
        ...

    def read(self, name: str, *, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """Read an object, or a part of it, in blocks. What lies beyond its end is left out."""
        ...

    def listing(self, prefix: str = "") -> Iterator[Entry]:
        """List what is complete below a folder-like prefix (`a/b/`); what shares a folder comes together."""
        ...

    def head(self, name: str) -> Entry | None: ...

    def delete(self, name: str) -> None:
        """Remove an object; nothing happens when it is gone."""
        ...

    def sweep(self, prefix: str, *, ending: str = "") -> int:
        """Remove what killed writers left below `prefix`; only under the lock of who writes there.

        With `ending`, only in the folders of `prefix` whose names end so: another verb may be at work beside them.
        """
        ...

    def probe(self, *, writable: bool = False) -> None:
        """Find out whether it answers, and whether it can be written."""
        ...


def connect(place: Place, *, target: str) -> Store:
    """Reach a place; nothing is created, and nothing is asked yet."""
    from dbops.stores.vault import places

    return places.store(place, target)
