"""What is wrong, or worth knowing, about artifacts and their second copies; pure. Codes are stable."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta

from dbops import units
from dbops.engine.finding import Finding, Severity, Verdict
from dbops.operations.vault.facts import VAULT, Checked, Held, Seen, State
from dbops.operations.vault.plan import lacking

_DEPTHS = ("listed", "stored", "content")


def check_vault(vault: Held, copies: Sequence[Held], now: datetime) -> list[Finding]:
    """Judge the vault, then each copy beside it."""
    found = [*check_place(vault, now)]
    for copy in copies:
        if copy.failed is not None:
            found.append(copy.failed)
            continue
        found += [*check_place(copy, now), *check_copy(vault, copy, now)]
    return found


def check_place(held: Held, now: datetime) -> Iterator[Finding]:
    """Judge what one place holds, by itself."""
    if held.failed is not None:
        yield held.failed
    for one in held.seen:
        match one.state:
            case State.BROKEN:
                yield broken(held.place, one)
            case State.ABANDONED:
                yield _abandoned(held.place, one, now)
            case State.UNKNOWN:
                yield unknown(held.place, one)
            case State.COMPLETE | State.BUILDING:
                pass
        if one.checked is not None and one.checked.verdict is Verdict.BAD:
            when = units.instant(one.checked.at)
            told = f"{one.name} was found bad on {when} ({one.checked.depth})"
            yield Finding(Severity.BAD, "DBV104", held.place, told, _again(held.place, one.name))
    if held.strangers.count:
        others = f", {held.strangers.first} for one" if held.strangers.first else ""
        told = f"{held.strangers.count} objects belong to no artifact{others}"
        yield Finding(Severity.INFO, "DBV105", held.place, told, "dbops neither reads nor removes them")


def broken(place: str, one: Seen) -> Finding:
    told = f"{one.name} is broken: {one.wrong or 'its manifest does not hold'}"
    hint = "take it from a second copy" if place == VAULT else "see the runbook on broken artifacts"
    return Finding(Severity.BAD, "DBV101", place, told, hint)


def unknown(place: str, one: Seen) -> Finding:
    told = f"{one.name} could not be judged: {one.wrong or 'its manifest is not known'}"
    return Finding(Severity.UNKNOWN, "DBV109", place, told, "use the dbops that wrote it, or a newer one")


def _abandoned(place: str, one: Seen, now: datetime) -> Finding:
    since = units.duration(now - one.written)
    told = f"{one.name} was begun and never finished, untouched for {since} ({units.size(one.size)})"
    hint = "run again what was writing it" if place == VAULT else f"dbops vault copy --to {place}"
    return Finding(Severity.WARNING, "DBV102", place, told, hint)


def _again(place: str, name: str) -> str:
    return f"dbops vault verify {name}{'' if place == VAULT else f' --place {place}'}"


def check_copy(vault: Held, copy: Held, now: datetime) -> Iterator[Finding]:
    """Judge a copy against the vault: what it lacks and for how long, what differs, what only it has."""
    yield from differing(vault, copy)
    behind, missing = lag(vault, copy, now), lacking(vault, copy)
    if behind is None:
        return
    if missing:
        yield _lagging(copy, missing, behind)
    known = {one.name for one in vault.seen}
    only_here = [one.name for one in copy.seen if one.name not in known and one.state is State.COMPLETE]
    if only_here:
        told = f"{len(only_here)} artifacts are here and no longer in the vault: {units.some(only_here)}"
        yield Finding(Severity.INFO, "DBV108", copy.place, told, None)


def lag(vault: Held, copy: Held, now: datetime) -> timedelta | None:
    """Tell for how long the copy has lacked what it lacks; None when nobody could look."""
    if vault.failed is not None or copy.failed is not None:
        return None
    return now - min((one.written for one in lacking(vault, copy)), default=now)


def _lagging(copy: Held, missing: Sequence[Seen], behind: timedelta) -> Finding:
    told = f"lacks {len(missing)} of the vault's artifacts, for {units.duration(behind)} by now"
    names = units.some([one.name for one in missing])
    hint = f"dbops vault copy --to {copy.place}"
    if copy.max_age is not None and behind > copy.max_age:
        told = f"{told}, and may lag {units.duration(copy.max_age)}: {names}"
        return Finding(Severity.MISSED, "DBV106", copy.place, told, hint)
    return Finding(Severity.INFO, "DBV107", copy.place, f"{told}: {names}", hint)


def differing(vault: Held, copy: Held) -> Iterator[Finding]:
    """Tell what has one name and two contents: neither is ever written over."""
    ours = {one.name: one for one in vault.seen if one.state is State.COMPLETE}
    for one in copy.seen:
        mine = ours.get(one.name)
        if mine is not None and one.state is State.COMPLETE and one.manifest != mine.manifest:
            told = f"{one.name} is not what the vault has under this name; neither is written over"
            yield Finding(Severity.BAD, "DBV103", copy.place, told, "verify both, then remove the wrong one by hand")


def not_copied(vault: Held, copy: Held) -> list[Finding]:
    """Tell what a copying run leaves out, and why: it must not end as if all were well."""
    found = [broken(held.place, one) for held in (vault, copy) for one in held.seen if one.state is State.BROKEN]
    found += [unknown(held.place, one) for held in (vault, copy) for one in held.seen if one.state is State.UNKNOWN]
    return [*found, *differing(vault, copy)]


def standing(newest_first: Iterable[Checked]) -> Checked | None:
    """Tell what the verifications of an artifact add up to: the last one, or a bad one that none has overruled.

    A bad slice stays bad until the same slice, or all of it, was verified good as closely.
    """
    last: Checked | None = None
    good: set[tuple[str, str | None]] = set()
    for one in newest_first:
        last = last or one
        if one.verdict is Verdict.BAD and not any(
            (d, s) in good for d in _as_close(one.depth) for s in (None, one.subset)
        ):
            return one
        if one.verdict is Verdict.GOOD:
            good.add((one.depth, one.subset))
            if one.subset is None and one.depth == _DEPTHS[-1]:
                break
    return last


def _as_close(depth: str) -> tuple[str, ...]:
    return _DEPTHS[_DEPTHS.index(depth) :] if depth in _DEPTHS else _DEPTHS
