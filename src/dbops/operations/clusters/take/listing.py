"""The backups of clusters as they are told: each set with what it takes, how far it reaches, and what was proven."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from dbops.config.model import Config
from dbops.engine.finding import Finding, Verdict
from dbops.engine.run import Run, each
from dbops.errors import CouldNotVerify, DbopsError, Refused, Stopped
from dbops.operations.clusters import remembered, repository
from dbops.operations.clusters.reach import continuity
from dbops.operations.clusters.remembered import Depth, Remembered
from dbops.operations.clusters.repository import Repository
from dbops.operations.clusters.take import check
from dbops.stores.pgbackrest import BackupInfo
from dbops.stores.pgbackrest.program import refuse_wrong_account

_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class Proven:
    """What the last whole verification of a set has found."""

    at: datetime
    depth: Depth
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Reachable:
    """The moments that a set can be restored to; `until` is when the last segment was archived, so about."""

    since: datetime
    until: datetime | None
    last_segment: str | None
    missing_segment: str | None  # what ends it before the archive does


@dataclass(frozen=True, slots=True)
class Listed:
    """One backup set."""

    repository: int
    label: str
    kind: str
    prior: str | None
    started: datetime
    stopped: datetime
    took: timedelta
    size_bytes: int  # of the cluster
    backed_up_bytes: int  # of it in this set
    repository_bytes: int  # with all that it builds on
    repository_added_bytes: int
    encrypted: bool
    page_errors: bool
    complete: bool  # the WAL of its own making is there
    restorable: Reachable | None
    verified: Proven | None
    held: str | None
    annotations: dict[str, str]
    wal_start: str | None
    wal_stop: str | None
    lsn_start: str | None
    lsn_stop: str | None


@dataclass(frozen=True, slots=True)
class Place:
    """One repository of the stanza."""

    key: int
    cipher: str
    status: int
    message: str


@dataclass(frozen=True, slots=True)
class ClusterTold:
    """One cluster with its repositories and sets, oldest first."""

    target: str
    stanza: str
    running: bool  # a backup or expire is at work just now
    repositories: tuple[Place, ...] = ()
    sets: tuple[Listed, ...] = ()
    newest_age: timedelta | None = None  # of the newest set without damaged pages
    promised_age: timedelta | None = None


def listed(
    config: Config, names: Sequence[str], run: Run, state_dir: Path, now: datetime
) -> tuple[list[ClusterTold], list[Finding]]:
    """Look at several clusters; one that cannot be read is told beside the others."""
    ended = each(names, lambda name: _one(config, name, run, state_dir, now), jobs=_AT_ONCE, stop_on_failure=False)
    told: list[ClusterTold] = []
    findings: list[Finding] = []
    for one in ended:
        match one.error:
            case None:
                pass
            case Refused() | CouldNotVerify() as error:
                findings.append(check.unlisted(one.item, None, error.message, status=_status(error)))
            case _:
                raise one.error
        if one.result is not None:
            told.append(one.result[0])
            findings += one.result[1]
    return told, findings


def _status(error: DbopsError) -> int:
    return 1 if isinstance(error, Refused) else 99  # of an unknown stanza; of anything else


def _one(
    config: Config, target: str, run: Run, state_dir: Path, now: datetime
) -> tuple[ClusterTold, tuple[Finding, ...]]:
    place = config.cluster[target]
    refuse_wrong_account(place, target=target)
    seen = repository.observe(place, target=target, run=run)
    findings: list[Finding] = []
    proven = _recalled(config, target, state_dir, findings)
    held = {one.label: one.reason for one in place.backup.hold}
    sets = tuple(
        _listed(seen, one, proven, held.get(one.label))
        for one in sorted(seen.stanza.backups, key=lambda one: (one.repository, one.label))
    )
    newest = max((one.stopped for one in sets if not one.page_errors), default=None)
    told = ClusterTold(
        target,
        seen.stanza.name,
        seen.stanza.backup_running,
        tuple(Place(one.key, one.cipher, one.status, one.message) for one in seen.stanza.repositories),
        sets,
        None if newest is None else now - newest,
        place.objectives.backup_age,
    )
    findings += _judged(seen, told, newest, now)
    return told, tuple(findings)


def _recalled(config: Config, target: str, state_dir: Path, findings: list[Finding]) -> tuple[Remembered, ...]:
    try:
        return remembered.recall(remembered.memory(config, state_dir).store, target)
    except Stopped:
        raise
    except DbopsError as error:
        findings.append(check.unrecalled(target, error.message))
        return ()


def _listed(seen: Repository, one: BackupInfo, proven: Sequence[Remembered], held: str | None) -> Listed:
    complete, restorable = _reach(seen, one)
    return Listed(
        repository=one.repository,
        label=one.label,
        kind=one.kind,
        prior=one.prior,
        started=one.started,
        stopped=one.stopped,
        took=one.stopped - one.started,
        size_bytes=one.size,
        backed_up_bytes=one.delta,
        repository_bytes=one.repository_size,
        repository_added_bytes=one.repository_delta,
        encrypted=any(each.key == one.repository and each.cipher != "none" for each in seen.stanza.repositories),
        page_errors=bool(one.error),
        complete=complete,
        restorable=restorable,
        verified=_proven(proven, one),
        held=held,
        annotations=dict(one.annotations),
        wal_start=one.wal_start,
        wal_stop=one.wal_stop,
        lsn_start=one.lsn_start,
        lsn_stop=one.lsn_stop,
    )


def _proven(results: Sequence[Remembered], one: BackupInfo) -> Proven | None:
    found = remembered.last(results, repository=one.repository, label=one.label)
    return None if found is None else Proven(found.at, found.depth, found.verdict)


def _reach(seen: Repository, one: BackupInfo) -> tuple[bool, Reachable | None]:
    """Tell how far the archive carries a set, along the newest timeline that passes through it."""
    archive = seen.archive(one)
    if archive is None:
        return False, None
    reach = continuity.reach(one, archive)
    if not reach.complete:
        return False, None
    way = max(reach.ways, key=lambda way: way.timeline, default=None)
    until = None if way is None else way.until
    file = None if until is None else archive.file(until)
    missing = None if way is None or way.missing is None else archive.name(way.missing)
    return True, Reachable(
        one.stopped,
        None if file is None else max(one.stopped, datetime.fromtimestamp(file.written, UTC)),
        None if until is None else archive.name(until),
        missing,
    )


def _judged(seen: Repository, told: ClusterTold, newest: datetime | None, now: datetime) -> Iterator[Finding]:
    target = told.target
    for one in seen.unread:
        yield check.unlisted(target, one.repository, one.why)
    readable = {place.key for place in told.repositories} - {one.repository for one in seen.unread}
    for key in sorted(readable - {one.repository for one in told.sets}):
        yield check.none_at_all(target, None if len(told.repositories) == 1 else key)
    for one in told.sets:
        if one.page_errors:
            yield check.damaged(target, one.label)
        if not one.complete and one.repository in readable:
            yield check.lacks_wal(target, one.label, (one.wal_start or "of its start",))
    if newest is not None and told.promised_age is not None:
        old = check.too_old(target, newest, told.promised_age, now)
        if old is not None:
            yield old
