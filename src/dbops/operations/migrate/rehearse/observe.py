"""What a copy looks like before and after a phase: files, sizes, WAL; and how large the database itself is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dbops.operations.migrate import figures, record
from dbops.operations.migrate.life import Life
from dbops.operations.migrate.rehearse.facts import Size
from dbops.stores.postgres import Connection

_TABLES = """
    SELECT c.oid::bigint, n.nspname || '.' || c.relname, pg_relation_filenode(c.oid)::bigint,
           pg_table_size(c.oid), pg_indexes_size(c.oid)
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'm') AND n.nspname !~ '^(pg_|dbops|information_schema)'"""
_WAL = "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint"
_NAMED = """
    SELECT DISTINCT t.relid::oid::bigint
      FROM unnest(%s::text[]) AS one (name), LATERAL pg_partition_tree(to_regclass(one.name)) t
    UNION SELECT to_regclass(one.name)::oid::bigint FROM unnest(%s::text[]) AS one (name)"""
_ROWS = "SELECT greatest(reltuples, pg_stat_get_live_tuples(oid), 0)::bigint FROM pg_class WHERE oid = to_regclass(%s)"
_WALKED = """
    SELECT coalesce(sum(rows_seen), 0)::bigint, 1000 * extract(epoch FROM max(coalesce(finished, at)) - min(begun))
      FROM dbops.jobs WHERE change = %s AND kind = ANY(%s) AND run = %s"""


@dataclass(frozen=True, slots=True)
class Table:
    name: str
    file: int | None
    bytes: int
    index_bytes: int


@dataclass(frozen=True, slots=True)
class Look:
    """A copy at one moment."""

    tables: Mapping[int, Table]
    named: frozenset[int]  # those of the change
    wal: int


def look(connection: Connection, names: Sequence[str]) -> Look:
    tables = {oid: Table(*told) for oid, *told in connection.execute(_TABLES)}
    named = frozenset(oid for (oid,) in connection.execute(_NAMED, (list(names), list(names))) if oid is not None)
    row = connection.execute(_WAL).fetchone()
    return Look(tables, named, int(row[0]) if row else 0)


def rewritten(before: Look, after: Look) -> tuple[str, ...]:
    """Name the tables whose rows were written anew; an empty one costs nobody anything."""
    return tuple(
        was.name
        for oid, was in sorted(before.tables.items())
        if oid in after.tables and was.file != after.tables[oid].file and was.bytes > _EMPTY
    )


_EMPTY = 8192  # a table of no rows may have a page


def sizes(before: Look, after: Look) -> tuple[Size, ...]:
    """Tell the tables of the change; one that was made, or is gone, has no bytes on the other side."""
    none = Table("", None, 0, 0)
    found: list[Size] = []
    for oid in sorted(before.named | after.named):
        was, now = before.tables.get(oid, none), after.tables.get(oid, none)
        if was.name or now.name:
            found.append(Size(now.name or was.name, was.bytes, now.bytes, was.index_bytes, now.index_bytes))
    return tuple(found)


def rows(connection: Connection, table: str) -> int | None:
    """Tell how many rows a table has, as far as statistics know."""
    row = connection.execute(_ROWS, (table,)).fetchone()
    return int(row[0]) if row else None


@dataclass(frozen=True, slots=True)
class Walked:
    """A walk over rows, all its ways together; no time where there was nothing to walk over."""

    rows: int | None = None
    ms: float | None = None

    @property
    def rows_per_s(self) -> float | None:
        return 1000 * self.rows / self.ms if self.rows and self.ms else None


def walked(connection: Connection, change: str, kind: str, run: str) -> Walked:
    """Tell how a walk of this run went."""
    row = connection.execute(_WALKED, (change, [kind, f"{kind} back"], run)).fetchone()
    return Walked(int(row[0]), float(row[1])) if row is not None and row[1] is not None else Walked(0)


def took(connection: Connection, target: str, change: str, run: str, phase: str) -> tuple[Mapping[str, Any], ...]:
    """Return what the statements of a phase took, as the verbs have told the ledger of the copy."""
    life = record.read(connection, target=target).get(change, Life())
    entries = [one for one in life.entries if one.kind == figures.TOOK and one.run == run]
    return tuple(one.detail for one in entries if figures.rehearsed_as(one.detail["phase"]) == phase)
