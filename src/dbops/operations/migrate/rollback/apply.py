"""Go back: readers first, for they are in a hurry; then the proof; what was added goes last."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, assert_never

from dbops.engine.finding import Finding, Severity
from dbops.engine.patience import Ramp
from dbops.engine.plan import Step
from dbops.engine.run import Run
from dbops.errors import CouldNotVerify, Refused, VerifiedBad
from dbops.operations.migrate import apply as revisions
from dbops.operations.migrate import open_changes, record
from dbops.operations.migrate.compare import apply as compare
from dbops.operations.migrate.compare import check, jobs
from dbops.operations.migrate.compare.facts import Outcome
from dbops.operations.migrate.compare.plan import Compare
from dbops.operations.migrate.compare.walk import walk
from dbops.operations.migrate.contract.apply import write_whole
from dbops.operations.migrate.exchange import exchange, make_ready
from dbops.operations.migrate.life import State
from dbops.operations.migrate.open_changes import Work
from dbops.operations.migrate.rollback import plan
from dbops.operations.migrate.rollback.facts import BACK_FROM, Facts, File
from dbops.operations.migrate.shapes.shape import Comparison
from dbops.operations.migrate.switch.apply import follow
from dbops.operations.migrate.switch.facts import OVERRIDE, READERS
from dbops.stores.postgres import Connection

Opening = Callable[[Work, tuple[Comparison, ...]], AbstractContextManager[compare.Doing]]


@dataclass(slots=True)
class Doing:
    """What the steps of one rollback share."""

    facts: Facts
    run: Run
    work: Work
    administrator: Callable[[], AbstractContextManager[Connection]]
    comparing: Opening
    revising: Callable[[], revisions.Doing]
    ramp: Ramp
    met: list[Finding] = field(default_factory=list[Finding])
    outcomes: list[Outcome] = field(default_factory=list[Outcome])

    @property
    def where(self) -> dict[str, Any]:
        return {"target": self.facts.target, "change": self.facts.change}


def apply(doing: Doing, step: Step[plan.Action]) -> None:
    connection = doing.work.connection
    match step.action:
        case plan.MakeReady(one):
            make_ready(connection, one, target=doing.facts.target, administrator=doing.administrator, ramp=doing.ramp)
        case plan.LeadBack(swap_back):
            exchange(
                connection,
                swap_back,
                lambda: _led_back(doing),
                what=f"rollback of change {doing.facts.change}",
                target=doing.facts.target,
                administrator=doing.administrator,
                ramp=doing.ramp,
            )
        case plan.StopFollowing():
            with connection.transaction():
                follow(connection, doing.facts.change, 0)
                told = {"percent": 0, "before": doing.facts.percent}
                record.prove(connection, doing.run, **doing.where, kind=READERS, evidence=told)
        case plan.Verify():
            _verify(doing)
        case plan.CompareBack():
            _compare_back(doing)
        case plan.Revise(one):
            _overridden(doing)
            revisions.apply(doing.revising(), one)
        case plan.Write(file):
            _write(file, doing.facts.target)
        case _:
            assert_never(step.action)


def _led_back(doing: Doing) -> None:
    connection = doing.work.connection
    follow(connection, doing.facts.change, 0)
    evidence = {BACK_FROM: str(State.SWITCHED), "percent": 0, "before": doing.facts.percent}
    record.move(connection, doing.run, **doing.where, to=State.BACKFILLED, before=doing.facts.life, evidence=evidence)


def _again(doing: Doing) -> Work:
    """Look at the change anew: the steps before have moved it."""
    seen = open_changes.read(doing.work.connection, doing.work.known.history)
    change, shape = open_changes.expanded(seen, doing.facts.change)
    return Work(seen, change, shape, doing.work.connection, doing.work.guard)


def _verify(doing: Doing) -> None:
    work = _again(doing)
    with doing.comparing(work, work.comparisons) as comparing:
        comparing.findings, comparing.outcomes = doing.met, doing.outcomes
        for way in comparing.ways:
            if not way.done:
                doing.work.guard()
                compare.apply(comparing, Step(f"compare {way.number}", "", Compare(way)))
        compare.conclude(comparing)


def _compare_back(doing: Doing) -> None:
    """Refuse to drop what only the new holds."""
    work = _again(doing)
    facts = doing.facts
    back = tuple(one for one in work.comparisons if one.way == "back")
    with doing.comparing(work, back) as comparing:
        for way in comparing.ways:
            if not way.done:
                walk(comparing.walking, way)
        outcomes = [compare.outcome(comparing.walking, way) for way in comparing.ways]
        for way in comparing.ways:
            jobs.forget(comparing.walking.book, way)  # it was no verification, and must not pass for one
    doing.outcomes += outcomes
    findings = list(check.findings(facts.target, facts.change, outcomes, same_triggers=True))
    if facts.overrides:
        reason = facts.overrides[0].reason
        told = (f"{one.message}; taken back all the same: {reason}" for one in findings)
        doing.met += [Finding(Severity.WARNING, "DBM421", facts.target, text) for text in told]
        return
    for one in findings:
        if one.severity in {Severity.BAD, Severity.UNKNOWN}:
            kind = VerifiedBad if one.severity is Severity.BAD else CouldNotVerify
            hint = 'if the old is right about them: --override reverse --reason "..."'
            raise kind(f"DBM421: what new writers wrote would be lost: {one.message}", hint=hint, target=facts.target)


def _overridden(doing: Doing) -> None:
    """Keep on record that somebody went on without proof: the change's own entries stay, whatever is dropped."""
    for one in doing.facts.overrides:
        told = {"gate": one.gate, "reason": one.reason}
        record.prove(doing.work.connection, doing.run, **doing.where, kind=OVERRIDE, evidence=told)


def _write(file: File, target: str) -> None:
    path = Path(file.path)
    try:
        write_whole(path, file.text)
    except OSError as error:
        raise Refused(f"{path} cannot be written: {error.strerror}", target=target) from error
