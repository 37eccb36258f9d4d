"""What statements took in earnest: how long, behind whom, and which locks they held. Pure."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

TOOK = "took"  # the kind of evidence in the ledger
BUILD = "build"  # the phase of what is built behind a backfill: by name, not by its SQL
MODES: Mapping[str, str] = {  # what is weaker stands in nobody's way who reads or writes
    "ShareLock": "SHARE",
    "ShareRowExclusiveLock": "SHARE ROW EXCLUSIVE",
    "ExclusiveLock": "EXCLUSIVE",
    "AccessExclusiveLock": "ACCESS EXCLUSIVE",
}
_MOST = 40  # statements of one revision that are kept: those that took longest
_LONGEST = 120
_LITERAL = re.compile(r"[eE]?'|\$\w*\$|--|/\*")

Span = tuple[float, float]  # seconds of the monotonic clock


@dataclass(frozen=True, slots=True)
class Lock:
    """A lock that others feel, from when it was granted until the transaction ended."""

    relation: str
    mode: str  # as SQL names it
    held_ms: float


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement, as it went."""

    sql: str  # its beginning, up to the first literal
    ms: float  # with the time that it waited
    waited_ms: float = 0.0
    locks: tuple[Lock, ...] = ()  # those that it was the first to take


@dataclass(frozen=True, slots=True)
class Timed:
    """One statement by the clock."""

    sql: str
    span: Span
    locks: tuple[tuple[str, str], ...] = ()
    released: float | None = None


def shown(text: str) -> str:
    """Keep the beginning of a statement: what stands in literals is nobody's business."""
    return " ".join(_LITERAL.split(text.strip(), maxsplit=1)[0].split())[:_LONGEST].rstrip(" (,")


def statements(timed: Iterable[Timed], waits: Sequence[Span]) -> tuple[Statement, ...]:
    """Take the time of waiting out of the time that a lock was held."""
    found: list[Statement] = []
    for one in timed:
        began, ended = one.span
        waited = sum(max(0.0, min(ended, last) - max(began, first)) for first, last in waits)
        held = max(0.0, (one.released if one.released is not None else ended) - began - waited)
        locks = tuple(Lock(relation, mode, 1000 * held) for relation, mode in one.locks)
        found.append(Statement(one.sql, 1000 * (ended - began), 1000 * waited, locks))
    longest = sorted(found, key=lambda one: max((one.ms, *(lock.held_ms for lock in one.locks))))[-_MOST:]
    return tuple(one for one in found if one in longest)


def evidence(
    phase: str,
    ms: float,
    told: Iterable[Statement],
    *,
    attempts: int = 1,
    waited_ms: float = 0.0,
    revision: str | None = None,
) -> dict[str, Any]:
    """Say it as the ledger keeps it. `waited_ms` is of attempts that were given up."""
    every = tuple(told)
    return {
        "phase": phase,
        "revision": revision,
        "ms": round(ms),
        "attempts": attempts,
        "waited_ms": round(waited_ms + sum(one.waited_ms for one in every)),
        "statements": written(every),
    }


def written(told: Iterable[Statement]) -> list[dict[str, Any]]:
    return [_rounded(asdict(one)) for one in told]


def _rounded(told: Any) -> Any:
    match told:
        case float():
            return round(told, 1)
        case dict():
            return {name: _rounded(one) for name, one in told.items()}  # pyright: ignore[reportUnknownVariableType]
        case list() | tuple():
            return [_rounded(one) for one in told]  # pyright: ignore[reportUnknownVariableType]
        case _:
            return told


def read(told: Iterable[Mapping[str, Any]]) -> tuple[Statement, ...]:
    return tuple(
        Statement(one["sql"], one["ms"], one["waited_ms"], tuple(Lock(**lock) for lock in one["locks"])) for one in told
    )


def total(found: Iterable[Statement]) -> tuple[Lock, ...]:
    """Tell each lock once: the longest time that it was held."""
    longest: dict[tuple[str, str], Lock] = {}
    for lock in (lock for one in found for lock in one.locks):
        known = longest.get((lock.relation, lock.mode))
        if known is None or lock.held_ms > known.held_ms:
            longest[lock.relation, lock.mode] = lock
    return tuple(longest.values())


_BUILDS = re.compile(r"\b(?:INDEX\s+CONCURRENTLY|VALIDATE\s+CONSTRAINT)\b", re.IGNORECASE)


def builds(one: Statement) -> bool:
    """Say whether a statement reads a whole table while others go on: more rows take it longer."""
    return _BUILDS.search(one.sql) is not None


def rehearsed_as(phase: str) -> str:
    """Name the phase of a rehearsal that has it: what is built when the rows are filled belongs to that."""
    return "backfill" if phase == BUILD else phase
