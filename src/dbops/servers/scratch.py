"""A restored data directory in a folder of its own, started where it can do no harm.

No TCP, no archiving, no subscriptions, no preloaded libraries, a fraction of the memory, and nothing of the original's
configuration: it may name production's ports, folders and archive. What could harm stands on the server's command
line, which neither a configuration file nor ALTER SYSTEM can overrule.
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from dbops import process
from dbops.servers import account, alive, postgres, sockets

# Asserted by whoever starts it: what SHOW has to answer.
HARMLESS = {
    "listen_addresses": "",
    "archive_mode": "off",
    "archive_command": "(disabled)",
    "max_logical_replication_workers": "0",
    "shared_preload_libraries": "",
    "session_preload_libraries": "",
    "local_preload_libraries": "",
    "primary_conninfo": "",
    "primary_slot_name": "",
    "ssl": "off",
}
_ON_THE_COMMAND_LINE = {name: value for name, value in HARMLESS.items() if name != "archive_command"}
_SETTINGS = {
    "hot_standby": "on",
    "wal_level": "replica",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "lc_messages": "C",
    "log_line_prefix": "%m [%p] ",
    "shared_buffers": "128MB",
    "work_mem": "4MB",
    "maintenance_work_mem": "64MB",
    "huge_pages": "off",
    "autovacuum": "off",
    "jit": "off",
    "max_wal_size": "1GB",
    # Whatever a crash of the machine would cost: it is a copy, and can be restored again.
    "fsync": "off",
    "full_page_writes": "off",
}
_CONTROL = {
    "max_connections setting": "max_connections",
    "max_worker_processes setting": "max_worker_processes",
    "max_wal_senders setting": "max_wal_senders",
    "max_prepared_xacts setting": "max_prepared_transactions",
    "max_locks_per_xact setting": "max_locks_per_transaction",
}
_RECOVERY = re.compile(r"\s*recovery_target\w*\s*=")
_AUTO = "postgresql.auto.conf"


def at(home: Path) -> postgres.Server:
    """Describe the server of a scratch folder."""
    return postgres.Server(home)


def limits(home: Path) -> dict[str, int]:
    """Read what a hot standby may not have less of than its primary had."""
    server = at(home)
    program = postgres.program("pg_controldata", server)
    told = process.run([program, server.data], user=account.name()).out.decode("utf-8", "replace")
    pairs = (line.partition(":") for line in told.splitlines())
    return {_CONTROL[name]: int(value) for name, _, value in pairs if name in _CONTROL}


def configure(home: Path, settings: Mapping[str, str]) -> None:
    """Write all the configuration that it gets; of the original's only the recovery target stays."""
    server = at(home)
    place = sockets.prepare(home, server.socket_name)
    account.write_file(home / "hba.conf", "local all all trust\n")  # the socket's folder is the account's alone
    account.write_file(home / "ident.conf", "")
    own = {
        "hba_file": str(home / "hba.conf"),
        "ident_file": str(home / "ident.conf"),
        "unix_socket_directories": str(place),
        "unix_socket_permissions": "0700",
        "port": server.socket_name.rpartition(".")[2],
    }
    lines = [f"{name} = {postgres.quoted(value)}" for name, value in ({**_SETTINGS, **own, **settings}).items()]
    account.write_file(home / "scratch.conf", "\n".join(["# written by dbops: a scratch copy", *lines, ""]))
    _keep_the_target(server.data / _AUTO)


def _keep_the_target(path: Path) -> None:
    with suppress(FileNotFoundError):
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        kept = [line for line in lines if _RECOVERY.match(line)]
        account.write_file(path, "\n".join(["# of the original only the recovery target is left", *kept, ""]))


def start(home: Path, *, env: Mapping[str, str] | None = None) -> int:
    """Start it and return its pid; whether it comes up, its log and itself tell."""
    server = at(home)
    words = [word for name, value in _ON_THE_COMMAND_LINE.items() for word in ("-c", f"{name}={value}")]
    own = f"config_file={home / 'scratch.conf'}"
    argv = [postgres.program("postgres", server), "-D", server.data, "-c", own, *words]
    return process.start(argv, log=server.log, cwd=server.data, user=account.name(), env=env).pid


def stop(home: Path) -> None:
    """End it, whoever started it, with all that still works in its folder."""
    alive.end_leftovers(home)
    postgres.stop(at(home), within_s=10.0)


def listeners(pid: int) -> list[str]:
    """List the TCP addresses that a server and its children listen on: there have to be none."""
    inodes = {inode for member in alive.family(pid) for inode in _sockets(member)}
    found: list[str] = []
    for table in ("tcp", "tcp6"):
        with suppress(OSError):
            lines = Path(f"/proc/{pid}/net/{table}").read_text(encoding="ascii").splitlines()[1:]
            found += [word[1] for line in lines if (word := line.split())[3] == "0A" and word[9] in inodes]
    return found


def _sockets(pid: int) -> set[str]:
    found: set[str] = set()
    with suppress(OSError):
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                name = str(entry.readlink())
                if name.startswith("socket:["):
                    found.add(name[8:-1])
    return found
