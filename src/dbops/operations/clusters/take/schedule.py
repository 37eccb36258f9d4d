"""Which kind of backup is due; pure.

Both kinds have slots: a full one each day at its time, a differential one every so often from there on. A slot is
covered by a good backup that ended after it began, so a run of cron that starts a second early or an hour late
takes the same decision.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from dbops.operations.clusters.take.facts import Kind, Schedule, Set

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Due:
    kind: Kind
    why: str


def due(sets: Sequence[Set], schedule: Schedule, now: datetime) -> Due:
    """Decide for one repository, whose sets are given in any order."""
    full = max((one for one in sets if one.kind is Kind.FULL), key=lambda one: one.stopped, default=None)
    if full is None:
        return Due(Kind.FULL, "there is no full backup yet")
    if full.bad:
        return Due(Kind.FULL, f"{full.label} holds damaged pages")
    if missing := _missing(sets, full):
        return Due(Kind.FULL, f"the chain of {full.label} is broken: {missing} is gone")
    slot = full_slot(schedule, now)
    if full.stopped < slot:
        return Due(Kind.FULL, f"the daily full backup of {slot:%Y-%m-%d %H:%M}Z is due")
    covering = [one for one in sets if one.kind is not Kind.INCR and not one.bad]
    slot = diff_slot(schedule, now)
    if max(one.stopped for one in covering) < slot:
        return Due(Kind.DIFF, f"the differential backup of {slot:%H:%M}Z is due")
    return Due(Kind.INCR, "nothing larger is due")


def full_slot(schedule: Schedule, now: datetime) -> datetime:
    """Return when the last full backup was due."""
    today = now.replace(hour=0, minute=0, second=0, microsecond=0) + schedule.full_at
    return today if today <= now else today - _DAY


def diff_slot(schedule: Schedule, now: datetime) -> datetime:
    """Return when the last full or differential backup was due."""
    first = full_slot(schedule, now)
    return first + (now - first) // schedule.diff * schedule.diff if schedule.diff else now


def _missing(sets: Sequence[Set], full: Set) -> str | None:
    """Name a set that others of the newest full backup's chain build on and that is not there."""
    known = {one.label for one in sets}
    for one in sets:
        if one.label.startswith(full.label):
            for needed in (*one.references, *((one.prior,) if one.prior else ())):
                if needed not in known:
                    return needed
    return None
