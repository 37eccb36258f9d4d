"""From facts to the steps of a backfill; pure."""

from dataclasses import dataclass

from dbops import units
from dbops.engine.plan import Plan, Statement, Step, Verbatim
from dbops.operations.migrate.backfill.check import gives_way, trigger_told
from dbops.operations.migrate.backfill.facts import Facts, Firing, Wanted
from dbops.operations.migrate.life import State
from dbops.operations.migrate.shapes import belongings
from dbops.operations.migrate.shapes.belongings import Belonging

_GOES_ON = frozenset({State.BACKFILLING, State.FAILED, State.BACKFILLED, State.VERIFIED, State.SWITCHED})


@dataclass(frozen=True, slots=True)
class InstallLedger:
    statements: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class Analyze:
    table: str


@dataclass(frozen=True, slots=True)
class Fill:
    """Walk what is left of the parts; `anew`: cut the table, and begin at its first row."""

    anew: bool
    suppress: bool
    last: bool = True  # nothing comes behind it: it tells that the change is filled


@dataclass(frozen=True, slots=True)
class Build:
    """Build an index or a constraint of the new columns."""

    one: Belonging


@dataclass(frozen=True, slots=True)
class Conclude:
    """Tell that the change is filled."""

    suppress: bool


Action = InstallLedger | Analyze | Fill | Build | Conclude


def plan(facts: Facts, wanted: Wanted) -> Plan[Action]:
    """Plan what is left. Nothing is, when all parts are done, no row is set aside, and the life says so."""
    title = f"backfill {facts.change}: fill {facts.filling.writes} from {facts.filling.table}"
    anew = begins_anew(facts, wanted)
    building = tuple(_build(facts, one) for one in facts.missing)
    if not anew and facts.complete and facts.life.state not in {State.BACKFILLING, State.FAILED}:
        return Plan(facts.target, title, building)
    steps: list[Step[Action]] = []
    if facts.ledger:
        summary = "bring the ledger of dbops, schema dbops, to its newest version"
        steps.append(Step("ledger", summary, InstallLedger(facts.ledger), statements=facts.ledger))
    if facts.stale is not None:
        text = Statement("{}", (Verbatim(f"ANALYZE {facts.table.shown}"),))
        steps.append(
            Step(
                "analyze",
                f"gather statistics of {facts.table.shown}: batches are planned by them",
                Analyze(facts.table.shown),
                statements=(text,),
                notes=(facts.stale,),
            )
        )
    suppress = wanted.firing is Firing.SUPPRESS
    by = "places (ctid), it has no key" if facts.table.key.is_place else ", ".join(facts.table.key.names)
    summary = f"fill {facts.filling.writes} in batches by {by}" + (", its triggers suppressed" if suppress else "")
    statement = Statement("{}", (Verbatim(facts.filling.statement),))
    steps.append(
        Step(
            "fill",
            summary,
            Fill(anew, suppress, last=not facts.carries),
            statements=(statement,),
            notes=_notes(facts, wanted, anew=anew),
        )
    )
    if facts.carries:
        told = f"tell that {facts.change} is filled, and the new columns have what the old ones have"
        steps += building
        steps.append(Step("conclude", told, Conclude(suppress)))
    return Plan(facts.target, title, tuple(steps))


def begins_anew(facts: Facts, wanted: Wanted) -> bool:
    """Say whether what the parts tell does not count: other work, another database, or done and found wanting."""
    if wanted.again or not facts.parts or facts.life.elsewhere or facts.life.state not in _GOES_ON:
        return True
    return facts.life.state is State.FAILED and facts.complete and not facts.filled


def _build(facts: Facts, one: Belonging) -> Step[Action]:
    every = belongings.build(facts.change, one)
    texts = tuple(Statement("{}", (Verbatim(do.sql),)) for do in every)
    return Step(f"build {one.name}", f"build {belongings.told(one)}", Build(one), statements=texts)


def _notes(facts: Facts, wanted: Wanted, *, anew: bool) -> tuple[str, ...]:
    rows = "an unknown number of rows" if facts.table.rows is None else f"about {facts.table.rows} rows"
    notes = [f"{rows}, at most {wanted.most_rows} and {units.duration(wanted.batch)} a batch"]
    if way := gives_way({name: limit for name, limit in wanted.limits.items() if name != "throttle-sql"}):
        notes.append(f"gives way to {way}" + (", and to your own query" if wanted.throttle_sql else ""))
    if not anew:
        seen, total = sum(p.rows_seen for p in facts.parts), sum(p.rows_total for p in facts.parts)
        notes.append(f"goes on: {seen} of about {total} rows are done")
        if facts.set_aside:
            notes.append(f"{units.counted(facts.set_aside, 'row')} that had been set aside come first")
    if wanted.firing is Firing.FIRE:
        notes += [f"fires {trigger_told(one)}" for one in facts.triggers]
    if wanted.firing is Firing.SUPPRESS:
        notes += [f"suppresses {trigger_told(one)}" for one in facts.triggers if not one.always]
        notes += [f"fires {trigger_told(one)}" for one in facts.triggers if one.always]
        if facts.checks_foreign_keys:
            notes.append("foreign keys are not checked meanwhile: VALIDATE CONSTRAINT does it afterwards")
    for name in facts.publications:
        notes.append(f"publication {name} sends {rows} to its subscribers")
    return tuple(notes)
