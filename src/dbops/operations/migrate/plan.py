"""From a history and a database to the revisions that are left, one step each."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from dbops.engine.plan import Plan, Risk, Statement, Step, Verbatim, qualified
from dbops.operations.migrate import effects
from dbops.operations.migrate.facts import BASE, Database, History, Invalid, Revision
from dbops.operations.migrate.shapes import retiring
from dbops.operations.migrate.shapes.constraint import Constraint
from dbops.operations.migrate.shapes.enums import EnumValue
from dbops.operations.migrate.shapes.guarded import partition_name
from dbops.operations.migrate.shapes.index import Index


@dataclass(frozen=True, slots=True)
class CreateExtension:
    name: str


@dataclass(frozen=True, slots=True)
class CreateRole:
    name: str


@dataclass(frozen=True, slots=True)
class InstallLedger:
    statements: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class DropInvalid:
    index: str  # as SQL names it


@dataclass(frozen=True, slots=True)
class Upgrade:
    revision: str


@dataclass(frozen=True, slots=True)
class Downgrade:
    revision: str
    to: str  # what is stamped afterwards


Action = CreateExtension | CreateRole | InstallLedger | DropInvalid | Upgrade | Downgrade


def up(history: History, database: Database, ledger: tuple[Statement, ...], to: str | None = None) -> Plan[Action]:
    """Plan the revisions after the stamp, up to `to`; before them what only an administrator may create."""
    wanted = to or history.head
    keep = {revision.id for revision in history.until(wanted)}
    left = [revision for revision in history.after(database.stamp) if revision.id in keep]
    steps: list[Step[Action]] = []
    if left:
        steps += _by_the_administrator(history, database)
        if ledger:
            steps.append(
                Step("ledger", "install the ledger of dbops, schema dbops", InstallLedger(ledger), statements=ledger)
            )
    for revision in left:
        steps += [_drop(one) for one in leftovers(revision, database)]
        steps.append(_upgrade(revision, database.filled))
    return Plan(
        history.target, f"bring {history.target} from {database.stamp or BASE} to {wanted or BASE}", tuple(steps)
    )


def leftovers(revision: Revision, database: Database) -> tuple[Invalid, ...]:
    """Name the invalid indexes that a revision is to make, while nobody builds them."""
    return tuple(one for one in database.invalid if one.builder is None and is_of(revision, one))


def is_of(revision: Revision, index: Invalid) -> bool:
    """Say whether a revision makes an index: by its name, or as the part of one of its own on a partition."""
    if f"index {index.shown}" in revision.makes:
        return True
    match revision.shape:
        case Index(table, name, partitioned=True) | Constraint(table, name, partitioned=True):
            words = index.table.split(".")  # with or without a schema, and a name may hold dots of its own
            parts = {partition_name(name, ".".join(words[place:])) for place in range(len(words))}
            return index.partition_of == effects.plain(table) and index.name in parts
        case _:
            return False


def _drop(index: Invalid) -> Step[Action]:
    name = qualified((index.schema, index.name))
    return Step(
        f"drop {index.shown}",
        f"drop index {index.shown}, which a build that was cut off left invalid",
        DropInvalid(name),
        statements=(Statement("DROP INDEX CONCURRENTLY IF EXISTS {}", (Verbatim(name),)),),
    )


def _by_the_administrator(history: History, database: Database) -> Iterable[Step[Action]]:
    for name in sorted(history.extensions & database.untrusted - database.extensions):
        if not database.superuser:
            text = (Statement("CREATE EXTENSION IF NOT EXISTS {} SCHEMA public", ((name,),)),)
            summary = f"create extension {name}, as the cluster's administrator"
            yield Step(f"extension {name}", summary, CreateExtension(name), statements=text)
    for name in sorted(history.roles - database.roles):
        if not database.may_create_roles:
            text = (Statement("CREATE ROLE {} NOLOGIN", ((name,),)),)
            summary = f"create role {name}, which policies name, as the cluster's administrator"
            yield Step(f"role {name}", summary, CreateRole(name), statements=text)


def _upgrade(revision: Revision, filled: frozenset[str]) -> Step[Action]:
    touched = sorted(effects.touched(revision.up) & filled)
    return Step(
        revision.id,
        revision.summary,
        Upgrade(revision.id),
        risk=_risk(revision, touched, filled),
        statements=_shown(revision.up),
        notes=(*_locking(touched), *_for_good(revision)),
    )


def _risk(revision: Revision, touched: Sequence[str], filled: frozenset[str]) -> Risk:
    if revision.phase == "remove" and filled:  # what was put away lies where nobody counts its rows
        return Risk.LOSES_DATA
    return Risk.BLOCKS if touched else Risk.SAFE


def _locking(tables: Sequence[str]) -> tuple[str, ...]:
    return (f"takes locks on tables that hold rows: {', '.join(tables)}",) if tables else ()


def _for_good(revision: Revision) -> Iterable[str]:
    """Tell what no statement takes back."""
    match revision.phase, revision.shape:
        case "contract", shape if retiring.retires(shape):
            yield "puts it out of the way, with all that is in it; what drops it for good is a later revision"
        case "contract", _:
            yield "not reversible: what it removes is brought back by nothing but a backup"
        case "remove", _:
            yield "not reversible: what was put out of the way goes for good, and is in nothing but a backup then"
        case "expand", EnumValue():
            yield "not reversible: PostgreSQL removes no value of an enum again"
        case _:
            return


def down(history: History, database: Database, to: str, texts: Mapping[str, Sequence[str]]) -> Plan[Action]:
    """Plan to take revisions back until `to` is stamped. Their tables go to the attic with all rows."""
    done = history.until(database.stamp)
    keep = len(history.until(None if to == BASE else to))
    steps: list[Step[Action]] = []
    for number in range(len(done) - 1, keep - 1, -1):
        revision = done[number]
        after = done[number - 1].id if number else BASE
        tables = sorted(name.removeprefix("table ") for name in revision.makes if name.startswith("table "))
        notes = (f"moves to schema dbops_attic with all rows: {', '.join(tables)}",) if tables else ()
        steps.append(
            Step(
                revision.id,
                f"take back: {revision.summary}",
                Downgrade(revision.id, after),
                risk=Risk.BLOCKS,
                statements=_shown(texts.get(revision.id, ())),
                notes=notes,
            )
        )
    return Plan(history.target, f"take {history.target} from {database.stamp or BASE} back to {to}", tuple(steps))


def _shown(texts: Sequence[str]) -> tuple[Statement, ...]:
    return tuple(Statement("{}", (Verbatim(text),)) for text in texts)
