"""Reading an artifact's content back: decrypted, decompressed, and compared with the manifest at the end."""

import hashlib
from collections.abc import Iterator

import zstandard

from dbops.copies import age, streams
from dbops.copies.catalogue import Artifact
from dbops.copies.manifest import File
from dbops.engine import stop
from dbops.errors import CouldNotVerify, DbopsError, VerifiedBad
from dbops.stores.vault import Store
from dbops.stores.vault.lane import pushed


class Counting:
    """Hashes what passes."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks, self._sum, self.size = blocks, hashlib.sha256(), 0

    def __iter__(self) -> Iterator[bytes]:
        for block in self._blocks:
            self._sum.update(block)
            self.size += len(block)
            yield block

    @property
    def sums(self) -> tuple[int, str]:
        return self.size, self._sum.hexdigest()


def read(vault: Store, artifact: Artifact, name: str, *, identity: str | None = None) -> Iterator[bytes]:
    """Give the content of one file. Only when the last block was taken without an error is it what was written."""
    file = artifact.manifest.file(name)
    target = artifact.address.target
    if file is None:
        raise DbopsError(f"{artifact.address.folder} holds no {name}", target=target)
    try:
        yield from content(vault, artifact.address.folder, file, identity)
    except DbopsError as error:
        error.target = error.target or target
        raise


def content(vault: Store, folder: str, file: File, identity: str | None) -> Iterator[bytes]:
    path = folder + file.stored
    if file.encrypted and identity is None:
        hint = "name the identity of one of its recipients in [vault] identity"
        raise CouldNotVerify(f"{path} is encrypted, and no identity is here", hint=hint)
    stored = Counting(vault.read(path))
    flow = iter(stored)
    outer = Counting(_opened(flow, file, identity or "", path))
    fault: DbopsError | None = None
    try:
        for block in outer:
            stop.check()
            yield block
    except (VerifiedBad, CouldNotVerify) as error:
        fault = error
    except zstandard.ZstdError as error:
        fault = VerifiedBad(f"{path} cannot be decompressed: {error}")
    for _ in flow:  # the rest decides whether the data is wrong, or only the identity
        stop.check()
    if stored.sums != (file.stored_size, file.stored_sha256):
        raise VerifiedBad(f"{path} is no longer what was written", hint="restore from another copy") from fault
    if fault is not None:
        raise fault
    if outer.sums != (file.size, file.sha256):
        raise VerifiedBad(f"the content of {path} is not what was written", hint="restore from another copy")


def _opened(flow: Iterator[bytes], file: File, identity: str, path: str) -> Iterator[bytes]:
    if file.encrypted:
        sealed = flow
        flow = pushed(lambda put: age.decrypt(sealed, put, identity, path))
    return streams.decompressed(flow) if file.compression == "zstd" else flow
