"""Which rows stand against a unique index: told by their keys, never by what is in them."""
# ruff: noqa: S608  # the parts are names and expressions that the catalog tells

from typing import Any, LiteralString, cast

import psycopg
from psycopg import sql

_MOST = 5
# As the index itself has them: what it was to be built of is in the catalog when the build has failed.
_INDEX: LiteralString = """
    SELECT i.indrelid::regclass::text,
           ARRAY(SELECT pg_catalog.pg_get_indexdef(i.indexrelid, n, false) FROM generate_series(1, i.indnkeyatts) n),
           pg_catalog.pg_get_expr(i.indpred, i.indrelid),
           coalesce((pg_catalog.to_jsonb(i) ->> 'indnullsnotdistinct')::boolean, false),
           coalesce((SELECT string_agg(format('r.%%I::text', a.attname), ', '
                                       ORDER BY array_position(p.indkey, a.attnum))
                       FROM pg_catalog.pg_index p JOIN pg_catalog.pg_attribute a
                         ON a.attrelid = p.indrelid AND a.attnum = ANY(p.indkey)
                      WHERE p.indrelid = i.indrelid AND p.indisprimary), 'r.ctid::text')
      FROM pg_catalog.pg_index i WHERE i.indexrelid = pg_catalog.to_regclass(%s)"""


def keys(raw: psycopg.Connection[Any], index: str) -> str:
    """Name some rows that have what others have, by the expressions of an index that is not valid."""
    row = raw.execute(_INDEX, (index,)).fetchone()
    if row is None:
        return "unknown"
    table, columns, predicate, nulls_too, key = row
    every = ", ".join(f"({one})" for one in columns)
    conditions = [f"({predicate})"] if predicate else []
    conditions += [] if nulls_too else [f"({one}) IS NOT NULL" for one in columns]
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    asked = (
        "SELECT string_agg(k, ', ') FROM ("
        f"SELECT k FROM (SELECT concat_ws('/', {key}) AS k, count(*) OVER (PARTITION BY {every}) AS alike"
        f" FROM {table} AS r{where}) AS t WHERE alike > 1 LIMIT {_MOST}) AS first"
    )
    found = raw.execute(sql.SQL(cast("LiteralString", asked))).fetchone()
    return str(found[0]) if found and found[0] is not None else "none any more"
