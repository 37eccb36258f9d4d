"""What verifying has found, as findings; pure. Codes are stable.

DBB301 nothing to restore from · DBB302 repository not readable · DBB303 one of an info file and its copy damaged ·
DBB304 both damaged · DBB305 one of a manifest and its copy damaged · DBB306 both damaged · DBB307 file of a set
missing · DBB308 file of a set damaged · DBB309 chain incomplete · DBB310 WAL of a backup missing · DBB311 WAL missing
behind a backup · DBB312 a gap that was acknowledged · DBB313 WAL damaged · DBB314 another cluster behind the stanza ·
DBB315 pages broken in the source · DBB316 pgbackrest verify failed · DBB317 not understood or not read · DBB318 a file
without a checksum has changed · DBB319 such files seen for the first time · DBB320 files that belong to nothing ·
DBB321 remembered on this host only · DBB322 not remembered · DBB323 two contents of one segment · DBB324 no server to
compare with · DBB325 WAL of no backup, missing · DBB326 could not be looked at · DBB327 a restore failed ·
DBB328 expired meanwhile · DBB329 a set that is being taken meanwhile
"""

from collections.abc import Iterable, Iterator, Sequence

from dbops import units
from dbops.engine.finding import Finding, Severity
from dbops.operations.clusters.archives import Archive, BackupSet
from dbops.operations.clusters.prove.facts import Fault, Judged, Pair, Told, Wrong
from dbops.operations.clusters.reach.continuity import Lost, gaps, reach

_SHOWN = 10
_RUNBOOK = "see the runbook backup-is-red.md"


