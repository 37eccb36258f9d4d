"""What a shape answers that only adds: one step, with no rows to move, nothing to compare and nothing to remove."""

from dbops.operations.migrate.shapes.shape import Comparison, Do, Filling, OldNames


class Adds:
    """Beside `expand` and `undo`, there is nothing to do."""

    __slots__ = ()

    def filling(self) -> Filling | None:
        return None

    def comparisons(self) -> tuple[Comparison, ...]:
        return ()

    def swap(self, change: str) -> tuple[Do, ...]:
        del change
        return ()

    def swap_back(self, change: str) -> tuple[Do, ...]:
        del change
        return ()

    def contract(self, change: str) -> tuple[Do, ...]:
        del change
        return ()

    def old_names(self) -> OldNames | None:
        return None
