"""Commits and restore points, read from WAL by pg_waldump.

It is always given adjacent segments: alone, a segment silently loses the record that begins in it and ends in the
next. The segments of a track are laid down under the names of one timeline, so that a switch is no border either.
"""

import hashlib
import re
import tempfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from dbops import process
from dbops.config.model import Cluster
from dbops.engine import stop
from dbops.errors import CouldNotVerify
from dbops.operations.clusters.archives import Archive
from dbops.operations.clusters.reach.continuity import Track
from dbops.operations.clusters.reach.facts import Mark
from dbops.operations.clusters.repository import content, postgres_folder
from dbops.operations.clusters.wal import Segment, parse_lsn
from dbops.stores import pgbackrest

_BATCH = 32 << 20  # bytes of WAL at a time: what pg_waldump says of them is held in memory
_END = re.compile(
    rb"^rmgr: Transaction\s.*?tx:\s*(\d+), lsn: ([0-9A-F]+/[0-9A-F]+),.*?desc: (COMMIT|ABORT)(?:_PREPARED (\d+):)? "
    rb"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?) UTC",
    re.MULTILINE,
)
_POINT = re.compile(rb"^rmgr: XLOG\s.*?lsn: ([0-9A-F]+/[0-9A-F]+),.*?desc: RESTORE_POINT (.*?)\s*$", re.MULTILINE)
_RECORD = re.compile(rb"lsn: ([0-9A-F]+/[0-9A-F]+), prev ")
_BROKEN = re.compile(r"error in WAL record at ([0-9A-F]+/[0-9A-F]+)")
_VERIFY = "dbops backup verify tells all that is damaged"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class Reader:
    """Reads one track of one archive; `scratch` holds the segments of the current batch."""

    place: Cluster
    target: str
    archive: Archive
    track: Track
    scratch: Path
    program: Path
    held: set[int] = field(default_factory=set[int])
    fetched: int = 0

    @property
    def per_batch(self) -> int:
        return max(1, _BATCH // self.archive.segment_size)

    def marks(self, first: int, last: int) -> Iterator[Mark]:
        """Read the ends of transactions in these segments, in the order of the log."""
        seen = -1
        for start, end in self._batches(first, last):
            for match in _END.finditer(self._dump("Transaction", start, end)):
                if (mark := _mark(match)).lsn > seen:
                    seen = mark.lsn
                    yield mark

    def points(self, first: int, last: int) -> Iterator[Mark]:
        """Read the restore points in these segments."""
        seen = -1
        for start, end in self._batches(first, last):
            for match in _POINT.finditer(self._dump("XLOG", start, end)):
                if (lsn := parse_lsn(match[1].decode())) > seen:
                    seen = lsn
                    yield Mark(lsn, _EPOCH, committed=False, name=match[2].decode("utf-8", "replace"))

    def record_from(self, lsn: int, first: int, last: int) -> int | None:
        """Find where the first record begins at or after a position."""
        for match in _RECORD.finditer(self._dump(None, first, last)):
            if (found := parse_lsn(match[1].decode())) >= lsn:
                return found
        return None

    def _batches(self, first: int, last: int) -> Iterator[tuple[int, int]]:
        """Cut a range; each batch begins with the segment that the one before ended with."""
        at = first
        while True:
            end = min(last, at + self.per_batch)
            yield at, end
            if end >= last:
                return
            at = end

    def _dump(self, rmgr: Literal["Transaction", "XLOG"] | None, first: int, last: int) -> bytes:
        self._lay_down(first, last)
        size, timeline = self.archive.segment_size, self.track.timeline
        names = [Segment(timeline, number).name(size) for number in sorted({first, last})]
        only = () if rmgr is None else ("-r", rmgr)
        argv = [self.program, *only, "-p", self.scratch, *names]
        done = process.run(argv, timeout=600, ok=(0, 1))
        broken = _BROKEN.search(done.err)
        if broken is not None and parse_lsn(broken[1]) < last * size:
            raise CouldNotVerify(f"the WAL cannot be read on from {broken[1]}: {done.err.strip()}", target=self.target)
        if done.code and broken is None and not done.out and "could not find" not in done.err:
            raise CouldNotVerify(f"pg_waldump: {done.err.strip()}", target=self.target)
        return done.out

    def _lay_down(self, first: int, last: int) -> None:
        wanted = set(range(first, last + 1))
        for number in self.held - wanted:
            self._path(number).unlink(missing_ok=True)
        for number in sorted(wanted - self.held):
            stop.check()  # each is a program of its own: a signal may come when none of them runs
            self._path(number).write_bytes(self._fetch(self.track.at(number)))
        self.held = wanted

    def _path(self, number: int) -> Path:
        return self.scratch / Segment(self.track.timeline, number).name(self.archive.segment_size)

    def _fetch(self, segment: Segment) -> bytes:
        stored = self.archive.file(segment)
        if stored is None:
            name = self.archive.name(segment)
            raise CouldNotVerify(f"WAL segment {name} is not in the repository", target=self.target)
        self.fetched += 1
        path = f"archive/{self.place.stanza}/{stored.path}"
        raw = pgbackrest.get(self.place, path, target=self.target, repository=self.archive.repository)
        unpacked = content(raw, stored.path, target=self.target)
        wanted = stored.path.rpartition("/")[2][25:65]  # its name carries what it held when it was archived
        if hashlib.sha1(unpacked, usedforsecurity=False).hexdigest() != wanted:
            name = self.archive.name(segment)
            raise CouldNotVerify(
                f"WAL segment {name} is damaged: it is not what was archived", hint=_VERIFY, target=self.target
            )
        return unpacked


@contextmanager
def reading(place: Cluster, archive: Archive, track: Track, *, target: str) -> Generator[Reader]:
    """Open a reader with a private scratch folder."""
    version = archive.id.rpartition("-")[0]
    program = process.find("pg_waldump", postgres_folder(version), hint=f"install it: apt install postgresql-{version}")
    with tempfile.TemporaryDirectory(prefix="dbops-wal-") as scratch:
        yield Reader(place, target, archive, track, Path(scratch), program)


def _mark(match: re.Match[bytes]) -> Mark:
    xid, lsn, what, prepared, at = match.groups()
    moment = datetime.fromisoformat(at.decode()).replace(tzinfo=UTC)
    return Mark(parse_lsn(lsn.decode()), moment, int(prepared or xid), committed=what == b"COMMIT")


def live(place: Cluster, data: Path, first: Segment, size: int, *, target: str, version: str) -> Mark | None:
    """Find the first commit in the server's own pg_wal from a segment on: what the archive does not have yet."""
    program = process.find("pg_waldump", postgres_folder(version))
    user = pgbackrest.run_as(place, target=target)
    argv = [program, "-r", "Transaction", "-n", "100", "-p", data / "pg_wal", first.name(size)]
    done = process.run(argv, user=user, timeout=60, ok=(0, 1))
    if "could not" in done.err and not done.out and "could not find a valid record" not in done.err:
        raise CouldNotVerify(f"pg_waldump: {done.err.strip()}", target=target)
    found = (_mark(match) for match in _END.finditer(done.out))
    return next((mark for mark in found if mark.committed), None)
