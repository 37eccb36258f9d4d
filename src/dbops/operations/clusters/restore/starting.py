"""Start a restored data directory as a scratch copy, wait for the truth, and see that it can do no harm."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psycopg

from dbops.config.model import Cluster
from dbops.errors import DbopsError, VerifiedBad
from dbops.operations.clusters.restore import moving, waiting
from dbops.operations.clusters.restore.facts import Aim, Truth
from dbops.servers import postgres, scratch
from dbops.stores.pgbackrest.program import secrets

_MOST_STARTS = 8  # each one learns at least one setting that the primary had raised
_OWN = {"max_connections": 20}  # what we need ourselves


@dataclass(frozen=True, slots=True)
class Running:
    """A scratch copy that came to its target."""

    home: Path
    pid: int
    truth: Truth
    superuser: str

    def conninfo(self, dbname: str = "postgres") -> str:
        return postgres.conninfo(scratch.at(self.home), user=self.superuser, dbname=dbname)


def start(place: Cluster, aim: Aim, home: Path, *, target: str, users: tuple[str, ...]) -> Running:
    """Start what was restored into `home`, and return when it has reached its target.

    WAL may tell that the primary had raised a setting since; then it starts again with as much.
    """
    settings = {name: max(value, _OWN.get(name, 0)) for name, value in scratch.limits(home).items()}
    own = {"restore_command": moving.archive_get(place, aim, scratch.at(home).data)}
    if aim.kind == "immediate" and aim.timeline is not None:  # pgBackRest does not hand this one on
        own["recovery_target_timeline"] = aim.timeline
    env = secrets(place, target=target)
    for _ in range(_MOST_STARTS):
        scratch.configure(home, own | {name: str(value) for name, value in settings.items()})
        since = _size(scratch.at(home).log)
        pid = scratch.start(home, env=env)
        try:
            connect, log = partial(_connected, home, users), scratch.at(home).log
            truth = waiting.until_true(pid, connect, log, target=target, promote=aim.promote, since=since)
        except waiting.TooLow as error:
            scratch.stop(home)
            settings |= error.settings
            continue
        running = Running(home, pid, truth, _superuser(home, users))
        refuse_harm(running, target)
        _refuse_another(aim, truth, target)
        return running
    raise DbopsError("the scratch copy asks for higher settings again and again", target=target)


def _size(log: Path) -> int:
    return log.stat().st_size if log.exists() else 0


def _connected(home: Path, users: tuple[str, ...]) -> psycopg.Connection | None:
    """Connect as the first of the users that the copy knows, once it answers at all."""
    for user in users:
        try:
            return waiting.connected(postgres.conninfo(scratch.at(home), user=user))
        except psycopg.OperationalError:
            if user == users[-1]:
                raise
    return None


def _superuser(home: Path, users: tuple[str, ...]) -> str:
    connection = _connected(home, users)
    if connection is None:
        return users[0]
    with connection:
        row = connection.execute("SELECT rolname FROM pg_catalog.pg_roles WHERE oid = 10").fetchone()
    return str(row[0]) if row else users[0]


def refuse_harm(running: Running, target: str) -> None:
    """Ask the copy itself, and the kernel, whether it can do harm."""
    with psycopg.connect(running.conninfo(), autocommit=True) as connection:
        told = {
            name: str(row[0])
            for name in scratch.HARMLESS
            if (row := connection.execute("SELECT current_setting(%s)", (name,)).fetchone())
        }
    wrong = {name: value for name, value in told.items() if value != scratch.HARMLESS[name]}
    open_to = scratch.listeners(running.pid)
    if wrong or open_to:
        raise VerifiedBad(
            f"the scratch copy could do harm and was stopped: {wrong or ''} {open_to or ''}".strip(), target=target
        )


def _refuse_another(aim: Aim, truth: Truth, target: str) -> None:
    """A set that is newer than the target starts, promotes, and silently is not what was asked for."""
    if aim.kind in {"default", "immediate"}:
        return
    if truth.stopped_at is None or not truth.stopped_at.startswith("recovery stopping"):
        raise VerifiedBad(
            f"the restored server went past its target: it never said that it stopped at {aim.kind} {aim.target}",
            hint=f"set {aim.label} may be newer than the target; an older set reaches it",
            target=target,
        )


def environment(place: Cluster, target: str) -> Mapping[str, str]:
    """What pgBackRest needs inside the restored server: the pass of its cipher, never in a file."""
    return secrets(place, target=target)
