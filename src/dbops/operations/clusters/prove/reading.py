"""Read files of a repository, whatever holds it, in blocks; compare every byte with what it has to be."""

import bz2
import os
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from hashlib import sha1
from itertools import islice
from typing import Any

import zstandard

from dbops.config.model import Cluster
from dbops.engine import stop
from dbops.engine.run import Progress
from dbops.errors import DbopsError, Stopped, VerifiedBad
from dbops.operations.clusters.prove import names, sealed
from dbops.operations.clusters.prove.facts import Cut, Fault, Read, Task, Wrong
from dbops.redact import register
from dbops.stores import pgbackrest

OnProgress = Callable[[Progress], None]
_BROKEN_BY_CONTENT = ("[095]", "[029]", "[026]")  # it cannot be decrypted, it is no such file, it is another one
_MISSING = "[055]"
_AT_ONCE = 256  # tasks that are held in memory; 100,000 would be too many


@dataclass(frozen=True, slots=True)
class Eye:
    """Which repository of which cluster is looked at."""

    place: Cluster
    target: str
    repository: int

    @property
    def stanza(self) -> str:
        return self.place.stanza or ""


def fetch(eye: Eye, path: str, on_block: Callable[[bytes], None], *, raw: bool = False) -> None:
    """Hand on a file in blocks: decrypted, unless `raw`; never unpacked. Nothing of it can get into a message."""
    options = (f"--repo={eye.repository}", "--log-level-console=off", *(("--raw",) if raw else ()))

    def take(block: bytes) -> None:
        stop.check()
        on_block(block)

    pgbackrest.run(eye.place, "repo-get", *options, path, target=eye.target, connects=False, on_block=take)


def document(eye: Eye, path: str) -> sealed.Sections:
    """Read a sealed file whole; its cipher's pass is known to the redaction before anybody can speak of it."""
    blocks: list[bytes] = []
    fetch(eye, path, blocks.append)
    return _sealed(b"".join(blocks))


def _sealed(raw: bytes) -> sealed.Sections:
    found = sealed.opened(raw)
    for secret in sealed.passes(found):
        register(secret)
    return found


def read(eye: Eye, tasks: Iterable[Task], count: int, *, witnessed: Mapping[str, str], on_progress: OnProgress) -> Read:
    """Read all of them, a few at a time; `tasks` may make each just when its turn has come."""
    faults: list[Fault] = []
    seen: dict[str, str] = {}
    done = size = 0
    coming = iter(tasks)
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1), thread_name_prefix="reading") as pool:
        while some := tuple(islice(coming, _AT_ONCE)):
            for task, (fault, digest) in zip(some, pool.map(partial(_told, eye, witnessed), some), strict=True):
                done, size = done + 1, size + task.size
                on_progress(Progress(eye.target, task.path, done, count))
                if fault is not None:
                    faults.append(fault)
                if digest is not None:
                    seen[task.path] = witnessed.get(task.path, digest)
    return Read(tuple(faults), done, size, seen)


def _told(eye: Eye, witnessed: Mapping[str, str], task: Task) -> tuple[Fault | None, str | None]:
    stop.check()
    try:
        return None, _compared(eye, task, witnessed)
    except Stopped:
        raise
    except VerifiedBad as error:
        wrong = Wrong.CHANGED if isinstance(error, _Changed) else Wrong.DAMAGED
        return Fault(task.path, wrong, error.message), None
    except _NotUnderstood as error:
        return Fault(task.path, Wrong.NOT_UNDERSTOOD, error.message), None
    except DbopsError as error:
        return failed(task.path, error), None


def failed(path: str, error: DbopsError) -> Fault:
    """Tell what it means that a file could not be read: only some reasons are the file's own."""
    if error.message.endswith(_MISSING):
        return Fault(path, Wrong.MISSING, "it is not there")
    if error.message.endswith(_BROKEN_BY_CONTENT):
        return Fault(path, Wrong.DAMAGED, error.message)
    return Fault(path, Wrong.UNREAD, error.message)


class _Changed(VerifiedBad):
    """It is not what was seen first."""


class _NotUnderstood(DbopsError):
    """Nothing tells what its bytes have to be."""


def _compared(eye: Eye, task: Task, witnessed: Mapping[str, str]) -> str | None:
    if task.expected is not None and task.expected.cuts:
        cutting = _Cutting(task.expected.cuts)
        fetch(eye, task.path, cutting.feed, raw=True)
        cutting.close()
    elif task.expected is not None and task.expected.content is not None:
        unpacking = Unpacking(task.expected.compression)
        fetch(eye, task.path, unpacking.feed)
        unpacking.close()
        if unpacking.sha1.hexdigest() != task.expected.content:
            raise VerifiedBad("its content is not what was written")
    elif task.is_sealed or task.is_witnessed:
        return _remembered(eye, task, witnessed)
    else:
        raise _NotUnderstood("nothing tells what it has to hold")
    return None


