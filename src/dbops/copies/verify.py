"""Whether an artifact is still what was written: by its listing, by its stored bytes, or by its content.

Bad is what was read and differs. What could not be read or decrypted here is unknown, never good.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from dbops import units
from dbops.copies import reader, streams
from dbops.copies.catalogue import Artifact, groups
from dbops.copies.manifest import RECORDS, VERIFIED, File, Record, opened, sealed
from dbops.engine import stop
from dbops.engine.finding import Finding, Severity, Verdict, verdict
from dbops.errors import AuthenticationFailed, CouldNotVerify, DbopsError, Stopped, Unreachable, VerifiedBad
from dbops.stores.vault import Absent, Store

Depth = Literal["listed", "stored", "content"]
WHOLE = (1, 1)


@dataclass(frozen=True, slots=True)
class Verified:
    """What one verification looked at, and what it found."""

    folder: str
    depth: Depth
    subset: tuple[int, int]  # the n-th of t slices
    files: int
    read_bytes: int
    findings: tuple[Finding, ...]

    @property
    def verdict(self) -> Verdict:
        return verdict(self.findings)


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of consecutive pieces of one file: what a slice reads of it."""

    file: File
    first: int
    last: int  # exclusive


def verify(
    vault: Store,
    artifact: Artifact,
    *,
    depth: Depth = "stored",
    subset: tuple[int, int] = WHOLE,
    identity: str | None = None,
    on_bytes: Callable[[int], None] | None = None,
) -> Verified:
    """Verify one artifact; after the slices 1 of t to t of t every byte was read. `on_bytes` hears of each block."""
    nth, of = subset
    if not 1 <= nth <= of:
        raise ValueError(f"{nth} of {of} is no slice")
    look = _Look(vault, artifact, identity, on_bytes)
    if look.attempt("", look.sizes):
        match depth:
            case "listed":
                pass
            case "stored":
                look.stored(nth, of)
            case "content":
                look.content(nth, of)
    return Verified(artifact.address.folder, depth, subset, look.files, look.read_bytes, tuple(look.findings))


def keep(vault: Store, verified: Verified, *, run: str, at: datetime) -> str:
    """Write the result beside the artifact, once; return its name."""
    nth, of = verified.subset
    part = "" if of == 1 else f"-{nth}of{of}"
    name = f"{verified.folder}{VERIFIED}{units.stamp(at)}-{verified.depth}{part}.json"
    document = {
        "format": 1,
        "run": run,
        "at": units.instant(at),
        "depth": verified.depth,
        "subset": list(verified.subset),
        "verdict": verified.verdict.value,
        "files": verified.files,
        "read_bytes": verified.read_bytes,
        "findings": [[one.severity.value, one.code, one.message] for one in verified.findings],
    }
    vault.put_new(name, sealed(document))
    return name


