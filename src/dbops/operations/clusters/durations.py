"""How long restores took on this host: what the next one's duration is predicted from."""

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

_KEPT = 200  # lines; the oldest go first


@dataclass(frozen=True, slots=True)
class Took:
    """One restore that came to its end: seconds from its own start."""

    target: str
    at: str  # when it ended
    label: str
    size: int  # bytes of the restored cluster
    segments: int  # of WAL that were to be read
    restored_s: float  # files are back
    consistent_s: float  # readers are let in
    writable_s: float  # the target is reached; writers are let in, unless it stays read-only
    in_place: bool = False


def note(state_dir: Path, took: Took) -> None:
    """Add one; a state directory that cannot be written costs a prediction, not a restore."""
    path = _path(state_dir, took.target)
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = [json.dumps(asdict(each)) for each in (*measured(state_dir, took.target)[-_KEPT + 1 :], took)]
        new = path.with_suffix(".new")
        new.write_text("\n".join(lines) + "\n", encoding="utf-8")
        new.replace(path)


def measured(state_dir: Path, target: str) -> tuple[Took, ...]:
    """Return the restores of a target that were measured, oldest first; a torn line is none."""
    found: list[Took] = []
    with suppress(OSError):
        for line in _path(state_dir, target).read_text(encoding="utf-8").splitlines():
            with suppress(ValueError, TypeError):
                told: dict[str, Any] = json.loads(line)
                found.append(Took(**told))
    return tuple(found)


def predicted(took: Sequence[Took], *, size: int, segments: int) -> float | None:
    """Predict seconds to writable: the slowest rate met for bytes, and for segments; None without a measurement."""
    if not took:
        return None
    bytes_s = max(each.restored_s / max(each.size, 1) for each in took) * size
    replays = [(each.writable_s - each.restored_s) / max(each.segments, 1) for each in took]
    return bytes_s + max(replays) * max(segments, 1)


def _path(state_dir: Path, target: str) -> Path:
    return state_dir / "restores" / f"{target}.jsonl"
