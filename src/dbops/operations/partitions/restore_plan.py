"""How a retired partition comes back: from the grace schema if it still waits there, else from its copy; pure."""

from collections.abc import Iterator
from typing import LiteralString

from dbops.engine.plan import Plan, Risk, Statement, Step, Verbatim, literal, qualified
from dbops.operations.partitions import sql
from dbops.operations.partitions.bounds import Span
from dbops.operations.partitions.facts import Name, Parent, Shape
from dbops.operations.partitions.restore_facts import Action, Attach, InstallLedger, Kept, Load, Prove, Wanted
from dbops.operations.partitions.retire_facts import grace_schema


def refusal(wanted: Wanted, span: Span) -> tuple[str, str] | None:
    """Tell why it cannot come back as it is wanted, and what to do instead."""
    label, parent = wanted.kept.label, wanted.kept.parent
    beside = "bring it back beside its table: --detached"
    if wanted.standby:
        return "the server is a standby", "run it against the primary"
    if not wanted.attached or wanted.is_attached:
        return None
    if wanted.parent is None or wanted.parent.kind is None or wanted.parent.column is None:
        return f"{label} was a part of {parent}, which is no table partitioned by time any more", beside
    if wanted.there is None and (span.start is None or span.end is None):
        return f"{label} had no bound on one side: it is not known how to make its table", beside
    if wanted.overlaps:
        return f"the range of {label} is taken by {', '.join(wanted.overlaps)}", beside
    if wanted.lacking:
        return f"{parent} no longer has {', '.join(wanted.lacking)}, which the rows of {label} have", beside
    return None


def plan(wanted: Wanted, span: Span) -> Plan[Action]:
    kept = wanted.kept
    how = "attached" if wanted.attached else "detached"
    steps = [] if wanted.is_attached else list(_steps(wanted, span))
    if steps and wanted.ledger:
        told = "install the ledger (schema dbops)"
        first: Step[Action] = Step("ledger", told, InstallLedger(wanted.ledger), statements=wanted.ledger)
        steps = [first, *steps]
    return Plan(wanted.target, f"restore {kept.label}, {how}", tuple(steps))


def _steps(wanted: Wanted, span: Span) -> Iterator[Step[Action]]:
    kept, parent, there = wanted.kept, wanted.parent, wanted.there
    if there is None:
        yield _load(wanted, span)
    if wanted.attached and parent is not None:
        constraints = (
            (*wanted.foreign_keys, *_bounds(parent, span)) if wanted.there is not None else wanted.foreign_keys
        )
        if constraints:
            yield _prove(wanted, parent, constraints)
        yield _attach(wanted, parent, kept)


def _load(wanted: Wanted, span: Span) -> Step[Action]:
    kept, parent = wanted.kept, wanted.parent
    if wanted.attached and parent is not None and parent.kind is not None and parent.column is not None:
        into: Name = (parent.schema, kept.name)
        make, *more = sql.create(parent, into, span, parent.kind, parent.column)
        first: tuple[Statement, ...] = ()
    else:
        into = (grace_schema(kept.home), kept.name)
        first = (Statement("CREATE SCHEMA IF NOT EXISTS {}", ((into[0],),)),)
        make, more = _alone(kept, into), []
    notes = (f"from {kept.folder.rstrip('/')}; takes no lock that anybody else would feel",)
    return Step(
        f"load {kept.label}",
        f"bring back {kept.rows:,} rows into {'.'.join(into)}, and compare them with their copy",
        Load(kept, into, make, tuple(more)),
        Risk.SAFE,
        (*first, make, Statement("COPY {} FROM STDIN", (into,)), *more),
        notes,
    )


def _alone(kept: Kept, into: Name) -> Statement:
    """Make a table of its own, as its columns were."""
    columns = ", ".join("{} {}" for _ in kept.columns)
    names: list[tuple[str, ...] | Verbatim] = [into]
    for name, kind in kept.columns:
        names += [(name,), Verbatim(kind)]
    key = f", PRIMARY KEY ({', '.join('{}' for _ in kept.key)})" if kept.key else ""
    names += [(name,) for name in kept.key]
    return Statement(f"CREATE TABLE {{}} ({columns}{key})", tuple(names))


def _bounds(parent: Parent, span: Span) -> Iterator[tuple[str, str]]:
    """Tell ATTACH what a plain DETACH has forgotten; a table that Load makes has it from the beginning."""
    if parent.kind is None or parent.column is None or span.start is None or span.end is None:
        return
    low, high = map(literal, sql.bounds(span, parent.kind))
    column = qualified((parent.column,))
    yield sql.HELPER, f"CHECK ({column} IS NOT NULL AND {column} >= {low} AND {column} < {high})"


def _prove(wanted: Wanted, parent: Parent, constraints: tuple[tuple[str, str], ...]) -> Step[Action]:
    kept, there = wanted.kept, wanted.there
    table = (there.schema, there.name) if there is not None else (parent.schema, kept.name)
    statements = tuple(statement for name, told in constraints for statement in constraint(table, name, told))
    notes = tuple(f"SHARE ROW EXCLUSIVE on {'.'.join(peer)} for an instant" for peer in parent.peers)
    return Step(
        f"prove {kept.label}",
        f"validate foreign keys and bounds of {kept.label} before it is attached",
        Prove(kept, there, constraints),
        Risk.BLOCKS,
        statements,
        (*notes, "rows are read without keeping anybody from writing"),
    )


def constraint(table: tuple[str, ...], name: str, told: str) -> tuple[Statement, Statement]:
    """Add it without looking at a row, then look without keeping anybody from writing."""
    return (
        Statement("ALTER TABLE {} ADD CONSTRAINT {} {} NOT VALID", (table, (name,), Verbatim(told))),
        Statement("ALTER TABLE {} VALIDATE CONSTRAINT {}", (table, (name,))),
    )


def _attach(wanted: Wanted, parent: Parent, kept: Kept) -> Step[Action]:
    there = wanted.there
    home: Name = (parent.schema, there.name if there is not None else kept.name)
    back: tuple[Statement, ...] = ()
    if there is not None and there.schema != parent.schema:
        back = (Statement("ALTER TABLE {} SET SCHEMA {}", ((there.schema, there.name), (parent.schema,))),)
    rights = tuple(sql.rights(parent.shape or Shape(""), parent.rights, home)) if there is not None else ()
    bound: LiteralString = "ALTER TABLE {} ATTACH PARTITION {} {}"
    attach = Statement(bound, (parent.place, home, Verbatim(kept.bound)))
    helper = Statement("ALTER TABLE {} DROP CONSTRAINT IF EXISTS {}", (home, (sql.HELPER,)))
    statements = (*back, *rights, attach, helper)
    notes = [f"SHARE UPDATE EXCLUSIVE on {parent.told}: readers and writers go on"]
    if parent.default is not None:
        notes.append(f"ACCESS EXCLUSIVE on the default partition {parent.default.name} while its rows are looked at")
    notes += [f"ACCESS EXCLUSIVE on {'.'.join(peer)} for an instant, for the foreign keys" for peer in parent.peers]
    return Step(
        f"attach {kept.label}",
        f"attach {'.'.join(home)} to {parent.told}",
        Attach(kept, there, statements),
        Risk.BLOCKS,
        statements,
        tuple(notes),
    )
