"""From where a change is, one phase back: from switched to verified, from there to what was before expand."""

from dataclasses import dataclass

from dbops.engine.plan import Plan, Risk, Statement, Step, Verbatim
from dbops.operations.migrate import plan as revisions
from dbops.operations.migrate.life import State
from dbops.operations.migrate.rollback.facts import FILLED, Facts, File
from dbops.operations.migrate.switch.plan import MakeReady, make_ready


@dataclass(frozen=True, slots=True)
class LeadBack:
    """All readers back to the old, and the catalog with them: one transaction."""

    swap_back: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StopFollowing:
    """No reader follows any more."""


@dataclass(frozen=True, slots=True)
class Verify:
    """Compare both ways, as `migrate verify` does."""


@dataclass(frozen=True, slots=True)
class CompareBack:
    """See that the old holds all that new writers wrote."""


@dataclass(frozen=True, slots=True)
class Revise:
    """Run a step of `migrate down`."""

    step: Step[revisions.Action]


@dataclass(frozen=True, slots=True)
class Write:
    file: File


Action = MakeReady | LeadBack | StopFollowing | Verify | CompareBack | Revise | Write


def plan(facts: Facts) -> Plan[Action]:
    if facts.life.state is State.SWITCHED:
        ready = make_ready(facts.before_swap_back)
        title = f"lead the readers of change {facts.change} back"
        return Plan(facts.target, title, (*ready, _lead_back(facts), _verify()))
    if facts.half_way:
        return Plan(facts.target, f"verify change {facts.change}, whose readers were led back", (_verify(),))
    return Plan(facts.target, f"take change {facts.change} back", tuple(_undo(facts)))


def _lead_back(facts: Facts) -> Step[Action]:
    told = tuple(Statement("{}", (Verbatim(text),)) for text in facts.swap_back)
    return Step(
        "lead back",
        "all readers read the old again" + (": old and new exchange their names" if told else ""),
        LeadBack(facts.swap_back),
        risk=Risk.BLOCKS if told else Risk.SAFE,
        statements=told,
    )


def _verify() -> Step[Action]:
    return Step("verify", "compare old with new, both ways", Verify())


def _undo(facts: Facts) -> list[Step[Action]]:
    steps: list[Step[Action]] = []
    if facts.percent:
        steps.append(Step("readers", f"no key reads the new, {facts.percent} % did", StopFollowing()))
    if facts.compares_back and facts.life.state in FILLED:
        steps.append(Step("compare back", "see that the old holds what new writers wrote", CompareBack()))
    notes = _notes(facts)
    if facts.write and facts.file is not None and not facts.file.there:
        steps.append(Step("write", f"write {facts.file.path}", Write(facts.file), notes=notes))
    lost = Risk.LOSES_DATA if facts.overrides else Risk.SAFE
    for one in facts.down:
        told = (
            *one.notes,
            f"the file of {one.id} stays: `migrate up` would expand again, unless you remove it",
            *notes,
        )
        steps.append(Step(one.id, one.summary, Revise(one), max(one.risk, lost), one.statements, told))
    return steps


def _notes(facts: Facts) -> tuple[str, ...]:
    told: list[str] = []
    if facts.compares and not facts.compares_back:
        told.append("there is no comparison for the way back: what was written to the new alone would be lost")
    elif facts.compares and facts.life.state not in FILLED:
        told.append(f"it is {facts.life.state}: rows that are not filled yet cannot be compared back")
    if facts.conflicts:
        told.append(f"{facts.conflicts} conflicts were counted: old and new were written with values that disagree")
    told += [f"without proof of the way back: {one.reason}" for one in facts.overrides]
    return tuple(told)
