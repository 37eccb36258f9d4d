"""One row for each cluster: the server, its archiving, its newest backup against what was promised."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from dbops import units
from dbops.across.status.facts import Status, promise
from dbops.config.model import Cluster
from dbops.engine import clock
from dbops.engine.finding import Finding, Severity
from dbops.engine.run import Run
from dbops.errors import DbopsError
from dbops.operations.clusters.reach import samples
from dbops.stores import pgbackrest, postgres

_LEAST = timedelta(milliseconds=250)
_FINE = frozenset({0, 2})  # ok; no valid backups

_CLUSTER = """
    SELECT current_setting('server_version') AS version, pg_is_in_recovery() AS standby,
           (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend') AS connections,
           current_setting('max_connections')::int AS max_connections,
           current_setting('archive_mode') AS archive_mode,
           a.last_archived_time, a.last_failed_time
      FROM pg_stat_archiver a"""


def look(name: str, place: Cluster, run: Run, deadline: timedelta, now: datetime) -> Status:
    began = clock.monotonic()
    with postgres.connect(place, run, target=name, statement_timeout=deadline, connect_timeout=deadline) as connection:
        row = postgres.record(connection, _CLUSTER)
        latency = timedelta(seconds=clock.monotonic() - began)
        if place.stanza is not None:
            samples.note(run.state_dir, name, samples.of(postgres.record(connection, samples.POSITION)))
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
    try:
        stanzas = pgbackrest.info(place, target=name, timeout=deadline.total_seconds())
    except DbopsError as error:  # the server answers, so the target is there; its backups could not be looked at
        yield Finding(Severity.UNKNOWN, "backup-unknown", name, error.message, error.hint)
        return
    found = pgbackrest.newest(stanzas)
    facts["backup"] = found
    facts["backup_age"] = age = None if found is None else now - found
    # "no valid backups" is told below, where it matters; anything else is wrong with the repository
    for stanza in stanzas:
        if stanza.status not in _FINE:
            message = f"pgBackRest says of stanza {stanza.name}: {stanza.message}"
            yield Finding(Severity.WARNING, "stanza", name, message, f"dbops backup audit -t {name}")
    yield from promise(name, age, place.objectives.backup_age, f"dbops backup run -t {name}")
