"""What a rehearsal measures, phase by phase, and what is kept of it as evidence."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dbops.operations.migrate import figures


@dataclass(frozen=True, slots=True)
class Held:
    """A lock of ours that others feel: for how long it was held, and waited for. Samples tell, so times are rough."""

    relation: str
    mode: str  # as SQL names it
    held_ms: float
    awaited_ms: float


@dataclass(frozen=True, slots=True)
class Size:
    """A table of the change, before and after a phase; in bytes."""

    table: str
    before: int
    after: int
    indexes_before: int
    indexes_after: int


@dataclass(frozen=True, slots=True)
class Traffic:
    """What the generated load met beside a phase."""

    transactions: int = 0
    failures: Mapping[str, int] = field(default_factory=dict[str, int])  # by SQLSTATE
    p50_ms: float = 0.0
    p99_ms: float = 0.0
    longest_ms: float = 0.0

    @property
    def failed(self) -> int:
        return sum(self.failures.values())


@dataclass(frozen=True, slots=True)
class Phase:
    """One phase of the life, as it went on the copy."""

    name: str
    took_ms: float
    predicted_ms: float  # for the database itself
    locks: tuple[Held, ...] = ()
    rewritten: tuple[str, ...] = ()
    wal_bytes: int = 0  # with that of the load
    sizes: tuple[Size, ...] = ()
    load: Traffic = Traffic()
    rows: int | None = None  # that were walked
    rows_per_s: float | None = None
    revisions: Mapping[str, float] = field(default_factory=dict[str, float])  # milliseconds
    error: str | None = None
    walk_ms: float | None = None  # of the walk over the rows, without what comes before and behind
    statements: tuple[figures.Statement, ...] = ()
    attempts: int = 1


def evidence(checksum: str, phases: tuple[Phase, ...], *, ok: bool, copied: str, scale: float = 1.0) -> dict[str, Any]:
    """Say it as the ledger keeps it; names of objects, and no row."""
    return {
        "plan": checksum,
        "ok": ok,
        "copied": copied,
        "scale": round(scale, 3),
        "took_ms": round(sum(one.took_ms for one in phases)),
        "revisions": {name: round(took) for one in phases for name, took in one.revisions.items()},
        "phases": [_phase(one) for one in phases],
    }


def _phase(one: Phase) -> dict[str, Any]:
    return {
        "name": one.name,
        "took_ms": round(one.took_ms),
        "predicted_ms": round(one.predicted_ms),
        "locks": [[held.relation, held.mode, round(held.held_ms), round(held.awaited_ms)] for held in one.locks],
        "rewritten": list(one.rewritten),
        "wal_bytes": one.wal_bytes,
        "transactions": one.load.transactions,
        "failures": dict(one.load.failures),
        "p99_ms": round(one.load.p99_ms, 1),
        "longest_ms": round(one.load.longest_ms, 1),
        "rows": one.rows,
        "walk_ms": round(one.walk_ms) if one.walk_ms is not None else None,
        "attempts": one.attempts,
        "statements": figures.written(one.statements),
        "failed": one.error is not None,
    }
