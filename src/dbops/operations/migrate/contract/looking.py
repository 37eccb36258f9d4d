"""Look whether a change may be contracted: before any gate, and through all of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from dbops.config.model import Config
from dbops.engine.run import Run
from dbops.errors import CouldNotVerify, Refused, UsageError
from dbops.operations.migrate import carrying, complete, drift, open_changes
from dbops.operations.migrate.contract import check
from dbops.operations.migrate.contract.apply import prove_looked
from dbops.operations.migrate.contract.facts import Backups, Facts, Gate
from dbops.operations.migrate.contract.observe import observe
from dbops.operations.migrate.life import State
from dbops.operations.migrate.open_changes import Work


class GatesClosed(Refused):
    """Some gate is closed, or could not be looked at."""

    def __init__(self, facts: Facts, gates: Sequence[Gate]) -> None:
        closed = [gate for gate in gates if not gate.open]
        names = ", ".join(f"{gate.name} ({gate.passed})" for gate in closed)
        super().__init__(
            f"change {facts.change} may not be contracted: {names}",
            hint='each gate says what opens it; --override GATE --reason "..." goes through all the same, on record',
            target=facts.target,
        )
        self.gates, self.now = tuple(gates), facts.now


@dataclass(frozen=True, slots=True)
class Override:
    """The gates that an operator goes through all the same, and why."""

    gates: tuple[str, ...] = ()
    reason: str = ""

    def __post_init__(self) -> None:
        for name in self.gates:
            if name not in check.JUDGES:
                raise UsageError(f"there is no gate {name!r}", hint=f"one of: {', '.join(check.JUDGES)}")
        if self.gates and not self.reason.strip():
            raise UsageError("--override wants a reason", hint='--reason "...": it is shown for ever')
        if self.reason and not self.gates:
            raise UsageError("--reason is for --override GATE", hint=f"one of: {', '.join(check.JUDGES)}")


NONE = Override()


def nothing_left(config: Config, path: Path, target: str, run: Run, change: str) -> str | None:
    with open_changes.connected(config, path, target, run) as (known, _):
        found = open_changes.one(known, change)
    if found.contracted:
        return "it is contracted"
    if found.shape is not None and complete.nothing_goes_away(change, found.shape):
        return "nothing of it goes away"
    return None


def refuse(work: Work) -> None:
    """Refuse before any gate: what is known must be of this database, and what was made must still be there."""
    change, target = work.change, work.known.target
    if change.life.elsewhere:
        raise CouldNotVerify(
            f"what is known of change {change.id} was found in another database: unknown here, re-verify",
            hint=f"dbops migrate verify {change.id} --target {target}, then switch",
            target=target,
        )
    if change.life.state not in {State.VERIFIED, State.SWITCHED}:
        raise Refused(
            f"change {change.id} is {change.life.state}: only what is verified or switched can be contracted",
            hint=f"dbops migrate status --target {target}",
            target=target,
        )
    life, here = change.life, work.known.here
    drift.refuse(work.connection, target=target, change=change.id, shape=work.shape, life=life, here=here)
    carrying.refuse(work.connection, target=target, change=change.id, shape=work.shape)


def through_gates(
    config: Config, work: Work, run: Run, now: datetime, *, backups: Backups, override: Override
) -> tuple[Facts, tuple[Gate, ...]]:
    """Look through all gates; go on only when each of them is open."""
    facts = observe(config, work, run, now, backups)
    gates = check.overridden(check.gates(facts), override.gates, override.reason)
    where = {"target": facts.target, "change": facts.change}
    if not run.plan_only:
        prove_looked(work.connection, run, gates, facts.checksum, **where)
    if not all(gate.open for gate in gates):
        raise GatesClosed(facts, gates)
    return facts, gates
