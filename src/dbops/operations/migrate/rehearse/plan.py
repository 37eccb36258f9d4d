"""From a change as it stands in a database to the steps of its rehearsal."""

from dataclasses import dataclass
from typing import Literal

from dbops import units
from dbops.engine.plan import Plan, Statement, Step
from dbops.operations.migrate.complete import nothing_goes_away
from dbops.operations.migrate.life import State
from dbops.operations.migrate.shapes.shape import Shape

PhaseName = Literal["expand", "backfill", "verify", "switch", "contract"]


@dataclass(frozen=True, slots=True)
class InstallLedger:
    statements: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class MakeCopy:
    """Start a throw-away server, and bring the database there."""


@dataclass(frozen=True, slots=True)
class Live:
    """One phase of the life, on the copy."""

    phase: PhaseName


@dataclass(frozen=True, slots=True)
class Prove:
    """Write what was measured into the ledger of the database itself."""

    checksum: str


Action = InstallLedger | MakeCopy | Live | Prove


@dataclass(frozen=True, slots=True)
class Facts:
    """All that a rehearsal is planned by."""

    target: str
    change: str
    shape: Shape
    state: State
    expanded: bool
    checksum: str
    size_bytes: int
    copied: str  # how the copy comes to be
    clients: int
    ledger: tuple[Statement, ...] = ()


_SUMMARIES = {
    "expand": "run the revisions that are left up to its expand",
    "backfill": "fill the rows of before",
    "verify": "compare old with new, both ways",
    "switch": "let all readers follow",
    "contract": "remove the old; gates do not count on a copy",
}


def phases(facts: Facts) -> tuple[PhaseName, ...]:
    """Tell what is left of the life, from where the change stands."""
    left: list[PhaseName] = [] if facts.expanded else ["expand"]
    switched = facts.state is State.SWITCHED
    if facts.shape.filling() is not None and not switched:
        left.append("backfill")
    left.append("verify")  # on a copy, nothing that is known of the database counts
    if not nothing_goes_away(facts.change, facts.shape):
        if not switched:
            left.append("switch")
        left.append("contract")
    return tuple(left)


def plan(facts: Facts) -> Plan[Action]:
    steps: list[Step[Action]] = []
    if facts.ledger:
        text = "install the ledger of dbops, schema dbops"
        steps.append(Step("ledger", text, InstallLedger(facts.ledger), statements=facts.ledger))
    notes = (f"{units.size(facts.size_bytes)} here; the copy is removed at the end",)
    steps.append(Step("copy", f"copy {facts.target} into a throw-away server: {facts.copied}", MakeCopy(), notes=notes))
    beside = f"{facts.clients} clients read and write beside it" if facts.clients else "no load beside it"
    steps += [_phase(name, beside) for name in phases(facts)]
    summary = f"write what was measured into the ledger, under plan {facts.checksum[:12]}"
    steps.append(Step("prove", summary, Prove(facts.checksum)))
    return Plan(facts.target, f"rehearse {facts.change}", tuple(steps))


def _phase(name: PhaseName, beside: str) -> Step[Action]:
    return Step(name, f"on the copy: {_SUMMARIES[name]}", Live(name), notes=(beside,))