class _Look:
    """One verification while it goes on."""

    def __init__(
        self, vault: Store, artifact: Artifact, identity: str | None, on_bytes: Callable[[int], None] | None
    ) -> None:
        self._vault, self._artifact, self._identity, self._on_bytes = vault, artifact, identity, on_bytes
        self._folder = artifact.address.folder
        self._whole: list[File] = []  # there, and as long as it must be
        self.findings: list[Finding] = []
        self.files = self.read_bytes = 0

    def attempt(self, name: str, look: Callable[[], None]) -> bool:
        """Turn what goes wrong into a finding of its class."""
        try:
            look()
        except VerifiedBad as error:
            self._bad("file_changed", error.message, error.hint)
        except Absent as error:
            self._bad("file_missing", error.message)
        except CouldNotVerify as error:
            self._add(Severity.UNKNOWN, "not_decrypted", error.message, error.hint)
        except Unreachable as error:
            self._add(Severity.UNKNOWN, "unreachable", f"{self._folder}{name}: {error.message}", error.hint)
        except AuthenticationFailed as error:
            self._add(Severity.UNKNOWN, "not_let_in", f"{self._folder}{name}: {error.message}", error.hint)
        except Stopped:
            raise
        except DbopsError as error:
            self._add(Severity.UNKNOWN, "not_read", f"{self._folder}{name}: {error.message}", error.hint)
        else:
            return True
        return False

    def sizes(self) -> None:
        """Compare a fresh listing with the manifest: what is missing or cut off is known without reading."""
        group = next(groups(self._vault, self._folder), None)
        found = group.sizes if group is not None else {}
        for file in self._artifact.manifest.files:
            self.files += 1
            size = found.get(file.stored)
            if size is None:
                self._bad("file_missing", f"{self._folder}{file.stored} is missing")
            elif size != file.stored_size:
                told = f"{self._folder}{file.stored} has {size} bytes and was written with {file.stored_size}"
                self._bad("file_truncated" if size < file.stored_size else "file_changed", told)
            else:
                self._whole.append(file)
            if f"{RECORDS}{file.name}.json" not in found:
                self._bad("record_missing", f"{self._folder}{RECORDS}{file.name}.json is missing")

    def stored(self, nth: int, of: int) -> None:
        if of == 1:
            for file in self._whole:
                self.attempt(file.stored, lambda file=file: self._whole_file(file))
            return
        records: dict[str, Record] = {}
        for file in self._whole:
            self.attempt(file.name, lambda file=file: records.update({file.name: self._record(file)}))
        for part in slices(
            [(file, len(records[file.name].pieces)) for file in self._whole if file.name in records], nth, of
        ):
            self.attempt(part.file.stored, lambda part=part: self._part(part, records[part.file.name]))

    def content(self, nth: int, of: int) -> None:
        for at, file in enumerate(self._whole):
            if at % of == nth - 1:
                self.attempt(file.stored, lambda file=file: self._content_of(file))

    def _whole_file(self, file: File) -> None:
        found = streams.sums(self._counted(self._vault.read(self._folder + file.stored)))
        if (found.size, found.sha256) != (file.stored_size, file.stored_sha256):
            raise VerifiedBad(f"{self._folder}{file.stored} is no longer what was written", hint=_OTHER_COPY)

    def _part(self, part: Piece, record: Record) -> None:
        if (part.first, part.last) == (0, len(record.pieces)):
            self._whole_file(part.file)
            return
        size, start = record.piece_size, part.first * record.piece_size
        length = (part.last - part.first) * size
        blocks = self._vault.read(self._folder + part.file.stored, start=start, length=length)
        if streams.pieces(self._counted(blocks)) != record.pieces[part.first : part.last]:
            where = f"between bytes {start} and {start + length}"
            told = f"{self._folder}{part.file.stored} is no longer what was written, {where}"
            raise VerifiedBad(told, hint=_OTHER_COPY)

    def _content_of(self, file: File) -> None:
        blocks = reader.content(self._vault, self._folder, file, self._identity)
        for block in blocks:
            self._heard(len(block))

    def _record(self, file: File) -> Record:
        name = f"{self._folder}{RECORDS}{file.name}.json"
        data = self._vault.get(name)
        if hashlib.sha256(data).hexdigest() != self._artifact.manifest.records.get(file.name):
            raise VerifiedBad(f"{name} is no longer what was written", hint=_OTHER_COPY)
        return opened(Record, data, name)

    def _counted(self, blocks: Iterator[bytes]) -> Iterator[bytes]:
        for block in blocks:
            stop.check()
            self._heard(len(block))
            yield block

    def _heard(self, length: int) -> None:
        self.read_bytes += length
        if self._on_bytes is not None:
            self._on_bytes(length)

    def _bad(self, code: str, told: str, hint: str | None = None) -> None:
        self._add(Severity.BAD, code, told, hint or _OTHER_COPY)

    def _add(self, severity: Severity, code: str, told: str, hint: str | None) -> None:
        self.findings.append(Finding(severity, code, self._artifact.address.target, told, hint))


_OTHER_COPY = "do not restore from it; find a copy that is whole: dbops vault verify --all --place COPY"


def slices(files: list[tuple[File, int]], nth: int, of: int) -> Iterator[Piece]:
    """Cut the pieces of all files, in order, into `of` runs of nearly equal length, and give the n-th."""
    total = sum(pieces for _, pieces in files)
    begin, end = total * (nth - 1) // of, total * nth // of
    at = 0
    for file, pieces in files:
        first, last = max(begin - at, 0), min(end - at, pieces)
        if first < last:
            yield Piece(file, first, last)
        at += pieces
