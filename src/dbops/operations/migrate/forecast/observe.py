"""Ask a clone what a statement holds, and what the relations are that it holds."""

from collections.abc import Collection, Iterable
from typing import Any, LiteralString

from dbops.operations.migrate.forecast.facts import Column, Constraint, Relation
from dbops.stores.postgres import Connection

_FIRST_OF_USERS = 16384  # what PostgreSQL itself brings has smaller numbers
# The name is put together here: regclass would leave out a schema by the search path of whoever asks.
_RELATIONS: LiteralString = """
    SELECT c.oid, CASE WHEN n.nspname = 'public' THEN '' ELSE n.nspname || '.' END || c.relname,
           c.relkind::text, pg_relation_filenode(c.oid),
           ARRAY[c.relpersistence::text, c.reltablespace::text, c.relam::text],
           ARRAY[c.relrowsecurity::text, c.relforcerowsecurity::text, c.relreplident::text, c.relowner::text],
           coalesce(i.indrelid, 0), coalesce(i.indisvalid, true),
           ARRAY(SELECT inhparent::int8 FROM pg_inherits h WHERE h.inhrelid = c.oid AND NOT h.inhdetachpending),
           ARRAY(SELECT t.tgenabled::text || t.tgname::text FROM pg_trigger t
                  WHERE t.tgrelid = c.oid AND NOT t.tgisinternal ORDER BY t.tgname),
           ARRAY(SELECT concat_ws(' ', p.polname, p.polcmd::text, p.polroles, p.polqual, p.polwithcheck)
                   FROM pg_policy p WHERE p.polrelid = c.oid ORDER BY 1),
           ARRAY(SELECT b.pubname::text FROM pg_publication b
                   LEFT JOIN pg_publication_rel r ON r.prpubid = b.oid AND r.prrelid = c.oid
                  WHERE c.relkind IN ('r', 'p') AND (b.puballtables OR r.oid IS NOT NULL) ORDER BY 1)
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_index i ON i.indexrelid = c.oid
     WHERE n.nspname NOT IN ('information_schema', 'dbops') AND n.nspname !~ '^pg_'
       AND c.oid = ANY(%s) ORDER BY c.oid"""
_COLUMNS: LiteralString = """
    SELECT a.attrelid, a.attnum, a.attname::text, format_type(a.atttypid, a.atttypmod), a.attnotnull,
           a.atthasdef AND a.attgenerated = '',
           EXISTS (SELECT FROM pg_depend d JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S'
                    WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass
                      AND d.refobjid = a.attrelid AND d.refobjsubid = a.attnum AND d.deptype = 'a'),
           a.attidentity <> '', a.attgenerated <> '',
           y.typtype = 'd' AND (y.typnotnull OR EXISTS (SELECT FROM pg_constraint k WHERE k.contypid = y.oid))
      FROM pg_attribute a JOIN pg_type y ON y.oid = a.atttypid
     WHERE a.attrelid = ANY(%s) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY 1, 2"""
_CONSTRAINTS: LiteralString = """
    SELECT conrelid, oid, conname::text, contype::text, convalidated, confrelid, conindid
      FROM pg_constraint WHERE conrelid = ANY(%s) AND contype IN ('c', 'f', 'p', 'u', 'x') ORDER BY 1, 2"""
_LOCKS: LiteralString = """
    SELECT relation, upper(regexp_replace(regexp_replace(mode, 'Lock$', ''), '([a-z])([A-Z])', '\\1 \\2', 'g')), granted
      FROM pg_locks
     WHERE locktype = 'relation' AND pid = %s AND relation >= %s
       AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"""


def relations(connection: Connection, oids: Collection[int]) -> dict[int, Relation]:
    """Read those of them that there are, as this connection's transaction sees them."""
    if not oids:
        return {}
    asked = (list(oids),)
    columns = _by_relation(connection.execute(_COLUMNS, asked).fetchall())
    constraints = _by_relation(connection.execute(_CONSTRAINTS, asked).fetchall())
    return {
        row[0]: Relation(
            *row[:4],
            storage=tuple(row[4]),
            manners=tuple(row[5]),
            of=row[6],
            valid=row[7],
            parents=tuple(row[8]),
            triggers=tuple(row[9]),
            policies=tuple(row[10]),
            publications=tuple(row[11]),
            columns={number: Column(*told) for number, *told in columns.get(row[0], ())},
            constraints={oid: Constraint(*told) for oid, *told in constraints.get(row[0], ())},
        )
        for row in connection.execute(_RELATIONS, asked)
    }


def _by_relation(rows: Iterable[tuple[Any, ...]]) -> dict[int, list[tuple[Any, ...]]]:
    found: dict[int, list[tuple[Any, ...]]] = {}
    for relation, *rest in rows:
        found.setdefault(relation, []).append(tuple(rest))
    return found


def everything(connection: Connection) -> frozenset[int]:
    """Name all relations of users."""
    rows = connection.execute("SELECT oid FROM pg_class WHERE oid >= %s", (_FIRST_OF_USERS,))
    return frozenset(row[0] for row in rows)


def locks(connection: Connection, backend: int) -> frozenset[tuple[int, str]]:
    """Tell which relations a backend has locked, or waits for, and how."""
    rows = connection.execute(_LOCKS, (backend, _FIRST_OF_USERS))
    return frozenset((relation, mode) for relation, mode, _ in rows)


def scans(connection: Connection, oids: Collection[int]) -> dict[int, int]:
    """Count the scans of whole tables in the transaction that this connection is in."""
    rows = connection.execute(
        "SELECT oid, pg_stat_get_xact_numscans(oid) FROM unnest(%s::oid[]) AS t (oid)", (list(oids),)
    )
    return dict(rows.fetchall())
