"""Judge what is expired, what is left, and what is odd about it; pure.

DBB401 bad: no set of a repository is good, so nothing is expired there
DBB402 bad: after expiring, a repository holds something else than was simulated
DBB403 warning: a repository grows faster than it did
DBB404 info: an old set keeps WAL that only it needs
DBB405 info: the span that is promised (`keep_for`) reaches further back than any set
DBB406 warning: a hold names a set that is in no repository
DBB407 info: sets would go although none that is newer was ever verified
DBB409 could not verify: a repository cannot be read, and nothing is expired there
DBB410 warning: the sizes of now could not be remembered
DBB411 info: a worker of a killed backup held the lock, and was ended
"""

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta

from dbops import units
from dbops.engine.finding import Finding, Severity
from dbops.errors import DbopsError
from dbops.operations.clusters.expire import plan
from dbops.operations.clusters.expire.facts import Backup, Holding, Promise, Sized

_GROWTH = 2.0
_WITHIN = timedelta(days=7)
_LEAST = timedelta(days=1)  # the first backups of a new repository double it within minutes


def judged(target: str, holdings: Sequence[Holding], promise: Promise, now: datetime) -> Iterator[Finding]:
    """Tell what an operator should know before anything goes."""
    known = {one.label for holding in holdings for one in holding.backups}
    for label in sorted(promise.hold.keys() - known):
        hint = f"take it out of [cluster.{target}.backup] hold, or correct it"
        yield Finding(Severity.WARNING, "DBB406", target, f"the held set {label} is in no repository", hint)
    for holding in holdings:
        yield from _judged(target, holding, promise, now)


def unread(target: str, repository: int, why: str) -> Finding:
    return Finding(
        Severity.UNKNOWN,
        "DBB409",
        target,
        f"repository {repository} cannot be read, and nothing is expired there: {why}",
        "is its path right, and the pass of its cipher?",
    )


def _judged(target: str, holding: Holding, promise: Promise, now: datetime) -> Iterator[Finding]:
    where = f"repository {holding.repository}"
    good = [one for one in holding.backups if one.bad is None]
    if not good:
        if holding.backups:
            text = f"{where}: no set is good, so nothing is expired: {holding.backups[-1].bad}"
            yield Finding(Severity.BAD, "DBB401", target, text, f"dbops backup verify --target {target}")
        return
    gone = plan.expired(holding, promise, now)
    left = plan.remaining(holding, gone)
    newest = max((one.stopped for one in left.backups if one.verified and one.bad is None), default=None)
    if blind := [one.label for one in gone if newest is None or newest <= one.stopped]:
        text = f"{where}: {len(blind)} sets are past their retention, and no newer one was ever verified"
        yield Finding(Severity.INFO, "DBB407", target, text, f"dbops backup verify --target {target}")
    if promise.keep_for is not None and min(one.stopped for one in good) > now - promise.keep_for:
        first = units.instant(min(one.stopped for one in good))
        text = f"{where}: {units.exact_duration(promise.keep_for)} are promised, the earliest moment is {first}"
        yield Finding(Severity.INFO, "DBB405", target, text)
    yield from _costly(target, left, promise, now)


def _costly(target: str, left: Holding, promise: Promise, now: datetime) -> Iterator[Finding]:
    """A set that only a hold keeps, keeps all WAL after it: pgBackRest knows no WAL between two sets as unneeded."""
    why = plan.reasons(left, promise, now)
    oldest = min(left.backups, key=lambda one: one.label)
    named = [one for one in left.backups if one.root == oldest.root]
    if not all(_only_held(why[one.label], one.label) for one in named):
        return
    following = [one for one in left.backups if one.root != oldest.root and one.archive == oldest.archive]
    segments = _between(left, oldest, min((one.wal_start for one in following if one.wal_start), default=None))
    if segments:
        text = f"repository {left.repository}: {oldest.label} is held, and with it {segments} segments of WAL"
        yield Finding(Severity.INFO, "DBB404", target, text)


def _only_held(reasons: Sequence[str], label: str) -> bool:
    return all(reason.startswith("held: ") or (reason.endswith(" needs it") and reason != label) for reason in reasons)


def _between(left: Holding, oldest: Backup, before: str | None) -> int:
    if before is None or oldest.wal_start is None:
        return 0
    first = oldest.wal_start
    return sum(first <= name < before for wal in left.wal if wal.id == oldest.archive for name in wal.segments)


def grown(target: str, sizes: Sequence[Sized], holdings: Sequence[Holding], now: datetime) -> Iterator[Finding]:
    """Hold each repository's size against what it was within the last week."""
    for holding in holdings:
        size = plan.reachable(holding).size_bytes
        then = [one for one in sizes if one.repository == holding.repository and _LEAST <= now - one.at <= _WITHIN]
        least = min(then, key=lambda one: one.size, default=None)
        if least is not None and least.size and size > _GROWTH * least.size:
            text = (
                f"repository {holding.repository}: {units.size(size)}, and {units.size(least.size)}"
                f" {units.duration(now - least.at)} ago"
            )
            hint = f"what fills it: dbops backup list --target {target}"
            yield Finding(Severity.WARNING, "DBB403", target, text, hint)


def forgotten(target: str, error: DbopsError) -> Finding:
    text = f"how large the repositories are could not be remembered: {error.message}"
    return Finding(Severity.WARNING, "DBB410", target, text, error.hint)


def freed(target: str, pid: int) -> Finding:
    text = f"process {pid} was left of a backup that was killed, and held its lock: it was ended"
    return Finding(Severity.INFO, "DBB411", target, text)


def compared(
    target: str, wanted: Mapping[int, Holding], found: Sequence[Holding], expired: AbstractSet[tuple[int, str]]
) -> Iterator[Finding]:
    """Hold what is there after expiring against what was simulated; what came since is no difference."""
    there = {holding.repository: holding for holding in found}
    for repository, one in wanted.items():
        gone = frozenset(label for number, label in expired if number == repository)
        for text in _different(one, there.get(repository), gone):
            hint = f"dbops backup verify --target {target}"
            yield Finding(Severity.BAD, "DBB402", target, f"repository {repository}: {text}", hint)


def _different(wanted: Holding, found: Holding | None, expired: frozenset[str]) -> Iterator[str]:
    if found is None:
        yield "nothing is known of it any more"
        return
    labels = {one.label for one in found.backups}
    for one in wanted.backups:
        if one.label not in labels:
            yield f"the set {one.label} is gone, and should have stayed"
    for label in sorted(expired & labels):
        yield f"the set {label} is still there"
    good = {one.label for one in found.backups if one.bad is None}
    for one in wanted.backups:
        if one.bad is None and one.label in labels - good:
            why = next(each.bad for each in found.backups if each.label == one.label)
            yield f"the set {one.label} was good, and is not any more: {why}"
    segments = {wal.id: frozenset(wal.segments) for wal in found.wal}
    for wal in wanted.wal:
        if missing := sorted(set(wal.segments) - segments.get(wal.id, frozenset())):
            yield f"{len(missing)} segments of WAL are gone that should have stayed: {wal.id} {missing[0]}"
