"""Bring one artifact to a second place: what is stored, as it is stored, hashed on the way and read back.

What verifications have found goes along: small objects that are written once.
"""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from typing import assert_never

from dbops.copies import artifact, catalogue, streams
from dbops.copies.manifest import CONSTRUCTION, MANIFEST, RECORDS, Begun, File, opened, sealed
from dbops.copies.reader import Counting
from dbops.engine import stop
from dbops.engine.plan import Step
from dbops.errors import CouldNotVerify, VerifiedBad
from dbops.operations.vault.facts import VAULT, Action, CopyArtifact, CopyRemembered
from dbops.stores.vault import Absent, AlreadyThere, Store

SUBJECT = "vault"
_SMALL = 1 << 20  # many small files wait for the network, so they go together; a large one fills it, and memory
_AT_ONCE = 8
_LOOK_AT_VAULT = "find out with: dbops vault verify --all"
_LOOK_AT_COPY = "look at it, then move it away by hand: dbops writes nothing over"


@dataclass(frozen=True, slots=True)
class Doing:
    """What it takes to copy: where from, and where to."""

    vault: Store
    copy: Store


def apply(doing: Doing, step: Step[Action]) -> None:
    match step.action:
        case CopyArtifact() as action:
            _copy(doing, action)
        case CopyRemembered(names):
            for name in names:
                stop.check()
                with suppress(Absent):  # removed a moment ago
                    _put(doing, name, doing.vault.get(name))
        case _:
            assert_never(step.action)


def _copy(doing: Doing, action: CopyArtifact) -> None:
    """Copy one artifact. A killed run has left whole files or none: those that are there are hashed, not trusted."""
    folder = f"{action.name}/"
    whole = _source(doing, action, folder)
    doing.copy.sweep(folder)
    found = catalogue.find(doing.copy, folder)
    there = found.sizes if found is not None else {}
    if MANIFEST in there:
        raise VerifiedBad(
            f"{folder} was completed by somebody else meanwhile", hint="run it again", target=_name(doing)
        )
    _write_begun(doing, folder)
    bring = partial(_bring_whole, doing, whole, there)
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="copying") as pool:
        for _ in pool.map(bring, (file for file in whole.manifest.files if file.stored_size <= _SMALL)):
            stop.check()
    for file in whole.manifest.files:
        if file.stored_size > _SMALL:
            bring(file)
    stop.check()
    _put(doing, folder + MANIFEST, doing.vault.get(folder + MANIFEST))


def _bring_whole(doing: Doing, whole: artifact.Artifact, there: Mapping[str, int], file: File) -> None:
    """Bring one file, compare what has arrived, and only then let its record tell that it is complete."""
    stop.check()
    folder = whole.address.folder
    if file.stored not in whole.sizes:
        raise VerifiedBad(f"{folder}{file.stored} is missing", hint=_LOOK_AT_VAULT, target=VAULT)
    if file.stored not in there:
        _bring(doing, folder, file)
    _compare(doing, folder, file, ours=file.stored not in there)
    _write_record(doing, whole, folder, file)


def _name(doing: Doing) -> str:
    return doing.copy.target


def _source(doing: Doing, action: CopyArtifact, folder: str) -> artifact.Artifact:
    """Look at the source again: what was agreed to is this very content."""
    found = catalogue.find(doing.vault, folder)
    if not isinstance(found, artifact.Artifact):
        raise VerifiedBad(f"{folder} is no longer whole in the vault", hint=_LOOK_AT_VAULT, target=VAULT)
    if sha256(sealed(found.manifest)).hexdigest() != action.manifest:
        raise VerifiedBad(f"the manifest of {folder} has changed since the plan", hint=_LOOK_AT_VAULT, target=VAULT)
    return found


def _write_begun(doing: Doing, folder: str) -> None:
    """Let others see that something comes; without it, or with a broken one, the artifact is no less whole."""
    name = folder + CONSTRUCTION
    with suppress(Absent, VerifiedBad, CouldNotVerify):
        begun = doing.vault.get(name)
        opened(Begun, begun, name)
        _put(doing, name, begun)


def _bring(doing: Doing, folder: str, file: File) -> None:
    """Stream one file over. It becomes visible only when its hash is what the manifest says."""
    path = folder + file.stored
    with doing.copy.writing(path) as sink:
        blocks = Counting(_blocks(doing.vault, path))
        for block in blocks:
            sink.write(block)
        if blocks.sums != (file.stored_size, file.stored_sha256):
            raise VerifiedBad(
                f"{path} is no longer what was written; it was not copied", hint=_LOOK_AT_VAULT, target=VAULT
            )


def _compare(doing: Doing, folder: str, file: File, *, ours: bool) -> None:
    """Read back what the copy has now, whoever wrote it."""
    path = folder + file.stored
    if streams.sums(_blocks(doing.copy, path)) == streams.Sums(file.stored_size, file.stored_sha256):
        return
    if ours:  # nobody else has seen it, and the next run must not meet it
        doing.copy.delete(path)
        told, hint = (
            "was read back and differs from what was sent",
            "check the disk or service of the copy; run it again",
        )
    else:
        told, hint = "is there already, and is not what the vault has; it was not written over", _LOOK_AT_COPY
    raise VerifiedBad(f"{path} {told}", hint=hint, target=_name(doing))


def _blocks(store: Store, path: str) -> Iterator[bytes]:
    for block in store.read(path):
        stop.check()
        yield block


def _write_record(doing: Doing, whole: artifact.Artifact, folder: str, file: File) -> None:
    name = f"{folder}{RECORDS}{file.name}.json"
    data = doing.vault.get(name)
    if sha256(data).hexdigest() != whole.manifest.records.get(file.name):
        raise VerifiedBad(f"{name} is no longer what was written", hint=_LOOK_AT_VAULT, target=VAULT)
    _put(doing, name, data)


def _put(doing: Doing, name: str, data: bytes) -> None:
    try:
        doing.copy.put_new(name, data)
    except AlreadyThere:
        told = f"{name} is there already, and is not what the vault has; it was not written over"
        raise VerifiedBad(told, hint=_LOOK_AT_COPY, target=_name(doing)) from None
