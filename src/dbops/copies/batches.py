"""A table walked in batches: by ranges of its key, or of its rows' places (ctid) where it has none."""

from typing import Any

from dbops.copies.bounds import Bound, Key, Range, Stretch, Table, column, ranges
from dbops.engine.plan import literal
from dbops.stores.postgres import Connection

_SAMPLE_ROWS = 20_000
_SMALL_ROWS = 100_000  # is sampled as a whole

_ABOUT = """
    SELECT c.oid::bigint, format('%%I.%%I', n.nspname, c.relname),
           CASE WHEN min(l.reltuples) >= 0 THEN sum(l.reltuples)::bigint END,
           coalesce(max(pg_relation_size(l.oid)) / current_setting('block_size')::bigint, 0),
           coalesce(array_agg(pg_relation_filenode(l.oid)::bigint ORDER BY l.oid) FILTER (WHERE l.oid IS NOT NULL),
                    '{}')
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      LEFT JOIN (SELECT l.* FROM pg_class l
                  WHERE l.oid IN (SELECT relid FROM pg_partition_tree(%(oid)s::oid::regclass) WHERE isleaf
                                   UNION ALL SELECT %(oid)s::oid) AND l.relkind IN ('r', 'm')) l ON true
     WHERE c.oid = %(oid)s::oid GROUP BY 1, 2"""
# Only what orders as ORDER BY does; of several, the primary key, then the one with the fewest columns.
_KEY = """
    SELECT array_agg(array[a.attname::text,
                           format_type(CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.oid END,
                                       CASE WHEN t.typtype = 'd' THEN t.typtypmod ELSE a.atttypmod END)]
                     ORDER BY k.place)
      FROM pg_index i
      JOIN LATERAL unnest(i.indkey::int2[], i.indclass::oid[], i.indcollation::oid[], i.indoption::int2[])
           WITH ORDINALITY k (column_, class, collation_, option, place) ON k.place <= i.indnkeyatts
      LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.column_ AND k.column_ > 0
      LEFT JOIN pg_type t ON t.oid = a.atttypid
      LEFT JOIN pg_opclass o ON o.oid = k.class
     WHERE i.indrelid = %s::oid AND i.indisunique AND i.indimmediate AND i.indisvalid
       AND i.indpred IS NULL AND i.indexprs IS NULL
     GROUP BY i.indexrelid, i.indisprimary, i.indnkeyatts
    HAVING bool_and(a.attnotnull AND k.option = 0 AND o.opcdefault AND k.collation_ = a.attcollation)
     ORDER BY i.indisprimary DESC, i.indnkeyatts, i.indexrelid LIMIT 1"""


def observe(connection: Connection, oid: int) -> Table:
    """Look at a table, or at a partitioned one with all its parts."""
    row = connection.execute(_ABOUT, {"oid": oid}).fetchone()
    assert row is not None  # noqa: S101  # the caller has its oid from the catalog
    keyed = connection.execute(_KEY, (oid,)).fetchone()
    key = Key(tuple((name, type_) for name, type_ in keyed[0])) if keyed is not None else Key()
    return Table(row[0], row[1], key, row[2], row[3], tuple(row[4]))


def next_of(connection: Connection, table: Table, within: Range, rows: int) -> Stretch:
    """Find the range of the next so many rows of `within`."""
    window = _window(table, within, rows) if table.key.is_place else within
    where = window.rows(table.key)
    found = _row(
        connection,
        f"SELECT {table.key.texts} FROM {table.shown} AS r WHERE {where}"  # noqa: S608  # quoted above
        f" ORDER BY {', '.join(table.key.names)} OFFSET {rows - 1} LIMIT 1",
    )
    if found is not None:
        up_to = Range(within.low, tuple(found))
        several = table.key.is_place and len(table.files) > 1  # each part has rows at the same places
        return Stretch(up_to, _count(connection, table, up_to) if several else rows, last=False)
    last = window.high == within.high
    return Stretch(Range(within.low, window.high), _count(connection, table, window), last=last, full=False)


