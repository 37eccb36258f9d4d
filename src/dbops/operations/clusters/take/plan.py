"""What one run does: end what dead runs left, one backup for each repository, then the configuration; pure."""

from collections.abc import Iterator
from datetime import datetime

from dbops.engine.plan import Plan, Step
from dbops.operations.clusters.take.facts import (
    Action,
    EndOrphans,
    Facts,
    KeepConfiguration,
    Kind,
    Repository,
    Schedule,
    Take,
    Wanted,
)
from dbops.operations.clusters.take.schedule import Due, due


def plan(facts: Facts, wanted: Wanted, schedule: Schedule, now: datetime) -> Plan[Action]:
    """Plan one run. A repository that cannot be read has no step: `check.unreadable` tells it."""
    title = "keep the configuration" if wanted.configuration_only else "take a backup"
    return Plan(facts.target, title, tuple(_steps(facts, wanted, schedule, now)))


def _steps(facts: Facts, wanted: Wanted, schedule: Schedule, now: datetime) -> Iterator[Step[Action]]:
    if not wanted.configuration_only:
        if facts.orphans:
            yield _end(facts)
        for one in facts.repositories:
            if one.readable:
                yield _take(one, decided(one, wanted, schedule, now))
    if facts.vault and (wanted.configuration_only or any(one.readable for one in facts.repositories)):
        summary = "keep the configuration beside it in the vault"
        yield Step("keep configuration", summary, KeepConfiguration(), notes=("secrets by their names only",))


def _end(facts: Facts) -> Step[Action]:
    pids = ", ".join(str(one.pid) for one in facts.orphans)
    summary = f"end {len(facts.orphans)} processes of a dead backup that hold the lock: {pids}"
    return Step("end orphans", summary, EndOrphans(facts.orphans))


def _take(repository: Repository, one: Due) -> Step[Action]:
    where = f" ({repository.path})" if repository.path else ""
    return Step(
        f"back up to repository {repository.key}",
        f"{one.kind} backup into repository {repository.key}{where}: {one.why}",
        Take(repository.key, one.kind, one.why),
        notes=("pgBackRest expires nothing in this run",),
    )


def decided(repository: Repository, wanted: Wanted, schedule: Schedule, now: datetime) -> Due:
    """Take the operator's word for the kind, except where there is nothing that it could build on."""
    if wanted.kind is Kind.AUTO:
        return due(repository.sets, schedule, now)
    if wanted.kind is not Kind.FULL and not any(one.kind is Kind.FULL for one in repository.sets):
        return Due(Kind.FULL, f"there is no full backup that a {wanted.kind} one could build on")
    return Due(wanted.kind, "asked for")
