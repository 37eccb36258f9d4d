"""What each phase took in earnest, beside what the last rehearsal of the same plan before it had foretold. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from dbops import units
from dbops.operations.migrate import checksum, figures
from dbops.operations.migrate.contract.facts import REHEARSED
from dbops.operations.migrate.life import STATE, State, Told
from dbops.operations.migrate.open_changes import Change, Job, Known
from dbops.operations.migrate.standing.facts import Beside, Event, HeldBeside, TookBeside

FORETOLD = "foretold"
_WALKS = {"backfill": ("backfill",), "verify": ("verify", "verify back")}


def besides(known: Known) -> Iterator[Beside]:
    """Tell of each phase that was gone through in this very database, oldest first."""
    for change in known.changes:
        told = [*_of_statements(known, change), *_of_walks(known, change)]
        yield from sorted(told, key=lambda one: one.at)


def event(one: Beside, impact: str, now: datetime) -> Event:
    predicted = f"{_span(one.predicted_ms)} were predicted" if one.predicted_ms is not None else one.unforetold
    name = f"revision {one.revision}" if one.revision is not None else one.phase
    if one.phase == figures.BUILD:
        name = ", ".join(each.sql for each in one.statements)
    said = f"{name} took {_span(one.ms)}, {predicted}"
    detail: dict[str, Any] = {"phase": one.phase, "ms": round(one.ms), "predicted_ms": one.predicted_ms}
    age = max(timedelta(0), now - one.at)
    about = (one.target, one.change, impact, FORETOLD, said, one.at, age)
    return Event(*about, one.run, one.actor, here=True, detail=detail)


def _span(milliseconds: float) -> str:
    return units.duration(timedelta(milliseconds=round(milliseconds)))


# ── What was foretold ────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class _Foretold:
    """What a rehearsal told of one phase; or why there is nothing to go by."""

    at: datetime | None = None
    why: str | None = None
    scale: float = 1.0
    phase: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def statements(self) -> tuple[figures.Statement, ...]:
        return figures.read(self.phase.get("statements", ()))


def _foretold(known: Known, change: Change, phase: str, begun: datetime) -> _Foretold:
    every = [one for one in change.life.entries if one.kind == REHEARSED and one.place == known.here]
    proofs = [one for one in every if one.at <= begun]
    if not proofs:
        return _Foretold(why="never rehearsed before")
    if change.shape is not None:
        plan = checksum.of(change.id, change.shape)
        proofs = [one for one in proofs if one.detail.get("plan") == plan]
    if not proofs:
        return _Foretold(why="rehearsed before with another plan only")
    for proof in reversed(proofs):
        for one in proof.detail.get("phases", []):
            if one["name"] == figures.rehearsed_as(phase):
                failed = f"{phase} failed when it was rehearsed" if one["failed"] else None
                return _Foretold(proof.at, failed, proof.detail.get("scale", 1.0), one)
    return _Foretold(proofs[-1].at, f"rehearsed before without {phase}")


# ── Phases that are statements ───────────────────────────────────────────────────────────────────


def _of_statements(known: Known, change: Change) -> Iterator[Beside]:
    for one in change.life.entries:
        if one.kind == figures.TOOK and one.place == known.here and "phase" in one.detail:
            yield _statements(known, change, one)


def _statements(known: Known, change: Change, entry: Told) -> Beside:
    detail = entry.detail
    phase, ms = str(detail["phase"]), float(detail["ms"])
    foretold = _foretold(known, change, phase, entry.at - timedelta(milliseconds=ms))
    went = figures.read(detail["statements"])
    took = _took(went, foretold, phase)
    predicted = foretold.phase.get("predicted_ms") if foretold.why is None else None
    return Beside(
        known.target,
        change.id,
        phase,
        entry.at,
        entry.run,
        entry.actor,
        ms,
        took[0].predicted_ms if phase == figures.BUILD and took else predicted,
        revision=detail.get("revision"),
        attempts=detail["attempts"],
        waited_ms=detail["waited_ms"],
        locks=_locks(went, foretold.statements),
        statements=took,
        rehearsed=foretold.at,
        unforetold=foretold.why,
    )


def _locks(went: Sequence[figures.Statement], foretold: Sequence[figures.Statement]) -> tuple[HeldBeside, ...]:
    predicted = {(one.relation, one.mode): one.held_ms for one in figures.total(foretold)}
    return tuple(
        HeldBeside(one.relation, one.mode, one.held_ms, predicted.get((one.relation, one.mode)))
        for one in figures.total(went)
    )


def _took(went: Sequence[figures.Statement], foretold: _Foretold, phase: str) -> tuple[TookBeside, ...]:
    built = phase == figures.BUILD
    predicted = {
        one.sql: (one.ms - one.waited_ms) * (foretold.scale if built or figures.builds(one) else 1.0)
        for one in reversed(foretold.statements)
    }
    return tuple(
        TookBeside(one.sql, one.ms, one.waited_ms, predicted.get(one.sql), built or figures.builds(one)) for one in went
    )


# ── Phases that walk over rows ───────────────────────────────────────────────────────────────────


def _of_walks(known: Known, change: Change) -> Iterator[Beside]:
    for phase, kinds in _WALKS.items():
        jobs = [one for one in change.jobs if one.kind in kinds and one.place == known.here]
        if jobs and all(one.finished is not None for one in jobs):
            yield _walk(known, change, phase, jobs)


def _walk(known: Known, change: Change, phase: str, jobs: Sequence[Job]) -> Beside:
    begun, ended = min(one.begun for one in jobs), max(one.finished or one.at for one in jobs)
    foretold = _foretold(known, change, phase, begun)
    ms, rows, run = (ended - begun) / timedelta(milliseconds=1), sum(one.rows_seen for one in jobs), jobs[-1].run
    there: Mapping[str, Any] = foretold.phase if foretold.why is None else {}
    times = rows / there["rows"] if rows and there.get("rows") else foretold.scale  # as many rows as there are now
    there_ms, there_rows = there.get("walk_ms"), there.get("rows")
    return Beside(
        known.target,
        change.id,
        phase,
        ended,
        run,
        next((one.actor for one in change.life.entries if one.run == run), ""),
        ms,
        there_ms * times if there_ms is not None else there.get("predicted_ms"),
        throttled_ms=sum(one.throttled_ms for one in jobs),
        rows=rows,
        rows_per_s=1000 * rows / ms if ms else None,
        predicted_rows_per_s=1000 * there_rows / there_ms if there_rows and there_ms else None,
        wal_bytes=_wal(change, run) if phase == "backfill" else None,
        predicted_wal_bytes=round(there["wal_bytes"] * times) if phase == "backfill" and there else None,
        rehearsed=foretold.at,
        unforetold=foretold.why,
    )


def _wal(change: Change, run: str) -> int | None:
    """Tell what the server wrote meanwhile, where one run did it all."""
    ends = [one for one in change.life.entries if one.kind == STATE and one.run == run]
    return next((one.detail.get("wal_bytes") for one in ends if one.detail.get("state") == State.BACKFILLED), None)
