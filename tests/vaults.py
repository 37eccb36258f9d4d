"""Vaults in folders, with artifacts in them, and a configuration that names them."""

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from dbops.config.model import Place
from dbops.copies import artifact
from dbops.stores import vault

_BLOCK = 1 << 20
FIRST = datetime(2026, 8, 1, 2, tzinfo=UTC)


def store(folder: Path, name: str = "vault") -> vault.Store:
    return vault.connect(Place(url=f"file://{folder}"), target=name)


def put(
    folder: Path,
    *,
    target: str = "audit",
    kind: str = "dump",
    day: int = 1,
    files: int = 2,
    size: int = 3000,
    recipients: Sequence[str] = (),
    finished: bool = True,
) -> str:
    """Write one artifact of random bytes; return its name."""
    folder.mkdir(parents=True, exist_ok=True)
    subject = artifact.Subject("postgres", target, kind, f"source {day}", FIRST.replace(day=day))
    with artifact.write(store(folder), subject, run="test", recipients=recipients, compression="none") as writer:
        for number in range(files):
            with writer.file(f"part-{number}.jsonl", count=10) as sink:
                for at in range(0, size, _BLOCK):
                    sink.write(os.urandom(min(_BLOCK, size - at)))
        if finished:
            writer.finish(counts={"rows": 10 * files})
        return writer.folder.rstrip("/")


def configured(folder: Path, *copies: str, extra: str = "") -> Path:
    """Write `dbops.toml`: the vault is `near`, each copy a folder of its own name."""
    lines = ["[platform]", 'name = "x"', 'environment = "test"', 'state_dir = "state"']
    lines += ["[vault]", f'url = "file://{folder}/near"', extra]
    for name in copies:
        lines += [f"[vault.copies.{name}]", f'url = "file://{folder}/{name}"', 'max_age = "6h"']
    (folder / "near").mkdir(exist_ok=True)
    (folder / "dbops.toml").write_text("\n".join(lines) + "\n")
    return folder / "dbops.toml"


def contents(folder: Path) -> dict[str, bytes]:
    """Read every object of a place, but for the results of verifications."""
    files = (path for path in folder.rglob("*") if path.is_file() and ".unfinished-" not in path.name)
    return {str(path.relative_to(folder)): path.read_bytes() for path in files if "verified" not in path.parts}


def whole(folder: Path) -> set[str]:
    """Name the artifacts that exist in a place; each must hold what its manifest says, down to the last byte."""
    place = store(folder)
    names: set[str] = set()
    for found in artifact.listing(place):
        assert not isinstance(found, artifact.Broken), found.finding.message
        if isinstance(found, artifact.Artifact):
            verified = artifact.verify(place, found, depth="stored")
            assert verified.findings == (), verified.findings
            names.add(found.address.folder.rstrip("/"))
    return names
