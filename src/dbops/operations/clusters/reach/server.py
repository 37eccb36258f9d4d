"""What the live server adds, when it answers: its archiver, its position, what a restore would not bring back."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, LiteralString

from dbops.config.model import Cluster
from dbops.engine.run import Run
from dbops.errors import AuthenticationFailed, DbopsError, Stopped, Unreachable
from dbops.operations.clusters.reach import commits, samples
from dbops.operations.clusters.reach.facts import Archiver, Bystanders, Rpo
from dbops.operations.clusters.reach.samples import Sample, archived_by, keep
from dbops.operations.clusters.wal import Segment, parse_lsn
from dbops.stores import postgres

_WAIT = timedelta(seconds=5)
_NOW = """
    SELECT current_setting('track_commit_timestamp')::bool AS tracked,
           a.last_archived_time, a.last_failed_time, a.last_failed_wal
      FROM pg_stat_archiver a"""
_LAST = "SELECT timestamp AS at FROM pg_last_committed_xact()"
_SLOTS = """
    SELECT slot_name || ' (' || slot_type || coalesce(', ' || database, '') || ')' AS name
      FROM pg_replication_slots WHERE NOT temporary ORDER BY 1"""
_SUBSCRIPTIONS = """
    SELECT s.subname || ' (' || d.datname || ')' AS name
      FROM pg_subscription s JOIN pg_database d ON d.oid = s.subdbid ORDER BY 1"""
_DATABASES = "SELECT datname AS name FROM pg_database WHERE datallowconn ORDER BY 1"
_PUBLICATIONS = "SELECT pubname || ' (' || current_database() || ')' AS name FROM pg_publication ORDER BY 1"


@dataclass(frozen=True, slots=True)
class Live:
    """What the server says of itself at one moment."""

    now: datetime
    lsn: int
    system: int
    timeline: int
    standby: bool
    last_commit: datetime | None  # only where commit timestamps are tracked
    archiver: Archiver


def look(place: Cluster, run: Run, *, target: str) -> Live | None:
    """Ask the server; None when it does not answer, which stops nobody."""
    try:
        with postgres.connect(place, run, target=target, statement_timeout=_WAIT, connect_timeout=_WAIT) as connection:
            row = postgres.record(connection, samples.POSITION) | postgres.record(connection, _NOW)
            last = postgres.record(connection, _LAST).get("at") if row["tracked"] else None
    except (Unreachable, AuthenticationFailed):
        return None
    return Live(
        row["now"],
        parse_lsn(row["lsn"]),
        int(row["system"]),
        int(row["timeline"]),
        row["standby"],
        last,
        _archiver(row),
    )


def _archiver(row: dict[str, Any]) -> Archiver:
    archived, failed = row["last_archived_time"], row["last_failed_time"]
    failing = failed is not None and (archived is None or failed > archived)
    return Archiver(failing, failed, row["last_failed_wal"], archived)


def rpo(
    place: Cluster, live: Live | None, last: Segment | None, *, size: int, version: str, run: Run, target: str
) -> Rpo:
    """Tell how old the oldest commit is that is not in the archive; `last` is its last segment."""
    if live is None:
        return Rpo(None, exact=False, how="the server does not answer")
    known = keep(run.state_dir, target, Sample(live.now, live.lsn, live.system, live.timeline))
    if last is None:
        return Rpo(None, exact=False, how="nothing is archived")
    end = (last.number + 1) * size
    if live.lsn <= end and live.timeline == last.timeline:
        return Rpo(timedelta(0), exact=True, how="the archive is as far as the server")
    if (exact := _from_disk(place, live, last, size=size, version=version, target=target)) is not None:
        return exact
    since = archived_by(known, end, system=live.system, timeline=live.timeline)
    if since is None:
        return Rpo(None, exact=False, how="no sample is older than the end of the archive yet")
    if live.last_commit is not None and live.last_commit <= since:
        return Rpo(timedelta(0), exact=True, how="nothing was committed since the end of the archive")
    return Rpo(live.now - since, exact=False, how="at most, from samples of the server's position")


def _from_disk(place: Cluster, live: Live, last: Segment, *, size: int, version: str, target: str) -> Rpo | None:
    """Read the server's own log, where it lies on this host: only there it is known exactly."""
    if place.data_directory is None:
        return None
    following = Segment(live.timeline, last.number + 1)
    try:
        oldest = commits.live(place, place.data_directory, following, size, target=target, version=version)
    except Stopped:
        raise
    except DbopsError:
        return None
    age = timedelta(0) if oldest is None else max(live.now - oldest.at, timedelta(0))
    return Rpo(age, exact=True, how="read from the server's own WAL")


def bystanders(place: Cluster, run: Run, *, target: str) -> Bystanders | None:
    """Name what a restored cluster lacks, or starts at the wrong place; None when the server does not answer."""
    publications: list[str] = []
    try:
        with postgres.connect(place, run, target=target, connect_timeout=_WAIT) as connection:
            slots = _names(connection, _SLOTS)
            subscriptions = _names(connection, _SUBSCRIPTIONS)
            databases = _names(connection, _DATABASES)
        for name in databases:
            with postgres.connect(place, run, target=target, dbname=name, connect_timeout=_WAIT) as connection:
                publications += _names(connection, _PUBLICATIONS)
    except Stopped:
        raise
    except DbopsError:
        return None
    return Bystanders(slots, tuple(publications), subscriptions)


def _names(connection: postgres.Connection, query: LiteralString) -> tuple[str, ...]:
    return tuple(str(name) for (name,) in connection.execute(query))
