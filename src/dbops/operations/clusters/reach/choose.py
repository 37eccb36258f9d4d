"""Which set leads to a moment, and why none does; pure. All refusals are told before a byte moves."""

from collections.abc import Sequence
from datetime import UTC, datetime

from dbops import units
from dbops.errors import DbopsError, Refused
from dbops.operations.clusters.reach.facts import Border, Interval, Kind, Options, Target

_KINDS: dict[str, Kind] = {"at": "time", "latest": "default", "immediate": "immediate"}


def options(wanted: Target, label: str, repository: int, timeline: int) -> Options:
    """Say it in pgBackRest's words; the timeline always by its number, so that nothing is left to a default."""
    kind = _KINDS.get(wanted.kind) or wanted.kind
    return Options(
        type=kind,  # pyright: ignore[reportArgumentType]  # the other three have one name
        set=label,
        repository=repository,
        target=time_text(wanted.at) if wanted.kind == "at" and wanted.at is not None else wanted.value,
        target_timeline=str(timeline),
        exclusive=wanted.exclusive and wanted.kind in ("at", "lsn", "xid"),
    )


def time_text(moment: datetime) -> str:
    """Write a time as pgBackRest takes it."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}+00"


def holding(intervals: Sequence[Interval], moment: datetime, *, exclusive: bool) -> int | None:
    """Find the interval that a moment lies in; its upper border belongs to it only when the commit there is left out.

    A border that is not exact is no border: what lies beyond is looked at in the log itself.
    """
    for number, one in enumerate(intervals):
        if moment < one.since.at:
            continue
        until = one.until
        if until is not None and (moment < until.at or (exclusive and moment == until.at) or not until.exact):
            return number
    return None


def too_early(target: str, wanted: Target, first: Interval | None) -> DbopsError:
    if first is None:
        return nothing(target)
    reason = f"the first moment within reach is {moment(first.since)}, the end of set {first.label}"
    return Refused(f"{wanted.told}: {reason}", hint=f"dbops pitr window --target {target}", target=target)


def nothing(target: str, timeline: int | None = None) -> DbopsError:
    on = "" if timeline is None else f" on timeline {timeline}"
    return Refused(
        f"no complete backup set leads anywhere{on}",
        hint=f"dbops pitr window --target {target} tells what is missing",
        target=target,
    )


def in_gap(target: str, wanted: Target, before: Interval, first: str, last: str) -> DbopsError:
    until = f" (the last commit before it: {moment(before.until)})" if before.until else ""
    missing = f"WAL segment {first} is" if first == last else f"WAL segments {first} to {last} are"
    opened = f"; after the gap set {before.reopened} is the first" if before.reopened else ""
    return Refused(
        f"{wanted.told} lies behind a gap: {missing} missing{until}{opened}",
        hint=f"dbops pitr window --target {target}",
        target=target,
    )


def too_late(target: str, wanted: Target, last: Interval, rpo: str) -> DbopsError:
    end = "nothing was committed since" if last.until is None else f"the last archived commit is {border(last)}"
    return Refused(
        f"{wanted.told} is beyond what is archived: {end}; not archived yet: {rpo}",
        hint="--latest leads to the last archived commit",
        target=target,
    )


def before_set(target: str, wanted: Target, label: str, end: str) -> DbopsError:
    """Refuse what pgBackRest would take without a word, only to restore something newer."""
    return Refused(
        f"{wanted.told} is before the end of set {label} ({end}): it would bring back something newer",
        hint="leave --set out, and the right one is chosen",
        target=target,
    )


def no_such_set(target: str, label: str, timeline: int, others: Sequence[int], *, complete: bool | None) -> DbopsError:
    """Tell why a named set does not serve: unknown, incomplete, or of a timeline that was left."""
    if complete is None:
        return Refused(f"there is no set {label}", hint=f"dbops backup list --target {target}", target=target)
    if not complete:
        return Refused(
            f"set {label} is not complete: WAL of its own making is missing",
            hint=f"dbops pitr window --target {target}",
            target=target,
        )
    if others:
        told = " or ".join(map(str, others))
        return Refused(
            f"timeline {timeline} does not pass through set {label}: its own was left before the set was complete",
            hint=f"name the timeline that was abandoned: --timeline {told}",
            target=target,
        )
    return Refused(f"set {label} lies behind another gap than the target", target=target)


def unknown_timeline(target: str, timeline: int, known: Sequence[int]) -> DbopsError:
    return Refused(
        f"the archive knows no timeline {timeline}", hint=f"it knows {', '.join(map(str, known))}", target=target
    )


def unknown_repository(target: str, number: int, known: Sequence[int]) -> DbopsError:
    told = ", ".join(map(str, known))
    return Refused(
        f"repository {number} holds no WAL of this cluster",
        hint=f"there is WAL in repository {told}" if told else "there is none in any: dbops backup audit",
        target=target,
    )


def not_found(target: str, wanted: Target, searched: int) -> DbopsError:
    what = f"restore point {wanted.value!r}" if wanted.kind == "name" else f"transaction {wanted.value}"
    return Refused(
        f"{what} was not found in what is within reach: {units.counted(searched, 'WAL segment')}",
        hint="was it archived already? 'dbops pitr window' tells how far the archive is",
        target=target,
    )


def border(one: Interval) -> str:
    return "-" if one.until is None else moment(one.until)


def moment(one: Border) -> str:
    """Write a border; one that no commit marks is only about there."""
    return instant(one.at) if one.exact else f"about {instant(one.at)}"


def instant(moment: datetime) -> str:
    """Write all six digits: commits of one millisecond are told apart."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
