"""One look at all that is kept of a cluster: its backup sets and its WAL, in every repository."""

import bz2
import contextlib
import re
import struct
import zlib
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import zstandard

from dbops import process
from dbops.config.model import Cluster
from dbops.engine.run import Run
from dbops.errors import CouldNotVerify, DbopsError, Refused, Stopped
from dbops.operations.clusters import lz4
from dbops.operations.clusters.archives import Archive, File, Names, Stored, archive, sort
from dbops.operations.clusters.wal import SEGMENT_SIZE, Switch, parse_history
from dbops.stores import pgbackrest
from dbops.stores.pgbackrest import BackupInfo, DatabaseInfo, StanzaInfo

__all__ = [
    "Archive",
    "Control",
    "Listing",
    "Repository",
    "Stored",
    "Unread",
    "content",
    "control",
    "header",
    "observe",
    "postgres_folder",
]

_BYTES_PER_SEGMENT = re.compile(r"^Bytes per WAL segment:\s+(\d+)$", re.MULTILINE)
_TIMELINE = re.compile(r"^Latest checkpoint's TimeLineID:\s+(\d+)$", re.MULTILINE)
_SYSTEM = re.compile(r"^Database system identifier:\s+(\d+)$", re.MULTILINE)
_HEADER = struct.Struct("<HHIQIxxxxQII")  # XLogLongPageHeaderData
_BLOCK = 1 << 20


class Listing(Protocol):
    """Lists all files below a path, as `pgbackrest.sizes` does."""

    def __call__(self, place: Cluster, path: str, /, *, target: str, repository: int) -> Iterable[File]: ...


@dataclass(frozen=True, slots=True)
class Unread:
    """A repository of the stanza that could not be read."""

    repository: int
    why: str


@dataclass(frozen=True, slots=True)
class Repository:
    """What all repositories of one stanza hold."""

    target: str
    stanza: StanzaInfo
    archives: tuple[Archive, ...]
    unread: tuple[Unread, ...] = ()

    def archive(self, backup: BackupInfo) -> Archive | None:
        """Find the WAL that belongs to a backup: of its repository, and of its incarnation."""
        same = (one for one in self.archives if one.repository == backup.repository)
        return next((one for one in same if one.database_id == backup.database_id), None)

    def current(self, repository: int) -> Archive | None:
        """Return the archive of the newest incarnation in a repository."""
        same = (one for one in self.archives if one.repository == repository)
        return max(same, key=lambda one: one.database_id, default=None)

    def backups(self, archive: Archive) -> tuple[BackupInfo, ...]:
        """List the sets that an archive carries on, oldest first."""
        mine = (b for b in self.stanza.backups if self.archive(b) is archive)
        return tuple(sorted(mine, key=lambda one: (one.stopped, one.label)))

    def database(self, archive: Archive) -> DatabaseInfo | None:
        of = (d for d in self.stanza.databases if d.id == archive.database_id and d.repository == archive.repository)
        return next(of, None)


def observe(
    place: Cluster,
    *,
    target: str,
    run: Run | None = None,  # noqa: ARG001  # a reader has none
    listing: Listing = pgbackrest.sizes,
) -> Repository:
    """Look at the sets and list the WAL; a repository that cannot be read is told, unless it is the only one."""
    stanza = _stanza(place, target)
    archives: list[Archive] = []
    unread: list[Unread] = []
    for one in stanza.repositories:
        if one.status in (pgbackrest.OK, pgbackrest.NO_BACKUPS):
            try:
                archives += _archives(place, stanza, one.key, target, listing)
            except Stopped:
                raise
            except DbopsError as error:
                if len(stanza.repositories) == 1:
                    raise
                unread.append(Unread(one.key, error.message))
        else:
            unread.append(Unread(one.key, one.message))
    if len(unread) == len(stanza.repositories):
        raise CouldNotVerify(
            f"no repository of stanza {stanza.name} can be read: {'; '.join(one.why for one in unread)}",
            hint="is the path right, and the pass of its cipher?",
            target=target,
        )
    return Repository(target, stanza, tuple(archives), tuple(unread))


def _stanza(place: Cluster, target: str) -> StanzaInfo:
    found = pgbackrest.info(place, target=target)
    stanza = next((one for one in found if one.name == place.stanza), None)
    if stanza is None or (stanza.status == pgbackrest.MISSING_PATH and not stanza.backups):
        raise Refused(
            f"the repository holds no stanza {place.stanza}",
            hint=f"is the repository's path right? 'dbops backup init --target {target}' creates the stanza",
            target=target,
        )
    return stanza


