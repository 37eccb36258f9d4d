"""What pgBackRest knows of a stanza, as typed data.

Two traps, both met: `info` exits 0 whatever it found (its status tells), and with a wrong cipher pass its
JSON holds raw bytes and control characters.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

from dbops.config.model import Cluster
from dbops.errors import CouldNotVerify
from dbops.redact import redact
from dbops.stores.pgbackrest.program import run

# The status of a stanza or of one of its repositories.
OK, MISSING_PATH, NO_BACKUPS, MISSING_DATA, OTHER = 0, 1, 2, 3, 99
NO_STANZA = frozenset({MISSING_PATH, MISSING_DATA})


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


def info(place: Cluster, *, target: str, timeout: float | None = 60.0) -> tuple[StanzaInfo, ...]:
    """Ask what is known of the cluster's stanza (an unknown stanza is one with status 1)."""
    finished = run(
        place, "info", "--output=json", "--log-level-console=off", target=target, connects=False, timeout=timeout
    )
    return parse_info(finished.out)


def newest(stanzas: Iterable[StanzaInfo]) -> datetime | None:
    """Return when the newest backup was complete; one with broken pages is none."""
    return max((backup.stopped for each in stanzas for backup in each.backups if not backup.error), default=None)
