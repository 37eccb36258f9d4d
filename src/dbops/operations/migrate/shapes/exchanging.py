"""What a shape tells beside its phases when tables exchange their names in its swap. Pure."""

from typing import Protocol, runtime_checkable

from dbops.operations.migrate.shapes.shape import Comparison, Do, Shape


@runtime_checkable
class Exchanging(Protocol):
    """What a shape adds whose swap needs preparation, and after which its tables have each other's names."""

    def before_swap(self, change: str) -> tuple[Do, ...]:
        """Make ready what the swap does not wait for, each in a transaction of its own; `alone` may take long."""
        ...

    def before_swap_back(self, change: str) -> tuple[Do, ...]: ...

    def after_swap(self) -> Shape:
        """Return the shape whose comparisons are right once it was swapped."""
        ...


def before_swap(shape: Shape, change: str) -> tuple[Do, ...]:
    return shape.before_swap(change) if isinstance(shape, Exchanging) else ()


def before_swap_back(shape: Shape, change: str) -> tuple[Do, ...]:
    return shape.before_swap_back(change) if isinstance(shape, Exchanging) else ()


def comparisons(shape: Shape, *, swapped: bool) -> tuple[Comparison, ...]:
    """Tell the comparisons for the names that the tables have just now."""
    return (shape.after_swap() if swapped and isinstance(shape, Exchanging) else shape).comparisons()
