"""Whether the WAL that a backup needs is really in the archive: segment by segment, from its start to its stop."""

from dbops.config.model import Cluster
from dbops.operations.clusters.wal import Segment
from dbops.stores import pgbackrest

_NAME = 24


def missing(place: Cluster, one: pgbackrest.BackupInfo, archive_id: str, size: int, *, target: str) -> tuple[str, ...]:
    """Name the segments between start and stop that are not there; both ends have to be known."""
    first = Segment.parse(one.wal_start or "", size)
    last = Segment.parse(one.wal_stop or "", size)
    if first is None or last is None or first.timeline != last.timeline:
        return tuple(name for name in (one.wal_start or "the first", one.wal_stop or "the last") if name)
    wanted = [Segment(first.timeline, number).name(size) for number in range(first.number, last.number + 1)]
    found: set[str] = set()
    for folder in dict.fromkeys(name[:16] for name in wanted):
        path = f"archive/{place.stanza}/{archive_id}/{folder}"
        listed = pgbackrest.ls(place, path, target=target, repository=one.repository)
        found |= {file.name[:_NAME] for file in listed if not file.name.startswith(".") and _whole(file.name)}
    return tuple(name for name in wanted if name not in found)


def _whole(name: str) -> bool:
    return len(name) > _NAME and name[_NAME] == "-"  # no .partial, no .backup
