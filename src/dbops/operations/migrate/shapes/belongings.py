"""What stands on old columns and has to stand on the new ones too: indexes and constraints. Pure.

They are built when the rows are filled: until then, a batch of the backfill writes no index. What was cut off on the
way is done again; what is there already stays as it is.
"""
# ruff: noqa: S608  # the parts are names and SQL of the revision's author

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from dbops.engine.plan import literal
from dbops.operations.migrate.shapes import keys
from dbops.operations.migrate.shapes.constraint import Constraint
from dbops.operations.migrate.shapes.guarded import beside, has_constraint, oid, quoted, when
from dbops.operations.migrate.shapes.index import Index
from dbops.operations.migrate.shapes.shape import Do, Shape

Belonging = Index | Constraint
KEY = "PRIMARY KEY"


@runtime_checkable
class Carries(Protocol):
    """A shape whose new columns need what stands on its old ones."""

    @property
    def carry(self) -> tuple[Belonging, ...]: ...


def carried(shape: Shape | None) -> tuple[Belonging, ...]:
    """Tell what goes over from old columns to new ones."""
    return shape.carry if isinstance(shape, Carries) else ()


def refusal(table: str, not_null: Sequence[str], new: Sequence[str], carry: Sequence[Belonging]) -> str | None:
    """Tell why these cannot go over."""
    for one in carry:
        if not isinstance(one, Constraint) or one.kind != KEY:
            continue
        if one.partitioned or one.table != table:
            return f"{one.name}: the primary key of a partitioned table stays where it is: replace the table"
        if open_ := sorted(name for name in keys.columns(one.definition) if name in new and name not in not_null):
            return f"{one.name}: columns of a primary key are NOT NULL: New(..., not_null=True) for {', '.join(open_)}"
    return None


def told(one: Belonging) -> str:
    """Name it, for people."""
    if isinstance(one, Index):
        return f"{'unique index' if one.unique else 'index'} {one.name} on {one.table}"
    return f"{one.kind} {one.name} on {one.table}"


def is_there(one: Belonging) -> str:
    """Write the condition that it is there, valid, and done."""
    index = f"(SELECT indisvalid FROM pg_catalog.pg_index WHERE indexrelid = {oid(beside(one.table, one.name))}"
    index += f" AND indrelid = {oid(one.table)})"
    if isinstance(one, Index) or one.kind == KEY:  # the key itself changes hands at contract
        return f"coalesce({index}, false)"
    constraint = (
        "(SELECT convalidated AND coalesce(pg_catalog.obj_description(oid, 'pg_constraint'), '')"
        f" NOT LIKE 'dbops: change % is adding this: %' FROM pg_catalog.pg_constraint"
        f" WHERE conrelid = {oid(one.table)} AND conname = {literal(one.name)})"
    )
    if one.kind == "UNIQUE":
        constraint = f"({constraint} AND {index})"
    return f"coalesce({constraint}, false)"


def build(change: str, one: Belonging) -> tuple[Do, ...]:
    """Write what builds it; to be done while it is not there."""
    if isinstance(one, Constraint) and one.kind == KEY:
        return _index_of_key(one).expand(change)
    return one.expand(change)


def ensure(change: str, carry: Sequence[Belonging]) -> tuple[Do, ...]:
    """Build what is missing, as where no backfill ever ran: a fresh database."""
    return tuple(unless(is_there(one), do) for one in carry for do in build(change, one))


def remove(table: str, carry: Sequence[Belonging]) -> tuple[Do, ...]:
    """Take back what columns do not take with them when they go: foreign keys of other tables."""
    return tuple(
        Do(f"ALTER TABLE {one.table} DROP CONSTRAINT IF EXISTS {quoted(one.name)}")
        for one in reversed(carry)
        if isinstance(one, Constraint) and one.table != table
    )


def take_key(carry: Sequence[Belonging]) -> tuple[Do, ...]:
    """Make a primary key of the unique index, once the old key is gone and no NULL gets in."""
    return tuple(
        Do(
            when(
                f"NOT {has_constraint(one.table, one.name)}",
                f"ALTER TABLE {one.table} ADD CONSTRAINT {quoted(one.name)} PRIMARY KEY USING INDEX {quoted(one.name)}",
            )
        )
        for one in carry
        if isinstance(one, Constraint) and one.kind == KEY
    )


def _index_of_key(one: Constraint) -> Index:
    return Index(one.table, one.name, keys.Key(one.table, one.name, one.definition, ()).indexed, unique=True)


def unless(condition: str, do: Do) -> Do:
    """Let the database say whether a statement is still to be run."""
    if do.asks:
        return Do(f"SELECT asked.text\n  FROM (\n{do.sql}\n) AS asked (text)\n WHERE NOT {condition}", asks=True)
    return Do(f"SELECT {literal(do.sql)}\n WHERE NOT {condition}", asks=True)
