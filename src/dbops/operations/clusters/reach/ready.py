"""One look for `pitr window`, one way for `pitr plan` and for every restore."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from dbops.config.model import Cluster, Config
from dbops.engine import stop
from dbops.engine.run import Run
from dbops.errors import DbopsError, Refused
from dbops.operations.clusters import durations
from dbops.operations.clusters.archives import Archive
from dbops.operations.clusters.reach import choose
from dbops.operations.clusters.reach.commits import reading
from dbops.operations.clusters.reach.continuity import chain, reach, timelines, track
from dbops.operations.clusters.reach.facts import Chosen, Interval, Planned, Rpo, Target, Window
from dbops.operations.clusters.reach.observe import Notes, acknowledged, holes, known, lay_out, opens, told
from dbops.operations.clusters.reach.way import Asked, Way, way
from dbops.operations.clusters.repository import Repository, control, observe

if TYPE_CHECKING:
    from dbops.operations.clusters.reach import server


def window(config: Config, target: str, run: Run, now: datetime) -> Window:
    """Lay out what is within reach. The repository suffices; the server adds what only it knows."""
    place = config.cluster[target]
    repository = observe(place, target=target, run=run)
    notes = Notes()
    rpo, live = _rpo(place, repository, run)
    intervals = [one for archive in repository.archives for one in _intervals(place, repository, archive, live, notes)]
    gaps = [
        told(gap, archive)
        for archive in repository.archives
        for gap in holes(repository, archive, acknowledged(place, archive))
    ]
    return Window(
        target=target,
        now=now,
        intervals=tuple(intervals),
        gaps=tuple(gaps),
        backups=tuple(known(place, repository)),
        rpo=rpo,
        archiver=live.archiver if live else None,
        duplicates=tuple(archive.name(one) for archive in repository.archives for one in archive.duplicates),
        unread=tuple(f"repository {one.repository}: {one.why}" for one in repository.unread),
        about=tuple(dict.fromkeys(notes.told)),
        foreign=_foreign(repository, live),
    )


def _foreign(repository: Repository, live: "server.Live | None") -> int | None:
    """Return the identity of a server that is not the cluster behind the stanza."""
    known = {one.system_id for one in repository.stanza.databases}
    return live.system if live is not None and known and live.system not in known else None


def _own(place: Cluster, repository: Repository, archive: Archive, live: "server.Live | None") -> int:
    """Return the timeline that the cluster is on; the highest one, where neither server nor data can be asked.

    After a way back the highest is one that was given up: nobody wants to be led there without having named it.
    """
    lines, known = timelines(archive), repository.database(archive)
    if len(lines) == 1 or known is None:
        return lines[-1]
    if live is not None and live.system == known.system_id and live.timeline in lines:
        return live.timeline
    told = control(place, known, target=repository.target)
    return told.timeline if told is not None and told.timeline in lines else lines[-1]


def _intervals(
    place: Cluster, repository: Repository, archive: Archive, live: "server.Live | None", notes: Notes
) -> Iterator[Interval]:
    if not timelines(archive):
        return
    own = _own(place, repository, archive, live)
    found = holes(repository, archive, acknowledged(place, archive))
    for timeline in timelines(archive):
        along = track(archive, timeline)
        if not (sets := opens(repository, archive, along)):
            continue
        with reading(place, archive, along, target=repository.target) as reader:
            laid = lay_out(reader, sets, found, own, notes)
            yield from (one.interval for one in laid)


def _rpo(place: Cluster, repository: Repository, run: Run) -> "tuple[Rpo, server.Live | None]":
    """Judge by the repository that is furthest; every one of them gets each segment."""
    from dbops.operations.clusters.reach import server  # brings psycopg, which most ways can do without

    live = server.look(place, run, target=repository.target)
    ends = [
        (along.last, archive, along)
        for archive in repository.archives
        if archive is repository.current(archive.repository) and timelines(archive)
        for along in (track(archive, _own(place, repository, archive, live)),)
        if along.last is not None
    ]
    if not ends:
        return server.rpo(place, live, None, size=1, version="", run=run, target=repository.target), live
    number, archive, along = max(ends, key=lambda one: (one[1].database_id, one[0]))
    last = along.at(number)
    version = archive.id.rpartition("-")[0]
    told = server.rpo(place, live, last, size=archive.segment_size, version=version, run=run, target=repository.target)
    return told, live


# ── The way to a target ──────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a way may begin: an archive, and one of its timelines."""

    archive: Archive
    timeline: int


