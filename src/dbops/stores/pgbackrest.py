"""pgBackRest: what it knows of a stanza, as typed data, and how its failures are told.

Two traps, both met: `info` exits 0 whatever it found (its status tells), and with a wrong cipher pass its
JSON holds raw bytes and control characters. As root it would leave files behind that its owner's next run
cannot read, so it always runs as the owner of the cluster.
"""

import json
import os
import pwd
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

from dbops import process
from dbops.config.load import resolve
from dbops.config.model import Cluster
from dbops.errors import ConfigInvalid, CouldNotVerify, DbopsError, LockBusy, Refused, Unreachable
from dbops.redact import redact, register

# The status of a stanza or of one of its repositories.
OK, MISSING_PATH, NO_BACKUPS, OTHER = 0, 1, 2, 99

_LINE = re.compile(
    r"\s*(?:\d{4}-\d\d-\d\d [\d:.]+ )?(?:P\d\d\s+)?(ERROR|WARN|HINT|INFO|DETAIL):\s*(?:\[(\d{3})\]:\s*)?(.*)"
)
_HINT = "install it: apt install pgbackrest"


@dataclass(frozen=True, slots=True)
class Message:
    """A line that pgBackRest said: an error with its number, a warning, a hint."""

    level: str
    number: int | None
    text: str


@dataclass(frozen=True, slots=True)
class BackupInfo:
    """One backup set."""

    label: str
    kind: str  # full, diff, incr
    started: datetime
    stopped: datetime
    prior: str | None
    references: tuple[str, ...]
    wal_start: str | None
    wal_stop: str | None
    lsn_start: str | None
    lsn_stop: str | None
    size: int
    delta: int
    repository_size: int
    repository_delta: int
    error: bool | None  # page checksums; None: not told by this command
    database_id: int
    repository: int
    annotations: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class ArchiveInfo:
    """The range of WAL segments that are kept for one incarnation; gaps inside are not told."""

    id: str
    database_id: int
    repository: int
    first: str | None
    last: str | None


@dataclass(frozen=True, slots=True)
class DatabaseInfo:
    id: int
    repository: int
    system_id: int
    version: str


@dataclass(frozen=True, slots=True)
class RepositoryInfo:
    key: int
    cipher: str
    status: int
    message: str


@dataclass(frozen=True, slots=True)
class StanzaInfo:
    """All that `info` tells of one stanza."""

    name: str
    status: int
    message: str
    backup_running: bool
    repositories: tuple[RepositoryInfo, ...]
    databases: tuple[DatabaseInfo, ...]
    archives: tuple[ArchiveInfo, ...]
    backups: tuple[BackupInfo, ...]


# ── Reading what it says (pure) ──────────────────────────────────────────────────────────────────


def messages(text: str) -> tuple[Message, ...]:
    """Read ERROR, WARN, HINT lines; an indented line that is none of them goes on with the one before."""
    found: list[Message] = []
    for line in text.splitlines():
        if match := _LINE.fullmatch(line):
            found.append(Message(match[1], int(match[2]) if match[2] else None, match[3].strip()))
        elif line[:1].isspace() and line.strip() and found:
            found[-1] = Message(found[-1].level, found[-1].number, f"{found[-1].text} {line.strip()}")
    return tuple(found)


def parse_info(raw: bytes) -> tuple[StanzaInfo, ...]:
    """Read the JSON of `info`, broken bytes and all."""
    try:
        told = json.loads(raw.decode("utf-8", "replace"), strict=False)
        return tuple(_stanza(each) for each in told)
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, OSError) as error:
        raise CouldNotVerify(
            f"pgbackrest info told something that is not understood: {error!r}", hint="is it 2.45 or newer?"
        ) from error


def _stanza(told: dict[str, Any]) -> StanzaInfo:
    status = told["status"]
    return StanzaInfo(
        name=str(told["name"]),
        status=int(status["code"]),
        message=redact(str(status["message"])),
        backup_running=bool(_at(status, "lock", "backup", "held")),
        repositories=tuple(_repository(each) for each in told.get("repo") or ()),
        databases=tuple(_database(each) for each in told.get("db") or ()),
        archives=tuple(_archive(each) for each in told.get("archive") or ()),
        backups=tuple(_backup(each) for each in told.get("backup") or ()),
    )


def _repository(told: dict[str, Any]) -> RepositoryInfo:
    status = told["status"]
    message = redact(str(status["message"]))
    return RepositoryInfo(int(told["key"]), str(told.get("cipher", "none")), int(status["code"]), message)


def _database(told: dict[str, Any]) -> DatabaseInfo:
    return DatabaseInfo(int(told["id"]), int(told["repo-key"]), int(told["system-id"]), str(told["version"]))


def _archive(told: dict[str, Any]) -> ArchiveInfo:
    of = told["database"]
    return ArchiveInfo(str(told["id"]), int(of["id"]), int(of["repo-key"]), _text(told, "min"), _text(told, "max"))


def _backup(told: dict[str, Any]) -> BackupInfo:
    annotations = cast("dict[str, Any]", told.get("annotation") or {})
    references = cast("list[str]", told.get("reference") or [])
    return BackupInfo(
        label=str(told["label"]),
        kind=str(told["type"]),
        started=_instant(told["timestamp"]["start"]),
        stopped=_instant(told["timestamp"]["stop"]),
        prior=_text(told, "prior"),
        references=tuple(str(each) for each in references),
        wal_start=_text(told, "archive", "start"),
        wal_stop=_text(told, "archive", "stop"),
        lsn_start=_text(told, "lsn", "start"),
        lsn_stop=_text(told, "lsn", "stop"),
        size=_count(told, "info", "size"),
        delta=_count(told, "info", "delta"),
        repository_size=_count(told, "info", "repository", "size"),
        repository_delta=_count(told, "info", "repository", "delta"),
        error=told.get("error"),
        database_id=_count(told, "database", "id"),
        repository=_count(told, "database", "repo-key"),
        annotations=tuple(sorted((name, str(value)) for name, value in annotations.items())),
    )


