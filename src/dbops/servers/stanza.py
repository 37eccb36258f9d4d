"""One pgBackRest stanza in one folder, for a server that we start."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from dbops import process
from dbops.config.model import Cluster
from dbops.errors import Refused
from dbops.servers import account, postgres, sockets
from dbops.stores import pgbackrest
from dbops.stores.pgbackrest import halves

_HINT = "install it: apt install pgbackrest"
_CANNOT = re.compile(r"[\n\r]|//|/$|^\s|\s$")  # what a value of its configuration file cannot hold


@dataclass(frozen=True, slots=True)
class Stanza:
    """A stanza, described: its repository, logs, locks and spool are all below `home`."""

    home: Path
    name: str

    @property
    def config(self) -> Path:
        return self.home / "pgbackrest.conf"

    @property
    def place(self) -> Cluster:
        """Describe it as the configuration of a platform would."""
        return Cluster(dsn="", stanza=self.name, pgbackrest_config=self.config, run_as=account.name())


def archive_command(stanza: Stanza) -> str:
    """Return what PostgreSQL's archiver runs; `%` means something to it, the rest to a shell."""
    argv = [process.find("pgbackrest", hint=_HINT), f"--config={stanza.config}", f"--stanza={stanza.name}"]
    return f"{shlex.join(map(str, argv)).replace('%', '%%')} archive-push %p"


def configure(stanza: Stanza, server: postgres.Server) -> None:
    """Make its folders and write its configuration, for a server that has its socket."""
    if _CANNOT.search(str(stanza.home)):
        raise Refused(f"pgBackRest cannot write its path down: {str(stanza.home)!r}")
    account.make_folder(stanza.home)
    folders = {name: account.make_folder(stanza.home / name) for name in ("repo", "log", "lock", "spool")}
    settings = {
        "repo1-path": folders["repo"],
        "log-path": folders["log"],
        "lock-path": folders["lock"],
        "spool-path": folders["spool"],
        "expire-auto": "n",  # what is expired is decided by `backup expire`
        "repo1-bundle": "y",
        "start-fast": "y",
        "compress-type": "zst",
        "compress-level": 1,
        "process-max": 2,
    }
    own = {
        "pg1-path": server.data,
        "pg1-socket-path": sockets.folder(server.home, server.socket_name),
        "pg1-port": server.socket_name.rpartition(".")[2],
        "pg1-user": postgres.SUPERUSER,
    }
    lines = ["[global]", *(f"{k}={v}" for k, v in settings.items()), f"[{stanza.name}]"]
    account.write_file(stanza.config, "\n".join([*lines, *(f"{k}={v}" for k, v in own.items()), ""]))


def create(stanza: Stanza, server: postgres.Server, password: str, *, target: str) -> None:
    """Create the stanza; doing it again changes nothing."""
    configure(stanza, server)
    # A creation that was killed; our servers archive from their start, into what it left as well.
    halves.clear_half(stanza.home / "repo", stanza.name, even_archived=True)
    pgbackrest.run(stanza.place, "stanza-create", target=target, env={"PGPASSWORD": password}, timeout=120)


def check(stanza: Stanza, password: str, *, target: str) -> None:
    """Push one WAL segment through the archiver and see it arrive."""
    pgbackrest.run(stanza.place, "check", target=target, env={"PGPASSWORD": password}, timeout=120)


def known(stanza: Stanza, *, target: str) -> pgbackrest.StanzaInfo | None:
    """Return what the repository knows of the stanza, or None before it was created, or created by halves."""
    if not stanza.config.exists():
        return None
    found = [each for each in pgbackrest.info(stanza.place, target=target) if each.name == stanza.name]
    return found[0] if found and found[0].status not in pgbackrest.NO_STANZA else None
