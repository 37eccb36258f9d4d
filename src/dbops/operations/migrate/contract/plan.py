"""From open gates to what ends a change: leave in the ledger, a restore point, and the revision."""

from collections.abc import Sequence
from dataclasses import dataclass

from dbops.engine.plan import Plan, Risk, Statement, Step
from dbops.operations.migrate import plan as revisions
from dbops.operations.migrate.contract.check import line
from dbops.operations.migrate.contract.facts import Facts, Gate, Passed


@dataclass(frozen=True, slots=True)
class RestorePoint:
    name: str


@dataclass(frozen=True, slots=True)
class Leave:
    """Write into the ledger that this very database may contract."""

    gates: tuple[Gate, ...]
    checksum: str


@dataclass(frozen=True, slots=True)
class Write:
    path: str
    text: str


@dataclass(frozen=True, slots=True)
class Revise:
    """Run a step of `migrate up`."""

    step: Step[revisions.Action]


Action = RestorePoint | Leave | Write | Revise


def contract(facts: Facts, gates: Sequence[Gate], left: Sequence[Step[revisions.Action]]) -> Plan[Action]:
    """Plan the contraction; `left` are the steps of the revision that contracts."""
    title = f"contract {facts.change}: the old goes away"
    if not left:
        return Plan(facts.target, title)
    steps: list[Step[Action]] = []
    if facts.backups.problem is None and facts.backups.archiving is None:
        name = f"dbops contract {facts.change}"[:63]
        text = Statement("SELECT pg_create_restore_point(%s)", values=(name,))
        steps.append(Step("restore point", f"name this moment: {name}", RestorePoint(name), statements=(text,)))
    leave, summary = Leave(tuple(gates), facts.checksum), f"write into the ledger that {facts.change} may be contracted"
    steps.append(Step("leave", summary, leave, notes=notes(facts, gates)))
    risk = _risk(facts, gates)
    for one in left:
        action: Action = Revise(one)
        steps.append(Step(one.id, one.summary, action, max(one.risk, risk), one.statements, one.notes))
    return Plan(facts.target, title, tuple(steps))


def _risk(facts: Facts, gates: Sequence[Gate]) -> Risk:
    """What goes away has a verified copy beside it, or is kept for a while; else its rows are lost."""
    if facts.old is None or facts.kept:
        return Risk.BLOCKS
    verified = any(gate.name == "verified" and gate.passed is Passed.YES for gate in gates)
    return Risk.BLOCKS if facts.compares and verified else Risk.LOSES_DATA


def write(target: str, title: str, *, path: str, text: str, notes: Sequence[str] = ()) -> Plan[Action]:
    step: Step[Action] = Step("write", f"write {path}", Write(path, text), notes=tuple(notes))
    return Plan(target, title, (step,))


def notes(facts: Facts, gates: Sequence[Gate]) -> tuple[str, ...]:
    return tuple(f"gate {line(gate, facts.now)}" for gate in gates)
