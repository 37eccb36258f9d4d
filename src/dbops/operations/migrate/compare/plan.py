"""From the comparisons of a change to the walks that are left, and the verdict."""

from dataclasses import dataclass

from dbops.engine.plan import Plan, Statement, Step, Verbatim
from dbops.operations.migrate.compare.facts import Facts, Way
from dbops.operations.migrate.shapes.expressions import placed


@dataclass(frozen=True, slots=True)
class Compare:
    way: Way


@dataclass(frozen=True, slots=True)
class Conclude:
    """Tell in the ledger what all of them found, and move the change."""


Action = Compare | Conclude


def plan(facts: Facts) -> Plan[Action]:
    """Plan what is left: what an earlier run finished is not walked again before its verdict was drawn."""
    steps: list[Step[Action]] = [_step(way, facts.where) for way in facts.ways if not way.done]
    steps.append(Step("conclude", "draw the verdict", Conclude()))
    return Plan(facts.target, f"verify change {facts.change}", tuple(steps))


def _step(way: Way, where: str) -> Step[Action]:
    one = way.comparison
    direction = "old with new" if one.way == "forward" else "new with old, for the way back"
    notes = (f"goes on behind {way.seen:,} rows",) if way.begun else ()
    text = placed(one.query, rows="<rows of one chunk>", key="<key>")
    return Step(
        f"compare {way.number} {way.work[:8]}",
        f"compare {one.table}, {direction}, on the {where}",
        Compare(way),
        statements=(Statement("{}", (Verbatim(text),)),),
        notes=notes,
    )
