"""Two tables that hold the same rows in different shapes: the triggers that keep each like the other. Pure.

Row triggers after the fact replay each write on the other side, in the order in which it happened, with the values
that the row has by then. The setting dbops.across holds how deep in triggers we write: the trigger on the other side
stays silent at that depth, and carries back whatever an application's own triggers write there, deeper down. They run
as the owner, for the writer may have no rights on the other table; and fire in replica role too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from dbops.engine.plan import literal, qualified
from dbops.operations.migrate.shapes import names

EVENTS = ("write", "remove", "empty")

_FUNCTION = """CREATE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, {schema}, pg_temp SET row_security = off AS {tag}
#variable_conflict use_column
DECLARE
    around text = coalesce(current_setting('dbops.across', true), '');
    ignored text;
    r record;
    done boolean;
    named text = TG_TABLE_NAME;
BEGIN
    IF named NOT IN ({here_is}, {there_is}) THEN -- a partition
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
_BODY = """        IF TG_OP = 'TRUNCATE' THEN
            BEGIN
                TRUNCATE {there};
            EXCEPTION WHEN feature_not_supported THEN -- foreign keys point to it, from tables that are empty by now
                DELETE FROM {there};
            END;
        ELSIF TG_OP = 'DELETE' THEN
            DELETE FROM {there} AS n WHERE {n_is_old};
            PERFORM FROM {there} AS n WHERE {n_is_old};
            IF FOUND THEN
                {conflict}
            END IF;
        ELSE
            SELECT h.* INTO r FROM {here} AS h WHERE {h_is_new}; -- as it is by now: other triggers may have written it
            IF FOUND THEN
                IF TG_OP = 'UPDATE' THEN
                    IF {moved} THEN -- an identity may not be named where it stays the same
                        EXECUTE 'UPDATE {there_text} AS n SET ' || concat_ws(', ', {moved_text})
                            || ' FROM {here_text} AS r WHERE {r_is_2} AND {n_is_1}' USING OLD, NEW;
                    {update}END IF;
                    IF done IS NULL THEN -- it is alike already, or is not there yet
                        PERFORM {alike};
                        done = FOUND;
                    END IF;
                END IF;
                IF done IS NOT TRUE THEN
                    INSERT INTO {there} AS n ({columns}) OVERRIDING SYSTEM VALUE
                        SELECT {values} WHERE NOT EXISTS (SELECT FROM {there} AS n WHERE {n_is_r})
                    ON CONFLICT ({key}) DO {on_conflict};
                    PERFORM {alike};
                    IF NOT FOUND THEN -- triggers over there assign values of their own: those are taken back here
                        {settle}
                    END IF;
                END IF;
            END IF;
        END IF;
"""
_UPDATE = """ELSE
                        UPDATE {there} AS n SET {assigned} WHERE {n_is_r} AND ({differs})
                        RETURNING NOT ({differs}) INTO done;
                    """
_ALIKE = "FROM {there} AS n WHERE {n_is_r} AND NOT ({differs})"
_SETTLE = """UPDATE {here} AS n SET {assigned_back} FROM {there} AS r
                         WHERE {n_is_r} AND {r_is_new} AND ({differs_back});
                        SELECT h.* INTO r FROM {here} AS h WHERE {h_is_new};
                        PERFORM {alike};
                        IF NOT FOUND THEN
                            {conflict}
                        END IF;"""
_MARK = "{change} || pg_trigger_depth()"
_CONFLICT = """IF to_regprocedure('dbops.conflict(text)') IS NOT NULL THEN
                    EXECUTE 'SELECT dbops.conflict($1)' USING {change};
                END IF;"""


@dataclass(frozen=True, slots=True)
class Way:
    """From one table to the other. `values`: column there -> expression over r, the row here; the key aside."""

    kind: str
    here: str
    there: str
    key: Sequence[str]
    values: Mapping[str, str]
    back: Mapping[str, str]


def quoted(column: str) -> str:
    """Quote a column, unless its author did."""
    return column if column.startswith('"') else qualified((column,))


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


