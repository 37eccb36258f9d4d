"""The note of an in-place restore: STATE/in-place/TARGET.json while it is under way, beside it when it is done."""

import json
import os
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from dbops.errors import CouldNotVerify
from dbops.operations.clusters.restore.facts import Aim
from dbops.operations.clusters.restore.in_place_facts import Identity, Moved, Note, Slot, Standby


def path(state_dir: Path, target: str) -> Path:
    return state_dir / "in-place" / f"{target}.json"


def read(state_dir: Path, target: str) -> Note | None:
    """Return what an earlier run has noted and not finished."""
    place = path(state_dir, target)
    try:
        return _load(place)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise CouldNotVerify(
            f"an in-place restore is under way, and its note cannot be read: {error!r}",
            hint=f"look at {place}: the old cluster lies beside the new one, as NAME.before-RUN",
            target=target,
        ) from error


def finished(state_dir: Path, target: str) -> list[Note]:
    """Return what was finished, the last one first. One that somebody has spoiled keeps nobody from a restore."""
    found: list[Note] = []
    for place in path(state_dir, target).parent.glob("*.done.json"):
        with suppress(OSError, ValueError, TypeError, KeyError):
            found.append(_load(place))
    own = (note for note in found if note.target == target)
    return sorted(own, key=lambda note: (note.since, note.run), reverse=True)


def _load(place: Path) -> Note:
    told: dict[str, Any] = json.loads(place.read_text(encoding="utf-8"))
    lists = {"moved": Moved, "standbys": Standby, "slots": Slot, "made": Identity}
    for name, kind in lists.items():
        told[name] = tuple(kind(**one) for one in told[name])
    told |= {"aim": Aim(**told["aim"]), "argv": tuple(told["argv"])}
    return Note(**told)


def write(state_dir: Path, note: Note) -> None:
    """Write it whole, and on disk before anything follows from it."""
    place = path(state_dir, note.target)
    place.parent.mkdir(parents=True, exist_ok=True)
    new = place.with_suffix(".new")
    with new.open("w", encoding="utf-8") as file:
        file.write(json.dumps(asdict(note), indent=1))
        file.flush()
        os.fsync(file.fileno())
    new.replace(place)
    sync(place.parent)


def finish(state_dir: Path, note: Note) -> Path:
    """Close it; what it tells stays."""
    place = path(state_dir, note.target)
    done = place.with_name(f"{note.target}-{note.run}.done.json")
    place.replace(done)
    sync(place.parent)
    return done


def sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
