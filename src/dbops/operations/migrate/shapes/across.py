"""Two tables that hold the same rows in different shapes: the triggers that keep each like the other. Pure.

Triggers after the fact replay each statement on the other side, with the values that its rows have by then. The setting
dbops.across holds how deep in triggers we write: the trigger on the other side stays silent at that depth, and carries
back whatever an application's own triggers write there, deeper down. They run as the owner, for the writer may have no
rights on the other table; and fire in replica role too.

They are triggers of the statement, which writes to the other table once, and of each row whose key changed: only there
is it known which one it was. Partitioned tables have triggers of each row, for those of a statement do not fire where a
partition is written by its own name; and so have tables of a subscription, which applies row by row.
"""

from collections.abc import Sequence
from dataclasses import replace

from dbops.engine.plan import literal, qualified
from dbops.operations.migrate.shapes import names, replay
from dbops.operations.migrate.shapes.replay import Way, assigned, differs, quoted, same

__all__ = ["EVENTS", "Way", "assigned", "differs", "quoted", "same"]

EVENTS = ("write", "change", "move", "remove", "empty")

_HEAD = """CREATE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, {schema}, pg_temp SET row_security = off AS {tag}
#variable_conflict use_column
DECLARE
    around text = coalesce(current_setting('dbops.across', true), '');
    ignored text;
    named text = TG_TABLE_NAME;
"""
_REPLAY = """    each record;
    seen int = 0; -- rows that were replayed one by one
    written bigint = 0;
    done boolean;
BEGIN
    IF TG_OP <> 'TRUNCATE' AND {batch} THEN
        RETURN NULL;
    END IF;
"""
_MOVE = """BEGIN
    IF around = {mark_around} OR {batch} THEN
        RETURN NULL;
    END IF;
"""
_REST = """    IF named NOT IN ({here_is}, {there_is}) THEN -- a partition
        SELECT relname INTO named FROM pg_class WHERE oid = pg_partition_root(TG_RELID);
    END IF;
    ignored = set_config('dbops.across', {mark}, true);
    IF named = {here_is} THEN
{body}    ELSE -- the tables have exchanged their names
{body_exchanged}    END IF;
    ignored = set_config('dbops.across', around, true);
    RETURN NULL;
END
{tag}"""
_MARK = "{change} || {depth}::text"  # the cast saves the planning of another || in each statement
_BY_ROW = """EXISTS (SELECT FROM pg_catalog.pg_class WHERE oid = to_regclass({here}) AND relkind = 'p')
        OR EXISTS (SELECT FROM pg_catalog.pg_subscription_rel WHERE srrelid = to_regclass({here}))"""


def plain(name: str) -> str:
    """Return a name as PostgreSQL stores it."""
    return name[1:-1].replace('""', '"') if name.startswith('"') else name.lower()


def schema_of(table: str) -> str:
    """Return the schema of a table as it is written in SQL; migrations run with search_path public."""
    parts = split(table)
    return parts[0] if len(parts) > 1 else "public"


def split(table: str) -> tuple[str, ...]:
    """Cut `schema.table` at its dot, as SQL would: not inside of quotes."""
    parts, inside = [""], False
    for sign in table:
        inside ^= sign == '"'
        if sign == "." and not inside:
            parts.append("")
        else:
            parts[-1] += sign
    return tuple(parts)


def function(change: str, kind: str, named_after: str) -> str:
    return f"{schema_of(named_after)}.{qualified((names.name(kind, change, named_after),))}"


def trigger(change: str, kind: str, named_after: str, event: str) -> str:
    return names.name(f"{kind}_{event}", change, named_after)


def create_functions(change: str, way: Way, named_after: str) -> tuple[str, ...]:
    """Write the functions of one direction. They go by the name that their table has when they fire."""
    exchanged = replace(way, here=way.there, there=way.here)
    moves = [replay.move(one) for one in (way, exchanged)]
    bodies = [replay.body(change, one) for one in (way, exchanged)]
    return (
        _written(change, way, function(change, way.kind, named_after), _REPLAY, bodies),
        _written(change, way, function(change, f"{way.kind}_move", named_after), _MOVE, moves),
    )


def _written(change: str, way: Way, named: str, begins: str, bodies: Sequence[str]) -> str:
    tag = "$across$"
    while any(tag in body for body in bodies):
        tag = f"{tag[:-1]}_$"
    return (_HEAD + begins + _REST).format(
        function=named,
        schema=schema_of(way.here),
        here_is=literal(plain(split(way.here)[-1])),
        there_is=literal(plain(split(way.there)[-1])),
        body=bodies[0],
        body_exchanged=bodies[1],
        tag=tag,
        mark=_MARK.format(change=literal(change + ":"), depth="pg_trigger_depth()"),
        mark_around=_MARK.format(change=literal(change + ":"), depth="(pg_trigger_depth() - 1)"),
        batch=f"current_setting('dbops.backfill', true) = {literal(change)}",
    )


def create_triggers(change: str, way: Way, named_after: str) -> str:
    """Put them on the table that the way starts from. In one block, for that table gets another name."""
    mark = _MARK.format(change=literal(change + ":"), depth="pg_trigger_depth()")
    silent = f"current_setting('dbops.across', true) IS DISTINCT FROM {mark}"
    old, new = f"OLD TABLE AS {replay.OLD_ROWS}", f"NEW TABLE AS {replay.NEW_ROWS}"
    move = ("move", "UPDATE", "ROW", replay.moved(way.key))  # short: it is looked at in each statement
    by_row = (
        ("write", "INSERT OR UPDATE", "ROW", silent),
        ("remove", "DELETE", "ROW", silent),
    )
    by_statement = (
        ("write", "INSERT", f"REFERENCING {new} STATEMENT", silent),
        ("change", "UPDATE", f"REFERENCING {new} STATEMENT", silent),
        ("remove", "DELETE", f"REFERENCING {old} STATEMENT", silent),
    )
    empty = ("empty", "TRUNCATE", "STATEMENT", silent)
    return (
        f"DO $triggers$\nBEGIN\n    IF {_BY_ROW.format(here=literal(way.here))} THEN\n"
        f"{_created(change, way, named_after, by_row)}    ELSE\n"
        f"{_created(change, way, named_after, by_statement)}    END IF;\n"
        f"{_created(change, way, named_after, (move, empty))}END\n$triggers$"
    )


def _created(change: str, way: Way, named_after: str, wanted: Sequence[tuple[str, str, str, str]]) -> str:
    found: list[str] = []
    for event, when, each, guard in wanted:
        name = qualified((trigger(change, way.kind, named_after, event),))
        rows, _, level = each.rpartition(" ")
        runs = function(change, f"{way.kind}_move" if event == "move" else way.kind, named_after)
        fires = f"{rows} FOR EACH {level}" if rows else f"FOR EACH {level}"
        found.append(f"        CREATE TRIGGER {name} AFTER {when} ON {way.here} {fires}\n")
        found.append(f"            WHEN ({guard}) EXECUTE FUNCTION {runs}();\n")
        found.append(f"        ALTER TABLE {way.here} ENABLE ALWAYS TRIGGER {name};\n")
    return "".join(found)