def plan_target(config: Config, target: str, wanted: Target, run: Run, now: datetime) -> Chosen:
    """Choose the way to a target, or refuse: nothing has moved yet. Restores follow exactly what this returns."""
    place = config.cluster[target]
    repository = observe(place, target=target, run=run)
    holding = sorted({one.repository for one in repository.archives})
    if wanted.repository is not None and wanted.repository not in holding:
        raise choose.unknown_repository(target, wanted.repository, holding)
    first: DbopsError | None = None
    for one in _places(place, repository, wanted, run):
        try:
            found = _chosen(place, repository, one, wanted, run, now)
        except Refused as error:
            first = first or error
        else:
            stop.check()  # all was read that takes long, and nothing was done yet
            return found
    raise first or choose.nothing(target)


def _places(place: Cluster, repository: Repository, wanted: Target, run: Run) -> Iterator[_Place]:
    """Go through the repositories in their order; only a named set leads to an incarnation that is over."""
    named = [one for one in repository.stanza.backups if one.label == wanted.label]
    for key in sorted({one.repository for one in repository.archives}):
        if wanted.repository not in (None, key):
            continue
        archive = repository.current(key)
        mine = next((repository.archive(one) for one in named if one.repository == key), None)
        archive = mine or archive
        if archive is None or not (lines := timelines(archive)):
            continue
        if wanted.timeline is not None and wanted.timeline not in lines:
            raise choose.unknown_timeline(repository.target, wanted.timeline, lines)
        yield _Place(
            archive, wanted.timeline or _own(place, repository, archive, _asked(place, repository, lines, run))
        )


def _asked(place: Cluster, repository: Repository, lines: Sequence[int], run: Run) -> "server.Live | None":
    """Ask the server only where there is something to choose."""
    if len(lines) == 1:
        return None
    from dbops.operations.clusters.reach import server

    return server.look(place, run, target=repository.target)


def _chosen(  # noqa: PLR0917
    place: Cluster, repository: Repository, at: _Place, wanted: Target, run: Run, now: datetime
) -> Chosen:
    target, archive = repository.target, at.archive
    along = track(archive, at.timeline)
    sets = opens(repository, archive, along)
    _known_set(repository, archive, wanted, at.timeline, {one.label for one in sets})
    if not sets:
        raise choose.nothing(target, at.timeline)
    with reading(place, archive, along, target=target) as reader:
        found = holes(repository, archive, acknowledged(place, archive))
        asked = Asked(reader, sets, found, wanted, now, lambda: _rpo(place, repository, run)[0])
        return _complete(repository, archive, way(asked), wanted)


def _known_set(repository: Repository, archive: Archive, wanted: Target, timeline: int, there: set[str]) -> None:
    if wanted.label is None or wanted.label in there:
        return
    known = [one for one in repository.backups(archive) if one.label == wanted.label]
    others = [
        number
        for number in timelines(archive)
        if number != timeline
        and any(one.label == wanted.label for one in opens(repository, archive, track(archive, number)))
    ]
    complete = reach(known[0], archive).complete if known else None
    raise choose.no_such_set(repository.target, wanted.label, timeline, others, complete=complete)


def _complete(repository: Repository, archive: Archive, found: Way, wanted: Target) -> Chosen:
    """Add what has to be read, and what the set is built on."""
    one, along = found.open, found.track
    last = min(max(found.stop.at - 1, one.stop) // archive.segment_size, one.run[1])
    last = max(last, min(one.last, one.run[1]))
    files = [archive.file(along.at(number)) for number in range(one.first, last + 1)]
    sets = chain(repository.stanza.backups, one.label, repository=archive.repository)
    return Chosen(
        target=repository.target,
        wanted=wanted.told,
        options=choose.options(found.wanted, one.label, archive.repository, along.timeline),
        label=one.label,
        chain=tuple(each.label for each in sets),
        repository=archive.repository,
        timeline=along.timeline,
        size_bytes=one.backup.size,
        first=archive.name(along.at(one.first)),
        last=archive.name(along.at(last)),
        segments=len(files),
        wal_bytes=sum(file.size for file in files if file is not None),
        before=found.stop.before,
        after=found.stop.after,
        losses=found.losses,
        notes=found.notes,
    )


def planned(config: Config, target: str, wanted: Target, run: Run, now: datetime) -> Planned:
    """Plan a restore: the way, what does not survive it, and how long it will take."""
    from dbops.operations.clusters.reach import server

    place = config.cluster[target]
    chosen = plan_target(config, target, wanted, run, now)
    took = durations.measured(run.state_dir, target)
    seconds = durations.predicted(took, size=chosen.size_bytes, segments=chosen.segments)
    return Planned(
        chosen=chosen,
        predicted=None if seconds is None else timedelta(seconds=seconds),
        objective=place.objectives.rto,
        bystanders=server.bystanders(place, run, target=target),
        options=chosen.options.arguments(),
    )
