"""Whether anything is left to do of a change: one that only adds is complete without a contraction. Pure."""

from dbops.operations.migrate.life import State
from dbops.operations.migrate.shapes.shape import Shape

_FILLED = frozenset({State.VERIFIED, State.SWITCHED, State.CONTRACTED})


def nothing_goes_away(change: str, shape: Shape) -> bool:
    return shape.old_names() is None and not shape.contract(change)


def is_complete(change: str, shape: Shape, state: State) -> bool:
    """Say so when nothing goes away, and what has to be filled and compared is."""
    if not nothing_goes_away(change, shape):
        return state is State.CONTRACTED
    works = shape.filling() is not None or bool(shape.comparisons())
    return state in _FILLED or (state is State.EXPANDED and not works)