def _at(told: Any, *path: str) -> Any:
    for key in path:
        told = cast("dict[str, Any]", told).get(key) if isinstance(told, dict) else None
    return told


def _text(told: Any, *path: str) -> str | None:
    found = _at(told, *path)
    return None if found is None else str(found)


def _count(told: Any, *path: str) -> int:
    return int(_at(told, *path) or 0)


def _instant(epoch: float) -> datetime:
    return datetime.fromtimestamp(epoch, UTC)


# ── Running it ───────────────────────────────────────────────────────────────────────────────────


def run_as(place: Cluster, *, target: str) -> str | None:
    """Name the account that pgBackRest runs as: the configured one, otherwise the cluster's owner."""
    if place.run_as is not None:
        return place.run_as
    if place.data_directory is not None and place.data_directory.exists():
        owner = place.data_directory.stat().st_uid
        try:
            return pwd.getpwuid(owner).pw_name
        except KeyError:
            return None
    if os.geteuid() == 0:
        raise Refused(
            "pgBackRest as root leaves files that break later runs",
            hint=f'name the owner of the data directory: [cluster.{target}] run_as = "postgres"',
            target=target,
        )
    return None


def run(
    place: Cluster,
    command: str,
    *options: str,
    target: str,
    connects: bool = True,
    env: Mapping[str, str] | None = None,
    on_line: Callable[[str], None] | None = None,
    timeout: float | None = None,
    ok: Collection[int] = (0,),
) -> process.Finished:
    """Run one command for the cluster's stanza; `connects` gives it the administrator's password."""
    if place.stanza is None:
        raise ConfigInvalid("the cluster has no stanza", hint=f'set [cluster.{target}] stanza = "..."', target=target)
    config = () if place.pgbackrest_config is None else (f"--config={place.pgbackrest_config}",)
    secrets: dict[str, str] = {}
    if connects and place.password is not None:
        secrets["PGPASSWORD"] = resolve(place.password, target=target)
    # INFO goes to stdout; errors, warnings and hints go to stderr, without a time.
    argv = [
        *(process.find("pgbackrest", hint=_HINT), *config, f"--stanza={place.stanza}"),
        *("--log-level-stderr=warn", *options, command),
    ]
    try:
        return process.run(
            argv,
            env=_own_settings() | secrets | dict(env or {}),
            user=run_as(place, target=target),
            on_line=on_line,
            timeout=timeout,
            ok=ok,
        )
    except process.ProgramFailed as error:
        raise told(error, target) from error


def _own_settings() -> dict[str, str]:
    """Pass on what pgBackRest reads from the environment, such as the pass of its cipher."""
    told = {name: value for name, value in os.environ.items() if name.startswith("PGBACKREST_")}
    for name, value in told.items():
        if name.endswith(("_PASS", "_KEY", "_KEY_SECRET", "_TOKEN")):
            register(value)
    return told


def info(place: Cluster, *, target: str, timeout: float | None = 60.0) -> tuple[StanzaInfo, ...]:
    """Ask what is known of the cluster's stanza (an unknown stanza is one with status 1)."""
    finished = run(
        place, "info", "--output=json", "--log-level-console=off", target=target, connects=False, timeout=timeout
    )
    return parse_info(finished.out)


def newest(stanzas: Iterable[StanzaInfo]) -> datetime | None:
    """Return when the newest backup was complete; one with broken pages is none."""
    return max((backup.stopped for each in stanzas for backup in each.backups if not backup.error), default=None)


def newest_backup(place: Cluster, *, target: str, timeout: float | None = 60.0) -> datetime | None:
    """Return when the newest backup of the stanza was complete, or None when there is none."""
    found = [each for each in info(place, target=target, timeout=timeout) if each.name == place.stanza]
    if found and found[0].status not in (OK, MISSING_PATH, NO_BACKUPS):
        raise CouldNotVerify(f"pgbackrest info: {found[0].message} [{found[0].status}]", target=target)
    return newest(found)


def told(error: process.ProgramFailed, target: str) -> DbopsError:
    """Turn a failure of pgBackRest into ours: the exit code tells the kind, its lines the rest."""
    said = messages("\n".join(error.last))
    errors = [message.text for message in said if message.level == "ERROR"]
    hints = [message.text for message in said if message.level == "HINT"]
    text = f"pgbackrest: {errors[-1]}" if errors else error.message
    kind = _KINDS.get(error.returncode, DbopsError)
    return kind(f"{text} [{error.returncode:03}]" if errors else text, hint="; ".join(hints) or None, target=target)


_KINDS: dict[int, type[DbopsError]] = {
    **dict.fromkeys((29, 31, 32, 37), ConfigInvalid),  # an option: wrong, invalid, unknown, required
    # running, not empty, permissions, another system, missing file, another path, stopped, no such set, archiving off
    **dict.fromkeys((38, 40, 41, 51, 53, 55, 58, 62, 75, 87), Refused),
    50: LockBusy,
    **dict.fromkeys((49, 56, 82), Unreachable),  # host, PostgreSQL, WAL not archived in time
}
