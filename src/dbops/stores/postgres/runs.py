"""The runs that are connected to a server: whose a backend is, and the end of those whose dbops is dead."""

import os
import re
from pathlib import Path

from psycopg import errors

from dbops import units
from dbops.engine.run import host_id
from dbops.stores.postgres.said import translated
from dbops.stores.postgres.statements import Connection

# What a run of dbops calls itself, towards a server.
NAME = re.compile(
    r"dbops (?P<run>(?P<stamp>\d{8}T\d{6}\.\d{3}Z)-[0-9a-f]{4}) (?P<host>.*)\.(?P<id>[0-9a-f]{6}) (?P<pid>\d+)"
)


def since(stamp: str) -> str:
    """Write the moment that a run's id begins with as an instant."""
    return f"{stamp[:4]}-{stamp[4:6]}-{stamp[6:8]}T{stamp[9:11]}:{stamp[11:13]}:{stamp[13:]}"


def reap_dead_runs(connection: Connection, target: str) -> list[str]:
    """End backends whose dbops on this very host is dead (kill -9, crash); return the runs that they belonged to.

    PostgreSQL may take long to notice that a client is gone; until then its locks and its statement stay.
    """
    with translated(target):
        rows = connection.execute(
            "SELECT pid, application_name FROM pg_stat_activity"
            " WHERE application_name LIKE 'dbops %' AND pid <> pg_backend_pid()"
        ).fetchall()
        ended: list[str] = []
        for backend, application in rows:
            told = NAME.match(application)
            if told is None or told["id"] != host_id() or _alive(int(told["pid"]), told["stamp"]):
                continue
            try:
                connection.execute("SELECT pg_terminate_backend(%s, 5000::bigint)", (backend,))
            except errors.InsufficientPrivilege:  # the administrator's: it notices by itself that its client is gone
                continue
            ended.append(told["run"])
        return ended


def _alive(pid: int, stamp: str) -> bool:
    """Tell whether the process that began the run still lives; when in doubt, it does.

    A zombie is dead. Who got the number of a dead one began after the run and is no dbops; a clock that was set
    during the run can look like the first, but not like the second.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
        words = Path(f"/proc/{pid}/cmdline").read_bytes()
        boot = next(
            int(line.split()[1])
            for line in Path("/proc/stat").read_text(encoding="ascii").splitlines()
            if line.startswith("btime")
        )
    except (FileNotFoundError, ProcessLookupError):
        return _answers(pid)
    except (OSError, ValueError, StopIteration):
        return True
    began = boot + int(fields[19]) / os.sysconf("SC_CLK_TCK")
    run_began = units.parse_instant(since(stamp)).timestamp()
    return fields[0] != "Z" and (began <= run_began + 2 or b"dbops" in words)  # btime is whole seconds


def _answers(pid: int) -> bool:
    """Ask the kernel where /proc hides the processes of other accounts."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return False  # ours, and /proc would have shown it: it has ended between the two looks
