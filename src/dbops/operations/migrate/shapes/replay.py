"""What a table's trigger does to the table on the other side: each write replayed there. Pure.

A trigger of a statement finds the rows that it wrote in dbops_old and dbops_new, one of a row is given them. A few rows
are replayed one by one, in the order in which they were written; many in one statement, which is planned for so many.
Rows may pass each other there (a unique value that goes from one to another): then they go one by one after all.
"""

# ruff: noqa: S608  # the parts are names and SQL of the revision's author

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from dbops.engine.plan import literal, qualified

OLD_ROWS = "dbops_old"
NEW_ROWS = "dbops_new"
_FEW = 32

_BODY = """        IF TG_OP = 'TRUNCATE' THEN
            BEGIN
                TRUNCATE {there};
            EXCEPTION WHEN feature_not_supported THEN -- foreign keys point to it, from tables that are empty by now
                DELETE FROM {there};
            END;
        ELSIF TG_OP = 'DELETE' AND TG_LEVEL = 'ROW' THEN
            each = OLD;
{remove}        ELSIF TG_OP = 'DELETE' THEN
            FOR each IN SELECT {key} FROM {old_rows} LOOP
                IF seen = {few} THEN
                    EXECUTE {remove_all};
                    GET DIAGNOSTICS written = ROW_COUNT;
                    EXIT WHEN written >= (SELECT count(*) FROM {old_rows}) - seen;
                END IF;
                seen = seen + 1;
{remove}            END LOOP;
        ELSIF TG_LEVEL = 'ROW' THEN
            each = NEW;
{write}        ELSE
            FOR each IN SELECT {key} FROM {new_rows} LOOP
                IF seen = {few} THEN
                    BEGIN
                        IF TG_OP = 'UPDATE' THEN
                            EXECUTE {update_all} INTO written;
                            EXIT WHEN written >= (SELECT count(*) FROM {new_rows}) - seen;
                        END IF;
                        EXECUTE {insert_all} USING TG_OP;
                        EXECUTE {lacking_all} INTO done;
                        EXIT WHEN NOT done;
                    EXCEPTION WHEN unique_violation OR exclusion_violation OR cardinality_violation THEN
                        NULL; -- one by one, in their order, none is in the way of another
                    END;
                END IF;
                seen = seen + 1;
{write}            END LOOP;
        END IF;
"""
# An identity may not be named where it stays the same.
_MOVE = "        EXECUTE {move} || concat_ws(', ', {moved_text}) || {moved_from} USING OLD, NEW;\n"
_REMOVE = """            DELETE FROM {there} AS n WHERE {n_meant} AND {gone};
            IF NOT FOUND THEN
                PERFORM FROM {there} AS n WHERE {n_meant} AND {gone};
                IF FOUND THEN
                    {conflict}
                END IF;
            END IF;
"""
_WRITE = """            done = NULL;
            IF TG_OP = 'UPDATE' THEN
                {update}
            END IF;
            IF done IS NOT TRUE AND (TG_OP = 'INSERT' OR {lacking}) THEN
                {insert};
                IF {lacking} THEN -- triggers over there assign values of their own: those are taken back here
                    {settle}
                END IF;
            END IF;
"""
_REMOVE_ALL = "DELETE FROM {there} AS n USING {old_keys} WHERE {n_meant} AND {gone}"
_UPDATE = """UPDATE {there} AS n SET {assigned} FROM {new_keys}{here} AS r WHERE {r_meant} AND {n_is_r} AND ({differs})
                RETURNING NOT ({differs})"""
_COUNTED = "WITH written (alike) AS ({update}) SELECT count(*) FILTER (WHERE alike) FROM written"
_INSERT = """INSERT INTO {there} AS n ({columns}) OVERRIDING SYSTEM VALUE
                SELECT {values} FROM {new_keys}{here} AS r WHERE {r_meant}
                   AND NOT EXISTS (SELECT FROM {there} AS n
                                    WHERE {n_is_r} AND ({operation} = 'UPDATE' OR NOT ({differs})))
                ON CONFLICT ({key}) DO {on_conflict}"""
_LACKING = """EXISTS (SELECT FROM {new_keys}{here} AS r LEFT JOIN {there} AS n ON {n_is_r}
                WHERE {r_meant} AND (n.{first} IS NULL OR {differs}))"""
_SETTLE = """UPDATE {here} AS n SET {assigned_back} FROM {there} AS r
                     WHERE {n_is_r} AND {r_meant} AND ({differs_back});
                    IF {lacking} THEN
                        {conflict}
                    END IF;"""
_CONFLICT = """IF to_regprocedure('dbops.conflict(text)') IS NOT NULL THEN
                        EXECUTE 'SELECT dbops.conflict($1)' USING {change};
                    END IF;"""


@dataclass(frozen=True, slots=True)
class Way:
    """From one table to the other. `values`: column there -> expression over r, the row here.

    `as_written` are columns, here or there, whose `=` does not see each change, or that have none. The key is among the
    values as far as it is one of them: then a row that is there by its key can still have other bytes.
    """

    kind: str
    here: str
    there: str
    key: Sequence[str]
    values: Mapping[str, str]
    back: Mapping[str, str]
    as_written: Collection[str] = ()


