"""Shapes whose contraction puts the old out of the way; a revision of its own drops it for good, much later. Pure."""

from typing import Protocol

from dbops.operations.migrate.shapes.columns import Columns
from dbops.operations.migrate.shapes.dropped import Dropped
from dbops.operations.migrate.shapes.replaced import Replaced
from dbops.operations.migrate.shapes.retired import KEEP
from dbops.operations.migrate.shapes.shape import Do, Shape


class Retiring(Protocol):
    """What such a shape tells beside its phases."""

    def put_back(self, change: str) -> tuple[Do, ...]:
        """Take the contraction back."""
        ...

    def removal(self, change: str, keep: str = KEEP) -> tuple[Do, ...]:
        """Drop for good what was put away, when `keep` is over."""
        ...


def retires(shape: Shape | None) -> bool:
    """Say whether contraction puts something out of the way."""
    return isinstance(shape, Dropped | Replaced) or (isinstance(shape, Columns) and bool(shape.old))


def comes_back(shape: Shape | None) -> bool:
    """Say whether a revision can bring it back."""
    return retires(shape) and not (isinstance(shape, Columns) and shape.takes_key)
