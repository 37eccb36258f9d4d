"""Look at a place: one listing, the manifests beside it, and what the last verification said."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from hashlib import sha256
from typing import cast

from dbops import units
from dbops.copies import artifact, catalogue
from dbops.copies.manifest import CONSTRUCTION, MANIFEST, RECORDS, REMEMBERED, VERIFIED, opened, sealed
from dbops.engine import stop
from dbops.engine.finding import Severity, Verdict
from dbops.errors import CouldNotVerify, VerifiedBad
from dbops.operations.vault.check import standing
from dbops.operations.vault.facts import Checked, Held, Seen, State, Strangers, Wanted
from dbops.stores.vault import Absent, Entry, Store

_LOOKED_BACK = 50  # verifications; whoever verifies in slices leaves many


def observe(
    store: Store, place: str, wanted: Wanted, now: datetime, *, max_age: timedelta | None = None, results: bool = True
) -> Held:
    """See every artifact that is wanted; with `results`, also what verifications of it have said."""
    noticing = _Noticing(store)
    seen: list[Seen] = []
    for group in catalogue.ahead(
        (g for g in catalogue.groups(cast("Store", noticing)) if _is_wanted(g, wanted)),
        lambda group: _seen(store, group, now, results=results),
    ):
        stop.check()
        seen += group
    strangers, remembered = Strangers(noticing.count, noticing.first), tuple(sorted(noticing.remembered))
    return Held(place, tuple(seen), strangers, remembered=remembered, max_age=max_age)


class _Noticing:
    """Counts what a listing passes by because it belongs to no artifact."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.count = 0
        self.first: str | None = None
        self.remembered: set[str] = set()

    def listing(self, prefix: str = "") -> Iterator[Entry]:
        for entry in self._store.listing(prefix):
            if entry.name.startswith(REMEMBERED):
                self.remembered.add(entry.name)
            elif catalogue.address(entry.name) is None:
                self.count += 1
                self.first = self.first or entry.name
            yield entry


def _is_wanted(group: catalogue.Group, wanted: Wanted) -> bool:
    at = group.address
    return wanted.holds(store=at.store, target=at.target, kind=at.kind)


def _seen(store: Store, group: catalogue.Group, now: datetime, *, results: bool) -> list[Seen]:
    try:
        found = catalogue.look(store, group)
        checked = standing(verifications(store, found)) if results and isinstance(found, artifact.Artifact) else None
    except Absent:  # removed a moment ago
        return []
    return [judged(found, now, checked)]


def judged(found: artifact.Found, now: datetime, checked: Checked | None = None) -> Seen:
    """Say how much of an artifact there is."""
    at = found.address
    data = {name: size for name, size in found.sizes.items() if not name.startswith((RECORDS, VERIFIED))}
    known = partial(Seen, at.folder.rstrip("/"), at.store, at.target, at.kind, at.instant)
    stored = sum(data.values())
    match found:
        case artifact.Artifact(manifest=manifest, written=written):
            wrong = _wrong(found)
            state = State.COMPLETE if wrong is None else State.BROKEN
            seal = sha256(sealed(manifest)).hexdigest()
            return known(state, len(manifest.files), manifest.stored_size, seal, written, wrong, checked)
        case artifact.Construction(touched=touched):
            state = State.ABANDONED if now - touched > artifact.ABANDONED_AFTER else State.BUILDING
            records = sum(name.startswith(RECORDS) for name in found.sizes)
            return known(state, records, stored, None, touched)
        case artifact.Broken(finding=finding, written=written):
            state = State.BROKEN if finding.severity is Severity.BAD else State.UNKNOWN
            return known(state, len(data.keys() - {MANIFEST, CONSTRUCTION}), stored, None, written, finding.message)


def _wrong(found: artifact.Artifact) -> str | None:
    """Tell what a listing already gives away."""
    for file in found.manifest.files:
        size = found.sizes.get(file.stored)
        if size is None:
            return f"{file.stored} is missing"
        if size != file.stored_size:
            return f"{file.stored} has {size} bytes and was written with {file.stored_size}"
        if f"{RECORDS}{file.name}.json" not in found.sizes:
            return f"{RECORDS}{file.name}.json is missing"
    return None


@dataclass(frozen=True, slots=True)
class _Kept:
    """One result of a verification, as `artifact.keep` writes it."""

    format: int
    run: str
    at: datetime
    depth: str
    subset: tuple[int, int]
    verdict: Verdict
    files: int
    read_bytes: int
    findings: list[tuple[str, str, str]]


def verifications(store: Store, found: artifact.Artifact) -> Iterator[Checked]:
    """Read what verifications have said, newest first, as long as somebody wants to know."""
    for name in found.verified[: -_LOOKED_BACK - 1 : -1]:
        yield _checked(store.get(f"{found.address.folder}{VERIFIED}{name}.json"), name)


def _checked(data: bytes, name: str) -> Checked:
    """Read one result. One that was altered proves nothing, so it cannot be left out as if it had never been."""
    stamp, _, depth = name.partition("-")
    try:
        kept = opened(_Kept, data, name)
    except (VerifiedBad, CouldNotVerify):
        return Checked(_moment(stamp), depth, Verdict.COULD_NOT_VERIFY)
    nth, of = kept.subset
    return Checked(kept.at.astimezone(UTC), kept.depth, kept.verdict, None if of == 1 else f"{nth}/{of}")


def _moment(stamp: str) -> datetime:
    try:
        return units.parse_stamp(stamp)
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)
