"""Add an index without stopping writers, also to a partitioned table."""
# ruff: noqa: S608  # the parts are names and SQL of the revision's author

from dataclasses import dataclass

from dbops.engine.plan import literal
from dbops.operations.migrate.shapes.adds import Adds
from dbops.operations.migrate.shapes.guarded import beside, block, each_partition, oid, on_partition, quoted
from dbops.operations.migrate.shapes.shape import Do


@dataclass(frozen=True, slots=True)
class Index(Adds):
    """Such as Index("public.users", "users_email", "(lower(email)) WHERE active")."""

    table: str
    name: str
    definition: str  # what follows the table: (email), USING gin (tags) WITH (fastupdate = off)
    unique: bool = False
    partitioned: bool = False

    def expand(self, change: str) -> tuple[Do, ...]:
        del change
        if self.partitioned:
            return self._on_partitions()
        return (Do(f"{self._create} CONCURRENTLY {quoted(self.name)} ON {self.table} {self.definition}", alone=True),)

    def undo(self, change: str) -> tuple[Do, ...]:
        del change
        name = beside(self.table, self.name)
        if self.partitioned:
            return (Do(f"DROP INDEX IF EXISTS {name}"),)  # there is no CONCURRENTLY for an index of partitions
        return (Do(f"DROP INDEX CONCURRENTLY IF EXISTS {name}", alone=True),)

    @property
    def _create(self) -> str:
        return "CREATE UNIQUE INDEX" if self.unique else "CREATE INDEX"

    def _on_partitions(self) -> tuple[Do, ...]:
        """Once the parent has it, new partitions come with it; the others get theirs one by one."""
        rest = self.definition.replace("%", "%%")
        on_leaf = literal(f"{self._create} CONCURRENTLY %I ON %s {rest}")
        on_inner = literal(f"{self._create} IF NOT EXISTS %I ON ONLY %s {rest}")
        build = f"format(CASE WHEN p.isleaf THEN {on_leaf} ELSE {on_inner} END, {_on_it(self.name)}, {REFERENCE})"
        whole = f"{self._create} IF NOT EXISTS {quoted(self.name)} ON ONLY {self.table} {self.definition}"
        missing = not_attached(self.table, self.name)
        return (
            Do(whole, alone=True),
            Do(each_partition(self.table, build, missing), asks=True),
            Do(attach(self.table, self.name), asks=True),
            Do(refuse_half(self.table, self.name)),
        )


REFERENCE = "format('%I.%I', n.nspname, c.relname)"


def _on_it(name: str) -> str:
    return on_partition(name, "c.relname")


def not_attached(table: str, name: str) -> str:
    """Hold for partitions that have no part of an index yet."""
    return (
        "NOT EXISTS (SELECT FROM pg_catalog.pg_index i"
        f" JOIN pg_catalog.pg_partition_tree({oid(beside(table, name))}) t ON t.relid = i.indexrelid"
        " WHERE i.indrelid = p.relid)"
    )


def attach(table: str, name: str) -> str:
    """Write the query that yields how the indexes of partitions become parts of the whole, from the leaves up."""
    above = (
        f"CASE p.level WHEN 1 THEN {literal(beside(table, name))}"
        f" ELSE format('%I.%I', of_above.nspname, {on_partition(name, 'above.relname')}) END"
    )
    statement = f"format('ALTER INDEX %s ATTACH PARTITION %I.%I', {above}, n.nspname, {_on_it(name)})"
    return each_partition(table, statement, not_attached(table, name), order="p.level DESC, c.relname")


def refuse_half(table: str, name: str) -> str:
    """Stop where the whole did not become valid."""
    index = beside(table, name)
    return block(
        f"BEGIN\n    IF NOT (SELECT indisvalid FROM pg_catalog.pg_index WHERE indexrelid = {oid(index)}) THEN\n"
        "        RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',\n"
        f"            MESSAGE = {literal(f'index {index} is not on every partition')},\n"
        "            HINT = 'a partition came in meanwhile: run it again';\n"
        "    END IF;\nEND"
    )
