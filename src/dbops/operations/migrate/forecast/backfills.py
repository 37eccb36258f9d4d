"""What the backfill of a change will set off: it is no statement of a revision, but it comes with it."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, LiteralString

from dbops.operations.migrate import effects
from dbops.operations.migrate.facts import Revision
from dbops.operations.migrate.forecast import estimate
from dbops.operations.migrate.forecast.facts import Line, Sizes
from dbops.operations.migrate.forecast.script import Written
from dbops.operations.migrate.shapes import belongings, names
from dbops.stores.postgres import Connection

_TABLE: LiteralString = """
    SELECT CASE WHEN n.nspname = 'public' THEN '' ELSE n.nspname || '.' END || c.relname,
           ARRAY(SELECT t.tgname::text FROM pg_trigger t WHERE t.tgrelid = c.oid AND NOT t.tgisinternal
                    AND t.tgenabled IN ('O', 'A') AND t.tgtype::int & %s <> 0 ORDER BY t.tgname),
           ARRAY(SELECT concat_ws(' ', p.pubname, (
                            SELECT '(' || string_agg(l.name, ', ' ORDER BY l.place) || ')'
                              FROM jsonb_array_elements_text(to_jsonb(p) -> 'attnames') WITH ORDINALITY l (name, place)
                            HAVING count(*) < (SELECT count(*) FROM pg_attribute a
                                                WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)))
                   FROM pg_publication_tables p
                  WHERE p.schemaname = n.nspname AND p.tablename = c.relname ORDER BY p.pubname)
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = to_regclass(%s)"""
_APART = 1_000_000  # transactions of their own, behind those of the revision
_ON_UPDATE, _ON_INSERT = 16, 4  # bits of pg_trigger.tgtype


def lines(clone: Connection, revisions: Iterable[Revision], sizes: Sizes) -> Iterator[Line]:
    """Tell of each revision whose change has a backfill, as the clone is after them."""
    for one in revisions:
        filling = one.shape.filling() if one.shape is not None and one.phase == "expand" else None
        if filling is None:
            continue
        walked = _table(clone, filling.table, 0)
        written = _table(clone, filling.writes, _ON_UPDATE if filling.writes == filling.table else _ON_INSERT)
        if walked is None or written is None:
            continue  # a later revision has removed it
        name, triggers, publications = written
        size = sizes.of(walked[0], one.id)
        low, high = estimate.seconds("change", size) if size is not None else (None, None)
        fires = [f"trigger {trigger}" for trigger in triggers if not names.is_ours(trigger)]
        yield Line(
            *(one.id, 0, f"the backfill of {name}, in batches", (f"ROW EXCLUSIVE on {name}",), "nothing", (), ()),
            reversible=True,
            at_least_s=low,
            at_most_s=high,
            notes=(
                *((f"{size.rows:,} rows",) if size is not None else ()),
                *((f"fires {', '.join(fires)} for each: choose --triggers",) if fires else ()),
                *(f"feeds publication {publication}" for publication in publications),
            ),
        )


def built(revisions: Iterable[Revision], written: Mapping[str, list[Written]]) -> dict[str, list[Written]]:
    """Put what a backfill builds behind its rows behind the statements of its revision: it is tried as they are."""
    found = {revision: list(statements) for revision, statements in written.items()}
    for one in revisions:
        statements = found.get(one.id)
        if statements is None or one.phase != "expand" or one.change is None:
            continue
        for each in belongings.carried(one.shape):
            for do in belongings.build(one.change, each):
                text = f"{do.sql}\n{effects.ASKED}" if do.asks else do.sql
                number = len(statements) + 1
                alone = do.alone or do.asks
                statements.append(Written(one.id, number, text, None if alone else _APART + number))
    return found


def marked(every: Iterable[Line], written: Mapping[str, list[Written]]) -> tuple[Line, ...]:
    """Tell of what is built behind the rows that it is."""
    behind = "built by the backfill, behind its rows"
    return tuple(
        replace(one, notes=(*one.notes, behind)) if one.number > len(written.get(one.revision, ())) else one
        for one in every
    )


def _table(clone: Connection, name: str, event: int) -> tuple[str, list[str], list[str]] | None:
    row: Any = clone.execute(_TABLE, (event, name)).fetchone()
    return row