class Judge:
    """Makes findings of one repository of one cluster."""

    def __init__(self, target: str, repository: int) -> None:
        self.target, self.repository = target, repository

    def say(
        self, severity: Severity, code: str, message: str, hint: str | None = None, label: str | None = None
    ) -> Judged:
        of = f"repository {self.repository}: " if self.repository else ""
        return Judged(self.repository, label, Finding(severity, code, self.target, of + message, hint))

    def unread(self, why: str) -> Judged:
        hint = "is the path right, the store reachable, and the pass of its cipher the one it was created with?"
        return self.say(Severity.UNKNOWN, "DBB302", f"it cannot be read, so nothing of it was verified: {why}", hint)

    def nothing(self, stanza: str) -> Judged:
        told = f"stanza {stanza} has no backup: there is nothing that the cluster could be restored from"
        return self.say(Severity.BAD, "DBB301", told, f"dbops backup run --target {self.target}")

    def info(self, pair: Pair) -> Iterator[Judged]:
        yield from self._pair(pair, "DBB303", "DBB304", None)

    def manifest(self, pair: Pair, label: str) -> Iterator[Judged]:
        yield from self._pair(pair, "DBB305", "DBB306", label)

    def _pair(self, pair: Pair, one: str, both: str, label: str | None) -> Iterator[Judged]:
        if pair.original is None and pair.copy is None:
            return
        if pair.could_not_read:
            told = f"{pair.path} could not be read: {pair.original or pair.copy}"
            yield self.say(Severity.UNKNOWN, "DBB317", told, "run it again when it can be", label)
        elif pair.original is not None and pair.copy is not None:
            told = f"{pair.path} and its copy are both of no use: {pair.original}; the copy: {pair.copy}"
            yield self.say(Severity.BAD, both, told, _RUNBOOK, label)
        else:
            which, why = (pair.path, pair.original) if pair.copy is None else (f"{pair.path}.copy", pair.copy)
            told = f"{which} is of no use: {why}; its twin still is whole"
            yield self.say(Severity.BAD, one, told, "let it be written anew before the twin fails too", label)

    def faults(self, faults: Sequence[Fault], label: str | None) -> Iterator[Judged]:
        """Tell what is wrong with files: each, up to a number."""
        for wrong in Wrong:
            some = [one for one in faults if one.wrong is wrong]
            severity, code = _of(wrong, is_set=label is not None)
            for one in some[:_SHOWN] if severity is not Severity.INFO else ():
                yield self.say(severity, code, f"{one.path} is {wrong}: {one.why}", _hint(wrong), label)
            if len(some) > _SHOWN and severity is not Severity.INFO:
                yield self.say(severity, code, f"{len(some) - _SHOWN} more files are {wrong}", _hint(wrong), label)
            if some and severity is Severity.INFO:
                told = f"{len(some)} files belong to nothing, {some[0].path} for one"
                yield self.say(severity, code, told, None, label)

    def pages(self, backup: BackupSet) -> Iterator[Judged]:
        if backup.error:
            told = f"{backup.label} holds pages whose checksums were wrong in the source already"
            hint = f"pgbackrest info --set={backup.label} names files; restore an older set"
            yield self.say(Severity.BAD, "DBB315", told, hint, backup.label)

    def chain(self, backup: BackupSet, needs: Iterable[str], there: Iterable[str]) -> Iterator[Judged]:
        missing = sorted(set(needs) - set(there))
        if missing:
            told = f"{backup.label} is built on {', '.join(missing)}, which is not there"
            yield self.say(Severity.BAD, "DBB309", told, "take a new full backup", backup.label)

    def wal(self, backup: BackupSet, archive: Archive | None) -> Iterator[Judged]:
        """Tell whether the WAL of a backup's own making is there; without it the set is of no use at all."""
        if archive is None:
            told = f"{backup.label}: no WAL of its cluster is there"
            yield self.say(Severity.BAD, "DBB310", told, "take a new backup", backup.label)
            return
        way = reach(backup, archive)
        if not way.complete:
            name = "of its own" if way.missing is None else archive.name(way.missing)
            told = f"{backup.label} cannot become consistent: WAL segment {name} is missing"
            hint = "look for it in pg_wal or a second repository, otherwise take a new backup"
            yield self.say(Severity.BAD, "DBB310", told, hint, backup.label)

    def gaps(self, backups: Sequence[BackupSet], archive: Archive, lost: Sequence[Lost]) -> Iterator[Judged]:
        """Tell what is missing behind the oldest backup: moments that no backup reaches, or that need a later one."""
        starts = [one for each in backups if (one := archive.parse(each.wal_start or "")) is not None]
        since = min((one.number for one in starts), default=0)
        for gap in gaps(archive, lost, since=since):
            first, last = archive.name(gap.first), archive.name(gap.last)
            which = f"segment {first} is" if gap.count == 1 else f"{gap.count} segments {first} to {last} are"
            told = f"WAL {which} missing: the moments behind it need a later backup"
            if gap.lost is not None:
                told = f"{told} (known since {gap.lost.on}: {gap.lost.reason})"
                yield self.say(Severity.INFO, "DBB312", told)
            elif starts:
                hint = f"take a new backup; once understood, write it into [cluster.{self.target}.backup] lost"
                yield self.say(Severity.BAD, "DBB311", told, hint)
            else:
                yield self.say(Severity.INFO, "DBB325", told)
        for segment in archive.duplicates[:_SHOWN]:
            told = (
                f"WAL segment {archive.name(segment)} is there with two contents: two servers archive into one stanza"
            )
            yield self.say(Severity.BAD, "DBB323", told, "find the other server, and give it a stanza of its own")

    def being_taken(self, label: str, files: int, *, completed: bool) -> Judged:
        state = "was completed meanwhile" if completed else "is being taken just now"
        told = f"{label} {state}: {units.counted(files, 'file')} of it were not judged"
        return self.say(Severity.INFO, "DBB329", told, f"verify again: dbops backup verify --target {self.target}")

    def other_cluster(self, found: int, expected: int, where: str) -> Judged:
        told = f"{where} is of the cluster {found}, and the server behind the stanza is {expected}"
        hint = "is it the right stanza? after a pg_upgrade or a new initdb: pgbackrest stanza-upgrade"
        return self.say(Severity.BAD, "DBB314", told, hint)

    def without(self, why: str) -> Judged:
        told = f"pgbackrest verify was of no use ({why.splitlines()[0]}): dbops reads every file itself"
        return self.say(Severity.INFO, "DBB316", told)

    def said(self, name: str, told: Told | None, label: str | None) -> Iterator[Judged]:
        """Tell what pgbackrest verify says of a set or an archive; its silence is no pass."""
        if told is None:
            message = f"pgbackrest verify says nothing of {name}"
            yield self.say(Severity.UNKNOWN, "DBB316", message, "run it again", label)
        elif not told.valid:
            message = f"pgbackrest verify: {name}: {told.good} of {told.checked} files are valid ({told.counts})"
            code = "DBB313" if label is None else "DBB308"
            yield self.say(Severity.BAD, code, message, _RUNBOOK, label)


def _of(wrong: Wrong, *, is_set: bool) -> tuple[Severity, str]:
    match wrong:
        case Wrong.MISSING:
            return Severity.BAD, "DBB307"
        case Wrong.DAMAGED:
            return Severity.BAD, "DBB308" if is_set else "DBB313"
        case Wrong.CHANGED:
            return Severity.BAD, "DBB318"
        case Wrong.UNREAD | Wrong.NOT_UNDERSTOOD:
            return Severity.UNKNOWN, "DBB317"
        case Wrong.EXTRA | Wrong.TEMPORARY:
            return Severity.INFO, "DBB320"


def _hint(wrong: Wrong) -> str | None:
    match wrong:
        case Wrong.MISSING | Wrong.DAMAGED:
            return "take a new full backup now, then look at the store: " + _RUNBOOK
        case Wrong.CHANGED:
            return "compare it with a second repository"
        case Wrong.UNREAD | Wrong.NOT_UNDERSTOOD:
            return "read it with pgbackrest repo-get"
        case Wrong.EXTRA | Wrong.TEMPORARY:
            return None
