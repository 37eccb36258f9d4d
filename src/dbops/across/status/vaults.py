"""One row for the vault: what its listing tells of artifacts, and how far the second copies have followed.

Names are enough for that, so no manifest is read; `vault list` and `vault verify` look closer.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from dbops import units
from dbops.across.status.facts import Status, promise
from dbops.config.fields import Objectives
from dbops.config.model import Config, Copy, Vault
from dbops.copies import catalogue
from dbops.copies.artifact import ABANDONED_AFTER
from dbops.copies.manifest import MANIFEST
from dbops.engine import clock
from dbops.engine.aside import Aside
from dbops.engine.finding import Finding, Severity, failure
from dbops.errors import DbopsError, Unreachable
from dbops.operations.vault.check import check_copy, check_place
from dbops.operations.vault.facts import VAULT, Held, Seen, State
from dbops.operations.vault.plan import lacking
from dbops.stores import vault as places

_LEAST = timedelta(milliseconds=250)


def look(place: Vault, config: Config, deadline: timedelta, now: datetime) -> Status:
    began = clock.monotonic()
    held = side_by_side(
        {
            VAULT: lambda: _held(VAULT, places.connect(place, target=VAULT), now, None),
            **{name: _copy(name, copy, now) for name, copy in place.copies.items()},
        },
        max(_LEAST, deadline - _LEAST),
    )
    latency = timedelta(seconds=clock.monotonic() - began)
    ours = held.pop(VAULT)
    if isinstance(ours, DbopsError):
        raise ours
    copies = {name: _or_failed(name, place.copies[name], one) for name, one in held.items()}
    findings = [*check_place(ours, now)]
    for copy in copies.values():
        findings += (
            [copy.failed] if copy.failed is not None else [*check_place(copy, now), *check_copy(ours, copy, now)]
        )
    newest = _newest(ours)
    findings += _promises(config, newest, now)
    facts = _facts(ours, newest, now) | {"copies": [_copied(ours, copy, now) for copy in copies.values()]}
    told = tuple(one for one in findings if one.severity is not Severity.INFO)
    return Status(VAULT, "vault", "ok", latency, facts=facts, findings=told)


def _copy(name: str, copy: Copy, now: datetime) -> Callable[[], Held]:
    return lambda: _held(name, places.connect(copy, target=VAULT), now, copy.max_age)


def _held(place: str, store: places.Store, now: datetime, max_age: timedelta | None) -> Held:
    return Held(place, tuple(_seen(group, now) for group in catalogue.groups(store)), max_age=max_age)


def _seen(group: catalogue.Group, now: datetime) -> Seen:
    at, entries = group.address, group.entries
    written = entries[MANIFEST].modified if MANIFEST in entries else group.touched
    state = State.COMPLETE if MANIFEST in entries else State.BUILDING
    if state is State.BUILDING and now - written > ABANDONED_AFTER:
        state = State.ABANDONED
    size = sum(entry.size for entry in entries.values())
    name = at.folder.rstrip("/")
    return Seen(name, at.store, at.target, at.kind, at.instant, state, len(entries), size, None, written)


def side_by_side(looks: Mapping[str, Callable[[], Held]], deadline: timedelta) -> dict[str, Held | DbopsError]:
    """Look at all places at once; one that does not answer in time is told, and waited for by nobody."""
    aside = Aside[str, Held]()
    for name, look in looks.items():
        aside.begin(name, look)
    late = Unreachable(f"no answer within {units.duration(deadline)}", target=VAULT)
    told: dict[str, Held | DbopsError] = dict.fromkeys(looks, late)
    until = clock.monotonic() + deadline.total_seconds()
    for _ in looks:
        taken = aside.take(timedelta(seconds=until - clock.monotonic()))
        if taken is None:
            break
        name, answer = taken
        if isinstance(answer, Exception) and not isinstance(answer, DbopsError):
            raise answer  # a bug, not the state of a place
        told[name] = answer
    return told


def _or_failed(name: str, copy: Copy, told: Held | DbopsError) -> Held:
    if isinstance(told, Held):
        return told
    lost = failure(told, VAULT)
    message = f"the copy {name} could not be looked at: {lost.message}"
    return Held(name, failed=Finding(lost.severity, lost.code, VAULT, message, lost.hint), max_age=copy.max_age)


def _newest(held: Held) -> dict[tuple[str, str], datetime]:
    """Find the moment of the newest complete artifact of each target."""
    found: dict[tuple[str, str], datetime] = {}
    for one in held.seen:
        if one.state is State.COMPLETE:
            key = (one.store, one.target)
            found[key] = max(one.instant, found.get(key, one.instant))
    return found


def _facts(held: Held, newest: Mapping[tuple[str, str], datetime], now: datetime) -> dict[str, Any]:
    complete = [one for one in held.seen if one.state is State.COMPLETE]
    last = max(newest.values(), default=None)
    return {
        "artifacts": len(complete),
        "under_construction": sum(one.state is State.BUILDING for one in held.seen),
        "abandoned": sum(one.state is State.ABANDONED for one in held.seen),
        "stored_bytes": sum(one.size for one in held.seen),
        "newest": last,
        "newest_age": None if last is None else now - last,
        "ages": {target: now - moment for (_, target), moment in newest.items()},
    }


def _copied(ours: Held, copy: Held, now: datetime) -> dict[str, Any]:
    if copy.failed is not None:
        return {"copy": copy.place, "state": copy.failed.code}
    missing = lacking(ours, copy)
    lag = max((now - one.written for one in missing), default=None)
    state = "complete" if not missing else "late" if copy.max_age and lag and lag > copy.max_age else "behind"
    return {"copy": copy.place, "state": state, "lacking": len(missing), "lag": lag}


def _promised(config: Config) -> Iterator[tuple[str, str, Objectives]]:
    for name, account in config.cosmos.items():
        yield "cosmos", name, account.objectives
    for name, service in config.search.items():
        yield "search", name, service.objectives


def _promises(config: Config, newest: Mapping[tuple[str, str], datetime], now: datetime) -> Iterator[Finding]:
    """Hold the newest artifact of each target against what was promised."""
    for store, name, objectives in _promised(config):
        last = newest.get((store, name))
        age = None if last is None else now - last
        yield from promise(name, age, objectives.backup_age, "'dbops vault list' shows what there is")