def _count(connection: Connection, table: Table, within: Range) -> int:
    counted = _row(connection, f"SELECT count(*) FROM {table.shown} AS r WHERE {within.rows(table.key)}")  # noqa: S608
    return int(counted[0])


def _window(table: Table, within: Range, rows: int) -> Range:
    """Rows come in no order by their places: only so many blocks are looked at that they are few to sort."""
    assert within.high is not None  # noqa: S101  # a walk by places ends where the table ended when it began
    per_block = max(1.0, (table.rows or 0) / max(1, table.blocks))
    end = _block(within.low) + max(1, round(rows / per_block))
    return Range(within.low, within.high if end >= _block(within.high) else (f"({end},0)",))


def _block(bound: Bound | None) -> int:
    return 0 if bound is None else int(bound[0].strip("()").split(",")[0])


def cut(connection: Connection, table: Table, parts: int) -> list[Range]:
    """Cut a table into about so many parts of about the same size; together they hold each row once."""
    if parts <= 1:
        return [table.whole]
    if table.key.is_place:
        ends = [table.blocks * n // parts for n in range(1, parts)]
        return ranges([(f"({end},0)",) for end in ends if end], table.whole)
    ends = _by_histogram(connection, table, parts) or _by_sample(connection, table, parts)
    return ranges(ends, table.whole)


def _by_histogram(connection: Connection, table: Table, parts: int) -> list[Bound]:
    """Ask the statistics for the first column of the key: they cost nothing, where there are any.

    They leave out the most common values: where there are some, only a sample tells where most rows are.
    """
    name, type_ = table.key.columns[0]
    if type_.endswith("]"):  # arrays of arrays know no bounds
        return []
    bounds = _row(
        connection,
        f"SELECT s.histogram_bounds::text::{type_}[]::text[] FROM pg_catalog.pg_stats s"  # noqa: S608
        " JOIN pg_catalog.pg_class c ON c.relname = s.tablename"
        " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace AND n.nspname = s.schemaname"
        f" WHERE c.oid = {table.oid} AND s.attname = {literal(name)} AND s.histogram_bounds IS NOT NULL"
        " AND s.most_common_vals IS NULL"
        " ORDER BY s.inherited DESC LIMIT 1",
    )
    values: list[str] = bounds[0] if bounds else []
    if len(values) < parts:
        return []
    chosen = [values[len(values) * n // parts] for n in range(1, parts)]
    first, backwards = column(name), ", ".join(f"{one} DESC" for one in table.key.names)
    found = [
        _row(
            connection,
            f"SELECT {table.key.texts} FROM {table.shown} AS r"  # noqa: S608
            f" WHERE {first} <= {literal(value)}::{type_} ORDER BY {backwards} LIMIT 1",
        )
        for value in chosen
    ]
    return [tuple(one) for one in found if one is not None]


def _by_sample(connection: Connection, table: Table, parts: int) -> list[Bound]:
    rows = table.rows or 0
    some = f" TABLESAMPLE SYSTEM ({100 * _SAMPLE_ROWS / rows:.6f})" if rows > _SMALL_ROWS else ""
    names = ", ".join(table.key.names)
    backwards = ", ".join(f"{one} DESC" for one in table.key.names)
    text = (
        f"SELECT {table.key.texts} FROM (SELECT DISTINCT ON (part) {names}, part"  # noqa: S608
        f" FROM (SELECT {names}, ntile({parts}) OVER (ORDER BY {names}) AS part FROM {table.shown} AS r{some}) AS r"
        f" ORDER BY part, {backwards}) AS r WHERE part < {parts} ORDER BY part"
    )
    return [tuple(row) for row in connection.execute(text.encode())]


def _row(connection: Connection, text: str) -> Any:
    return connection.execute(text.encode()).fetchone()
