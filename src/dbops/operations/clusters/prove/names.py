"""What the files of a repository are, told from their names, and to which slice each belongs; pure."""

import re
from enum import StrEnum
from hashlib import sha256

_LABEL = r"\d{8}-\d{6}F(?:_\d{8}-\d{6}[DI])?"
_SEGMENT = re.compile(r"\d+[.\d]*-\d+/[0-9A-F]{16}/([0-9A-F]{24})(?:\.partial)?-([0-9a-f]{40})(?:\.([a-z0-9]+))?")
_WITNESSED = re.compile(
    r"\d+[.\d]*-\d+/(?:[0-9A-F]{8}\.history|[0-9A-F]{16}/[0-9A-F]{24}\.[0-9A-F]{8}\.backup)(?:\.[a-z0-9]+)?"
)
_OF_A_SET = re.compile(rf"({_LABEL})/(.+)")
_OLD_MANIFEST = re.compile(rf"backup\.history/\d{{4}}/{_LABEL}\.manifest(?:\.([a-z0-9]+))?")


class Kind(StrEnum):
    """What a file of a repository is."""

    INFO = "info"
    MANIFEST = "manifest"
    OF_A_SET = "of a set"
    OLD_MANIFEST = "old manifest"
    SEGMENT = "segment"
    WITNESSED = "without a checksum"
    TEMPORARY = "temporary"
    STRANGER = "stranger"


def kind_in_archive(path: str) -> Kind:
    """Tell what lies below `archive/<stanza>/`."""
    if path in ("archive.info", "archive.info.copy"):
        return Kind.INFO
    if path.endswith(".pgbackrest.tmp"):
        return Kind.TEMPORARY
    if _SEGMENT.fullmatch(path):
        return Kind.SEGMENT
    return Kind.WITNESSED if _WITNESSED.fullmatch(path) else Kind.STRANGER


def kind_in_backup(path: str) -> Kind:
    """Tell what lies below `backup/<stanza>/`."""
    if path in ("backup.info", "backup.info.copy"):
        return Kind.INFO
    if path.endswith(".pgbackrest.tmp"):
        return Kind.TEMPORARY
    if match := _OF_A_SET.fullmatch(path):
        return Kind.MANIFEST if match[2] in ("backup.manifest", "backup.manifest.copy") else Kind.OF_A_SET
    return Kind.OLD_MANIFEST if _OLD_MANIFEST.fullmatch(path) else Kind.STRANGER


def segment(path: str) -> tuple[str, str, str] | None:
    """Take a segment's name, the hash of its content, and its compression from its path."""
    match = _SEGMENT.fullmatch(path)
    return None if match is None else (match[1], match[2], match[3] or "none")


def compression(path: str) -> str:
    """Tell how a file is packed, by its ending."""
    ending = path.rpartition(".")[2]
    return ending if ending in ("gz", "zst", "lz4", "bz2") else "none"


def within(path: str, subset: tuple[int, int] | None) -> bool:
    """Tell whether a file belongs to slice n of t: its own name decides, on each host and in each run."""
    if subset is None:
        return True
    nth, of = subset
    return int.from_bytes(sha256(path.encode()).digest()[:8]) % of == nth - 1
