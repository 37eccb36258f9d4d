"""The life of a change: from what the ledger tells, its state, and what may come next. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class State(StrEnum):
    """Where a change is. `soak` is switched and waiting; `paused` is a wish that stands beside the state."""

    PLANNED = "planned"
    EXPANDED = "expanded"
    BACKFILLING = "backfilling"
    BACKFILLED = "backfilled"
    VERIFIED = "verified"
    SWITCHED = "switched"
    CONTRACTED = "contracted"
    FAILED = "failed"
    ROLLED_BACK = "rolled back"


_NEXT: Mapping[State, frozenset[State]] = {
    State.PLANNED: frozenset({State.EXPANDED, State.CONTRACTED}),
    State.EXPANDED: frozenset({State.BACKFILLING, State.BACKFILLED, State.VERIFIED, State.ROLLED_BACK}),
    State.BACKFILLING: frozenset({State.BACKFILLED, State.FAILED, State.EXPANDED, State.ROLLED_BACK}),
    State.BACKFILLED: frozenset({State.VERIFIED, State.BACKFILLING, State.FAILED, State.ROLLED_BACK}),
    State.VERIFIED: frozenset(
        {State.SWITCHED, State.BACKFILLING, State.BACKFILLED, State.ROLLED_BACK, State.CONTRACTED}
    ),
    State.SWITCHED: frozenset({State.CONTRACTED, State.VERIFIED, State.BACKFILLED, State.ROLLED_BACK}),
    State.CONTRACTED: frozenset(),
    State.FAILED: frozenset({State.BACKFILLING, State.BACKFILLED, State.EXPANDED, State.ROLLED_BACK}),
    State.ROLLED_BACK: frozenset({State.EXPANDED}),
}


@dataclass(frozen=True, slots=True)
class Place:
    """The database that proof belongs to: a clone or a restored copy is another."""

    system_identifier: int
    database_oid: int
    timeline: int


@dataclass(frozen=True, slots=True)
class Told:
    """One entry of the ledger about a change: a transition (`state`), or a piece of evidence."""

    at: datetime
    run: str
    actor: str
    kind: str  # state, or what it is evidence of
    detail: Mapping[str, Any]
    place: Place


STATE = "state"


@dataclass(frozen=True, slots=True)
class Life:
    """What is known of a change in one database."""

    state: State = State.PLANNED
    since: datetime | None = None
    elsewhere: bool = False  # the newest transition was made in another database: its proof means nothing here
    entries: tuple[Told, ...] = field(default=())

    def evidence(self, kind: str, here: Place) -> Told | None:
        """Return the newest evidence of a kind that was taken in this very database."""
        found = [one for one in self.entries if one.kind == kind and one.place == here]
        return found[-1] if found else None

    def since_state(self, state: State, here: Place) -> datetime | None:
        """Tell since when it has been in a state without a break; None where it is not, or was not made here."""
        if self.state is not state or self.elsewhere:
            return None
        first: datetime | None = None
        for one in reversed([one for one in self.entries if one.kind == STATE]):
            if one.detail.get("state") != state or one.place != here:
                break
            first = one.at
        return first


def life(entries: Iterable[Told], here: Place) -> Life:
    """Add up the entries of one change, oldest first."""
    every = tuple(entries)
    states = [one for one in every if one.kind == STATE]
    if not states:
        return Life(entries=every)
    last = states[-1]
    return Life(State(last.detail["state"]), last.at, last.place != here, every)


def may_follow(before: State, after: State) -> bool:
    """Say whether a transition is one of the life's own; to stay is always allowed."""
    return before is after or after in _NEXT[before]
