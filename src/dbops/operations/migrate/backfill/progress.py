"""How far a walk has come in the range of its key, by the histogram that the statistics keep of it."""

import psycopg

from dbops.copies.bounds import Table, literal
from dbops.stores.postgres import Connection

# A range of the histogram holds as many rows as each other one. What orders in another way than the statistics, or
# has values so frequent that they are no part of it, is not told by it. A part that has passed the last bound of the
# statistics is as far as they tell, and nobody knows how much is behind.
_DONE = """
    WITH bounds AS (
        SELECT s.histogram_bounds::text::{type}[] AS b FROM pg_catalog.pg_stats s
          JOIN pg_catalog.pg_class c ON c.relname = s.tablename
          JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace AND n.nspname = s.schemaname
          JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attname = s.attname
         WHERE c.oid = {oid} AND s.attname = {name} AND s.histogram_bounds IS NOT NULL AND s.most_common_vals IS NULL
           AND a.attcollation IN (0, 100)
         ORDER BY s.inherited DESC LIMIT 1),
    walked AS (
        SELECT j.finished IS NOT NULL AS finished, pg_catalog.cardinality(b) - 1 AS ends,
               CASE WHEN j.low IS NULL THEN 0 ELSE pg_catalog.width_bucket((j.low ->> 0)::{type}, b) - 1 END AS low,
               CASE WHEN j.high IS NULL THEN pg_catalog.cardinality(b) - 1
                    ELSE pg_catalog.width_bucket((j.high ->> 0)::{type}, b) - 1 END AS high,
               CASE WHEN j.cursor IS NULL OR j.cursor ->> 0 IS NULL THEN NULL
                    ELSE pg_catalog.width_bucket((j.cursor ->> 0)::{type}, b) - 0.5 END AS at
          FROM dbops.jobs j, bounds WHERE j.change = %s AND j.work = %s
           AND j.system_identifier = (SELECT system_identifier FROM pg_catalog.pg_control_system())
           AND j.database_oid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database()))
    SELECT sum(CASE WHEN finished THEN high - low WHEN at IS NULL THEN 0
                    ELSE greatest(0, least(at, high) - low) END)::float,
           sum(high - low)::float, bool_or(NOT finished AND at > ends)
      FROM walked"""


def fraction(connection: Connection, table: Table, change: str, work: str) -> float | None:
    """Tell which share of the key's range is done; None where the statistics do not tell."""
    if table.key.is_place:
        return None
    name, type_ = table.key.columns[0]
    text = _DONE.format(type=type_.replace("%", "%%"), oid=table.oid, name=literal(name).replace("%", "%%"))
    try:
        with connection.transaction():  # to be asked is worth no failure, and not the transaction of anybody
            row = connection.execute(text.encode(), (change, work)).fetchone()
    except psycopg.Error:
        return None
    if row is None or not row[1] or row[2]:
        return None
    return float(row[0]) / float(row[1])


def wal(connection: Connection) -> int:
    """Tell where the server is in its WAL."""
    row = connection.execute("SELECT pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), '0/0')").fetchone()
    return int(row[0]) if row else 0
