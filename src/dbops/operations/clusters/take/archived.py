"""Whether the WAL that a backup needs is really in the archive: segment by segment, from its start to its stop."""

import re
from dataclasses import dataclass

from dbops.config.model import Cluster
from dbops.operations.clusters.wal import Segment
from dbops.stores import pgbackrest
from dbops.stores.pgbackrest import BackupInfo

_NAME = 24
_SAID = re.compile(r"backup (?P<which>start|stop) archive = (?P<name>[0-9A-F]{24})")


@dataclass(frozen=True, slots=True)
class Stretch:
    """The segments from one to another, in one archive."""

    archive_id: str
    first: str
    last: str


def needed(one: BackupInfo, archive_id: str) -> Stretch:
    """Tell what a backup needs by its own record."""
    return Stretch(archive_id, one.wal_start or "", one.wal_stop or "")


def said(out: str, archive_id: str | None) -> Stretch | None:
    """Read from what pgBackRest says at its end, before its record tells it, what will have to be there."""
    names = {match["which"]: match["name"] for match in _SAID.finditer(out)}
    if archive_id is None or len(names) != 2:
        return None
    return Stretch(archive_id, names["start"], names["stop"])


def missing(place: Cluster, one: Stretch, size: int, *, target: str, repository: int) -> tuple[str, ...]:
    """Name the segments of a stretch that are not there; both ends have to be known."""
    first, last = Segment.parse(one.first, size), Segment.parse(one.last, size)
    if first is None or last is None or first.timeline != last.timeline:
        return (one.first or "the first", one.last or "the last")
    wanted = [Segment(first.timeline, number).name(size) for number in range(first.number, last.number + 1)]
    found: set[str] = set()
    for folder in dict.fromkeys(name[:16] for name in wanted):
        path = f"archive/{place.stanza}/{one.archive_id}/{folder}"
        listed = pgbackrest.ls(place, path, target=target, repository=repository)
        found |= {file.name[:_NAME] for file in listed if not file.name.startswith(".") and _whole(file.name)}
    return tuple(name for name in wanted if name not in found)


def _whole(name: str) -> bool:
    return len(name) > _NAME and name[_NAME] == "-"  # no .partial, no .backup
