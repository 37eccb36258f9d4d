"""SQL of one's own: what is done first, how it is taken back, and what is done when nobody needs the old any more."""

from dataclasses import dataclass

from dbops.operations.migrate.shapes.adds import Adds
from dbops.operations.migrate.shapes.shape import Do, OldNames


@dataclass(frozen=True, slots=True)
class Plain(Adds):
    """Statements as they are; Do("...", alone=True) for one that may not run in a transaction.

    With `on_complete` the change is contracted, through the gates: `old` names what its old clients use.
    """

    table: str
    up: tuple[str | Do, ...]
    down: tuple[str | Do, ...]
    on_complete: tuple[str | Do, ...] = ()
    old: OldNames | None = None

    def expand(self, change: str) -> tuple[Do, ...]:
        del change
        return _done(self.up)

    def undo(self, change: str) -> tuple[Do, ...]:
        del change
        return _done(self.down)

    def contract(self, change: str) -> tuple[Do, ...]:
        del change
        return _done(self.on_complete)

    def old_names(self) -> OldNames | None:
        return (self.old or OldNames(self.table)) if self.on_complete else None


def _done(statements: tuple[str | Do, ...]) -> tuple[Do, ...]:
    return tuple(one if isinstance(one, Do) else Do(one) for one in statements)
