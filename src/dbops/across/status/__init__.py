"""Every target at once: who can be reached, what it is, and what needs attention.

Each target has one deadline; who does not answer in time is a row, never a crash and never a wait for the others.
"""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial

from dbops import units
from dbops.across.status import caches, clusters, databases
from dbops.across.status.facts import Status
from dbops.config.model import Config
from dbops.engine import clock, stop
from dbops.engine.aside import Aside
from dbops.engine.ending import Measure
from dbops.engine.finding import failure
from dbops.engine.run import Run
from dbops.errors import DbopsError, ExitCode, Unreachable, worst

_MOMENT = timedelta(milliseconds=50)
_AT_ONCE = 32  # a hundred databases of one cluster must fit under its max_connections


def exit_code(status: Status) -> ExitCode:
    """Return the code of one target, as a run of its own would end with it."""
    return worst([status.code, *(finding.exit_code for finding in status.findings)])


def measures(config: Config, statuses: Sequence[Status]) -> tuple[Measure, ...]:
    """Tell the age of backups beside what is promised; what could not be looked at is not told."""
    told = [
        Measure(one.target, "backup_age", one.facts["backup_age"], config.cluster[one.target].objectives.backup_age)
        for one in statuses
        if "backup_age" in one.facts and one.target in config.cluster
    ]
    kept = {**config.cosmos, **config.search}
    ages: dict[str, timedelta] = {}
    for one in statuses:
        if one.store == "vault":
            ages |= one.facts.get("ages", {})
    told += [Measure(name, "backup_age", ages[name], kept[name].objectives.backup_age) for name in kept if name in ages]
    return tuple(told)


Look = Callable[[], Status]


def observe(config: Config, run: Run, *, deadline: timedelta, now: datetime) -> tuple[Status, ...]:
    """Look at all targets concurrently, in the order of the configuration."""
    looks = list(_looks(config, run, deadline, now))
    aside = Aside[int, Status]()
    places = threading.Semaphore(_AT_ONCE)
    began: dict[int, float] = {}

    def look(number: int) -> Status:
        places.acquire()
        began[number] = clock.monotonic()
        return _guarded(*looks[number])

    for number in range(len(looks)):
        aside.begin(number, partial(look, number))
    answered: dict[int, Status] = {}
    while len(answered) < len(looks):
        stop.check()
        for number, status in _arrived(aside, looks, began, deadline):
            if number not in answered:
                answered[number] = status
                places.release()  # whether it answered or was given up: the next one gets its turn
    return tuple(answered[number] for number in range(len(looks)))


def _arrived(
    aside: Aside[int, Status],
    looks: Sequence[tuple[str, str, Look]],
    began: Mapping[int, float],
    deadline: timedelta,
) -> Iterator[tuple[int, Status]]:
    """Wait a moment for an answer; where none comes, give up who is past the deadline."""
    taken = aside.take(_MOMENT)
    if taken is None:
        latest = clock.monotonic() - deadline.total_seconds()
        for number, at in list(began.items()):
            if at < latest:
                name, store, _ = looks[number]
                yield number, _failed(name, store, Unreachable(f"no answer within {units.duration(deadline)}"))
        return
    number, told = taken
    if isinstance(told, Exception):
        raise told  # a bug, not the state of a target
    yield number, told


def _looks(config: Config, run: Run, deadline: timedelta, now: datetime) -> Iterator[tuple[str, str, Look]]:
    """Name every look; what it needs is imported here, before the clock of any of them runs."""
    for name, cluster in config.cluster.items():
        yield name, "cluster", partial(clusters.look, name, cluster, run, deadline, now)
    for name, database in config.postgres.items():
        yield name, "postgres", partial(databases.look, name, database, run, deadline)
    for name, server in config.redis.items():
        yield name, "redis", partial(caches.look, name, server, deadline)
    if config.cosmos:
        from dbops.across.status import accounts

        for name, account in config.cosmos.items():
            yield name, "cosmos", partial(accounts.look, name, account, deadline)
    if config.search:
        from dbops.across.status import services

        for name, service in config.search.items():
            yield name, "search", partial(services.look, name, service, deadline)
    if config.vault is not None:
        from dbops.across.status import vaults

        yield "vault", "vault", partial(vaults.look, config.vault, config, deadline, now)


def _guarded(name: str, store: str, look: Look) -> Status:
    try:
        return look()
    except DbopsError as error:
        return _failed(name, store, error)


def _failed(name: str, store: str, error: DbopsError) -> Status:
    return Status(name, store, error.exit_code.name.lower(), findings=(failure(error, name),), code=error.exit_code)
