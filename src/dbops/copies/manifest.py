"""What an artifact says of itself: sealed documents, each with the hash of its own canonical form."""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any, TypeVar, cast

import orjson
from pydantic import TypeAdapter, ValidationError

from dbops import units
from dbops.errors import CouldNotVerify, VerifiedBad

T = TypeVar("T")

FORMAT = 1
MANIFEST = "manifest.json"
CONSTRUCTION = "construction.json"
RECORDS = "records/"
VERIFIED = "verified/"
REMEMBERED = "remembered/"  # what is known of stores and belongs to no artifact


@dataclass(frozen=True, slots=True)
class Subject:
    """What an artifact is a copy of, and of which moment."""

    store: str
    target: str
    kind: str
    source: str  # fingerprint of the source: a construction is only continued from the same one
    instant: datetime
    tier: str | None = None

    @property
    def folder(self) -> str:
        return f"{self.store}/{self.target}/{units.stamp(self.instant)}-{self.kind}/"


@dataclass(frozen=True, slots=True)
class Begun:
    """What is written first: enough for a later run to go on with it."""

    subject: Subject
    run: str
    host: str
    started: datetime
    compression: str
    recipients: tuple[str, ...]
    given: dict[str, Any]  # what the first run knew, such as a watermark
    format: int = FORMAT


@dataclass(frozen=True, slots=True)
class File:
    """One data file: its content, and what is stored of it (compressed, encrypted)."""

    name: str
    size: int
    sha256: str
    stored: str
    stored_size: int
    stored_sha256: str
    compression: str
    encrypted: bool
    count: int | None = None
    extra: dict[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class Record:
    """A file that is complete, with checksums of its stored pieces, so that a part can be verified alone."""

    file: File
    piece_size: int
    pieces: tuple[int, ...]
    format: int = FORMAT


@dataclass(frozen=True, slots=True)
class Manifest:
    """Written last, once: it is what makes an artifact exist."""

    subject: Subject
    run: str
    host: str
    tool: str
    store_version: str | None
    started: datetime
    finished: datetime
    compression: str
    recipients: tuple[str, ...]
    files: tuple[File, ...]
    records: dict[str, str]  # the hash of each file's record
    counts: dict[str, int]
    digest: str | None
    extra: dict[str, Any]
    format: int = FORMAT

    @property
    def size(self) -> int:
        return sum(file.size for file in self.files)

    @property
    def stored_size(self) -> int:
        return sum(file.stored_size for file in self.files)

    def file(self, name: str) -> File | None:
        return next((file for file in self.files if file.name == name), None)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return units.instant(value)
    raise TypeError(type(value).__name__)


def _canonical(document: Any) -> bytes:
    return orjson.dumps(document, default=_plain, option=orjson.OPT_SORT_KEYS | orjson.OPT_PASSTHROUGH_DATETIME)


def sealed(document: Any) -> bytes:
    """Write a document with its own hash in it."""
    body = orjson.loads(_canonical(document))
    seal = hashlib.sha256(_canonical(body)).hexdigest()
    return orjson.dumps(body | {"seal": seal}, option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2) + b"\n"


@cache
def _adapter(kind: type[T]) -> TypeAdapter[T]:
    """Build it once: a listing opens a thousand manifests."""
    return TypeAdapter(kind)


def opened(kind: type[T], data: bytes, name: str) -> T:
    """Read what `sealed` wrote; whatever has changed since is VerifiedBad."""
    try:
        loaded = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise VerifiedBad(f"{name} is no longer what was written: {error}") from error
    body = cast("dict[str, Any]", loaded) if isinstance(loaded, dict) else {}
    seal = body.pop("seal", None)
    if seal != hashlib.sha256(_canonical(body)).hexdigest():
        raise VerifiedBad(f"{name} is no longer what was written: its seal is broken")
    if body.get("format") != FORMAT:
        hint = "use a newer dbops"
        raise CouldNotVerify(f"{name} has format {body.get('format')}, and this dbops knows {FORMAT}", hint=hint)
    try:
        return _adapter(kind).validate_python(body)
    except ValidationError as error:
        raise CouldNotVerify(
            f"{name} cannot be understood: {error.error_count()} of its fields are not known"
        ) from error