def _remembered(eye: Eye, task: Task, witnessed: Mapping[str, str]) -> str:
    """Compare a file that carries no checksum (or one that its packing does not cover) with what was seen first."""
    blocks: list[bytes] = []
    fetch(eye, task.path, blocks.append)
    raw = b"".join(blocks)
    digest = sha1(raw, usedforsecurity=False).hexdigest()
    if witnessed.get(task.path, digest) != digest:
        raise _Changed("it is not what dbops saw first")
    if task.is_sealed:
        parts: list[bytes] = []
        unpacking = Unpacking(names.compression(task.path), parts.append)
        unpacking.feed(raw)
        unpacking.close()
        _sealed(b"".join(parts))
    return digest


class _Cutting:
    """Hashes each part of a file while it streams by."""

    def __init__(self, cuts: Iterable[Cut]) -> None:
        self._cuts: Iterator[Cut] = iter(cuts)
        self._at = 0
        self._cut: Cut | None = None
        self._hash = sha1(usedforsecurity=False)
        self._next()

    def _next(self) -> None:
        self._cut = next(self._cuts, None)
        self._hash = sha1(usedforsecurity=False)
        if self._cut is not None and self._cut.offset != self._at:
            raise _NotUnderstood(f"its manifest leaves bytes {self._at} to {self._cut.offset} out")
        if self._cut is not None and not self._cut.sha1:
            raise _NotUnderstood(f"its manifest has no checksum of {self._cut.name} as it is stored")

    def feed(self, block: bytes) -> None:
        view = memoryview(block)
        while view:
            if self._cut is None:
                raise VerifiedBad(f"it goes on behind its end, at {self._at}")
            left = self._cut.offset + self._cut.size - self._at
            taken = view[:left]
            self._hash.update(taken)
            self._at += len(taken)
            view = view[len(taken) :]
            self._finish()

    def _finish(self) -> None:
        while self._cut is not None and self._at == self._cut.offset + self._cut.size:
            if self._hash.hexdigest() != self._cut.sha1:
                raise VerifiedBad(f"{self._cut.name} in it is not what was written (byte {self._cut.offset} on)")
            self._next()

    def close(self) -> None:
        self._finish()
        if self._cut is not None:
            raise VerifiedBad(f"it ends too early, at {self._at}")


class Unpacking:
    """Unpacks a stream strictly, and hashes what comes out: no byte of it may go unnoticed."""

    def __init__(self, compression: str, on_block: Callable[[bytes], None] | None = None) -> None:
        self.sha1 = sha1(usedforsecurity=False)
        self._on_block = on_block
        self._compression = compression
        self._head = b""
        self._inner: Any = None
        match compression:
            case "zst":
                self._inner = zstandard.ZstdDecompressor(max_window_size=1 << 31).decompressobj()
            case "gz":
                self._inner = zlib.decompressobj(31)
            case "bz2":
                self._inner = bz2.BZ2Decompressor()
            case "none":
                pass
            case _:
                raise _NotUnderstood(f"dbops does not unpack {compression}")

    def feed(self, block: bytes) -> None:
        if len(self._head) < 10:
            self._head = (self._head + block)[:10]
        try:
            out = block if self._inner is None else self._inner.decompress(block)
        except (zstandard.ZstdError, zlib.error, OSError, EOFError, ValueError) as error:
            raise VerifiedBad(f"it cannot be unpacked: {error}") from None
        self.sha1.update(out)
        if self._on_block is not None:
            self._on_block(out)

    def close(self) -> None:
        if self._inner is None:
            return
        if not self._inner.eof:
            raise VerifiedBad("it ends too early")
        if self._inner.unused_data:
            raise VerifiedBad("it goes on behind its end")
        if not _head_is_as_written(self._compression, self._head):
            raise VerifiedBad("its first bytes are not as they were written")


def _head_is_as_written(compression: str, head: bytes) -> bool:
    """Look at the bits that unpacking passes over: pgBackRest always writes them the same way."""
    match compression:
        case "gz":  # no flags, no time, written on Unix
            return head[3:8] == bytes(5) and head[8] in (0, 2, 4) and head[9] == 3
        case "zst":  # unused and reserved bits; a window is a power of two
            return not head[4] & 0x18 and (bool(head[4] & 0x20) or not head[5] & 7)
        case _:
            return True
