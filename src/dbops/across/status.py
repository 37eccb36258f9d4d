"""Every target at once: who can be reached, what it is, and what needs attention.

Each target has one deadline; who does not answer in time is a row, never a crash and never a wait for the others.
"""

import queue
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from dbops import units
from dbops.config.model import Cluster, Config, Postgres, Redis
from dbops.engine import clock, stop
from dbops.engine.ending import Measure
from dbops.engine.finding import Finding, Severity, failure
from dbops.engine.run import Run
from dbops.errors import DbopsError, ExitCode, Unreachable, worst
from dbops.stores import pgbackrest, postgres, redis

_MOMENT_S = 0.05
_LEAST = timedelta(milliseconds=250)
_AT_ONCE = 32  # a hundred databases of one cluster must fit under its max_connections


@dataclass(frozen=True, slots=True)
class Status:
    """What one target answered."""

    target: str
    store: str
    state: str  # ok, or the name of an exit code: unreachable, auth, refused ...
    latency: timedelta | None = None
    version: str = ""
    facts: dict[str, Any] = field(default_factory=dict[str, Any])
    findings: tuple[Finding, ...] = ()
    code: ExitCode = ExitCode.OK


def exit_code(status: Status) -> ExitCode:
    """Return the code of one target, as a run of its own would end with it."""
    return worst([status.code, *(finding.exit_code for finding in status.findings)])


def measures(config: Config, statuses: Sequence[Status]) -> tuple[Measure, ...]:
    """Tell the age of backups beside what is promised; what could not be looked at is not told."""
    return tuple(
        Measure(one.target, "backup_age", one.facts["backup_age"], config.cluster[one.target].objectives.backup_age)
        for one in statuses
        if "backup_age" in one.facts and one.target in config.cluster
    )


_FINE = frozenset({0, 2})  # ok; no valid backups

Look = Callable[[], Status]


def observe(config: Config, run: Run, *, deadline: timedelta, now: datetime) -> tuple[Status, ...]:
    """Look at all targets concurrently, in the order of the configuration."""
    looks = list(_looks(config, run, deadline, now))
    results: queue.Queue[tuple[int, Status | Exception]] = queue.Queue()
    places = threading.Semaphore(_AT_ONCE)
    began: dict[int, float] = {}

    def look(number: int) -> None:
        places.acquire()
        began[number] = clock.monotonic()
        results.put((number, _guarded(*looks[number])))

    for number in range(len(looks)):
        # daemons: one that hangs in a dead network must not keep the program from ending
        threading.Thread(target=look, args=(number,), daemon=True).start()
    answered: dict[int, Status] = {}
    while len(answered) < len(looks):
        stop.check()
        for number, status in _arrived(results, looks, began, deadline):
            if number not in answered:
                answered[number] = status
                places.release()  # whether it answered or was given up: the next one gets its turn
    return tuple(answered[number] for number in range(len(looks)))


def _arrived(
    results: "queue.Queue[tuple[int, Status | Exception]]",
    looks: Sequence[tuple[str, str, Look]],
    began: Mapping[int, float],
    deadline: timedelta,
) -> Iterator[tuple[int, Status]]:
    """Wait a moment for an answer; where none comes, give up who is past the deadline."""
    try:
        number, told = results.get(timeout=_MOMENT_S)
    except queue.Empty:
        latest = clock.monotonic() - deadline.total_seconds()
        for number, at in list(began.items()):
            if at < latest:
                name, store, _ = looks[number]
                yield number, _failed(name, store, Unreachable(f"no answer within {units.duration(deadline)}"))
        return
    if isinstance(told, Exception):
        raise told  # a bug, not the state of a target
    yield number, told


def _looks(config: Config, run: Run, deadline: timedelta, now: datetime) -> Iterator[tuple[str, str, Look]]:
    for name, cluster in config.cluster.items():
        yield name, "cluster", lambda n=name, c=cluster: _cluster(n, c, run, deadline, now)
    for name, database in config.postgres.items():
        yield name, "postgres", lambda n=name, d=database: _database(n, d, run, deadline)
    for name, server in config.redis.items():
        yield name, "redis", lambda n=name, s=server: _redis(n, s, deadline)


def _guarded(name: str, store: str, look: Look) -> Status | Exception:
    try:
        return look()
    except DbopsError as error:
        return _failed(name, store, error)
    except Exception as error:  # noqa: BLE001  # raised again by who waits for the answer
        return error


def _failed(name: str, store: str, error: DbopsError) -> Status:
    return Status(name, store, error.exit_code.name.lower(), findings=(failure(error, name),), code=error.exit_code)


