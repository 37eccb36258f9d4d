"""What the repositories of a cluster hold, as far as retention is concerned."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import orjson

from dbops import units
from dbops.config.model import Cluster
from dbops.engine.finding import Finding, Verdict
from dbops.errors import CouldNotVerify
from dbops.operations.clusters import remembered
from dbops.operations.clusters import repository as repositories
from dbops.operations.clusters.archives import Archive
from dbops.operations.clusters.expire import check
from dbops.operations.clusters.expire.facts import Backup, Holding, Until, Wal
from dbops.operations.clusters.reach.continuity import Reach, reach
from dbops.operations.clusters.remembered import Depth, Remembered
from dbops.operations.clusters.repository import Repository
from dbops.stores import pgbackrest
from dbops.stores.pgbackrest import BackupInfo


@dataclass(frozen=True, slots=True)
class Observed:
    """One look at everything."""

    holdings: tuple[Holding, ...]
    findings: tuple[Finding, ...]


def observe(place: Cluster, results: Sequence[Remembered], *, target: str) -> Observed:
    """Look at every repository that can be read; nothing is expired from the others."""
    seen = repositories.observe(place, target=target)
    unread = {one.repository for one in seen.unread}
    keys = [one.key for one in seen.stanza.repositories if one.key not in unread]
    return Observed(
        tuple(_holding(place, seen, key, results) for key in keys),
        tuple(check.unread(target, one.repository, one.why) for one in seen.unread),
    )


def _holding(place: Cluster, seen: Repository, key: int, results: Sequence[Remembered]) -> Holding:
    infos = [one for one in seen.stanza.backups if one.repository == key]
    labels = {one.label for one in infos}
    pages = {one.label for one in infos if one.error}
    backups = [_backup(one, seen.archive(one), _of(one, seen, results)) for one in infos]
    judged = [replace(each, bad=each.bad or by_its_chain(each, labels, pages)) for each in backups]
    folders = _folders(place, seen, key)
    current = seen.current(key)
    wal = tuple(_wal(one, is_current=one is current) for one in seen.archives if one.repository == key)
    leftovers = tuple(sorted(set(folders) - labels))
    return Holding(key, tuple(sorted(judged, key=lambda one: one.label)), wal, leftovers, max(folders, default=None))


def _wal(archive: Archive, *, is_current: bool) -> Wal:
    segments = list(archive.segments())
    sizes = tuple(archive.files[one.timeline][one.number][1] for one in segments)
    return Wal(archive.id, tuple(map(archive.name, segments)), is_current, sizes)


def _backup(info: BackupInfo, archive: Archive | None, stands: Mapping[Depth, Remembered]) -> Backup:
    way = reach(info, archive) if archive is not None else None
    needs = frozenset(one for one in (*info.references, info.prior) if one is not None) - {info.label}
    return Backup(
        label=info.label,
        kind=info.kind,
        started=info.started,
        stopped=info.stopped,
        archive=archive.id if archive is not None else "",
        wal_start=info.wal_start,
        needs=needs,
        size=info.repository_delta,
        bad=why_bad(info, archive, way) or _found_bad(stands),
        verified=frozenset(depth.value for depth, one in stands.items() if one.good),
        until=() if way is None or archive is None else tuple(_ends(way, archive)),
    )


def _of(info: BackupInfo, seen: Repository, results: Sequence[Remembered]) -> dict[Depth, Remembered]:
    """Tell where a set stands at each depth; what was proved of another cluster's sets proves nothing of this one's."""
    same = (d.system_id for d in seen.stanza.databases if (d.id, d.repository) == (info.database_id, info.repository))
    system = next(same, None)
    own = [one for one in results if one.system_id in (None, system)]
    found = {
        depth: remembered.last(own, repository=info.repository, label=info.label, at_least=depth) for depth in Depth
    }
    return {depth: one for depth, one in found.items() if one is not None}


def _found_bad(stands: Mapping[Depth, Remembered]) -> str | None:
    worst = next((one for one in stands.values() if one.verdict is Verdict.BAD), None)
    return None if worst is None else f"verified at {units.instant(worst.at)} ({worst.depth}), and found bad"


def why_bad(info: BackupInfo, archive: Archive | None, way: Reach | None) -> str | None:
    """Tell why nobody should count on a set, as far as it tells by itself."""
    if info.error:
        return "pages of the source had wrong checksums"
    if archive is None or way is None:
        return "no WAL of its cluster is there"
    if not way.complete:
        told = "its WAL" if way.missing is None else f"WAL segment {archive.name(way.missing)}"
        return f"{told} is missing"
    return None


def by_its_chain(one: Backup, labels: set[str], pages: set[str]) -> str | None:
    """A set is no better than those that its files lie in; their WAL it does not need."""
    if missing := one.needs - labels:
        return f"{min(missing)}, which it needs, is not there"
    if broken := one.needs & pages:
        return f"it is built on {min(broken)}, where pages of the source had wrong checksums"
    return None


def _ends(way: Reach, archive: Archive) -> list[Until]:
    ends: list[Until] = []
    for each in way.ways:
        if each.until is not None:
            file = archive.file(each.until)
            archived = None if file is None else datetime.fromtimestamp(file.written, UTC)
            ends.append(Until(each.timeline, archive.name(each.until), archived))
    return ends


def _folders(place: Cluster, seen: Repository, key: int) -> list[str]:
    """Name the folders of sets, whether or not any list knows them."""
    options = (f"--repo={key}", "--output=json", "--log-level-console=off")
    where = f"backup/{seen.stanza.name}"
    done = pgbackrest.run(place, "repo-ls", *options, where, target=seen.target, connects=False, timeout=120)
    try:
        told = orjson.loads(done.out or b"{}")
        return sorted(name for name, one in told.items() if one["type"] == "path" and name[:1].isdigit())
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise CouldNotVerify(f"pgbackrest repo-ls told something that is not understood: {error!r}") from error
