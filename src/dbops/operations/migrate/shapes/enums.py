"""Add a value to an enum type. It can be used once it is committed, so it is a statement of its own."""

from dataclasses import dataclass

from dbops.engine.plan import literal
from dbops.operations.migrate.shapes.adds import Adds
from dbops.operations.migrate.shapes.shape import Do


@dataclass(frozen=True, slots=True)
class EnumValue(Adds):
    """Such as EnumValue("public.mood", "calm", after="happy"). PostgreSQL cannot remove a value again: undo leaves it.

    To remove or to rename one is a new column of a new type.
    """

    type: str
    value: str
    before: str | None = None
    after: str | None = None

    def __post_init__(self) -> None:
        if self.before is not None and self.after is not None:
            raise ValueError("a value comes before another, or after one, not both")

    @property
    def table(self) -> str:
        return self.type

    def expand(self, change: str) -> tuple[Do, ...]:
        del change
        place = f" BEFORE {literal(self.before)}" if self.before is not None else ""
        place += f" AFTER {literal(self.after)}" if self.after is not None else ""
        return (Do(f"ALTER TYPE {self.type} ADD VALUE IF NOT EXISTS {literal(self.value)}{place}", alone=True),)

    def undo(self, change: str) -> tuple[Do, ...]:
        del change
        return ()
