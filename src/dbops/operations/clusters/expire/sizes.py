"""How large the repositories were at earlier runs, remembered beside what verifications found."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from dbops.copies.manifest import FORMAT, REMEMBERED, opened, sealed
from dbops.engine.run import Run
from dbops.errors import CouldNotVerify, VerifiedBad
from dbops.operations.clusters.expire.facts import Sized
from dbops.stores.vault import Absent, Store

_LOOKED_BACK = 30
_APART = timedelta(hours=12)  # an hourly cron need not fill the vault


@dataclass(frozen=True, slots=True)
class _Kept:
    sizes: tuple[Sized, ...]
    format: int = FORMAT


def recall(store: Store, target: str) -> tuple[Sized, ...]:
    """Read what was remembered; what was altered is left out."""
    names = sorted((entry.name for entry in store.listing(_folder(target))), reverse=True)
    return tuple(one for name in names[:_LOOKED_BACK] for one in _read(store, name))


def remember(store: Store, target: str, run: Run, known: Sequence[Sized], fresh: Sequence[Sized]) -> None:
    """Write the sizes of now, unless they were written a few hours ago."""
    last = max((one.at for one in known), default=None)
    if fresh and (last is None or _newest(fresh) - last >= _APART):
        store.put_new(f"{_folder(target)}{run.id}.json", sealed(_Kept(tuple(fresh))))


def _newest(sizes: Sequence[Sized]) -> datetime:
    return max(one.at for one in sizes)


def _folder(target: str) -> str:
    return f"{REMEMBERED}repositories/{target}/"


def _read(store: Store, name: str) -> tuple[Sized, ...]:
    try:
        return opened(_Kept, store.get(name), name).sizes
    except (Absent, VerifiedBad, CouldNotVerify):
        return ()