def create_function(change: str, way: Way, named_after: str) -> str:
    """Write the function of one direction. It goes by the name that its table has when it fires."""
    exchanged = replace(way, here=way.there, there=way.here)
    bodies = [_BODY.format(**_parts(change, one)) for one in (way, exchanged)]
    tag = "$across$"
    while any(tag in body for body in bodies):
        tag = f"{tag[:-1]}_$"
    return _FUNCTION.format(
        function=function(change, way.kind, named_after),
        schema=schema_of(way.here),
        here_is=literal(plain(split(way.here)[-1])),
        there_is=literal(plain(split(way.there)[-1])),
        body=bodies[0],
        body_exchanged=bodies[1],
        tag=tag,
        mark=_MARK.format(change=literal(change + ":")),
    )


def create_triggers(change: str, way: Way, named_after: str) -> str:
    """Put them on the table that the way starts from. In one block, for that table gets another name."""
    run = f"EXECUTE FUNCTION {function(change, way.kind, named_after)}()"
    found: list[str] = []
    silent = f"current_setting('dbops.across', true) IS DISTINCT FROM {_MARK.format(change=literal(change + ':'))}"
    batch = f"current_setting('dbops.backfill', true) IS DISTINCT FROM {literal(change)}"
    for event, when, each, guard in (
        ("write", "INSERT OR UPDATE", "ROW", f"{silent} AND {batch}"),
        ("remove", "DELETE", "ROW", f"{silent} AND {batch}"),
        ("empty", "TRUNCATE", "STATEMENT", silent),
    ):
        name = qualified((trigger(change, way.kind, named_after, event),))
        found.append(f"    CREATE TRIGGER {name} AFTER {when} ON {way.here} FOR EACH {each} WHEN ({guard}) {run};\n")
        found.append(f"    ALTER TABLE {way.here} ENABLE ALWAYS TRIGGER {name};\n")
    return f"DO $triggers$\nBEGIN\n{''.join(found)}END\n$triggers$"


def same(left: str, right: str, key: Sequence[str]) -> str:
    return " AND ".join(f"{left}.{quoted(column)} = {right}.{quoted(column)}" for column in key)


def differs(values: Mapping[str, str], row: str = "n") -> str:
    """Say that a row over there is not what the row here asks for."""
    return (
        " OR ".join(f"{row}.{quoted(column)} IS DISTINCT FROM ({told})" for column, told in values.items()) or "false"
    )


def assigned(values: Mapping[str, str]) -> str:
    return ", ".join(f"{quoted(column)} = ({told})" for column, told in values.items())


def _parts(change: str, way: Way) -> dict[str, str]:
    key = {column: f"r.{quoted(column)}" for column in way.key}
    every = {**key, **way.values}
    pairs = [(f"OLD.{quoted(column)}", f"NEW.{quoted(column)}", quoted(column)) for column in way.key]
    moved = [
        f"CASE WHEN {old} IS DISTINCT FROM {new} THEN {literal(f'{name} = r.{name}')} END" for old, new, name in pairs
    ]
    parts = {
        "here": way.here,
        "there": way.there,
        "here_text": _inside(way.here),
        "there_text": _inside(way.there),
        "moved": " OR ".join(f"{old} IS DISTINCT FROM {new}" for old, new, _ in pairs),
        "moved_text": ", ".join((*moved, *(literal(f"{quoted(c)} = ({told})") for c, told in way.values.items()))),
        "n_is_old": same("n", "OLD", way.key),
        "r_is_new": same("r", "NEW", way.key),
        "h_is_new": same("h", "NEW", way.key),
        "n_is_r": same("n", "r", way.key),
        "n_is_1": _inside(same("n", "($1)", way.key)),
        "r_is_2": _inside(same("r", "($2)", way.key)),
        "differs": differs(way.values),
        "differs_back": differs(way.back),
        "assigned": assigned(way.values),
        "assigned_back": assigned(way.back),
        "columns": ", ".join(map(quoted, every)),
        "values": ", ".join(f"({told})" for told in every.values()),
        "on_conflict": f"UPDATE SET {assigned({c: f'excluded.{quoted(c)}' for c in way.values})}"
        if way.values
        else "NOTHING",
        "key": ", ".join(map(quoted, way.key)),
        "conflict": _CONFLICT.format(change=literal(change)),
    }
    parts["alike"] = _ALIKE.format(**parts)
    parts["update"] = _UPDATE.format(**parts) if way.values else ""
    return {**parts, "settle": _SETTLE.format(**parts) if way.back else parts["conflict"]}


def _inside(text: str) -> str:
    """Double the quotes of a text that stands in a literal."""
    return text.replace("'", "''")