def _archives(place: Cluster, stanza: StanzaInfo, repository: int, target: str, listing: Listing) -> Generator[Archive]:
    root = f"archive/{stanza.name}"
    found = sort(listing(place, root, target=target, repository=repository))
    for known in (one for one in stanza.databases if one.repository == repository):
        id = f"{known.version}-{known.id}"  # noqa: A001
        names = found.get(id) or Names()
        yield archive(
            names,
            dict(_histories(place, f"{root}/{id}", names, repository, target)),
            repository=repository,
            id=id,
            database_id=known.id,
            segment_size=_segment_size(place, known, f"{root}/{id}", names, target=target),
        )


def _histories(
    place: Cluster, folder: str, names: Names, repository: int, target: str
) -> Generator[tuple[int, tuple[Switch, ...]]]:
    for timeline, name in names.histories.items():
        raw = pgbackrest.get(place, f"{folder}/{name}", target=target, repository=repository)
        yield timeline, parse_history(raw.decode("ascii", "replace"))


# ── How long a segment is ────────────────────────────────────────────────────────────────────────


def _segment_size(place: Cluster, known: DatabaseInfo, folder: str, names: Names, *, target: str) -> int:
    """Ask the data directory, otherwise the newest segment: its name tells nothing without its size."""
    if (told := control(place, known, target=target)) is not None:
        return told.segment_size
    newest = names.newest
    if newest is None:
        return SEGMENT_SIZE  # there is nothing to number
    raw = pgbackrest.get(
        place, f"{folder.rpartition('/')[0]}/{newest.path}", target=target, repository=known.repository
    )
    return header(content(raw, newest.path, target=target), target=target)[1]


def postgres_folder(version: str) -> Path:
    return Path(f"/usr/lib/postgresql/{version}/bin")


@dataclass(frozen=True, slots=True)
class Control:
    """What the data directory tells of its cluster."""

    segment_size: int
    timeline: int  # of its last checkpoint: for a moment after a promotion it is the one before


def control(place: Cluster, known: DatabaseInfo, *, target: str) -> Control | None:
    """Read pg_control, if it is that of this very cluster."""
    if place.data_directory is None:
        return None
    with contextlib.suppress(DbopsError, OSError):
        program = process.find("pg_controldata", postgres_folder(known.version))
        told = process.run(
            [program, "-D", place.data_directory], user=pgbackrest.run_as(place, target=target), timeout=10
        )
        text = told.out.decode("utf-8", "replace")
        found = [pattern.search(text) for pattern in (_SYSTEM, _BYTES_PER_SEGMENT, _TIMELINE)]
        system, size, timeline = (int(match[1]) if match else 0 for match in found)
        if size and timeline and system == known.system_id:
            return Control(size, timeline)
    return None


def header(block: bytes, *, target: str) -> tuple[int, int]:
    """Read the system identifier and the segment size from the first page of a segment."""
    if len(block) < _HEADER.size:
        raise CouldNotVerify("a WAL segment is shorter than its header", target=target)
    _, info, _, _, _, system, size, _ = _HEADER.unpack_from(block)
    if not info & 2 or size & (size - 1) or not 1 << 20 <= size <= 1 << 30:
        raise CouldNotVerify("a WAL segment does not begin with its header", target=target)
    return system, size


def content(raw: bytes, path: str, *, target: str) -> bytes:
    """Unpack a segment, as `repo-get` gives it: decrypted, but still compressed."""
    try:
        match path.rpartition(".")[2]:
            case "zst":
                with zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True) as reader:
                    return b"".join(iter(lambda: reader.read(_BLOCK), b""))
            case "gz":
                return zlib.decompress(raw, wbits=31)
            case "bz2":
                return bz2.decompress(raw)
            case "lz4":
                return lz4.unpack(raw)
            case ending if len(ending) <= 4:
                raise CouldNotVerify(f"{path}: dbops does not unpack {ending}", target=target)
            case _:
                return raw
    except (zstandard.ZstdError, zlib.error, OSError, ValueError) as error:
        raise CouldNotVerify(f"{path} cannot be unpacked: {error}", target=target) from error
