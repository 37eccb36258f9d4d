"""What a shape answers in the phases in which it has nothing to do."""

from dbops.operations.migrate.shapes.shape import Comparison, Do, Filling, OldNames


class NoSwap:
    """Readers follow by themselves: the catalog stays as it is."""

    __slots__ = ()

    def swap(self, change: str) -> tuple[Do, ...]:
        del change
        return ()

    def swap_back(self, change: str) -> tuple[Do, ...]:
        del change
        return ()


class Adds(NoSwap):
    """Beside `expand` and `undo`, there is nothing to do."""

    __slots__ = ()

    def filling(self) -> Filling | None:
        return None

    def comparisons(self) -> tuple[Comparison, ...]:
        return ()

    def contract(self, change: str) -> tuple[Do, ...]:
        del change
        return ()

    def old_names(self) -> OldNames | None:
        return None
