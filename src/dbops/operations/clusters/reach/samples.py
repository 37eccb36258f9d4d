"""Where the server's log was, and when: what tells how old a commit is that nobody can read yet."""

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from dbops import units

_KEPT = 2000


@dataclass(frozen=True, slots=True)
class Sample:
    """All that was committed by `at` lies before `lsn`."""

    at: datetime
    lsn: int
    system: int
    timeline: int


def kept(state_dir: Path, target: str) -> tuple[Sample, ...]:
    """Return them, oldest first; a torn line is none."""
    found: list[Sample] = []
    with suppress(OSError):
        for line in _path(state_dir, target).read_text(encoding="utf-8").splitlines():
            with suppress(ValueError, TypeError):
                at, lsn, system, timeline = json.loads(line)
                found.append(Sample(units.parse_instant(at), int(lsn), int(system), int(timeline)))
    return tuple(found)


def keep(state_dir: Path, target: str, sample: Sample) -> tuple[Sample, ...]:
    """Add one; while the log stands still the newest moment is enough. Nothing fails for it."""
    before = kept(state_dir, target)
    if before and (before[-1].lsn, before[-1].timeline, before[-1].system) == (
        sample.lsn,
        sample.timeline,
        sample.system,
    ):
        before = before[:-1]
    samples = (*before, sample)[-_KEPT:]
    path = _path(state_dir, target)
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_suffix(".new")
        new.write_text("".join(_line(one) for one in samples), encoding="utf-8")
        new.replace(path)
    return samples


def archived_by(samples: Sequence[Sample], end: int, *, system: int, timeline: int) -> datetime | None:
    """Return the newest moment whose commits all lie before `end`."""
    same = (one for one in samples if one.system == system and one.timeline == timeline)
    return max((one.at for one in same if one.lsn <= end), default=None)


def _line(one: Sample) -> str:
    return json.dumps([units.instant(one.at), one.lsn, one.system, one.timeline]) + "\n"


def _path(state_dir: Path, target: str) -> Path:
    return state_dir / "rates" / f"{target}.wal.jsonl"
