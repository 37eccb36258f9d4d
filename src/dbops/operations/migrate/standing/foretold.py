"""What walks over a table took in earnest, beside what the last rehearsal before them had foretold. Pure."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from dbops import units
from dbops.operations.migrate.contract.facts import REHEARSED
from dbops.operations.migrate.open_changes import Change, Job, Known
from dbops.operations.migrate.standing.facts import Event

FORETOLD = "foretold"
_WALKS = {"backfill": ("backfill",), "verify": ("verify", "verify back")}


def events(known: Known, now: datetime) -> Iterator[Event]:
    """Compare where both exist, in this very database. Revisions tell their own time."""
    for change in known.changes:
        for phase, kinds in _WALKS.items():
            jobs = [one for one in change.jobs if one.kind in kinds and one.place == known.here]
            if not jobs or any(one.finished is None for one in jobs):
                continue
            begun = min(one.begun for one in jobs)
            predicted = _predicted(change, known, phase, begun)
            if predicted is not None:
                yield _event((known.target, change), phase, jobs, predicted, now)


def _predicted(change: Change, known: Known, phase: str, begun: datetime) -> float | None:
    proofs = [one for one in change.life.entries if one.kind == REHEARSED and one.place == known.here]
    before = [one for one in proofs if one.at <= begun]
    phases: list[dict[str, Any]] = before[-1].detail.get("phases", []) if before else []
    return next((one["predicted_ms"] for one in phases if one["name"] == phase and not one["failed"]), None)


def _event(of: tuple[str, Change], phase: str, jobs: list[Job], predicted_ms: float, now: datetime) -> Event:
    target, change = of
    begun, ended = min(one.begun for one in jobs), max(one.finished or one.at for one in jobs)
    took_ms, last = (ended - begun) / timedelta(milliseconds=1), jobs[-1]
    said = f"{phase} took {_span(took_ms)}, {_span(predicted_ms)} were predicted"
    actor = next((one.actor for one in change.life.entries if one.run == last.run), "")
    age, detail = max(timedelta(0), now - ended), {"phase": phase, "ms": round(took_ms), "predicted_ms": predicted_ms}
    return Event(
        target, change.id, change.impact, FORETOLD, said, ended, age, last.run, actor, here=True, detail=detail
    )


def _span(milliseconds: float) -> str:
    return units.duration(timedelta(milliseconds=round(milliseconds)))
