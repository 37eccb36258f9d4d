"""How a window and a plan are told, to machines and to people: moments to the microsecond."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from dbops import units
from dbops.cli.pitr_drawn import line
from dbops.cli.screen import Line, Tone
from dbops.operations.clusters.reach.choose import instant
from dbops.operations.clusters.reach.facts import Archiver, Chosen, Interval, Known, Mark, Planned, Rpo, Told, Window
from dbops.operations.clusters.wal import lsn


@dataclass(frozen=True, slots=True)
class IntervalTold:
    """Any moment from `since` up to, not including, `until`."""

    repository: int
    archive: str
    timeline: int
    abandoned: bool
    set: str
    since: str
    since_exact: bool
    until: str | None
    until_exact: bool
    until_lsn: str | None
    missing: str | None
    acknowledged: str | None
    reopened_by: str | None


@dataclass(frozen=True, slots=True)
class WindowTold:
    """The data of `pitr window`."""

    target: str
    now: datetime
    intervals: tuple[IntervalTold, ...]
    gaps: tuple[Told, ...]
    backups: tuple[Known, ...]
    rpo: Rpo
    rpo_objective: timedelta | None
    archiver: Archiver | None


@dataclass(frozen=True, slots=True)
class CommitTold:
    at: str
    lsn: str
    xid: int


@dataclass(frozen=True, slots=True)
class PlanTold:
    """The data of `pitr plan`."""

    target: str
    wanted: str
    set: str
    chain: tuple[str, ...]
    repository: int
    timeline: int
    size_bytes: int
    first_segment: str
    last_segment: str
    segments: int
    wal_bytes: int
    last_kept: CommitTold | None
    first_lost: CommitTold | None
    lost_commits: int | None
    lost_exact: bool
    predicted: timedelta | None
    rto_objective: timedelta | None
    slots: tuple[str, ...] | None
    publications: tuple[str, ...] | None
    subscriptions: tuple[str, ...] | None
    options: tuple[str, ...]
    notes: tuple[str, ...]


def window(found: Window, objective: timedelta | None) -> WindowTold:
    intervals = tuple(_interval(one) for one in found.intervals)
    return WindowTold(
        found.target, found.now, intervals, found.gaps, found.backups, found.rpo, objective, found.archiver
    )


def _interval(one: Interval) -> IntervalTold:
    until, lost = one.until, one.gap.lost if one.gap else None
    return IntervalTold(
        repository=one.repository,
        archive=one.archive,
        timeline=one.timeline,
        abandoned=one.abandoned,
        set=one.label,
        since=instant(one.since.at),
        since_exact=one.since.exact,
        until=instant(until.at) if until else None,
        until_exact=until is None or until.exact,
        until_lsn=lsn(until.lsn) if until and until.lsn is not None else None,
        missing=one.missing,
        acknowledged=f"{lost.reason} ({lost.on})" if lost else None,
        reopened_by=one.reopened,
    )


def window_screen(told: WindowTold, found: Window, *, width: int, unicode: bool) -> Iterator[Line]:
    yield from line(found, width, unicode=unicode)
    keys = dict.fromkeys((one.repository, one.archive, one.timeline) for one in told.intervals)
    several = len({(repository, archive) for repository, archive, _ in keys}) > 1
    for key in keys:
        mine = [one for one in told.intervals if (one.repository, one.archive, one.timeline) == key]
        where = f"repository {key[0]} ({key[1]}), " if several else ""
        abandoned = " (abandoned: --timeline)" if mine[0].abandoned else ""
        yield Line(f"{told.target}: {where}timeline {key[2]}{abandoned}", Tone.STRONG)
        yield from _sentences(mine)
    if not told.intervals:
        yield Line(f"{told.target}: nothing is within reach", Tone.BAD)
    yield _rpo_line(told)


def _sentences(stretches: Sequence[IntervalTold]) -> Iterator[Line]:
    """Say it in words: from, up to, except, reopened by."""
    for one in stretches:
        since = f"{'' if one.since_exact else 'about '}{one.since}"
        if one.until is None:
            yield Line(f"the end of set {one.set}, and nothing after it was committed: --latest", Tone.GOOD, indent=2)
        else:
            until = f"{'' if one.until_exact else 'about '}{one.until}"
            end = "the last commit: --latest" if one.missing is None else "the last one before the gap"
            yield Line(f"any moment from {since}", Tone.GOOD, indent=2)
            yield Line(f"up to, not including, {until} ({end})", Tone.GOOD, indent=2)
        if one.missing is not None:
            yield from _except(one)


def _except(one: IntervalTold) -> Iterator[Line]:
    lost = f", acknowledged: {one.acknowledged}" if one.acknowledged else ""
    after = f"set {one.reopened_by} reopens it" if one.reopened_by else "only a later backup reopens it"
    tone = Tone.FAINT if one.acknowledged else Tone.BAD
    yield Line(f"then WAL segment {one.missing} is missing{lost};", tone, indent=2)
    yield Line(f"after the gap {after}", tone, indent=2)


def _rpo_line(told: WindowTold) -> Line:
    age, objective = told.rpo.age, told.rpo_objective
    promised = f"; the objective is {units.duration(objective)}" if objective is not None else ""
    if age is None:
        return Line(f"RPO now: unknown ({told.rpo.how}){promised}", Tone.WARN)
    missed = objective is not None and age > objective
    text = "0 s" if not age else units.duration(age)
    exact = "" if told.rpo.exact else "at most "
    return Line(f"RPO now: {exact}{text} ({told.rpo.how}){promised}", Tone.BAD if missed else Tone.GOOD)


def _commit(mark: Mark | None) -> CommitTold | None:
    return None if mark is None else CommitTold(instant(mark.at), lsn(mark.lsn), mark.xid)


def plan(found: Planned) -> PlanTold:
    chosen, there = found.chosen, found.bystanders
    return PlanTold(
        target=chosen.target,
        wanted=chosen.wanted,
        set=chosen.label,
        chain=chosen.chain,
        repository=chosen.repository,
        timeline=chosen.timeline,
        size_bytes=chosen.size_bytes,
        first_segment=chosen.first,
        last_segment=chosen.last,
        segments=chosen.segments,
        wal_bytes=chosen.wal_bytes,
        last_kept=_commit(chosen.before),
        first_lost=_commit(chosen.after),
        lost_commits=chosen.losses.commits if chosen.losses else None,
        lost_exact=chosen.losses is None or chosen.losses.exact,
        predicted=found.predicted,
        rto_objective=found.objective,
        slots=there.slots if there else None,
        publications=there.publications if there else None,
        subscriptions=there.subscriptions if there else None,
        options=found.options,
        notes=chosen.notes,
    )


def plan_screen(told: PlanTold, chosen: Chosen) -> Iterator[Line]:
    yield Line(f"{told.target}: {told.wanted}", Tone.STRONG)
    built = f", built on {', '.join(told.chain[:-1])}" if len(told.chain) > 1 else ""
    yield Line(f"set {told.set} of repository {told.repository}{built}: {units.size(told.size_bytes)}", indent=2)
    read = f"{units.counted(told.segments, 'segment')}, {units.size(told.wal_bytes)} stored"
    yield Line(f"timeline {told.timeline}, WAL {told.first_segment} to {told.last_segment}: {read}", indent=2)
    yield Line(_side("last commit that will be there", told.last_kept, "not found near the target"), indent=2)
    yield Line(_side("first commit that will not", told.first_lost, "none is archived"), indent=2)
    if chosen.losses is not None:
        about = "" if told.lost_exact else "about "
        tone = Tone.WARN if told.lost_commits else Tone.GOOD
        yield Line(
            f"would be lost: {about}{units.counted(told.lost_commits or 0, 'archived commit')} after the target",
            tone,
            indent=2,
        )
    if told.predicted is not None:
        yield Line(f"about {units.duration(told.predicted)}, as earlier restores took", indent=2)
    if told.slots is None:
        text = "the server does not answer: slots, publications and subscriptions are not known"
        yield Line(text, Tone.WARN, indent=2)
    for note in told.notes:
        yield Line(note, Tone.WARN, indent=2)
    yield Line(f"pgbackrest ... {' '.join(told.options)} restore", Tone.FAINT, indent=2)


def _side(what: str, commit: CommitTold | None, otherwise: str) -> str:
    return f"{what}: {otherwise}" if commit is None else f"{what}: {commit.at} at {commit.lsn}, xid {commit.xid}"
