"""What lies in a vault: found by one listing, with the manifests read beside it."""

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from itertools import groupby
from typing import TypeVar

from dbops import units
from dbops.copies.manifest import CONSTRUCTION, MANIFEST, VERIFIED, Begun, Manifest, opened
from dbops.engine.finding import Finding, Severity
from dbops.errors import CouldNotVerify, VerifiedBad
from dbops.stores.vault import Absent, Entry, Store

T = TypeVar("T")

_READ_AT_ONCE = 8
_READ_AHEAD = 32
_NAME = re.compile(
    r"(?P<folder>(?P<prefix>(?:.*/)?)(?P<store>[a-z]+)/(?P<target>[a-z][a-z0-9_-]*)"
    r"/(?P<stamp>\d{8}T\d{6}\.\d{3}Z)-(?P<kind>[a-z][a-z0-9-]*)/).+"
)


@dataclass(frozen=True, slots=True)
class Address:
    """Where an artifact lies, and what its name alone tells."""

    folder: str
    prefix: str
    store: str
    target: str
    kind: str
    instant: datetime


@dataclass(frozen=True, slots=True)
class Artifact:
    """A complete artifact: its manifest was read, and its seal is whole."""

    address: Address
    manifest: Manifest
    sizes: dict[str, int] = field(repr=False)  # of each object below its folder
    written: datetime  # as the vault tells it

    @property
    def verified(self) -> tuple[str, ...]:
        """The names of its verification results, oldest first: `20260801T020000.123Z-stored`."""
        names = [name for name in self.sizes if name.startswith(VERIFIED)]
        return tuple(sorted(name.removeprefix(VERIFIED).removesuffix(".json") for name in names))


@dataclass(frozen=True, slots=True)
class Construction:
    """An artifact without a manifest: under construction, or abandoned."""

    address: Address
    begun: Begun | None  # None: not even that was written, or it cannot be read
    sizes: dict[str, int] = field(repr=False)
    touched: datetime


@dataclass(frozen=True, slots=True)
class Broken:
    """An artifact whose manifest is not what was written."""

    address: Address
    finding: Finding
    sizes: dict[str, int] = field(repr=False)
    written: datetime


Found = Artifact | Construction | Broken


@dataclass(frozen=True, slots=True)
class Group:
    """All objects of one artifact, by their names below its folder."""

    address: Address
    entries: dict[str, Entry] = field(repr=False)

    @property
    def sizes(self) -> dict[str, int]:
        return {name: entry.size for name, entry in self.entries.items()}

    @property
    def touched(self) -> datetime:
        return max(entry.modified for entry in self.entries.values())


def address(name: str) -> Address | None:
    """Tell where the artifact lies to which an object belongs; None for what is no part of one."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    try:
        instant = units.parse_stamp(match["stamp"])
    except ValueError:
        return None
    return Address(match["folder"], match["prefix"], match["store"], match["target"], match["kind"], instant)


def groups(vault: Store, prefix: str = "") -> Iterator[Group]:
    """Gather the objects of each artifact; they come together in a listing, so one at a time is held."""
    placed = ((at, entry) for entry in vault.listing(prefix) if (at := address(entry.name)) is not None)
    for at, several in groupby(placed, key=lambda pair: pair[0]):
        yield Group(at, {entry.name.removeprefix(at.folder): entry for _, entry in several})


def listing(vault: Store, prefix: str = "") -> Iterator[Found]:
    """Tell every artifact below `prefix` (`<tier prefix><store>/<target>/` or less of it)."""
    for found in ahead(groups(vault, prefix), partial(_still, vault)):
        if found is not None:
            yield found


def ahead(several: Iterable[Group], look: Callable[[Group], T]) -> Iterator[T]:
    """Look at some artifacts while the listing goes on; the answers come in its order."""
    waiting: deque[Future[T]] = deque()
    with ThreadPoolExecutor(_READ_AT_ONCE, thread_name_prefix="manifests") as pool:
        try:
            for group in several:
                waiting.append(pool.submit(look, group))
                if len(waiting) >= _READ_AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _still(vault: Store, group: Group) -> Found | None:
    """Look at one that was listed; None when it was removed a moment ago."""
    try:
        return look(vault, group)
    except Absent:
        return None


def look(vault: Store, group: Group) -> Found:
    """Read the manifest of one artifact, if it has one."""
    at = group.address
    if MANIFEST not in group.entries:
        return Construction(at, _begun(vault, group), group.sizes, group.touched)
    written = group.entries[MANIFEST].modified
    try:
        manifest = opened(Manifest, vault.get(at.folder + MANIFEST), at.folder + MANIFEST)
        _same_place(manifest, at)
    except (VerifiedBad, CouldNotVerify) as error:
        severity = Severity.BAD if isinstance(error, VerifiedBad) else Severity.UNKNOWN
        code = "manifest_changed" if severity is Severity.BAD else "manifest_unknown"
        finding = Finding(severity, code, at.target, error.message, error.hint)
        return Broken(at, finding, group.sizes, written)
    return Artifact(at, manifest, group.sizes, written)


def find(vault: Store, folder: str) -> Found | None:
    """Look at one artifact; None when nothing lies there."""
    group = next(groups(vault, folder), None)
    return None if group is None else look(vault, group)


def _same_place(manifest: Manifest, at: Address) -> None:
    """A whole manifest in another artifact's folder is as wrong as a changed one."""
    subject = manifest.subject
    if not at.folder.endswith(f"/{subject.folder}") and at.folder != subject.folder:
        told = f"{at.folder}{MANIFEST} belongs to {subject.folder}, written {units.instant(manifest.finished)}"
        raise VerifiedBad(told)


def _begun(vault: Store, group: Group) -> Begun | None:
    name = group.address.folder + CONSTRUCTION
    if CONSTRUCTION not in group.entries:
        return None
    try:
        return opened(Begun, vault.get(name), name)
    except (VerifiedBad, CouldNotVerify, Absent):
        return None
