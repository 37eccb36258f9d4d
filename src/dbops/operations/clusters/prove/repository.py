"""Verify one repository of a stanza."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

from dbops.engine import stop
from dbops.errors import ConfigInvalid, DbopsError, Stopped
from dbops.operations.clusters.archives import Archive, File
from dbops.operations.clusters.proofs import Depth
from dbops.operations.clusters.prove import beside, names, observe, said, sealed
from dbops.operations.clusters.prove.check import Judge
from dbops.operations.clusters.prove.facts import Judged, Read, Task, Wanted, Wrong
from dbops.operations.clusters.prove.names import Kind
from dbops.operations.clusters.prove.observe import Lying
from dbops.operations.clusters.prove.reading import Eye, OnProgress, read
from dbops.operations.clusters.reach.continuity import Lost
from dbops.operations.clusters.repository import Listing
from dbops.stores import pgbackrest
from dbops.stores.pgbackrest import BackupInfo, RepositoryInfo, StanzaInfo


@dataclass(frozen=True, slots=True)
class Trusted:
    """What earlier verifications have proved of this repository; empty unless it may be trusted."""

    labels: frozenset[str] = frozenset()
    stretches: tuple[tuple[str, str, str], ...] = ()
    witnessed: Mapping[str, str] = field(default_factory=dict[str, str])

    def holds(self, path: str) -> bool:
        """Tell whether a segment (its path below the stanza's archive) was read before."""
        found = names.segment(path)
        id = path.partition("/")[0]  # noqa: A001  # as pgBackRest calls it
        return found is not None and any(of == id and a <= found[0] <= b for of, a, b in self.stretches)


@dataclass(slots=True)
class Looking:
    """One verification of one repository, and what it has come to so far."""

    eye: Eye
    wanted: Wanted
    trusted: Trusted
    on_progress: OnProgress
    judged: list[Judged] = field(default_factory=list[Judged])
    files: int = 0
    size: int = 0
    segments: int = 0
    witnessed: dict[str, str] = field(default_factory=dict[str, str])
    systems: dict[int, int] = field(default_factory=dict[int, int])

    @property
    def judge(self) -> Judge:
        return Judge(self.eye.target, self.eye.repository)

    def read(self, tasks: Iterable[Task], count: int, label: str | None) -> Read:
        done = read(self.eye, tasks, count, witnessed=self.trusted.witnessed, on_progress=self.on_progress)
        self.files += done.files
        self.size += done.size
        self.witnessed |= done.witnessed
        self.judged += self.judge.faults(done.faults, label)
        return done


def verify(look: Looking, stanza: StanzaInfo, info: RepositoryInfo, listing: Listing) -> None:
    """Look at all of it; whatever cannot be looked at is told, and the rest is looked at all the same."""
    try:
        found = observe.lying(look.eye, listing)
    except (Stopped, ConfigInvalid):
        raise
    except DbopsError as error:
        look.judged.append(look.judge.unread(error.message))
        return
    if not found.archive and not found.backup:
        look.judged.append(look.judge.nothing(stanza.name))
        return
    if not _infos(look, info):
        return
    sets = [one for one in stanza.backups if one.repository == look.eye.repository]
    if not sets:
        look.judged.append(look.judge.nothing(stanza.name))
    look.judged += _strangers(look, found, {one.label for one in sets})
    chosen = _with_chains([one for one in sets if look.wanted.label in (None, one.label)], sets)
    told = _said(look, chosen)
    for one in chosen:
        stop.check()
        _set(look, one, found, sets, told)
    _wal(look, found, told, chosen)


def _strangers(look: Looking, found: Lying, labels: set[str]) -> Iterator[Judged]:
    """Tell what belongs to nothing; where it looks like a set, see whether somebody is just taking it."""
    strangers = tuple(observe.strangers(found, labels))
    if any(beside.label_of(one.path) for one in strangers):
        place = look.eye.place
        now = [one for one in pgbackrest.info(place, target=look.eye.target) if one.name == place.stanza]
        own = [one.label for each in now for one in each.backups if one.repository == look.eye.repository]
        running = any(one.backup_running for one in now)
        label = beside.being_taken(strangers, labels, own, running=running)
        if label is not None:
            ours = beside.without(strangers, label)
            yield look.judge.being_taken(label, len(strangers) - len(ours), completed=label in own)
            strangers = ours
    yield from look.judge.faults(strangers, None)


def _with_chains(chosen: Sequence[BackupInfo], sets: Sequence[BackupInfo]) -> list[BackupInfo]:
    needed = {label for one in chosen for label in (one.label, *one.references)}
    return [one for one in sets if one.label in needed]


def damaged_infos(eye: Eye) -> list[Judged]:
    """Look at the info files alone: a flipped byte in one of them may be too much for pgBackRest to tell anything.

    Where none can be used it is not damage that is seen, but that nothing can be read.
    """
    found = [observe.pair(eye, f"{folder}/{eye.stanza}/{folder}.info") for folder in ("archive", "backup")]
    if all(content is None for _, content in found):
        return []
    judge = Judge(eye.target, eye.repository)
    return [judged for one, _ in found for judged in judge.info(one)]


def _infos(look: Looking, info: RepositoryInfo) -> bool:
    """Read the four info files; False when not one of them can be used."""
    found = [observe.pair(look.eye, f"{folder}/{look.eye.stanza}/{folder}.info") for folder in ("archive", "backup")]
    usable = [content for _, content in found if content is not None]
    whys = [why for one, _ in found for why in (one.original, one.copy)]
    if not usable and info.cipher != "none" and all(why and why != "it is not there" for why in whys):
        # Four files that all fail at once: the pass, not the files.
        look.judged.append(look.judge.unread(f"the pass of its cipher does not open it ({info.message})"))
        return False
    for one, content in found:
        look.judged += look.judge.info(one)
        for number, system in sealed.systems(content or {}).items():
            if look.systems.setdefault(number, system) != system:
                look.judged.append(look.judge.other_cluster(system, look.systems[number], one.path))
    return bool(usable)


# ── pgBackRest's own word ────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Word:
    """What `pgbackrest verify` says; None: dbops reads everything itself."""

    said: said.Said | None


def _said(look: Looking, chosen: Sequence[BackupInfo]) -> Word:
    wanted = look.wanted
    if wanted.depth is Depth.QUICK or wanted.subset or wanted.since_last or wanted.label or not chosen:
        return Word(None)
    options = (f"--repo={look.eye.repository}", "--output=text", "--verbose", "--log-level-console=off")
    try:
        done = pgbackrest.run(look.eye.place, "verify", *options, target=look.eye.target, connects=False)
    except Stopped:
        raise
    except DbopsError as error:  # it stumbles over the first file that it cannot unpack
        look.judged.append(look.judge.without(error.message))
        return Word(None)
    found = said.parse(done.out.decode("utf-8", "replace"))
    if found.status and (found.backups or found.archives):
        return Word(found)
    look.judged.append(look.judge.without("it said nothing that is understood"))
    return Word(None)


# ── One set ──────────────────────────────────────────────────────────────────────────────────────


def _set(look: Looking, one: BackupInfo, found: Lying, sets: Sequence[BackupInfo], word: Word) -> None:
    judge, label = look.judge, one.label
    look.judged += judge.pages(one)
    look.judged += judge.chain(one, (*one.references, *((one.prior,) if one.prior else ())), [b.label for b in sets])
    twins, sections = observe.pair(look.eye, f"backup/{look.eye.stanza}/{label}/backup.manifest")
    look.judged += judge.manifest(twins, label)
    reads = look.wanted.depth is not Depth.QUICK and label not in look.trusted.labels
    if word.said is not None:
        told = list(judge.said(label, word.said.backups.get(label), label))
        look.judged += told
        reads = bool(told)  # only to name what it merely counts
        look.files += word.said.backups[label].checked if label in word.said.backups else 0
    if sections is None:
        return
    expected, there = sealed.stored(sections, label), found.sets.get(label, {})
    faults = tuple(observe.compared(label, expected, there))
    look.judged += judge.faults(faults, label)
    if reads:
        known = {fault.path for fault in faults if fault.wrong is Wrong.DAMAGED}
        tasks = observe.set_tasks(look.eye, label, expected, there, look.wanted.subset)
        wanted = [task for task in tasks if task.path.removeprefix(f"backup/{look.eye.stanza}/") not in known]
        look.read(wanted, len(wanted), label)


# ── The WAL ──────────────────────────────────────────────────────────────────────────────────────


def _wal(look: Looking, found: Lying, word: Word, chosen: Sequence[BackupInfo]) -> None:
    if look.wanted.depth is Depth.QUICK:
        return
    fine: set[str] = set()
    if word.said is not None:
        ids = {name.partition("/")[0] for name, _, _ in found.archive if names.segment(name)}
        fine = {id for id in ids if (told := word.said.archives.get(id)) is not None and told.valid}  # noqa: A001
        for id in sorted(ids):  # noqa: A001
            look.judged += look.judge.said(id, word.said.archives.get(id), None)
        look.segments += sum(told.checked for told in word.said.archives.values())
    files: list[File] = []
    for file, kind in observe.wal_files(look.eye, found, look.wanted.subset):
        if look.wanted.label is not None and not _needed(file[0], chosen):
            continue
        if kind is Kind.SEGMENT:
            if look.trusted.holds(file[0]) or file[0].partition("/")[0] in fine:
                continue
            look.segments += word.said is None
        files.append(file)
    old = () if look.wanted.label else tuple(observe.old_manifests(look.eye, found, look.wanted.subset))
    done = look.read(chain(observe.wal_tasks(look.eye, files), old), len(files) + len(old), None)
    _blame(look, done, chosen)


def _needed(path: str, chosen: Sequence[BackupInfo]) -> bool:
    found = names.segment(path)
    return found is not None and any((b.wal_start or "") <= found[0] <= (b.wal_stop or "") for b in chosen)


def _blame(look: Looking, done: Read, chosen: Sequence[BackupInfo]) -> None:
    """A set is no better than the WAL of its own making."""
    for fault in done.faults:
        found = names.segment(fault.path.removeprefix(f"archive/{look.eye.stanza}/"))
        if found is not None and fault.wrong in (Wrong.DAMAGED, Wrong.MISSING):
            for one in chosen:
                if (one.wal_start or "") <= found[0] <= (one.wal_stop or ""):
                    look.judged += look.judge.faults((fault,), one.label)


def continuity(
    look: Looking, archives: Sequence[Archive], stanza: StanzaInfo, lost: Sequence[Lost]
) -> Iterator[Judged]:
    """Hold every set against the WAL that is listed: pgBackRest does not."""
    mine = [one for one in archives if one.repository == look.eye.repository]
    for one in stanza.backups:
        if one.repository == look.eye.repository and look.wanted.label in (None, one.label):
            yield from look.judge.wal(one, next((a for a in mine if a.database_id == one.database_id), None))
    if look.wanted.label is None:
        for archive in mine:
            of = [
                b for b in stanza.backups if (b.repository, b.database_id) == (archive.repository, archive.database_id)
            ]
            yield from look.judge.gaps(of, archive, lost)
