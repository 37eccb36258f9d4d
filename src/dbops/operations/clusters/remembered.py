"""What verifications of backups have found: write-once objects in the vault, so that a lost host loses no proof.

Without a vault they lie in the state directory, where only this host sees them; `local` tells.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from dbops.config.model import Config
from dbops.copies.manifest import FORMAT, REMEMBERED, opened, sealed
from dbops.engine.run import Run
from dbops.errors import CouldNotVerify, Refused, VerifiedBad
from dbops.operations.clusters.proofs import Depth, Remembered, last
from dbops.stores import vault as vaults
from dbops.stores.vault import Absent, Store
from dbops.stores.vault.folder import Folder

__all__ = ["Depth", "Memory", "Remembered", "last", "memory", "recall", "remember"]

_LOOKED_BACK = 50  # objects of each depth; what must not be forgotten is carried on by each of them


@dataclass(frozen=True, slots=True)
class _Kept:
    """One object: all results of one run and target."""

    results: tuple[Remembered, ...]
    format: int = FORMAT


@dataclass(frozen=True, slots=True)
class Memory:
    """Where results lie."""

    store: Store
    local: bool  # True: no vault is configured, and only this host remembers


def memory(config: Config, state_dir: Path) -> Memory:
    """Find where results are kept; nothing is asked of the vault yet."""
    if config.vault is not None:
        return Memory(vaults.connect(config.vault, target="vault"), local=False)
    place = state_dir / "remembered"
    try:
        place.mkdir(parents=True, exist_ok=True, mode=0o750)
    except OSError as error:
        hint = "make the state directory writable, or name another in [platform] state_dir"
        raise Refused(f"results cannot be kept in {place}: {error.strerror}", hint=hint) from error
    return Memory(Folder(place, "state"), local=True)


def remember(store: Store, target: str, run: Run, results: Sequence[Remembered]) -> str | None:
    """Write the results of one run, once; return where they lie."""
    if not results:
        return None
    depth = max((one.depth for one in results), key=lambda depth: depth.rank)
    data = sealed(_Kept(tuple(results)))
    name = f"{_folder(target)}{depth}/{run.id}-{sha256(data).hexdigest()[:8]}.json"
    store.put_new(name, data)
    return name


def recall(store: Store, target: str) -> tuple[Remembered, ...]:
    """Read what was found, newest first; a result that was altered proves nothing and is left out."""
    names: dict[str, list[str]] = {}
    for entry in store.listing(_folder(target)):
        folder, _, _ = entry.name.rpartition("/")
        names.setdefault(folder, []).append(entry.name)
    newest = (name for several in names.values() for name in sorted(several, reverse=True)[:_LOOKED_BACK])
    found = [one for name in newest for one in _read(store, name) if one.target == target]
    return tuple(sorted(found, key=lambda one: one.at, reverse=True))


def _folder(target: str) -> str:
    return f"{REMEMBERED}cluster/{target}/"


def _read(store: Store, name: str) -> tuple[Remembered, ...]:
    try:
        return opened(_Kept, store.get(name), name).results
    except (Absent, VerifiedBad, CouldNotVerify):
        return ()
