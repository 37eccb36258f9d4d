"""How large the tables of a live database are, from its statistics: no table is read for it."""

from typing import LiteralString

from dbops.operations.migrate.forecast.facts import Size
from dbops.stores.postgres import Connection

# reltuples is -1 where nobody analysed; then the counters tell, and after a restore only the pages do
_SIZES: LiteralString = """
    WITH own AS (
        SELECT c.oid, CASE WHEN n.nspname = 'public' THEN '' ELSE n.nspname || '.' END || c.relname AS name, c.relkind,
               greatest(c.reltuples, pg_stat_get_live_tuples(c.oid),
                        CASE WHEN c.reltuples < 0 THEN pg_relation_size(c.oid) / 100 ELSE 0 END)::int8 AS rows,
               pg_table_size(c.oid) AS bytes,
               (SELECT count(*) FROM pg_index i WHERE i.indrelid = c.oid) AS indexes
          FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE c.relkind IN ('r', 'm', 'p') AND n.nspname NOT IN ('information_schema', 'dbops')
           AND n.nspname !~ '^pg_')
    SELECT name, rows, bytes, indexes FROM own WHERE relkind <> 'p'
    UNION ALL
    SELECT p.name, coalesce(sum(l.rows), 0)::int8, coalesce(sum(l.bytes), 0)::int8, p.indexes
      FROM own p LEFT JOIN LATERAL pg_partition_tree(p.oid) t ON t.isleaf LEFT JOIN own l ON l.oid = t.relid
     WHERE p.relkind = 'p' GROUP BY p.name, p.indexes"""


def observe(connection: Connection) -> dict[str, Size]:
    return {name: Size(*told) for name, *told in connection.execute(_SIZES)}
