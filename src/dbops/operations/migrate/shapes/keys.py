"""UNIQUE and PRIMARY KEY while the table is written: their index is built concurrently, then taken over."""
# the parts are names and SQL of the revision's author

import re
from dataclasses import dataclass

from dbops.engine.plan import literal
from dbops.operations.migrate.shapes import names
from dbops.operations.migrate.shapes.guarded import (
    each_partition,
    has_column,
    has_constraint,
    on_partition,
    quoted,
    when,
)
from dbops.operations.migrate.shapes.index import REFERENCE, attach, not_attached, refuse_half
from dbops.operations.migrate.shapes.shape import Do

_COLUMNS = r'\((?:"(?:[^"]|"")*"|[^()"])*\)'
_KEY = re.compile(
    rf"\s*(?P<kind>UNIQUE|PRIMARY\s+KEY)\s*(?P<nulls>NULLS\s+(?:NOT\s+)?DISTINCT\s*)?(?P<columns>{_COLUMNS})"
    rf"\s*(?P<include>INCLUDE\s*{_COLUMNS})?\s*(?P<when>(?:(?:NOT\s+)?DEFERRABLE|INITIALLY\s+\w+|\s)*)",
    re.IGNORECASE,
)
_NAME = re.compile(r'"(?:[^"]|"")*"|[^\s,()"]+')


def parsed(definition: str) -> re.Match[str]:
    found = _KEY.fullmatch(definition)
    if found is None:
        raise ValueError(f"a key is told as UNIQUE (a, b) or PRIMARY KEY (a) INCLUDE (c) DEFERRABLE: {definition!r}")
    return found


def columns(definition: str) -> list[str]:
    """Name the columns of a key, plain."""
    found: list[str] = _NAME.findall(parsed(definition)["columns"])
    return [one[1:-1].replace('""', '"') if one.startswith('"') else one.lower() for one in found]


@dataclass(frozen=True, slots=True)
class Key:
    """A key that is to come."""

    table: str
    name: str
    definition: str
    nullable: tuple[str, ...]

    @property
    def _kind(self) -> str:
        return " ".join(parsed(self.definition)["kind"].upper().split())

    @property
    def _when(self) -> str:
        told = parsed(self.definition)["when"].strip()
        return f" {told}" if told else ""

    @property
    def indexed(self) -> str:
        told = parsed(self.definition)
        return " ".join(part.strip() for part in (told["columns"], told["include"], told["nulls"]) if part)

    @property
    def _columns(self) -> list[str]:
        return columns(self.definition)

    def add(self, change: str) -> tuple[Do, ...]:
        index = quoted(self.name)
        take = f"ALTER TABLE {self.table} ADD CONSTRAINT {index} {self._kind} USING INDEX {index}{self._when}"
        return (
            *self._prove_no_nulls(change),
            Do(f"CREATE UNIQUE INDEX CONCURRENTLY {index} ON {self.table} {self.indexed}", alone=True),
            *self._let_no_nulls_in(change, alone=False),
            Do(when(f"NOT {has_constraint(self.table, self.name)}", take)),
        )

    def on_partitions(self, change: str) -> tuple[Do, ...]:
        """Once the parent has it, new partitions come with it; the others get theirs one by one."""
        whole = f"ALTER TABLE ONLY {self.table} ADD CONSTRAINT {quoted(self.name)} {self.definition}"
        own = on_partition(self.name, "c.relname")
        rest = self.indexed.replace("%", "%%")
        on_leaf = literal(f"CREATE UNIQUE INDEX CONCURRENTLY %I ON %s {rest}")
        on_inner = literal(f"ALTER TABLE ONLY %2$s ADD CONSTRAINT %1$I {self.definition.replace('%', '%%')}")
        build = f"format(CASE WHEN p.isleaf THEN {on_leaf} ELSE {on_inner} END, {own}, {REFERENCE})"
        take = literal(f"ALTER TABLE %2$s ADD CONSTRAINT %1$I {self._kind} USING INDEX %1$I{self._when}")
        has = f"EXISTS (SELECT FROM pg_catalog.pg_constraint WHERE conrelid = p.relid AND conname = {own})"
        left = f"NOT {has} AND {not_attached(self.table, self.name)}"
        return (
            *self._prove_no_nulls(change),
            *self._let_no_nulls_in(change, alone=True),
            Do(when(f"NOT {has_constraint(self.table, self.name)}", whole), alone=True),
            Do(each_partition(self.table, build, left), asks=True),
            Do(each_partition(self.table, f"format({take}, {own}, {REFERENCE})", f"p.isleaf AND {left}"), asks=True),
            Do(attach(self.table, self.name), asks=True),
            Do(refuse_half(self.table, self.name)),
        )

    def _prove_no_nulls(self, change: str) -> tuple[Do, ...]:
        """A primary key makes its columns NOT NULL: without a validated CHECK that would scan under the lock."""
        if self._kind == "UNIQUE":
            return ()
        proof = self._proof(change)
        some = " OR ".join(has_column(self.table, name, "NOT attnotnull") for name in self._columns)
        none = " AND ".join(f"{quoted(name)} IS NOT NULL" for name in self._columns)
        add = f"ALTER TABLE {self.table} ADD CONSTRAINT {quoted(proof)} CHECK ({none}) NOT VALID"
        validate = f"ALTER TABLE {self.table} VALIDATE CONSTRAINT {quoted(proof)}"
        ask = f"SELECT {literal(validate)}\n WHERE {has_constraint(self.table, proof)}"
        return (
            Do(when(f"({some}) AND NOT {has_constraint(self.table, proof)}", add)),
            Do(ask, asks=True),
        )

    def _let_no_nulls_in(self, change: str, *, alone: bool) -> tuple[Do, ...]:
        if self._kind == "UNIQUE":
            return ()
        proof = self._proof(change)
        every = ", ".join(f"ALTER {quoted(name)} SET NOT NULL" for name in self._columns)
        statements = (
            f"ALTER TABLE {self.table} {every}",
            f"ALTER TABLE {self.table} DROP CONSTRAINT {quoted(proof)}",
        )
        return (Do(when(has_constraint(self.table, proof), *statements), alone=alone),)

    def let_nulls_in(self, change: str) -> tuple[Do, ...]:
        del change
        every = ", ".join(f"ALTER {quoted(name)} DROP NOT NULL" for name in self.nullable)
        return (Do(f"ALTER TABLE {self.table} {every}"),) if self.nullable else ()

    def _proof(self, change: str) -> str:
        return names.name("proof", change, self.table)
