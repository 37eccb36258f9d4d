"""Where the server's log was, and when: what tells how old a commit is that nobody can read yet."""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from dbops import units
from dbops.operations.clusters.wal import parse_lsn

_KEPT = 2000


_LARGEST = 1 << 18  # bytes, when those that are too many are dropped
# What to ask the server; pg_control lags behind a promotion, the name of the current segment does not.
POSITION = """
    SELECT clock_timestamp() AS now, pg_is_in_recovery() AS standby,
           (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_insert_lsn() END)::text
               AS lsn,
           (SELECT system_identifier FROM pg_control_system()) AS system,
           CASE WHEN pg_is_in_recovery() THEN (SELECT timeline_id FROM pg_control_checkpoint())
                ELSE ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::int END AS timeline"""


@dataclass(frozen=True, slots=True)
class Sample:
    """All that was committed by `at` lies before `lsn`."""

    at: datetime
    lsn: int
    system: int
    timeline: int


def of(row: Mapping[str, Any]) -> Sample | None:
    """Make one of what the server has said to POSITION; None when it is a standby that has replayed nothing."""
    if row["lsn"] is None:
        return None
    return Sample(row["now"], parse_lsn(row["lsn"]), int(row["system"]), int(row["timeline"]))


def note(state_dir: Path, target: str, sample: Sample | None) -> None:
    """Add one, on the way of a run that has other work to do. Nothing fails for it."""
    if sample is None:
        return
    path = _path(state_dir, target)
    with suppress(OSError):
        if path.exists() and path.stat().st_size > _LARGEST:
            keep(state_dir, target, sample)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab", buffering=0) as file:  # in one piece, whoever else appends
            file.write(_line(sample).encode())


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
