"""A table that another has replaced, out of the way with its rows until it is dropped for good; and its way back. Pure.

Its foreign keys to others go at once: nobody sees its rows any more, and they must not keep the application from
deleting what they refer to, nor go along with it. The exchange back makes them anew, after those of the table that
serves. What was written meanwhile is led back page by page, while the application goes on.
"""

from collections.abc import Sequence

from dbops.engine.plan import literal
from dbops.operations.migrate.shapes import retired
from dbops.operations.migrate.shapes.guarded import block, filled, oid
from dbops.operations.migrate.shapes.replay import same
from dbops.operations.migrate.shapes.shape import ROWS, Do, Filling

_PAGES = 256  # of a table, in one transaction of the way back
_LET_GO = """DECLARE
    one record;
BEGIN
    FOR one IN SELECT conname, conrelid::regclass AS rel FROM pg_catalog.pg_constraint
                WHERE contype = 'f' AND conparentid = 0 AND conrelid = @table@ AND confrelid <> conrelid
                ORDER BY confrelid
    LOOP
        EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', one.rel, one.conname);
    END LOOP;
END"""
_LEAD_BACK = """DECLARE
    page bigint;
    pages bigint;
    walked regclass;
    pass text[];
    one text;
BEGIN
    FOREACH pass SLICE 1 IN ARRAY ARRAY[ARRAY[@from_table@, @fill@, ''], ARRAY[@to_table@, @lock@, @delete@]] LOOP
        walked := pass[1]::regclass;
        page := 0;
        SELECT max(pg_catalog.pg_relation_size(oid)) / pg_catalog.current_setting('block_size')::bigint INTO pages
          FROM (SELECT walked AS oid UNION SELECT relid FROM pg_catalog.pg_partition_tree(walked)) AS parts;
        WHILE page <= pages LOOP
            PERFORM pg_catalog.set_config('dbops.backfill', @change@, true); -- what is led back does not lead on
            FOREACH one IN ARRAY pass[2:3] LOOP
                IF one <> '' THEN
                    EXECUTE format(one, format('(%s,0)', page), format('(%s,0)', page + @pages@));
                END IF;
            END LOOP;
            COMMIT;
            page := page + @pages@;
        END LOOP;
    END LOOP;
END"""


def put_away(change: str, table: str) -> tuple[Do, ...]:
    return (Do(block(filled(_LET_GO, table=oid(table)))), retired.put_table_away(change, table))


def lead_back(change: str, filling: Filling, key: Sequence[str]) -> Do:
    """Let the table that is back hold what the other one does: rows are filled, and those that went are deleted.

    A row is locked first and looked for once more then: who just writes it anew has it waiting for us.
    """
    back, other = filling.writes, filling.table
    missing = f"NOT EXISTS (SELECT FROM {other} AS r WHERE {same('n', 'r', key)})"
    gone = f"FROM {_per_cent(back)} AS n WHERE n.ctid >= %1$L::tid AND n.ctid < %2$L::tid AND {_per_cent(missing)}"
    pages = "r.ctid >= %1$L::tid AND r.ctid < %2$L::tid"
    parts = {
        "from_table": literal(other),
        "to_table": literal(back),
        "fill": literal(_per_cent(filling.statement).replace(ROWS, pages)),
        "lock": literal(f"SELECT {gone} FOR UPDATE"),
        "delete": literal(f"DELETE {gone}"),
        "change": literal(change),
        "pages": str(_PAGES),
    }
    return Do(block(filled(_LEAD_BACK, **parts)), alone=True)


def _per_cent(text: str) -> str:
    return text.replace("%", "%%")
