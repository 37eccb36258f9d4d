"""Look at one repository: its sealed files, what lies there beside what should, and which cluster it is of."""

import contextlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from dbops import process
from dbops.config.model import Cluster
from dbops.engine import stop
from dbops.engine.run import Run
from dbops.errors import DbopsError, Stopped, VerifiedBad
from dbops.operations.clusters.archives import File
from dbops.operations.clusters.prove import names, sealed
from dbops.operations.clusters.prove.facts import Expected, Fault, Pair, Task, Wrong
from dbops.operations.clusters.prove.names import Kind
from dbops.operations.clusters.prove.reading import Eye, document, failed
from dbops.operations.clusters.repository import Listing, postgres_folder
from dbops.stores import pgbackrest, postgres

_SYSTEM = re.compile(r"^Database system identifier:\s+(\d+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Listed:
    """Lists each folder of a repository once, however many look at it: an archive has 100,000 files."""

    known: dict[tuple[int, str], list[File]] = field(default_factory=dict[tuple[int, str], list[File]], repr=False)

    def __call__(self, place: Cluster, path: str, /, *, target: str, repository: int) -> list[File]:
        found = self.known.get((repository, path))
        if found is None:
            found = sorted(pgbackrest.sizes(place, path, target=target, repository=repository))
            self.known[repository, path] = found
        return found


@dataclass(frozen=True, slots=True)
class Lying:
    """Everything that lies in a repository, by path below the stanza's two folders, with its size."""

    archive: Sequence[File] = field(repr=False)
    backup: Sequence[File] = field(repr=False)
    sets: dict[str, dict[str, int]] = field(repr=False)  # what lies in each folder of `backup`


def lying(eye: Eye, listing: Listing) -> Lying:
    def below(folder: str) -> list[File]:
        where = f"{folder}/{eye.stanza}"
        return list(listing(eye.place, where, target=eye.target, repository=eye.repository))

    backup = below("backup")
    sets: dict[str, dict[str, int]] = {}
    for path, size, _ in backup:
        label, _, name = path.partition("/")
        sets.setdefault(label, {})[name] = size
    return Lying(below("archive"), backup, sets)


def pair(eye: Eye, path: str) -> tuple[Pair, sealed.Sections | None]:
    """Read a sealed file and its copy; return what one of them holds."""
    content: sealed.Sections | None = None
    why: list[str | None] = []
    unread = False
    for one in (path, f"{path}.copy"):
        stop.check()
        try:
            found = document(eye, one)
        except Stopped:
            raise
        except VerifiedBad as error:
            why.append(error.message)
        except DbopsError as error:
            fault = failed(one, error)
            unread = unread or fault.wrong is Wrong.UNREAD
            why.append(fault.why)
        else:
            why.append(None)
            content = content or found
    return Pair(path, why[0], why[1], could_not_read=unread), content


def compared(label: str, expected: dict[str, Expected], there: dict[str, int]) -> Iterator[Fault]:
    """Compare what a set should have with what is listed, without reading."""
    for name, one in expected.items():
        path, size = f"{label}/{name}", there.get(name)
        if size is None:
            yield Fault(path, Wrong.MISSING, "its manifest names it, and it is not there")
        elif one.size is not None and size != one.size:
            yield Fault(path, Wrong.DAMAGED, f"it has {size} bytes and was written with {one.size}")
    for name in there.keys() - expected.keys():
        if names.kind_in_backup(f"{label}/{name}") is Kind.OF_A_SET:
            yield Fault(f"{label}/{name}", Wrong.EXTRA, "its manifest does not name it")


def set_tasks(
    eye: Eye, label: str, expected: dict[str, Expected], there: dict[str, int], subset: tuple[int, int] | None
) -> Iterator[Task]:
    for name, one in sorted(expected.items()):
        path = f"backup/{eye.stanza}/{label}/{name}"
        if name in there and names.within(path, subset):
            yield Task(path, there[name], one)


def wal_files(eye: Eye, found: Lying, subset: tuple[int, int] | None) -> Iterator[tuple[File, Kind]]:
    """Name what can be compared of the WAL, and what of it is without a checksum."""
    for file in found.archive:
        if names.within(f"archive/{eye.stanza}/{file[0]}", subset):
            kind = names.kind_in_archive(file[0])
            if kind in (Kind.SEGMENT, Kind.WITNESSED):
                yield file, kind


def wal_tasks(eye: Eye, files: Iterable[File]) -> Iterator[Task]:
    """Make a task of each file just when it is read."""
    for name, size, _ in files:
        path, told = f"archive/{eye.stanza}/{name}", names.segment(name)
        if told is None:
            yield Task(path, size, is_witnessed=True)
        else:
            yield Task(path, size, Expected(size, (), told[1], told[2]))


def old_manifests(eye: Eye, found: Lying, subset: tuple[int, int] | None) -> Iterator[Task]:
    for name, size, _ in found.backup:
        path = f"backup/{eye.stanza}/{name}"
        if names.kind_in_backup(name) is Kind.OLD_MANIFEST and names.within(path, subset):
            yield Task(path, size, is_sealed=True, is_witnessed=True)


def strangers(found: Lying, labels: set[str]) -> Iterator[Fault]:
    """Name what belongs to nothing: torn files of killed runs, folders of sets that no list knows."""
    for folder, each, kind in (
        ("archive", found.archive, names.kind_in_archive),
        ("backup", found.backup, names.kind_in_backup),
    ):
        for name, _, _ in each:
            match kind(name):
                case Kind.TEMPORARY:
                    yield Fault(f"{folder}/{name}", Wrong.TEMPORARY, "left by a run that was killed")
                case Kind.STRANGER:
                    yield Fault(f"{folder}/{name}", Wrong.EXTRA, "pgBackRest writes no such file")
                case Kind.OF_A_SET | Kind.MANIFEST if name.partition("/")[0] not in labels:
                    yield Fault(f"{folder}/{name}", Wrong.EXTRA, "of a set that is not in the list")
                case _:
                    pass


def system_of(place: Cluster, run: Run, target: str, version: str) -> int | None:
    """Ask which cluster is behind the stanza: the server, otherwise its data directory; None when neither tells."""
    with contextlib.suppress(DbopsError):
        with postgres.connect(place, run, target=target) as connection:
            row = connection.execute("SELECT system_identifier FROM pg_control_system()").fetchone()
        return None if row is None else int(row[0])
    if place.data_directory is None:
        return None
    with contextlib.suppress(DbopsError, OSError):
        program = process.find("pg_controldata", postgres_folder(version))
        user = pgbackrest.run_as(place, target=target)
        told = process.run([program, "-D", place.data_directory], user=user, timeout=10)
        found = _SYSTEM.search(told.out.decode("utf-8", "replace"))
        return int(found[1]) if found else None
    return None
