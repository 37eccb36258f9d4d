"""Let readers follow: a row that dbops.read_new() looks at, and at the end the catalog with it."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from typing import Any, assert_never

import psycopg

from dbops.engine import clock
from dbops.engine.finding import Finding, Severity
from dbops.engine.patience import Ramp
from dbops.engine.plan import Step
from dbops.engine.run import Run
from dbops.errors import DbopsError
from dbops.operations.migrate import figures, record
from dbops.operations.migrate.contract.facts import Counted
from dbops.operations.migrate.exchange import Went, exchange, make_ready
from dbops.operations.migrate.life import State
from dbops.operations.migrate.switch import baseline, plan
from dbops.operations.migrate.switch.facts import ALL, BASELINE, OVERRIDE, READERS, Facts
from dbops.stores.postgres import Connection

_READERS = """
    INSERT INTO dbops.readers (change, percent) VALUES (%s, %s)
    ON CONFLICT (change) DO UPDATE SET percent = excluded.percent, at = clock_timestamp()"""


@dataclass(slots=True)
class Doing:
    """What the steps of one switch share."""

    facts: Facts
    run: Run
    connection: Connection
    administrator: Callable[[], AbstractContextManager[Connection]]
    look: Callable[[], Mapping[str, Counted]]
    ramp: Ramp
    met: list[Finding] = field(default_factory=list[Finding])

    @property
    def where(self) -> dict[str, Any]:
        return {"target": self.facts.target, "change": self.facts.change}


def apply(doing: Doing, step: Step[plan.Action]) -> None:
    match step.action:
        case plan.Follow(percent):
            with doing.connection.transaction():
                follow(doing.connection, doing.facts.change, percent)
                told = {"percent": percent, "before": doing.facts.percent}
                record.prove(doing.connection, doing.run, **doing.where, kind=READERS, evidence=told)
        case plan.MakeReady(one):
            target = doing.facts.target
            began = clock.monotonic()
            went = make_ready(doing.connection, one, target=target, administrator=doing.administrator, ramp=doing.ramp)
            _took(doing, went, began)
        case plan.Switch(swap):
            began = clock.monotonic()
            went = exchange(
                doing.connection,
                swap,
                lambda: _switched(doing),
                what=f"switch of change {doing.facts.change}",
                target=doing.facts.target,
                administrator=doing.administrator,
                ramp=doing.ramp,
            )
            _took(doing, went, began)
            for one in doing.facts.overrides:
                message = f"change {doing.facts.change} was switched without proof of the way back: {one.reason}"
                doing.met.append(Finding(Severity.WARNING, "DBM412", doing.facts.target, message))
        case plan.TakeBaseline():
            _take(doing)
        case _:
            assert_never(step.action)


def follow(connection: Connection, change: str, percent: int) -> None:
    connection.execute(_READERS, (change, percent))


def _switched(doing: Doing) -> None:
    """Write what a switch is, in the transaction of its statements."""
    facts = doing.facts
    follow(doing.connection, facts.change, ALL)
    before = facts.life
    for one in facts.overrides:
        told = {"gate": one.gate, "reason": one.reason}
        record.prove(doing.connection, doing.run, **doing.where, kind=OVERRIDE, evidence=told)
    if before.state is not State.VERIFIED:  # its way back is not proven, and that was accepted
        accepted = {"without": [one.gate for one in facts.overrides]}
        record.move(doing.connection, doing.run, **doing.where, to=State.VERIFIED, before=before, evidence=accepted)
    evidence = {
        "percent": ALL,
        "before": facts.percent,
        "compared": facts.proof.at.isoformat() if facts.proof is not None else None,
        "triggers": facts.triggers,
        "swapped": bool(facts.swap),
    }
    record.write(doing.connection, doing.run, **doing.where, state=State.SWITCHED, evidence=evidence)


def _took(doing: Doing, went: Went, began: float) -> None:
    """Keep what it took beside what a rehearsal may have foretold; it is done: figures are worth no failure."""
    took = 1000 * (clock.monotonic() - began)
    told = figures.evidence("switch", took, went.statements, attempts=went.attempts, waited_ms=went.waited_ms)
    with suppress(DbopsError, psycopg.Error):
        record.prove(doing.connection, doing.run, **doing.where, kind=figures.TOOK, evidence=told)


def _take(doing: Doing) -> None:
    """Note what every server has counted; one that cannot be read is told, and stays unknown."""
    seen = doing.look()
    evidence = {"servers": {server: baseline.told(one) for server, one in seen.items()}}
    record.prove(doing.connection, doing.run, **doing.where, kind=BASELINE, evidence=evidence)
    for server, one in seen.items():
        if one.problem is not None:
            message = f"{server}: {one.problem}: whether the old is still used will stay unknown"
            doing.met.append(Finding(Severity.WARNING, "DBM411", doing.facts.target, message, one.hint))
