"""Which sets stay, which go, and in which order; pure.

A set goes when no reason keeps it. It goes before the sets that it needs, chain by chain, the oldest first; then the
WAL goes that no remaining set can use. So a run that was killed leaves only what the next one would remove as well.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from datetime import datetime
from itertools import compress

from dbops import units
from dbops.engine.plan import Plan, Risk, Step
from dbops.operations.clusters.expire.facts import (
    Action,
    Backup,
    ExpireSet,
    ExpireWal,
    Holding,
    Kept,
    Promise,
    Reachable,
    Simulated,
    Until,
    Wal,
)


def plan(target: str, holdings: Sequence[Holding], promise: Promise, now: datetime) -> Plan[Action]:
    """Plan what goes, one repository after the other."""
    steps = [step for holding in holdings for step in _steps(holding, promise, now)]
    return Plan(target, "expire backups and WAL", tuple(steps))


def expired(holding: Holding, promise: Promise, now: datetime) -> tuple[Backup, ...]:
    """Name the sets that go, each before the ones it needs."""
    stay = reasons(holding, promise, now)
    gone = [backup for backup in holding.backups if backup.label not in stay]
    later_first = sorted(gone, key=lambda one: one.label, reverse=True)
    return tuple(sorted(later_first, key=lambda one: one.root))


def reasons(holding: Holding, promise: Promise, now: datetime) -> Mapping[str, tuple[str, ...]]:
    """Tell why each set that stays does."""
    found: dict[str, list[str]] = defaultdict(list)
    good = sorted((one for one in holding.backups if one.bad is None), key=lambda one: (one.stopped, one.label))
    if not good:  # then nothing here can be judged, and nothing is given away
        return {one.label: ("no set is good",) for one in holding.backups}
    for label in _by_count(holding, good, promise.keep):
        found[label].append(f"its full backup is within the newest {promise.keep} good ones")
    if promise.keep_for is not None:
        for label in _by_span(holding, good, now - promise.keep_for):
            found[label].append(f"moments of the last {units.exact_duration(promise.keep_for)} need it")
    found[good[-1].label].append("the last good one")
    for label, depth in _last_verified(holding):
        found[label].append(f"the last one that was verified ({depth})")
    for label, why in promise.hold.items():
        if any(one.label == label for one in holding.backups):
            found[label].append(f"held: {why}")
    return _with_what_they_need(holding, found)


def _by_count(holding: Holding, good: Sequence[Backup], keep: int) -> list[str]:
    """Keep the newest good full backups and all that came after the oldest of them; too few keep everything."""
    fulls = sorted((one.label for one in good if one.kind == "full"), reverse=True)
    oldest = fulls[keep - 1] if len(fulls) >= keep else ""
    return [one.label for one in holding.backups if one.root >= oldest]


def _by_span(holding: Holding, good: Sequence[Backup], horizon: datetime) -> list[str]:
    """Keep all sets of the span, and for each timeline the one before it from which WAL leads furthest into it."""
    kept = [one.label for one in holding.backups if one.stopped >= horizon]
    furthest: dict[tuple[str, int], tuple[str, datetime, str]] = {}
    for backup in good:
        if backup.stopped > horizon:
            continue
        for end in backup.until:
            if end.archived is not None and end.archived < horizon:
                continue  # it ends before the span begins
            told = (end.segment, backup.stopped, backup.label)
            place = (backup.archive, end.timeline)
            furthest[place] = max(furthest.get(place, told), told)
    return [*kept, *sorted({label for _, _, label in furthest.values()})]


def _last_verified(holding: Holding) -> list[tuple[str, str]]:
    depths = sorted({depth for one in holding.backups for depth in one.verified})
    newest = [(max((one.stopped, one.label) for one in holding.backups if depth in one.verified)) for depth in depths]
    return [(label, depth) for (_, label), depth in zip(newest, depths, strict=True)]


def _with_what_they_need(holding: Holding, found: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    needs = {one.label: one.needs for one in holding.backups}
    told = {label: list(why) for label, why in found.items()}
    waiting = list(told)
    while waiting:
        label = waiting.pop()
        for needed in sorted(needs[label] & needs.keys()):
            if needed not in told:
                told[needed] = [f"{label} needs it"]
                waiting.append(needed)
    return {label: tuple(why) for label, why in told.items()}


def _steps(holding: Holding, promise: Promise, now: datetime) -> list[Step[Action]]:
    if all(one.bad is not None for one in holding.backups):
        return []  # nobody can tell what would bring the cluster back: nothing is given away
    gone = expired(holding, promise, now)
    left = remaining(holding, gone)
    steps = [_set(holding.repository, one, left) for one in gone]
    wal = wal_of(left)
    count = sum(len(names) for names in unusable(left).values())
    old = [label for label in left.leftovers if label != left.newest]
    if wal is not None and (count or old):
        what = [f"{count} segments of WAL that no set can use"] if count else []
        what += [f"what is left of {', '.join(old)}"] if old else []
        steps.append(_wal(wal, " and ".join(what)))
    return steps


def _set(repository: int, one: Backup, left: Holding) -> Step[Action]:
    verified = [each for each in left.backups if each.verified and each.bad is None and each.stopped > one.stopped]
    newest = max(verified, key=lambda each: each.stopped, default=None)
    note = (
        f"{max(newest.verified)}: {newest.label}, newer, was verified" if newest else "no newer set was ever verified"
    )
    return Step(
        f"expire repo{repository} {one.label}",
        f"expire {one.kind} {one.label} from repository {repository}, {units.size(one.size)}",
        ExpireSet(repository, one.label),
        Risk.BLOCKS if newest is not None else Risk.LOSES_DATA,
        notes=(note, *((f"it is bad: {one.bad}",) if one.bad else ())),
    )


def _wal(action: ExpireWal, what: str) -> Step[Action]:
    bounds = [f"{archive}: before {segment}" for archive, segment in action.below]
    bounds += [f"{archive}: all of it" for archive in action.whole]
    return Step(
        f"expire repo{action.repository} wal",
        f"remove {what} from repository {action.repository}",
        action,
        Risk.BLOCKS,
        notes=tuple(bounds),
    )


def remaining(holding: Holding, gone: Iterable[Backup]) -> Holding:
    """Tell what the repository holds without these sets."""
    labels = {one.label for one in gone}
    return replace(holding, backups=tuple(one for one in holding.backups if one.label not in labels))


def wal_of(left: Holding) -> ExpireWal | None:
    """Tell which WAL nobody needs once only these sets are left; None: nothing can be told."""
    fulls = sum(one.kind == "full" for one in left.backups)
    starts: dict[str, list[str]] = defaultdict(list)
    for one in left.backups:
        if one.wal_start is None:
            return None  # which WAL it needs is not known
        starts[one.archive].append(one.wal_start)
    if not fulls:
        return None
    below = tuple((wal.id, min(starts[wal.id])) for wal in left.wal if wal.id in starts)
    whole = tuple(wal.id for wal in left.wal if wal.id not in starts and not wal.current)
    return ExpireWal(left.repository, fulls, below, whole)


def unusable(left: Holding) -> dict[str, tuple[str, ...]]:
    """Name the segments that go, per archive."""
    action = wal_of(left)
    if action is None:
        return {}
    below = dict(action.below)
    return {
        wal.id: tuple(each for each in wal.segments if wal.id in action.whole or each < below.get(wal.id, ""))
        for wal in left.wal
    }


def simulated(holding: Holding, promise: Promise, now: datetime) -> Simulated:
    """Tell what can be brought back before, and what after."""
    why = reasons(holding, promise, now)
    gone = expired(holding, promise, now)
    after = left_of(holding, promise, now)
    kept = tuple(Kept(one.label, why[one.label]) for one in after.backups)
    return Simulated(reachable(holding), reachable(after), kept, tuple(one.label for one in gone))


def left_of(holding: Holding, promise: Promise, now: datetime) -> Holding:
    """Tell what the repository will hold when the plan is done."""
    if not any(one.bad is None for one in holding.backups):
        return holding
    return without_wal(remaining(holding, expired(holding, promise, now)))


def without_wal(left: Holding) -> Holding:
    gone = {archive: frozenset(names) for archive, names in unusable(left).items()}
    wal = (_without(each, gone.get(each.id, frozenset())) for each in left.wal)
    still = tuple(each for each in wal if each.segments or each.current or not gone.get(each.id))
    return replace(left, wal=still, leftovers=tuple(label for label in left.leftovers if label == left.newest))


def _without(wal: Wal, gone: AbstractSet[str]) -> Wal:
    stays = [name not in gone for name in wal.segments]
    return replace(wal, segments=tuple(compress(wal.segments, stays)), sizes=tuple(compress(wal.sizes, stays)))


def reachable(holding: Holding) -> Reachable:
    good = [one for one in holding.backups if one.bad is None]
    furthest: dict[tuple[str, int], Until] = {}
    for end in (end for one in good for end in one.until):
        place = (end.segment[:8], end.timeline)
        if place not in furthest or furthest[place].segment < end.segment:
            furthest[place] = end
    return Reachable(
        holding.repository,
        len(holding.backups),
        len(good),
        min((one.stopped for one in good), default=None),
        tuple(furthest[place] for place in sorted(furthest)),
        sum(len(wal.segments) for wal in holding.wal),
        sum(one.size for one in holding.backups) + sum(sum(wal.sizes) for wal in holding.wal),
    )
