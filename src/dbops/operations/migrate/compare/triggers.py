"""Which of our triggers keep old and new alike, as one hash: what was verified with others proves nothing."""

import hashlib
from collections.abc import Sequence

from dbops.operations.migrate.shapes import names
from dbops.stores.postgres import Connection

_CUT = 63  # a name that was cut may be anybody's: it counts
_TRIGGERS = """
    SELECT t.tgname, c.oid::regclass::text, t.tgenabled::text, pg_get_triggerdef(t.oid), pg_get_functiondef(t.tgfoid),
           t.xmin::text, p.xmin::text -- one that was disabled for a while has missed writes
      FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_proc p ON p.oid = t.tgfoid
     WHERE NOT t.tgisinternal AND t.tgname ~ '^[~!]dbops_' AND t.tgrelid IN (
           SELECT coalesce(p.relid, to_regclass(name)) FROM unnest(%s::text[]) name
             LEFT JOIN pg_partition_tree(to_regclass(name)) p ON true)
       AND (t.tgparentid = 0 OR t.tgenabled <> 'A') -- partitions come and go, but all of them fire
     ORDER BY 2, 1"""


def digest(connection: Connection, change: str, tables: Sequence[str]) -> str:
    """Hash the definitions of a change's triggers on these tables, and of their functions."""
    with connection.transaction():
        connection.execute("SET LOCAL search_path = public, pg_temp")  # as revisions have it: shapes are written so
        rows = connection.execute(_TRIGGERS, (sorted(set(tables)),)).fetchall()
    own = [row for row in rows if _of(row[0], change)]
    return hashlib.sha256(repr(own).encode()).hexdigest()[:32]


def _of(trigger: str, change: str) -> bool:
    return names.is_ours(trigger) and (f"_{change}_" in trigger or len(trigger.encode()) >= _CUT)
