"""The places that every promise of the vault is tested on, and artifacts to put there."""

import random
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

from dbops.config.fields import SecretFile
from dbops.config.model import Place
from dbops.copies import artifact
from dbops.stores.vault import Store

from azurite import ACCOUNT, KEY, Azurite
from moto_s3 import Moto

KINDS = ("folder", "azurite", "s3")
INSTANT = datetime(2026, 8, 1, 2, 0, 0, 123000, tzinfo=UTC)
_pyrage: Any = import_module("pyrage")  # it tells no types
SUBJECT = artifact.Subject("cosmos", "workflows", "export", "account/database", INSTANT)


def at_another(hours: float) -> artifact.Subject:
    return artifact.Subject("cosmos", "workflows", "export", "account/database", INSTANT + timedelta(hours=hours))


def secret(folder: Path, text: str) -> SecretFile:
    """A secret that the configuration may refer to."""
    file = folder / f"secret-{uuid.uuid4().hex[:8]}"
    file.touch(mode=0o600)
    file.write_text(text)
    return SecretFile(file=file)


def folder_place(folder: Path) -> Place:
    root = folder / "va ult"
    root.mkdir(exist_ok=True)
    return Place(url=f"file://{str(root).replace(' ', '%20')}")


def azurite_place(folder: Path, server: Azurite, endpoint: str | None = None) -> Place:
    container = f"c{uuid.uuid4().hex[:8]}"
    server.create(container)
    return Place(
        url=f"azure://{ACCOUNT}/{container}/some/prefix", endpoint=endpoint or server.endpoint, key=secret(folder, KEY)
    )


def s3_place(folder: Path, server: Moto, endpoint: str | None = None) -> Place:
    bucket = f"bucket-{uuid.uuid4().hex[:8]}"
    server.create(bucket)
    return Place(
        url=f"s3://{bucket}/some/prefix",
        endpoint=endpoint or server.endpoint,
        region="us-east-1",
        key_id="somebody",
        key=secret(folder, "very-secret-access-key"),
    )


def written(
    vault: Store, files: Mapping[str, bytes], subject: artifact.Subject = SUBJECT, **options: Any
) -> artifact.Artifact:
    """Write a whole artifact and find it in the vault."""
    with artifact.write(vault, subject, run="a-run", **options) as writer:
        for name, data in files.items():
            with writer.file(name) as sink:
                sink.write(data, data.count(b"\n"))
        writer.finish()
    found = artifact.find(vault, writer.folder)
    assert isinstance(found, artifact.Artifact)
    return found


def identity() -> tuple[str, str]:
    """A fresh age identity, and its public key."""
    fresh = _pyrage.x25519.Identity.generate()
    return str(fresh), str(fresh.to_public())


def decrypted(data: bytes, with_identity: str) -> bytes:
    return _pyrage.decrypt(data, [_pyrage.x25519.Identity.from_str(with_identity)])


def noise(size: int) -> bytes:
    return random.randbytes(size)
