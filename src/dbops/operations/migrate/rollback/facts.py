"""What is known of a change that is to be taken back."""

from dataclasses import dataclass

from dbops.engine.plan import Step
from dbops.operations.migrate import plan as revisions
from dbops.operations.migrate.compare.facts import COMPARED
from dbops.operations.migrate.life import STATE, Life, Place, State
from dbops.operations.migrate.shapes.shape import Do
from dbops.operations.migrate.switch.facts import Override

BACK_FROM = "back from"  # in the evidence of a state: what it was before it was taken back
FILLED = frozenset({State.BACKFILLED, State.VERIFIED})


@dataclass(frozen=True, slots=True)
class File:
    """The revision that takes a change back behind others."""

    path: str
    text: str
    there: bool = False


@dataclass(frozen=True, slots=True)
class Facts:
    """All that the way back is judged and planned by."""

    target: str
    change: str
    life: Life
    here: Place
    percent: int
    compares: bool  # there is a copy of something
    compares_back: bool
    later: tuple[str, ...]  # revisions that were run after its expand revision
    expand: str = ""
    down: tuple[Step[revisions.Action], ...] = ()  # what takes the expand revision back, where nothing came after it
    file: File | None = None
    write: bool = False
    pending: str | None = None  # the revision that takes it back, written and not run
    swap_back: tuple[str, ...] = ()
    before_swap_back: tuple[Do, ...] = ()
    conflicts: int = 0
    overrides: tuple[Override, ...] = ()

    @property
    def half_way(self) -> bool:
        """Say whether readers were led back, and nothing has compared since: that is still to be done."""
        states = [one for one in self.life.entries if one.kind == STATE]
        if self.life.state is not State.BACKFILLED or not states or BACK_FROM not in states[-1].detail:
            return False
        proof = self.life.evidence(COMPARED, self.here)
        return proof is None or proof.at < states[-1].at

    @property
    def readers_first(self) -> bool:
        """Say whether this rollback is about the readers, and leaves what was added where it is."""
        return self.life.state is State.SWITCHED or self.half_way
