"""Add a constraint while the table is written: no row is looked at under a lock that stops anybody.

CHECK and FOREIGN KEY hold for new rows at once, and are validated in a transaction of their own. Where old rows
offend, that is found before: a CHECK that is not valid would already refuse to update them.
"""
# ruff: noqa: S608  # the parts are names and SQL of the revision's author

import re
from dataclasses import dataclass

from dbops.engine.plan import literal
from dbops.operations.migrate.shapes import keys
from dbops.operations.migrate.shapes.adds import Adds
from dbops.operations.migrate.shapes.guarded import (
    add_once,
    each_partition,
    has_constraint,
    quoted,
    refuse_rows,
    when,
)
from dbops.operations.migrate.shapes.index import REFERENCE
from dbops.operations.migrate.shapes.shape import Do

_KIND = re.compile(r"\s*(CHECK|FOREIGN\s+KEY|UNIQUE|PRIMARY\s+KEY|EXCLUDE)\b", re.IGNORECASE)
_CHECK = re.compile(r"\s*CHECK\s*(\([\s\S]*\))\s*", re.IGNORECASE)
_NAMES = r'\(((?:"(?:[^"]|"")*"|[^()"])*)\)'
_TABLE = r'((?:(?:"(?:[^"]|"")+"|[^\s."()]+)\s*\.\s*)?(?:"(?:[^"]|"")+"|[^\s."()]+))'
_FOREIGN = re.compile(rf"\s*FOREIGN\s+KEY\s*{_NAMES}\s*REFERENCES\s+{_TABLE}\s*{_NAMES}", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Constraint(Adds):
    """Such as Constraint("public.users", "users_age_check", "CHECK (age > 0)").

    `partitioned` is for keys of partitioned tables. `nullable` columns of a PRIMARY KEY may hold NULL before it; undo
    gives that back.
    """

    table: str
    name: str
    definition: str
    partitioned: bool = False
    nullable: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.kind == "EXCLUDE":
            raise ValueError("an EXCLUDE constraint cannot be added to a table in use: replace the table")
        if self.kind in ("UNIQUE", "PRIMARY KEY"):
            keys.parsed(self.definition)

    @property
    def kind(self) -> str:
        found = _KIND.match(self.definition)
        if found is None:
            raise ValueError(f"a constraint begins with CHECK, FOREIGN KEY, UNIQUE or PRIMARY KEY: {self.definition!r}")
        return " ".join(found[1].upper().split())

    def expand(self, change: str) -> tuple[Do, ...]:
        if self.kind in ("UNIQUE", "PRIMARY KEY"):
            key = keys.Key(self.table, self.name, self.definition, self.nullable)
            return key.on_partitions(change) if self.partitioned else key.add(change)
        if self.kind == "FOREIGN KEY" and self.partitioned:
            return (*self._before(), *self._foreign_key_of_partitions())
        mark = f"dbops: change {change} is adding this: {self.definition}"
        return (
            *self._before(),
            Do(add_once(self.table, self.name, f"{self.definition} NOT VALID", mark)),
            Do(f"ALTER TABLE {self.table} VALIDATE CONSTRAINT {quoted(self.name)}", alone=True),
            Do(f"COMMENT ON CONSTRAINT {quoted(self.name)} ON {self.table} IS NULL"),
        )

    def undo(self, change: str) -> tuple[Do, ...]:
        drop = Do(f"ALTER TABLE {self.table} DROP CONSTRAINT IF EXISTS {quoted(self.name)}")
        if self.kind == "PRIMARY KEY":
            return (drop, *keys.Key(self.table, self.name, self.definition, self.nullable).let_nulls_in(change))
        return (drop,)

    def _before(self) -> tuple[Do, ...]:
        """Look for rows that offend, with no lock but a reader's."""
        message = f"rows of {self.table} violate the new constraint {self.name}"
        if found := _CHECK.fullmatch(self.definition):
            return (Do(refuse_rows(self.table, f"NOT {found[1]}", message), alone=True),)
        if found := _FOREIGN.match(self.definition):
            own, table, others = _split(found[1]), found[2], _split(found[3])
            set_ = " AND ".join(f"r.{one} IS NOT NULL" for one in own)
            same = " AND ".join(f"o.{other} = r.{one}" for one, other in zip(own, others, strict=True))
            offending = f"{set_} AND NOT EXISTS (SELECT FROM {table} AS o WHERE {same})"
            return (Do(refuse_rows(self.table, offending, message), alone=True),)
        return ()

    def _foreign_key_of_partitions(self) -> tuple[Do, ...]:
        """NOT VALID is refused on a partitioned table before 18: each leaf gets it, and the whole takes them over."""
        name = literal(self.name)
        there = f"(SELECT convalidated FROM pg_catalog.pg_constraint WHERE conrelid = p.relid AND conname = {name})"
        rest = self.definition.replace("%", "%%")
        add = f"format({literal(f'ALTER TABLE %s ADD CONSTRAINT %I {rest} NOT VALID')}, {REFERENCE}, {name})"
        validate = f"format('ALTER TABLE %s VALIDATE CONSTRAINT %I', {REFERENCE}, {name})"
        whole = f"ALTER TABLE {self.table} ADD CONSTRAINT {quoted(self.name)} {self.definition}"
        return (
            Do(each_partition(self.table, add, f"p.isleaf AND {there} IS NULL"), asks=True),
            Do(each_partition(self.table, validate, f"p.isleaf AND NOT {there}"), asks=True),
            Do(when(f"NOT {has_constraint(self.table, self.name)}", whole)),
        )


def _split(names: str) -> list[str]:
    return [name.strip() for name in re.findall(r'\s*(?:"(?:[^"]|"")*"|[^,"]+)\s*', names)]
