"""From how many readers follow to how many shall."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dbops.engine.plan import Plan, Risk, Statement, Step, Verbatim
from dbops.operations.migrate.life import State
from dbops.operations.migrate.shapes.shape import Do
from dbops.operations.migrate.switch.facts import ALL, Facts


@dataclass(frozen=True, slots=True)
class Follow:
    """Let so many of a hundred readers follow."""

    percent: int


@dataclass(frozen=True, slots=True)
class MakeReady:
    """What the exchange of names, there or back, does not wait for: in a transaction of its own."""

    one: Do


@dataclass(frozen=True, slots=True)
class Switch:
    """All follow, and the catalog with them: one transaction."""

    swap: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TakeBaseline:
    """Note how often each statement was called by now."""


Action = Follow | MakeReady | Switch | TakeBaseline


def plan(facts: Facts) -> Plan[Action]:
    steps: list[Step[Action]] = []
    if facts.wanted < ALL:
        if facts.wanted != facts.percent:
            steps.append(_follow(facts))
    else:
        if facts.life.state is not State.SWITCHED:
            steps += make_ready(facts.before_swap)
            steps.append(_switch(facts))
        if facts.baseline_due is not None:
            note = facts.baseline_due
            steps.append(Step("baseline", "note which statements were called by now", TakeBaseline(), notes=(note,)))
    title = f"let {facts.wanted} % of the readers of change {facts.change} follow"
    return Plan(facts.target, title, tuple(steps))


def _follow(facts: Facts) -> Step[Action]:
    summary = f"{facts.wanted} % of the keys read the new, {facts.percent} % did"
    return Step("readers", summary, Follow(facts.wanted))


def make_ready(before: Sequence[Do]) -> tuple[Step[Any], ...]:  # of MakeReady: a part of both kinds of plan
    """Plan what comes before an exchange of names."""
    steps: list[Step[MakeReady]] = []
    for number, one in enumerate(before, 1):
        told = (Statement("{}", (Verbatim(one.sql),)),)
        summary = "make ready for the exchange of names" + (": it may take long" if one.alone else "")
        risk = Risk.SAFE if one.alone else Risk.BLOCKS
        steps.append(Step(f"make ready {number}", summary, MakeReady(one), risk, told))
    return tuple(steps)


def _switch(facts: Facts) -> Step[Action]:
    told = tuple(Statement("{}", (Verbatim(text),)) for text in facts.swap)
    notes = tuple(f"without proof of the way back: {one.reason}" for one in facts.overrides)
    return Step(
        "switch",
        "all readers follow, and the soak begins" + (": old and new exchange their names" if told else ""),
        Switch(facts.swap),
        risk=Risk.BLOCKS if told else Risk.SAFE,
        statements=told,
        notes=notes,
    )
