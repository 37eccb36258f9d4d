"""What to restore, as the way to a moment was chosen."""

from dbops.operations.clusters.reach.facts import Chosen
from dbops.operations.clusters.restore.facts import Aim, Goal


def goal(chosen: Chosen, *, promote: bool = True) -> Goal:
    """Turn a chosen way into exactly what pgBackRest is told."""
    told = chosen.options
    aim = Aim(
        label=told.set,
        kind=told.type,
        target=told.target,
        timeline=told.target_timeline,
        exclusive=told.exclusive,
        repository=told.repository,
        promote=promote,
    )
    return Goal(
        aim,
        chosen.wanted,
        chosen.size_bytes,
        chosen.segments,
        chosen.notes,
        before=None if chosen.before is None else chosen.before.at,
        after=None if chosen.after is None else chosen.after.at,
    )
