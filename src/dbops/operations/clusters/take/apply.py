"""Doing one step of a run: what is told of it grows in `told` and `taken`."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, assert_never

from dbops import process
from dbops.config.model import Cluster, Config
from dbops.engine import clock, stop
from dbops.engine.finding import Finding
from dbops.engine.plan import Step
from dbops.engine.run import Progress, Run
from dbops.errors import CouldNotVerify, DbopsError, LockBusy, Refused, Stopped, Unreachable, VerifiedBad
from dbops.operations.clusters.ahead import Ahead
from dbops.operations.clusters.take import archived, check, failures, orphans, progress
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

if TYPE_CHECKING:
    from dbops.operations.clusters.take.configuration import Gathered

_LABEL = "new backup label = "
_AGAIN_S = 0.5
_STALE = timedelta(minutes=1)  # of what was gathered while a backup was taken: after a long one it is read anew


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
    newest: pgbackrest.BackupInfo | None = None  # of what was taken
    gathering: "tuple[float, Ahead[Gathered]] | None" = None  # since when

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

    if doing.facts.vault:
        doing.gathering = began, Ahead(lambda: _gathered(doing), "configuration")
    with progress.told_of(settings(doing.place).lock, tell):
        done = _backed_up(doing, action)
    out = done.out.decode("utf-8", "replace")
    stretch = archived.said(out, _archive(doing, action.repository))
    looking = None if stretch is None else Ahead(lambda: _missing(doing, action, stretch), "archived")
    one, archive_id = _of_label(doing, _label(out), action.repository)
    took = timedelta(seconds=clock.monotonic() - began)
    warned = [check.warned(doing.target, action.repository, one.label, text) for text in _warnings(done)]
    doing.told += [finding for finding in warned if finding is not None]
    if one.error and not any(finding.code == "DBB201" for finding in warned if finding is not None):
        doing.told.append(check.damaged(doing.target, one.label))
    doing.taken.append(_told(doing, one, took))
    doing.newest = max((one, doing.newest or one), key=_moment)
    needed = archived.needed(one, archive_id)
    if missing := looking.answer() if looking and stretch == needed else _missing(doing, action, needed):
        doing.told.append(check.lacks_wal(doing.target, one.label, missing))


def _missing(doing: Doing, action: Take, stretch: archived.Stretch) -> tuple[str, ...]:
    size, repository = doing.facts.segment_size, action.repository
    return archived.missing(doing.place, stretch, size, target=doing.target, repository=repository)


def _archive(doing: Doing, repository: int) -> str | None:
    return next((one.archive for one in doing.facts.repositories if one.key == repository), None)


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
    newest = doing.newest or max(
        (one for stanza in pgbackrest.info(doing.place, target=doing.target) for one in stanza.backups),
        key=_moment,
        default=None,
    )
    if newest is None:
        raise Refused("there is no backup yet that the configuration would belong to", target=doing.target)
    from dbops.operations.clusters.take import configuration  # half of dbops, which pgBackRest need not wait for

    try:
        found = _configuration(doing)
        folder = configuration.keep(doing.config, doing.target, doing.run, newest, found)
    except (Refused, Unreachable, VerifiedBad) as error:
        told = f"{newest.label} is complete, but its configuration was not kept: {error.message}"
        hint = "mend that, then: dbops backup run --configuration-only"
        raise type(error)(told, hint=hint, target=doing.target) from error
    doing.taken[:] = [replace(one, configuration=folder) for one in doing.taken]


def _moment(one: pgbackrest.BackupInfo) -> tuple[datetime, int]:
    return one.stopped, -one.repository


def _gathered(doing: Doing) -> "Gathered":
    from dbops.operations.clusters.take import configuration
    from dbops.stores import vault as vaults

    found = configuration.gather(doing.config, doing.target, doing.run, doing.toml)
    if doing.config.vault is not None:
        with suppress(DbopsError):  # what is wrong with it is told when something is written there
            vaults.connect(doing.config.vault, target="vault")  # only to import what that takes
    return found


def _configuration(doing: Doing) -> "Gathered":
    """Take what was gathered during the backup; where that has failed, asking again tells why, or no longer fails."""
    since, ahead = doing.gathering or (0.0, None)
    if ahead is not None and clock.monotonic() - since < _STALE.total_seconds():
        with suppress(DbopsError):
            return ahead.answer()
    return _gathered(doing)
