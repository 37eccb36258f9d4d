"""Verify a cluster's backups: every repository by itself, journaled, and what was found is remembered."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from dbops.config.model import Cluster, Config
from dbops.engine import journal
from dbops.engine.finding import Finding, Severity, Verdict, verdict
from dbops.engine.run import Run
from dbops.errors import ConfigInvalid, DbopsError, Stopped, UsageError
from dbops.operations.clusters import locks, remembered
from dbops.operations.clusters import repository as repositories
from dbops.operations.clusters.archives import Archive
from dbops.operations.clusters.proofs import Depth, Remembered
from dbops.operations.clusters.prove import by_restore, observe
from dbops.operations.clusters.prove.check import Judge
from dbops.operations.clusters.prove.facts import Judged, Outcome, SetOutcome, Wanted
from dbops.operations.clusters.prove.reading import Eye, OnProgress
from dbops.operations.clusters.prove.repository import Looking, Trusted, continuity, damaged_infos, verify
from dbops.operations.clusters.reach.continuity import Lost, stretches
from dbops.operations.clusters.remembered import Memory
from dbops.operations.clusters.repository import Listing
from dbops.stores import pgbackrest
from dbops.stores.pgbackrest import StanzaInfo
from dbops.stores.pgbackrest.program import refuse_wrong_account


@dataclass(frozen=True, slots=True)
class _Asking:
    """One verification: of what, how, by whom, and what was found before."""

    target: str
    run: Run
    wanted: Wanted
    now: datetime
    memory: Memory
    past: tuple[Remembered, ...]
    away: DbopsError | None  # why nothing could be recalled


@dataclass(frozen=True, slots=True)
class _Found:
    """What looking has come to."""

    stanza: StanzaInfo
    archives: Sequence[Archive]
    looks: Sequence[Looking]
    general: Sequence[Judged]  # of no repository


def verified(
    config: Config, target: str, run: Run, wanted: Wanted, *, now: datetime, on_progress: OnProgress
) -> Outcome:
    """Verify all backups of one cluster, or one set. Needs no server, and changes nothing in any repository."""
    refuse_wrong_account(config.cluster[target], target=target)
    facts = {"command": run.command, "actor": run.actor, "host": run.holder["host"], "pid": run.holder["pid"]}
    facts["environment"] = config.platform.environment
    with journal.opened(run.state_dir, run.id, target, **facts) as log, locks.reading(run, target):
        log.write("verify", depth=wanted.depth.value, subset=wanted.slice_name, label=wanted.label)
        memory = remembered.memory(config, run.state_dir)
        past, away = _recalled(memory, target)
        # a restore reads what one set needs; whether all of it is whole, only reading all of it tells
        reading = replace(wanted, depth=Depth.FULL) if wanted.depth is Depth.RESTORE else wanted
        asking = _Asking(target, run, reading, now, memory, past, away)
        outcome = _all(config.cluster[target], asking, on_progress=on_progress)
        if wanted.depth is Depth.RESTORE:
            told = by_restore.proved(config, target, run, wanted.label, log=log, on_progress=on_progress)
            findings = (*outcome.findings, *told.findings)
            outcome = replace(
                outcome,
                depth=wanted.depth,
                verdict=verdict(findings),
                findings=findings,
                restored=tuple(told.restored),
            )
        log.write("verdict", verdict=outcome.verdict.value, codes=sorted({f.code for f in outcome.findings}))
    return outcome


def _recalled(memory: Memory, target: str) -> tuple[tuple[Remembered, ...], DbopsError | None]:
    try:
        return remembered.recall(memory.store, target), None
    except (Stopped, ConfigInvalid):
        raise
    except DbopsError as error:  # a vault that is away does not keep anybody from verifying
        return (), error


def _all(place: Cluster, asking: _Asking, *, on_progress: OnProgress) -> Outcome:
    target, wanted = asking.target, asking.wanted
    stanza = _stanza(place, target)
    if isinstance(stanza, Finding):
        keys = sorted({1, *map(int, place.repository)})
        damage = [one.finding for key in keys for one in damaged_infos(Eye(place, target, key))]
        told = (stanza, *damage)
        return Outcome(target, wanted.depth, wanted.slice_name, verdict(told), findings=told)
    if wanted.label is not None and all(one.label != wanted.label for one in stanza.backups):
        known = ", ".join(one.label for one in stanza.backups) or "none"
        raise UsageError(f"{wanted.label} is no backup set of {target}", hint=f"there are: {known}")
    listing = observe.Listed()
    archives, unseen = _archives(place, target, listing)
    lost = _lost(place, archives)
    looks: list[Looking] = []
    for info in stanza.repositories:
        of = _trusted(asking.past, stanza, info.key, since_last=wanted.since_last)
        look = Looking(Eye(place, target, info.key), wanted, of, on_progress)
        verify(look, stanza, info, listing)
        look.judged += continuity(look, archives, stanza, lost)
        looks.append(look)
    general = [*unseen, *_behind(place, asking, stanza, looks), *_expired(place, target, stanza, looks)]
    # what all repositories share is only worth telling when none of them told it already
    told = [one for look in looks for one in look.judged]
    if any(one.finding.code in ("DBB302", "DBB304") for one in told):
        general = [one for one in general if one.finding.code != "DBB326"]
    return _outcome(asking, _Found(stanza, archives, looks, general))


def _expired(place: Cluster, target: str, before: StanzaInfo, looks: Sequence[Looking]) -> list[Judged]:
    """Take back what is said of sets that somebody expired meanwhile: verifying keeps nobody from that."""
    if all(one.finding.severity is Severity.INFO for look in looks for one in look.judged):
        return []
    now = _stanza(place, target)
    there: set[tuple[int, str]] = (
        set() if isinstance(now, Finding) else {(one.repository, one.label) for one in now.backups}
    )
    gone = {(one.repository, one.label) for one in before.backups} - there
    if not gone or not there:
        return []
    for look in looks:
        of = [one for one in look.judged if (one.repository, one.label) not in gone]
        # the WAL that only they needed went with them
        look.judged = [one for one in of if one.label is not None or one.finding.code != "DBB307"]
    told = f"{', '.join(sorted({label for _, label in gone}))} was expired while it was being verified"
    return [Judged(0, None, Finding(Severity.WARNING, "DBB328", target, told, "run it again"))]


def _stanza(place: Cluster, target: str) -> StanzaInfo | Finding:
    try:
        found = [one for one in pgbackrest.info(place, target=target) if one.name == place.stanza]
    except (Stopped, ConfigInvalid):
        raise
    except DbopsError as error:
        told = f"pgbackrest info failed, so nothing was verified: {error.message}"
        return Finding(Severity.UNKNOWN, "DBB302", target, told, error.hint)
    return found[0] if found else Judge(target, 0).nothing(str(place.stanza)).finding


def _archives(place: Cluster, target: str, listing: Listing) -> tuple[tuple[Archive, ...], list[Judged]]:
    try:
        return repositories.observe(place, target=target, listing=listing).archives, []
    except (Stopped, ConfigInvalid):
        raise
    except DbopsError as error:
        told = f"the WAL could not be held against the backups: {error.message}"
        return (), [Judged(0, None, Finding(Severity.UNKNOWN, "DBB326", target, told, error.hint))]


def _lost(place: Cluster, archives: Sequence[Archive]) -> list[Lost]:
    """Number the gaps that the configuration acknowledges; which archive they are of, nothing tells."""
    found = {
        (first, last): Lost(first, last, one.reason, one.on)
        for one in place.backup.lost
        for archive in archives
        if (first := archive.parse(one.first)) is not None and (last := archive.parse(one.last)) is not None
    }
    return list(found.values())


def _trusted(past: Sequence[Remembered], stanza: StanzaInfo, key: int, *, since_last: bool) -> Trusted:
    """Take from memory what is of this very cluster; a slice, or anything bad since, ends the trust."""
    system = _system(stanza, key)
    mine = [one for one in past if one.repository == key and one.system_id in (None, system)]
    witnessed: dict[str, str] = {}
    for one in mine:  # newest first: what was seen first is written last
        witnessed |= one.witnessed
    if not since_last:
        return Trusted(witnessed=witnessed)
    wal = remembered.last(mine, repository=key, label=None, at_least=Depth.FULL)
    labels = frozenset(
        one.label
        for one in stanza.backups
        if (stands := remembered.last(mine, repository=key, label=one.label, at_least=Depth.FULL)) is not None
        and stands.good
    )
    return Trusted(labels, wal.stretches if wal is not None and wal.good else (), witnessed)


def _system(stanza: StanzaInfo, key: int) -> int | None:
    of = [one for one in stanza.databases if one.repository == key]
    return max(of, key=lambda one: one.id).system_id if of else None


def _behind(place: Cluster, asking: _Asking, stanza: StanzaInfo, looks: Sequence[Looking]) -> list[Judged]:
    """Compare the cluster that the repositories tell of with the one that is there."""
    versions = [one.version for one in sorted(stanza.databases, key=lambda one: one.id)]
    if not any(look.systems for look in looks):
        return []
    live = observe.system_of(place, asking.run, asking.target, versions[-1] if versions else "15")
    if live is None:
        told = "no server or data directory told which cluster is behind the stanza, so that was not compared"
        return [Judged(0, None, Finding(Severity.INFO, "DBB324", asking.target, told))]
    current = [(look, look.systems[max(look.systems)]) for look in looks if look.systems]
    return [look.judge.other_cluster(one, live, "the stanza") for look, one in current if one != live]


def _outcome(asking: _Asking, found: _Found) -> Outcome:
    target, wanted, looks, memory = asking.target, asking.wanted, found.looks, asking.memory
    judged = [*(one for look in looks for one in look.judged), *found.general]
    sets = tuple(_sets(found.stanza, looks, wanted))
    findings = list(dict.fromkeys(one.finding for one in judged))
    results = [*_results(asking, found.stanza, sets), *_wal(asking, found)]
    place: str | None = None
    try:
        if asking.away is not None:
            raise asking.away
        place = remembered.remember(memory.store, target, asking.run, results)
    except Stopped:
        raise
    except DbopsError as error:
        told = f"what was found could not be remembered: {error.message}"
        findings.append(Finding(Severity.WARNING, "DBB322", target, told, error.hint))
    if place is not None and memory.local:
        told = "what was found is remembered on this host only: the configuration names no vault"
        findings.append(Finding(Severity.INFO, "DBB321", target, told, 'add [vault] url = "..."'))
    return Outcome(
        target=target,
        depth=wanted.depth,
        subset=wanted.slice_name,
        verdict=verdict(findings),
        sets=sets,
        segments=sum(look.segments for look in looks),
        read_files=sum(look.files for look in looks),
        read_bytes=sum(look.size for look in looks),
        kept=place,
        findings=tuple(findings),
    )


def _sets(stanza: StanzaInfo, looks: Sequence[Looking], wanted: Wanted) -> list[SetOutcome]:
    """Judge each set by itself, by those that it is built on, and by what is wrong with its whole repository."""
    found: list[SetOutcome] = []
    for look in looks:
        whole = [j.finding for j in look.judged if j.label is None and j.finding.code in ("DBB302", "DBB304")]
        for one in stanza.backups:
            if one.repository != look.eye.repository or wanted.label not in (None, one.label):
                continue
            needs = {one.label, *one.references}
            own = [*whole, *(j.finding for j in look.judged if j.label in needs)]
            codes = tuple(sorted({f.code for f in own if f.severity is not Severity.INFO}))
            skipped = one.label in look.trusted.labels
            found.append(SetOutcome(look.eye.repository, one.label, verdict(own), codes, skipped))
    return found


def _results(asking: _Asking, stanza: StanzaInfo, sets: Sequence[SetOutcome]) -> list[Remembered]:
    """What could not be verified is not remembered: it neither proves nor disproves what was found before."""
    return [
        _result(asking, stanza, (one.repository, one.label), one.verdict, one.codes)
        for one in sets
        if one.verdict is not Verdict.COULD_NOT_VERIFY and not one.skipped
    ]


def _wal(asking: _Asking, found: _Found) -> list[Remembered]:
    wanted = asking.wanted
    if wanted.label is not None or any(one.finding.code == "DBB326" for one in found.general):
        return []
    reads = wanted.depth is not Depth.QUICK
    results: list[Remembered] = []
    for look in found.looks:
        own = [j.finding for j in look.judged if j.label is None]
        if verdict(own) is Verdict.COULD_NOT_VERIFY:
            continue
        codes = tuple(sorted({f.code for f in own if f.severity is not Severity.INFO}))
        one = _result(asking, found.stanza, (look.eye.repository, None), verdict(own), codes)
        whole = reads and one.subset is None and one.good
        witnessed = {**look.witnessed, **look.trusted.witnessed} if reads else {}
        results.append(replace(one, stretches=_stretches(found, look) if whole else (), witnessed=witnessed))
    return results


def _stretches(found: _Found, look: Looking) -> tuple[tuple[str, str, str], ...]:
    return tuple(
        (archive.id, archive.name(one.first), archive.name(one.last))
        for archive in found.archives
        if archive.repository == look.eye.repository
        for one in stretches(archive)
    )


def _result(
    asking: _Asking, stanza: StanzaInfo, of: tuple[int, str | None], found: Verdict, codes: tuple[str, ...]
) -> Remembered:
    repository, label = of
    return Remembered(
        target=asking.target,
        repository=repository,
        label=label,
        depth=asking.wanted.depth,
        verdict=found,
        at=asking.now,
        run=asking.run.id,
        subset=asking.wanted.slice_name,
        system_id=_system(stanza, repository),
        codes=codes,
    )