def body(change: str, way: Way) -> str:
    """Write what the trigger on `here` does. Variables: each record, seen int, written bigint, done boolean."""
    parts = _parts(change, way)
    meant = {"r_meant": same("r", "each", way.key), "n_meant": same("n", "each", way.key), "operation": "TG_OP"}
    few = {**parts, **meant, "new_keys": ""}
    for name, template in (("lacking", _LACKING), ("insert", _INSERT), ("update", _UPDATE), ("settle", _SETTLE)):
        few[name] = template.format(**few)
    few["update"] = f"{few['update']} INTO done;" if way.values else "NULL;"
    few["settle"] = few["settle"] if way.back else few["conflict"]
    many = {**parts, "r_meant": _is_among("r", way.key), "n_meant": _is_among("n", way.key), "operation": "$1"}
    many |= {"new_keys": f"{_keys(NEW_ROWS, way.key)}, ", "old_keys": _keys(OLD_ROWS, way.key)}
    update = _COUNTED.format(update=_UPDATE.format(**many)) if way.values else "SELECT 0"
    return _BODY.format(
        **parts,
        few=_FEW,
        old_rows=OLD_ROWS,
        new_rows=NEW_ROWS,
        remove=_REMOVE.format(**few),
        write=_WRITE.format(**few),
        remove_all=literal(_REMOVE_ALL.format(**many)),
        update_all=literal(update),
        insert_all=literal(_INSERT.format(**many)),
        lacking_all=literal("SELECT " + _LACKING.format(**many)),
    )


def move(way: Way) -> str:
    """Write what is done where the key of a row changed, before the row itself is replayed."""
    changed = [
        f"CASE WHEN {moved((column,))} THEN {literal(f'{quoted(column)} = r.{quoted(column)}')} END"
        for column in way.key
    ]
    carried = [literal(f"{quoted(column)} = ({told})") for column, told in way.values.items() if column not in way.key]
    where = f"{same('r', '($2)', way.key)} AND {same('n', '($1)', way.key)}"
    return _MOVE.format(
        move=literal(f"UPDATE {way.there} AS n SET "),
        moved_text=", ".join((*changed, *carried)),
        moved_from=literal(f" FROM {way.here} AS r WHERE {where}"),
    )


def moved(key: Sequence[str]) -> str:
    """Say that the key of a row changed."""
    return " OR ".join(f"OLD.{quoted(column)} IS DISTINCT FROM NEW.{quoted(column)}" for column in key)


def quoted(column: str) -> str:
    """Quote a column, unless its author did."""
    return column if column.startswith('"') else qualified((column,))


def plain_name(column: str) -> str:
    """Return the name of a column as the catalog has it."""
    return column[1:-1].replace('""', '"') if column.startswith('"') else column


def same(left: str, right: str, key: Sequence[str]) -> str:
    return " AND ".join(f"{left}.{quoted(column)} = {right}.{quoted(column)}" for column in key)


def differs(values: Mapping[str, str], as_written: Collection[str] = ()) -> str:
    """Say that a row over there is not what the row here asks for; where `=` is no judge, byte by byte."""
    found = [
        f"n.{quoted(column)} IS DISTINCT FROM ({told})" for column, told in values.items() if column not in as_written
    ]
    exact = {column: told for column, told in values.items() if column in as_written}
    if exact:
        there = ", ".join(f"n.{quoted(column)}" for column in exact)
        asked = ", ".join(f"({told})" for told in exact.values())
        found.append(f"pg_catalog.record_image_ne(ROW({there}), ROW({asked}))")
    return " OR ".join(found) or "false"


def assigned(values: Mapping[str, str]) -> str:
    return ", ".join(f"{quoted(column)} = ({told})" for column, told in values.items())


def _keys(rows: str, key: Sequence[str]) -> str:
    """Name the keys of many rows as nothing else is named: expressions may leave `r` out."""
    named = ", ".join(f"{quoted(column)} AS dbops_key_{number}" for number, column in enumerate(key))
    return f"(SELECT {named} FROM {rows}) AS dbops_rows"


def _is_among(row: str, key: Sequence[str]) -> str:
    return " AND ".join(f"{row}.{quoted(column)} = dbops_key_{number}" for number, column in enumerate(key))


def _parts(change: str, way: Way) -> dict[str, str]:
    every = {**{column: f"r.{quoted(column)}" for column in way.key}, **way.values}
    return {
        "here": way.here,
        "there": way.there,
        "n_is_r": same("n", "r", way.key),
        "gone": f"NOT EXISTS (SELECT FROM {way.here} AS r WHERE {same('n', 'r', way.key)})",
        "differs": differs(way.values, way.as_written),
        "differs_back": differs(way.back, way.as_written),
        "assigned": assigned(way.values),
        "assigned_back": assigned(way.back),
        "columns": ", ".join(map(quoted, every)),
        "values": ", ".join(f"({told})" for told in every.values()),
        "on_conflict": f"UPDATE SET {assigned({c: f'excluded.{quoted(c)}' for c in way.values})}"
        if way.values
        else "NOTHING",
        "key": ", ".join(map(quoted, way.key)),
        "first": quoted(way.key[0]),
        "conflict": _CONFLICT.format(change=literal(change)),
    }
