"""Ask the server of a cluster before it is stopped: whether it is ours, and who follows it."""

import signal
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from dbops.config.model import Cluster
from dbops.engine import clock, stop
from dbops.engine.run import Run
from dbops.errors import Refused, Unreachable
from dbops.operations.clusters.restore import guarding
from dbops.operations.clusters.restore.in_place_facts import Slot, Standby
from dbops.servers import alive
from dbops.stores import postgres

_ARCHIVED_WITHIN_S = 60.0
_ARCHIVED = "SELECT coalesce(last_archived_wal >= %s, false) FROM pg_stat_archiver"
_LIVE = """
    SELECT current_setting('data_directory'), pg_is_in_recovery(), (pg_control_system()).system_identifier,
           (pg_control_checkpoint()).timeline_id, extract(epoch FROM pg_postmaster_start_time())::bigint"""
_STANDBYS = """
    SELECT coalesce(nullif(application_name, ''), usename), coalesce(host(client_addr), ''), state
      FROM pg_stat_replication WHERE application_name NOT LIKE 'pg_basebackup%' ORDER BY 1, 2"""
_SLOTS = "SELECT slot_name, slot_type FROM pg_replication_slots WHERE NOT temporary ORDER BY 1"


@dataclass(frozen=True, slots=True)
class Live:
    """What the server itself tells."""

    timeline: int
    standbys: tuple[Standby, ...]
    slots: tuple[Slot, ...]


def end_restores(data: Path) -> None:
    """End what a killed run has left at work: it would go on writing below us."""

    def restores(argv: alive.Argv) -> bool:
        verb = any(word == "restore" or word.startswith("restore:") for word in argv)
        return Path(argv[0]).name == "pgbackrest" and verb and f"--pg1-path={data}" in argv

    for pid in alive.serving(restores):
        alive.end(pid, (signal.SIGTERM, 5.0))


def server_in(data: Path) -> int | None:
    """Return the server that works in a data directory, by whatever name it was started."""
    for pid in guarding.servers():
        with suppress(OSError):
            if Path(f"/proc/{pid}/cwd").samefile(data):
                return pid
    return None


def observe(place: Cluster, target: str, run: Run, data: Path) -> Live | None:
    """Ask the server, and make sure that it is the one in these folders, not one of another host."""
    pid = server_in(data)
    try:
        with postgres.connect(place, run, target=target) as connection:
            row = connection.execute(_LIVE).fetchone()
            assert row is not None  # noqa: S101  # one row always
            standbys = connection.execute(_STANDBYS).fetchall()
            slots = connection.execute(_SLOTS).fetchall()
    except Unreachable as error:
        if pid is None:
            return None
        raise Unreachable(
            f"a server runs in {data} (pid {pid}) and does not answer: {error.message}",
            hint="who follows it cannot be told; stop it yourself, and run this again",
            target=target,
        ) from error
    where, standby, _, timeline, started = row
    if pid is None or Path(str(where)).resolve() != data or abs(_started(data) - int(started)) > 1:
        raise Refused(
            f"the server that answers as {target} is not the one in {data}",
            hint="run this on the host of the cluster; is its dsn that of another host?",
            target=target,
        )
    if standby:
        raise Refused("the server is a standby", hint="run this on its primary", target=target)
    return Live(int(timeline), tuple(Standby(*map(str, s)) for s in standbys), tuple(Slot(*s) for s in slots))


def archive_now(place: Cluster, target: str, run: Run) -> bool:
    with postgres.connect(place, run, target=target) as connection:
        connection.execute("SELECT pg_create_restore_point('dbops')")  # an empty segment is not switched
        row = connection.execute("SELECT pg_walfile_name(pg_switch_wal())").fetchone()
        deadline = clock.monotonic() + _ARCHIVED_WITHIN_S
        while clock.monotonic() < deadline:
            if connection.execute(_ARCHIVED, row).fetchone() == (True,):
                return True
            stop.pause(0.05)
    return False


def _started(data: Path) -> int:
    try:
        return int((data / "postmaster.pid").read_text(errors="replace").splitlines()[2])
    except (OSError, ValueError, IndexError):
        return 0
