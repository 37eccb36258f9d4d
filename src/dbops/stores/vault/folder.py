"""The vault in a folder, such as a mounted disk: written beside, flushed, then renamed.

Plain files and not obstore's LocalStore: that one does not flush to disk before it renames, and is four times
slower than the disk.
"""

import errno
import os
import secrets
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from dbops.errors import DbopsError, Refused, Unreachable
from dbops.stores.vault import BLOCK, Absent, AlreadyThere, Entry
from dbops.stores.vault.lane import Lane

_UNFINISHED = ".unfinished-"
_FLUSH_EVERY = 64 << 20  # so that the disk works while we do, and the last flush is short


class Folder:
    """Objects as files below `root`, which must exist: an unmounted disk must not be mistaken for an empty vault."""

    keeps_classes = False

    def __init__(self, root: Path, target: str) -> None:
        self.root, self.target, self.url = root, target, f"file://{root}"

    def put_new(self, name: str, data: bytes) -> None:
        with self._told(name):
            fresh, path = self._beside(name)
            try:
                descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
                with os.fdopen(descriptor, "wb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(descriptor)
                os.link(fresh, path)  # never over another one
            except FileExistsError:
                if path.read_bytes() != data:
                    raise AlreadyThere(f"{name} is in the vault already", target=self.target) from None
            finally:
                with suppress(OSError):
                    fresh.unlink(missing_ok=True)
            _flush_folder(path.parent)

    @contextmanager
    def writing(self, name: str, *, storage_class: str | None = None) -> Generator["_File"]:
        _ = storage_class  # a folder has none; whoever asks for one is told by keeps_classes
        with self._told(name):
            fresh, path = self._beside(name)
            file = _File(fresh, lambda: self._told(name))
        try:
            yield file
            file.close()
            with self._told(name):
                fresh.rename(path)
                _flush_folder(path.parent)
        except BaseException:
            file.abandon()
            with suppress(OSError):
                fresh.unlink(missing_ok=True)
            raise

    def get(self, name: str) -> bytes:
        return b"".join(self.read(name))

    def read(self, name: str, *, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        with self._told(name):
            descriptor = os.open(self.root / name, os.O_RDONLY | os.O_CLOEXEC)
            with os.fdopen(descriptor, "rb", buffering=0) as file:
                file.seek(start)
                left = length
                while left is None or left > 0:
                    block = file.read(BLOCK if left is None else min(BLOCK, left))
                    if not block:
                        return
                    left = None if left is None else left - len(block)
                    yield block

    def listing(self, prefix: str = "") -> Iterator[Entry]:
        self.probe()
        with self._told(prefix):
            yield from self._walk(prefix.rstrip("/"))

    def _walk(self, folder: str) -> Iterator[Entry]:
        try:
            entries = sorted(os.scandir(self.root / folder), key=lambda entry: entry.name)
        except (FileNotFoundError, NotADirectoryError):
            return  # nothing there, or removed a moment ago
        below: list[str] = []
        for entry in entries:
            name = f"{folder}/{entry.name}" if folder else entry.name
            if entry.is_dir(follow_symlinks=False):
                below.append(name)
            elif _UNFINISHED not in entry.name:
                with suppress(FileNotFoundError):
                    status = entry.stat()
                    yield Entry(name, status.st_size, datetime.fromtimestamp(status.st_mtime, UTC))
        for name in below:
            yield from self._walk(name)

    def head(self, name: str) -> Entry | None:
        with self._told(name):
            try:
                status = (self.root / name).stat()
            except (FileNotFoundError, NotADirectoryError):
                return None
            return Entry(name, status.st_size, datetime.fromtimestamp(status.st_mtime, UTC))

    def delete(self, name: str) -> None:
        with self._told(name):
            path = self.root / name
            path.unlink(missing_ok=True)
            for parent in path.parents:
                if parent == self.root:
                    break
                try:
                    parent.rmdir()  # an object store has no empty folders either
                except OSError:
                    break

    def sweep(self, prefix: str, *, ending: str = "") -> int:
        swept, top = 0, self.root / prefix
        with self._told(prefix):
            for folder, _, names in os.walk(top):
                first = Path(folder).relative_to(top).parts[:1]
                for name in names:
                    if _UNFINISHED in name and "".join(first).endswith(ending):
                        Path(folder, name).unlink(missing_ok=True)
                        swept += 1
        return swept

    def probe(self, *, writable: bool = False) -> None:
        with self._told(""):
            if not self.root.is_dir():
                raise Unreachable(
                    f"the vault's folder {self.root} is not there",
                    hint="create it, or mount the disk that holds it",
                    target=self.target,
                )
            os.scandir(self.root).close()
            if writable:
                trial = self.root / f"probe{_UNFINISHED}{secrets.token_hex(4)}"
                try:
                    trial.write_bytes(b"dbops")
                finally:
                    with suppress(OSError):
                        trial.unlink(missing_ok=True)

    def _beside(self, name: str) -> tuple[Path, Path]:
        """Where an object is written, and where it will lie."""
        self.probe()
        path = self.root / name
        _make(path.parent)
        return path.with_name(f"{path.name}{_UNFINISHED}{secrets.token_hex(4)}"), path

    @contextmanager
    def _told(self, name: str) -> Generator[None]:
        try:
            yield
        except OSError as error:
            raise _ours(error, name or str(self.root), self.target) from error


class _File:
    """A file that is written and flushed in a thread of its own, while the caller hashes."""

    def __init__(self, path: Path, told: Callable[[], AbstractContextManager[None]]) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self._lane, self._told = Lane(self._write_all), told
        self._is_open = True

    def write(self, block: bytes) -> None:
        with self._told():
            self._lane.put(block)

    def close(self) -> None:
        with self._told():
            self._lane.close()
            self._close()

    def abandon(self) -> None:
        self._lane.abandon()
        self._close()

    def _close(self) -> None:
        if self._is_open:
            self._is_open = False
            os.close(self._descriptor)

    def _write_all(self, blocks: Iterator[bytes]) -> None:
        unflushed = 0
        for block in blocks:
            view = memoryview(block)
            while view:
                view = view[os.write(self._descriptor, view) :]
            unflushed += len(block)
            if unflushed >= _FLUSH_EVERY:
                os.fdatasync(self._descriptor)
                unflushed = 0
        os.fsync(self._descriptor)


def _make(folder: Path) -> None:
    """Create a folder and what is above it, each kept over a power failure by its parent."""
    if folder.is_dir():
        return
    _make(folder.parent)
    folder.mkdir(exist_ok=True, mode=0o700)
    _flush_folder(folder.parent)


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


_AWAY = (errno.ENOTCONN, errno.ESTALE, errno.ETIMEDOUT, errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ENODEV)


def _ours(error: OSError, name: str, target: str) -> DbopsError:
    told = f"{name}: {error.strerror or error}"
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            hint = "the vault is full: make room there, then run the same command again"
            return Refused(told, hint=hint, target=target)
        case errno.EROFS | errno.EACCES | errno.EPERM:
            hint = "let the account that runs dbops read and write the vault's folder"
            return Refused(told, hint=hint, target=target)
        case errno.ENOENT | errno.ENOTDIR:
            return Absent(told, target=target)
        case number if number in _AWAY:
            return Unreachable(told, hint="check the disk that holds the vault", target=target)
        case _:
            return DbopsError(told, hint="check the disk that holds the vault", target=target)
