"""Doing one step of a run: what is told of it grows in `told` and `taken`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import assert_never

from dbops import process
from dbops.config.model import Cluster, Config
from dbops.engine import clock, stop
from dbops.engine.finding import Finding
from dbops.engine.plan import Step
from dbops.engine.run import Progress, Run
from dbops.errors import CouldNotVerify, DbopsError, LockBusy, Refused, Stopped, Unreachable, VerifiedBad
from dbops.operations.clusters.take import archived, check, configuration, failures, orphans, progress
from dbops.operations.clusters.take.facts import (
    Action,
    EndOrphans,
    Facts,
    KeepConfiguration,
    Orphan,
    Take,
    Taken,
    Wanted,
)
from dbops.operations.clusters.take.observe import settings
from dbops.stores import pgbackrest

_LABEL = "new backup label = "
_AGAIN_S = 0.5


@dataclass(slots=True)
class Doing:
    """What the steps of one run share."""

    config: Config
    run: Run
    facts: Facts
    wanted: Wanted
    toml: Path | None
    on_progress: Callable[[Progress], None]
    told: list[Finding] = field(default_factory=list[Finding])
    taken: list[Taken] = field(default_factory=list[Taken])
    places: Mapping[str, int] = field(default_factory=dict[str, int])  # of steps, for the progress

    @property
    def target(self) -> str:
        return self.facts.target

    @property
    def place(self) -> Cluster:
        return self.config.cluster[self.target]


def apply(doing: Doing, step: Step[Action]) -> None:
    match step.action:
        case EndOrphans(found):
            _end(doing, found)
        case Take() as action:
            _take(doing, step, action)
        case KeepConfiguration():
            _keep(doing)
        case _:
            assert_never(step.action)


def _end(doing: Doing, planned: tuple[Orphan, ...]) -> None:
    """End those that are orphans still: pids are used again."""
    still = tuple(one for one in orphans.find(doing.place) if one in planned)
    orphans.end(still)
    if still:
        doing.told.append(check.ended(doing.target, still))


def _take(doing: Doing, step: Step[Action], action: Take) -> None:
    began = clock.monotonic()

    def tell(share: str) -> None:
        doing.on_progress(
            Progress(doing.target, f"{step.summary}: {share}", doing.places.get(step.id, 0), len(doing.places))
        )

    with progress.told_of(settings(doing.place).lock, tell):
        done = _backed_up(doing, action)
    label = _label(done.out.decode("utf-8", "replace"))
    one, archive_id = _of_label(doing, label, action.repository)
    took = timedelta(seconds=clock.monotonic() - began)
    warned = [check.warned(doing.target, action.repository, one.label, text) for text in _warnings(done)]
    doing.told += [finding for finding in warned if finding is not None]
    if one.error and not any(finding.code == "DBB201" for finding in warned if finding is not None):
        doing.told.append(check.damaged(doing.target, one.label))
    doing.taken.append(_told(doing, one, took))
    size = doing.facts.segment_size
    if missing := archived.missing(doing.place, one, archive_id, size, target=doing.target):
        doing.told.append(check.lacks_wal(doing.target, one.label, missing))


def _backed_up(doing: Doing, action: Take) -> process.Finished:
    """Run pgBackRest; while another one holds its lock, wait as long as --lock-wait allows."""
    notes = {"run": doing.run.id, **({"reason": doing.wanted.reason} if doing.wanted.reason else {})}
    options = (
        *(f"--repo={action.repository}", f"--type={action.kind}", "--no-expire-auto", "--log-level-console=info"),
        *(f"--annotation={name}={value}" for name, value in notes.items()),
    )
    deadline = clock.monotonic() + doing.run.lock_wait.total_seconds()
    while True:
        try:
            return pgbackrest.run(
                doing.place, "backup", *options, target=doing.target, env={orphans.MARK: orphans.own_pid()}
            )
        except Stopped:
            orphans.end(orphans.find(doing.place))
            raise
        except DbopsError as error:
            orphans.end(orphans.find(doing.place))  # a main process that was killed leaves its workers
            why = failures.explained(error, doing.place, doing.run, target=doing.target, repository=action.repository)
            if not isinstance(why, LockBusy) or clock.monotonic() >= deadline:
                raise why from error
        stop.pause(_AGAIN_S)


def _warnings(done: process.Finished) -> list[str]:
    return [one.text for one in pgbackrest.messages(done.err) if one.level == "WARN"]


def _label(out: str) -> str | None:
    lines = (line.partition(_LABEL)[2].strip() for line in out.splitlines() if _LABEL in line)
    return next(lines, None)


def _of_label(doing: Doing, label: str | None, repository: int) -> tuple[pgbackrest.BackupInfo, str]:
    """Find the new set where the repository tells it, and the archive that it belongs to: only then it is there."""
    for stanza in pgbackrest.info(doing.place, target=doing.target):
        for one in stanza.backups:
            if one.repository == repository and one.label == label:
                place = (one.repository, one.database_id)
                ids = [each.id for each in stanza.archives if (each.repository, each.database_id) == place]
                return one, ids[-1] if ids else ""
    raise CouldNotVerify(
        f"pgBackRest has ended well, but repository {repository} does not tell its backup {label or ''}".rstrip(),
        hint="look at pgbackrest info; then run again",
        target=doing.target,
    )


def _told(doing: Doing, one: pgbackrest.BackupInfo, took: timedelta) -> Taken:
    return Taken(
        doing.target,
        one.repository,
        one.label,
        one.kind,
        one.started,
        one.stopped,
        took,
        one.size,
        one.repository_delta,
        page_errors=bool(one.error),
    )


def _keep(doing: Doing) -> None:
    """Keep the configuration beside the newest backup; without one there is nothing that it would belong to."""
    if not doing.wanted.configuration_only and not doing.taken:
        return  # no backup came of this run, which is told already
    newest = max(
        (one for stanza in pgbackrest.info(doing.place, target=doing.target) for one in stanza.backups),
        key=lambda one: (one.stopped, -one.repository),
        default=None,
    )
    if newest is None:
        raise Refused("there is no backup yet that the configuration would belong to", target=doing.target)
    try:
        folder = configuration.keep(doing.config, doing.target, doing.run, newest, doing.toml)
    except (Refused, Unreachable, VerifiedBad) as error:
        told = f"{newest.label} is complete, but its configuration was not kept: {error.message}"
        hint = "mend that, then: dbops backup run --configuration-only"
        raise type(error)(told, hint=hint, target=doing.target) from error
    doing.taken[:] = [replace(one, configuration=folder) for one in doing.taken]
