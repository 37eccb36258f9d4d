"""Carry out one step of a scratch restore."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, assert_never

from dbops.config.load import resolve
from dbops.config.model import Cluster, Config
from dbops.engine import clock
from dbops.engine.finding import Finding, Severity, Verdict, verdict
from dbops.engine.plan import Step
from dbops.engine.run import Run
from dbops.errors import DbopsError, Stopped
from dbops.operations.clusters import durations, remembered
from dbops.operations.clusters.remembered import Depth, Remembered
from dbops.operations.clusters.restore import check, moving, places, sweeping
from dbops.operations.clusters.restore.facts import Connect, Facts, Looked, Restored, Wanted
from dbops.operations.clusters.restore.plan import Action, Examine, Keep, Move, Remove, RemoveScratch, Start
from dbops.servers import account, postgres, scratch, sockets

if TYPE_CHECKING:
    from dbops.operations.clusters.restore import starting


@dataclass(slots=True)
class Told:
    """What a restore came to, for whoever asked for it."""

    restored: list[Restored] = field(default_factory=list[Restored])
    findings: list[Finding] = field(default_factory=list[Finding])


@dataclass(slots=True)
class Doing:
    """One restore on its way."""

    config: Config
    facts: Facts
    wanted: Wanted
    run: Run
    place: places.Scratch
    told: Told
    began: float = field(default_factory=clock.monotonic)
    restored_s: float = 0.0
    running: "starting.Running | None" = None
    made: bool = False
    kept: bool = False

    @property
    def cluster(self) -> Cluster:
        return self.config.cluster[self.facts.target]


def apply(doing: Doing, step: Step[Action]) -> None:
    """Do what one step says."""
    match step.action:
        case RemoveScratch(name):
            doing.told.findings += sweeping.trying(name, lambda: sweeping.remove(doing.run, name), doing.facts.target)
        case Move():
            _move(doing)
        case Start():
            _start(doing)
        case Examine():
            _examine(doing)
        case Keep():
            _keep(doing)
        case Remove():
            give_up(doing)
        case _:
            assert_never(step.action)


def give_up(doing: Doing) -> None:
    """Leave nothing behind of a copy that nobody asked to keep."""
    if doing.made:
        places.remove(doing.run.state_dir, doing.place)
        doing.made = False


def _move(doing: Doing) -> None:
    doing.began = clock.monotonic()
    doing.made = True
    places.make(doing.run.state_dir, doing.place)
    home = doing.place.home
    aim, target = doing.facts.goal.aim, doing.facts.target
    moving.move(doing.cluster, aim, home / "data", target=target, tablespaces=home / "tablespaces")
    doing.restored_s = clock.monotonic() - doing.began


def _start(doing: Doing) -> None:
    from dbops.operations.clusters.restore import examine, starting

    facts = doing.facts
    before = clock.monotonic() - doing.began
    doing.running = starting.start(
        doing.cluster, facts.goal.aim, doing.place.home, target=facts.target, users=_users(doing.cluster, facts.target)
    )
    truth = doing.running.truth
    took = durations.Took(
        facts.target,
        clock.now().isoformat(),
        facts.goal.aim.label,
        facts.goal.size,
        facts.goal.segments,
        round(doing.restored_s, 3),
        round(before + truth.consistent_s, 3),
        round(before + truth.reached_s, 3),
    )
    durations.note(doing.run.state_dir, took)
    doing.told.restored.append(_restored(doing, took))
    doing.told.findings += check.reached(facts.target, facts.goal, truth)
    doing.told.findings += examine.harmless(facts.target, examine.what_it_brought(doing.running.conninfo))


def _restored(doing: Doing, took: durations.Took) -> Restored:
    assert doing.running is not None  # noqa: S101
    truth, goal = doing.running.truth, doing.facts.goal
    return Restored(
        target=doing.facts.target,
        label=goal.aim.label,
        repository=goal.aim.repository,
        wanted=goal.wanted,
        folder=doing.place.folder,
        size_bytes=goal.size,
        restored=timedelta(seconds=took.restored_s),
        consistent=timedelta(seconds=took.consistent_s),
        writable=timedelta(seconds=took.writable_s) if truth.promoted else None,
        timeline=truth.timeline,
        lsn=truth.lsn,
        last_commit=truth.last_commit,
        stopped_at=truth.stopped_at,
    )


def _examine(doing: Doing) -> None:
    from dbops.operations.clusters.restore import examine

    assert doing.running is not None  # noqa: S101
    began = clock.monotonic()
    target = doing.facts.target
    found = examine.examine(doing.running.conninfo)
    live = examine.live(doing.cluster, doing.run, target)
    findings = examine.check(target, found, live)
    doing.told.findings += findings
    looked = Looked(
        databases=len(found.databases),
        tables=len(found.tables),
        rows=sum(one.rows or 0 for one in found.tables),
        indexes=found.indexes,
        took=timedelta(seconds=clock.monotonic() - began),
    )
    judged = verdict(doing.told.findings)
    _amend(doing, verdict=judged, looked=looked)
    _remember(doing, judged, doing.told.findings)


def _keep(doing: Doing) -> None:
    assert doing.running is not None  # noqa: S101
    ttl = doing.wanted.ttl
    until: datetime | None = None if ttl is None else clock.now() + ttl
    doing.place = places.keep(doing.run.state_dir, doing.place, until)
    doing.kept = True
    server = scratch.at(doing.place.home)
    folder = sockets.folder(server.home, server.socket_name)
    port = int(server.socket_name.rpartition(".")[2])
    psql = f"psql '{postgres.conninfo(server, user=doing.running.superuser)}'"
    _amend(doing, connect=Connect(str(folder), port, doing.running.superuser, psql), kept_until=until)


def _amend(doing: Doing, **changes: object) -> None:
    doing.told.restored[-1] = replace(doing.told.restored[-1], **changes)  # pyright: ignore[reportArgumentType]


def _remember(doing: Doing, judged: Verdict, findings: Sequence[Finding]) -> None:
    """Keep beside the backups what was proved of the set."""
    facts, running = doing.facts, doing.running
    assert running is not None  # noqa: S101
    result = Remembered(
        facts.target,
        facts.goal.aim.repository,
        facts.goal.aim.label,
        Depth.RESTORE,
        judged,
        clock.now(),
        doing.run.id,
        system_id=running.truth.system,
        codes=tuple(one.code for one in findings if one.severity in {Severity.BAD, Severity.UNKNOWN}),
    )
    try:
        memory = remembered.memory(doing.config, doing.run.state_dir)
        remembered.remember(memory.store, facts.target, doing.run, [result])
    except Stopped:
        raise
    except DbopsError as error:
        doing.told.findings.append(check.unremembered(facts.target, error.message))


def _users(place: Cluster, target: str) -> tuple[str, ...]:
    """Guess who may enter: the administrator, the account, and the name that initdb is mostly given."""
    from psycopg.conninfo import conninfo_to_dict

    told: list[str] = []
    with suppress(DbopsError):  # its dsn may be a secret that is not here: restores work without it
        told.append(str(conninfo_to_dict(resolve(place.dsn, target=target)).get("user") or ""))
    return tuple(dict.fromkeys(one for one in (*told, postgres.SUPERUSER, account.name()) if one))
