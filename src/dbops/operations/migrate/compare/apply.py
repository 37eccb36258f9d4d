"""Walk, and draw the verdict: a comparison is evidence, and moves the change when all rows are alike."""

from dataclasses import dataclass, field
from typing import Any, assert_never

from dbops.engine.finding import Finding
from dbops.engine.plan import Step
from dbops.operations.migrate import record
from dbops.operations.migrate.compare import check, jobs, plan, triggers
from dbops.operations.migrate.compare.facts import COMPARED, Outcome, Way, clean, complete
from dbops.operations.migrate.compare.walk import Walking, table_of, walk
from dbops.operations.migrate.life import Life


@dataclass(slots=True)
class Doing:
    """What the steps of one verification share, and what they come upon."""

    walking: Walking
    life: Life
    ways: tuple[Way, ...]
    tables: tuple[str, ...]
    triggers: str  # when it began
    where: str
    lsn: str
    findings: list[Finding] = field(default_factory=list[Finding])
    outcomes: list[Outcome] = field(default_factory=list[Outcome])


def apply(doing: Doing, step: Step[plan.Action]) -> None:
    match step.action:
        case plan.Compare(way):
            jobs.forget_others(doing.walking.book, [one.work for one in doing.ways])
            walk(doing.walking, way)
        case plan.Conclude():
            conclude(doing)
        case _:
            assert_never(step.action)


def conclude(doing: Doing) -> None:
    """Tell what was found, as evidence and as findings; the change moves in the same transaction."""
    book = doing.walking.book
    doing.outcomes += [outcome(doing.walking, way) for way in doing.ways]
    same = triggers.digest(book.ledger, book.change, doing.tables) == doing.triggers
    to = check.state_after(doing.life, doing.outcomes, same_triggers=same)
    evidence = told(doing, same_triggers=same)
    with book.ledger.transaction():
        where: dict[str, Any] = {"target": book.target, "change": book.change}
        record.prove(book.ledger, book.run, **where, kind=COMPARED, evidence=evidence)
        if to is not None:
            record.move(book.ledger, book.run, **where, to=to, before=doing.life, evidence=evidence)
    doing.findings += check.findings(book.target, book.change, doing.outcomes, same_triggers=same)


def outcome(walking: Walking, way: Way) -> Outcome:
    columns = [name for name, _ in table_of(walking, way).key.columns]
    return jobs.outcome(walking.book, way, columns)


def told(doing: Doing, *, same_triggers: bool) -> dict[str, Any]:
    """Say it as evidence. `triggers` is what triggers.digest() tells as long as nobody changes them; no row, no key."""
    return {
        "clean": clean(doing.outcomes) and same_triggers,
        "complete": complete(doing.outcomes) and same_triggers,
        "triggers": doing.triggers,
        "on": doing.where,
        "lsn": doing.lsn,
        "ways": [
            {
                "way": one.way,
                "table": one.table,
                "work": one.work,
                "rows": one.rows,
                "differ": one.differ,
                "unreadable": one.unreadable,
            }
            for one in doing.outcomes
        ],
    }