_CLUSTER = """
    SELECT current_setting('server_version') AS version, pg_is_in_recovery() AS standby,
           (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend') AS connections,
           current_setting('max_connections')::int AS max_connections,
           current_setting('archive_mode') AS archive_mode,
           a.last_archived_time, a.last_failed_time
      FROM pg_stat_archiver a"""


def _cluster(name: str, place: Cluster, run: Run, deadline: timedelta, now: datetime) -> Status:
    began = clock.monotonic()
    with postgres.connect(place, run, target=name, statement_timeout=deadline, connect_timeout=deadline) as connection:
        row = postgres.record(connection, _CLUSTER)
        latency = timedelta(seconds=clock.monotonic() - began)
    facts: dict[str, Any] = {
        "role": "standby" if row["standby"] else "primary",
        "connections": row["connections"],
        "max_connections": row["max_connections"],
        "last_archived": row["last_archived_time"],
    }
    findings = list(_archiving(name, row))
    if place.stanza is not None:
        # what is left of the deadline, less a moment to tell that it was not enough
        left = max(_LEAST, deadline - timedelta(seconds=clock.monotonic() - began) - _LEAST)
        findings += _backups(name, place, facts, left, now)
    return Status(name, "cluster", "ok", latency, row["version"].split()[0], facts, tuple(findings))


def _archiving(name: str, row: dict[str, Any]) -> Iterator[Finding]:
    archived, failed = row["last_archived_time"], row["last_failed_time"]
    if failed is not None and (archived is None or failed > archived):
        message = f"WAL is not being archived: the last attempt failed at {units.instant(failed)}"
        yield Finding(Severity.WARNING, "archive-failing", name, message, "look at archive_command in the server's log")


def _backups(name: str, place: Cluster, facts: dict[str, Any], deadline: timedelta, now: datetime) -> Iterator[Finding]:
    promised = place.objectives.backup_age
    try:
        stanzas = pgbackrest.info(place, target=name, timeout=deadline.total_seconds())
    except DbopsError as error:  # the server answers, so the target is there; its backups could not be looked at
        yield Finding(Severity.UNKNOWN, "backup-unknown", name, error.message, error.hint)
        return
    found = max((backup.stopped for stanza in stanzas for backup in stanza.backups), default=None)
    facts["backup"] = found
    facts["backup_age"] = None if found is None else now - found
    # "no valid backups" is told below, where it matters; anything else is wrong with the repository
    for stanza in stanzas:
        if stanza.status not in _FINE:
            message = f"pgBackRest says of stanza {stanza.name}: {stanza.message}"
            yield Finding(Severity.WARNING, "stanza", name, message, f"pgbackrest --stanza={stanza.name} check")
    if promised is None or (found is not None and now - found <= promised):
        return
    told = "there is no backup" if found is None else f"the newest backup is {units.duration(now - found)} old"
    message = f"{told}; the objective is {units.duration(promised)}"
    yield Finding(Severity.MISSED, "backup-age", name, message, f"pgbackrest --stanza={place.stanza} backup")


_DATABASE = """
    SELECT current_setting('server_version') AS version, pg_database_size(current_database()) AS size_bytes,
           pg_is_in_recovery() AS standby, to_regclass('public.alembic_version') IS NOT NULL AS migrated,
           to_regnamespace('dbops') IS NOT NULL AS ledger"""


def _database(name: str, place: Postgres, run: Run, deadline: timedelta) -> Status:
    began = clock.monotonic()
    with postgres.connect(place, run, target=name, statement_timeout=deadline, connect_timeout=deadline) as connection:
        row = postgres.record(connection, _DATABASE)
        latency = timedelta(seconds=clock.monotonic() - began)
        head = postgres.record(connection, "SELECT version_num FROM public.alembic_version") if row["migrated"] else {}
    facts = {
        "cluster": place.cluster,
        "size_bytes": row["size_bytes"],
        "schema_head": head.get("version_num"),
        "ledger": row["ledger"],
    }
    return Status(name, "postgres", "ok", latency, row["version"].split()[0], facts)


def _redis(name: str, place: Redis, deadline: timedelta) -> Status:
    began = clock.monotonic()
    with redis.connect(place, target=name, timeout=deadline) as client:
        info = client.info()  # pyright: ignore[reportUnknownMemberType]
        latency = timedelta(seconds=clock.monotonic() - began)
    keys = sum(int(told["keys"]) for section, told in info.items() if re.fullmatch(r"db\d+", section))
    facts = {"role": info["role"], "memory_bytes": info["used_memory"], "keys": keys}
    return Status(name, "redis", "ok", latency, str(info["redis_version"]), facts)
