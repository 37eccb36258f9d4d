"""Old and new columns of one table, kept alike by triggers while clients of both are at work. Pure.

They decide by values, for which columns a statement names says little: other triggers assign some, and an ORM writes
all. Where `=` of a type sees no change ('Bob' and 'BOB' in citext, 1.0 and 1.00), the bytes tell. Ours have names that
sort last, so that what other BEFORE triggers assign counts, and are ENABLE ALWAYS: what is loaded with
session_replication_role = replica is kept alike too.

UPDATE  the side that changed decides. Where both did, and neither follows from the other, the new one decides. Other
        columns that an expression reads count as the old side. A row that is not filled yet is filled by any update:
        the backfill may have passed by the place that the row gets.
INSERT  the side that was given decides; NULL in all columns of a side means "not given". Where both were given, and
        neither follows from the other, the new one decides.

Each decision against a value that was given or changed is a conflict, and counted with dbops.conflict(). So is an old
client's value that `up` has no new one for: it stands, as before the change, and the new side is NULL until it is
corrected. A new client's value that `down` has no old one for is refused: nothing could be led back to.

The defaults of the old columns become a trigger that sorts first and acts where neither side was given: a DEFAULT
would let the old side look given, whenever a new client leaves it out. For INSERT, an explicit NULL is the same as a
column left out, so a nullable column with a default gets its default; an UPDATE to NULL is kept, also where it
moves the row to another partition, which is an INSERT there.

A new value that says what the old one says changes nothing, so the batches of a backfill leave the old side alone;
they set dbops.backfill to the change besides, which an expression that is not deterministic does not get around.

Functions and operators run with the rights of whoever writes, who therefore needs those that expressions call.
"""

# ruff: noqa: S608  # the parts are names and SQL of the revision's author
from collections.abc import Sequence

from dbops.engine.plan import literal
from dbops.operations.migrate.shapes import names
from dbops.operations.migrate.shapes.expressions import PATH, as_new, fixed_path, refuse_the_unsteady
from dbops.operations.migrate.shapes.fit import exact, refuse_the_unfit, settle
from dbops.operations.migrate.shapes.guarded import beside, block, quoted
from dbops.operations.migrate.shapes.pair import Dual, changed, conflict_body, disagree, down_body, up_body
from dbops.operations.migrate.shapes.shape import Do

BACKFILL = "dbops.backfill"  # a setting: in the transactions of a backfill, the change that it is of

# In the order in which they fire. What counts conflicts stands apart: where there is none, it costs no call.
_TRIGGERS = ("conflict_insert", "conflict_update", "down_insert", "down_update", "up_insert", "up_update")
_FUNCTIONS = ("conflict", "down", "up")
_MOVED = "without_update"  # fires behind all others


def install(change: str, dual: Dual) -> tuple[Do, ...]:
    """Make the triggers, once the new columns are there; take the defaults of the old ones over."""
    up, down = list(dual.up.values()), list(dual.down.values())
    refuse_the_unsteady([*up, *down])
    asks = up if dual.may_fail else []
    compared = [dual.types.get(name, "unknown") for name in dual.new] if dual.may_fail else []
    bodies: dict[str, tuple[str, list[str], list[str]]] = {
        "conflict": (conflict_body(change, dual), asks, compared),
        "down": (down_body(dual), [*down, *asks], compared),
        "up": (up_body(change, dual), up, []),
    }
    return (
        Do(refuse_the_unfit(dual)),
        Do(_take_over(change, dual)),
        *(
            Do(function(change, dual.table, kind, body, expressions, types))
            for kind, (body, expressions, types) in bodies.items()
        ),
        Do(settle(change, dual, _FUNCTIONS)),
        *(Do(_trigger(change, dual, kind)) for kind in _TRIGGERS),
        Do(always(dual.table, [names.name(kind, change, dual.table) for kind in _TRIGGERS])),
    )


def remove(change: str, table: str) -> tuple[Do, ...]:
    """Remove triggers and functions; what is missing was removed already."""
    first = names.name("default", change, table, prefix=names.FIRST)
    triggers = [first, names.name(_MOVED, change, table), *(names.name(kind, change, table) for kind in _TRIGGERS)]
    functions = [names.name(kind, change, table) for kind in ("default", "moved", *_FUNCTIONS)]
    return (
        *(Do(f"DROP TRIGGER IF EXISTS {quoted(name)} ON {table}") for name in triggers),
        *(Do(f"DROP FUNCTION IF EXISTS {beside(table, name)}()") for name in functions),
    )


def give_back(change: str, table: str) -> Do:
    """Give the old columns the defaults that they had, word for word; to be done before remove()."""
    kept = literal(f"{beside(table, names.name('default', change, table))}()")
    return Do(
        block(f"""DECLARE
    named regclass := {literal(table)}::regclass;
    kept jsonb := pg_catalog.obj_description(pg_catalog.to_regprocedure({kept}), 'pg_proc');
    path text := pg_catalog.current_setting('search_path');
    one record;
BEGIN
    PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
    FOR one IN SELECT key, value FROM jsonb_each_text(kept) LOOP
        EXECUTE format('ALTER TABLE %s ALTER COLUMN %I SET DEFAULT %s', named, one.key, one.value);
    END LOOP;
    PERFORM pg_catalog.set_config('search_path', path, true);
END""")
    )


def always(table: str, triggers: Sequence[str]) -> str:
    """Let triggers fire whatever session_replication_role is."""
    return f"ALTER TABLE {table} " + ", ".join(f"ENABLE ALWAYS TRIGGER {quoted(name)}" for name in triggers)


def function(  # noqa: PLR0917  # one function, in parts
    change: str, table: str, kind: str, body: str, expressions: Sequence[str], compared: Sequence[str] = ()
) -> str:
    """Write a trigger function whose body holds these expressions, and compares values of these types."""
    tag = "$dbops$"
    while tag in body:
        tag = f"{tag[:-1]}_$"
    head = f"CREATE FUNCTION {beside(table, names.name(kind, change, table))}() RETURNS trigger LANGUAGE plpgsql"
    return f"{head}{fixed_path(expressions, compared)} AS {tag}\n{body}\n{tag}"


def _trigger(change: str, dual: Dual, kind: str) -> str:
    function_kind, event = kind.split("_")
    name = quoted(names.name(kind, change, dual.table))
    runs = beside(dual.table, names.name(function_kind, change, dual.table))
    plain, any_type = (
        f"CREATE TRIGGER {name} BEFORE {event.upper()} ON {dual.table} FOR EACH ROW\n"
        f"    WHEN ({_when(change, dual, kind, exact=exactly)})\n    EXECUTE FUNCTION {runs}()"
        for exactly in (True, False)
    )
    if plain == any_type:
        return plain
    return block(f"BEGIN\n    IF {exact(change, dual)} THEN\n{plain};\n    ELSE\n{any_type};\n    END IF;\nEND")


def _when(change: str, dual: Dual, kind: str, *, exact: bool) -> str:
    """Conditions cost far less than a call: most rows meet none of them."""
    new_changed, old_changed = (_changed(columns, exact=exact) for columns in (dual.new, dual.old))
    old_given = " OR ".join(f"NEW.{quoted(name)} IS NOT NULL" for name in dual.old)
    new_given = as_new(dual.given)
    disagreeing = as_new(disagree(dual))
    differs = as_new(dual.differs_down if dual.may_fail else dual.differs_up)  # to write what is there does no harm
    no_filling = f"pg_catalog.current_setting({literal(BACKFILL)}, true) IS DISTINCT FROM {literal(change)}"
    match kind:
        case "conflict_insert":
            return f"({old_given}) AND ({new_given}) AND {disagreeing}"
        case "conflict_update":
            return f"({new_changed}) AND ({old_changed}) AND {disagreeing}"
        case "down_insert":
            return f"({new_given}) AND ({differs})" if exact else new_given
        case "down_update" if not exact:
            return f"({new_changed}) AND {no_filling}"
        case "down_update" if not dual.may_fail:  # a bare column says the same each time, so a batch never differs
            return f"({new_changed}) AND ({differs})"
        case "down_update":
            return f"({new_changed}) AND ({differs}) AND {no_filling}"
        case "up_insert":
            return f"NOT ({new_given})"
        case _:
            others = f" OR ({_changed(dual.others, exact=exact)})" if dual.others else ""
            unfilled = f"NOT ({new_given}) AND ({as_new(dual.differs_down)})"
            return f"(({old_changed}){others} OR ({unfilled})) AND NOT ({new_changed})"


def _changed(columns: Sequence[str], *, exact: bool) -> str:
    if not exact:
        return changed(columns)
    return " OR ".join(f"NEW.{quoted(name)} IS DISTINCT FROM OLD.{quoted(name)}" for name in columns)


def _take_over(change: str, dual: Dual) -> str:
    """Look the defaults up when it is run: the script of a revision is complete without a database.

    Expressions are tried under the search path that they will have, and columns of another open change are refused.
    """
    trigger = quoted(names.name("default", change, dual.table, prefix=names.FIRST))
    runs = beside(dual.table, names.name("default", change, dual.table))
    old = f"ARRAY[{', '.join(map(literal, dual.old))}]::text[]"
    every = f"({'), ('.join([*dual.up.values(), *dual.down.values()])})"
    tried = f"SELECT {every} FROM "
    clash = "a column belongs to a change that is still open: "
    return block(f"""DECLARE
    named regclass := {literal(dual.table)}::regclass;
    path text := pg_catalog.current_setting('search_path');
    body text := '';
    parts boolean := (SELECT relkind = 'p' FROM pg_catalog.pg_class WHERE oid = named);
    kept jsonb := '{{}}';
    other text;
    one record;
BEGIN
    SELECT min(t.tgname) INTO other
      FROM pg_catalog.pg_trigger t
      JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_trigger'::regclass AND d.objid = t.oid
      JOIN pg_catalog.pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
     WHERE t.tgrelid = named AND d.refobjid = named AND t.tgname ~ '^[~!]dbops_' AND a.attname = ANY({old});
    IF other IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'object_in_use', MESSAGE = {literal(clash)} || other;
    END IF;
    PERFORM pg_catalog.set_config('search_path', {literal(PATH)}, true);
    EXECUTE {literal(tried)} || named || ' AS r WHERE false';
    PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
    FOR one IN
        SELECT a.attname, pg_get_expr(d.adbin, d.adrelid) AS told
          FROM pg_attribute a JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
         WHERE a.attrelid = named AND a.attname = ANY({old}) AND a.attgenerated = '' ORDER BY a.attnum
    LOOP
        EXECUTE format('ALTER TABLE %s ALTER COLUMN %I DROP DEFAULT', named, one.attname);
        body := body || format(E'    IF r.%1$I IS NULL THEN\\n        r.%1$I := %2$s;\\n    END IF;\\n',
                               one.attname, one.told);
        kept := kept || jsonb_build_object(one.attname, one.told);
    END LOOP;
    PERFORM pg_catalog.set_config('search_path', path, true);
    IF body <> '' THEN
        body := CASE WHEN parts THEN {literal(_UNLESS_MOVED)} ELSE '' END || body;
        EXECUTE format({literal(f"CREATE FUNCTION {_per_cent(runs)}() RETURNS trigger LANGUAGE plpgsql AS %L")},
                       E'DECLARE\\n    r ALIAS FOR new;\\nBEGIN\\n' || body || E'    RETURN r;\\nEND');
        EXECUTE format({literal(f"COMMENT ON FUNCTION {_per_cent(runs)}() IS %L")}, kept);
        EXECUTE {literal(_default_trigger(dual, trigger, runs))};
        IF parts THEN
            EXECUTE {literal(_moved_function(change, dual))};
            EXECUTE {literal(_moved_trigger(change, dual))};
        END IF;
        {always(dual.table, [names.name("default", change, dual.table, prefix=names.FIRST)])};
    END IF;
END""")


_MOVED_ROW = "pg_catalog.md5(pg_catalog.to_jsonb(r)::text)"
_UNLESS_MOVED = f"""    IF pg_catalog.current_setting('dbops.moved', true) = {_MOVED_ROW} THEN
        RETURN r; -- it comes from another partition, as it is
    END IF;
"""


def _moved_function(change: str, dual: Dual) -> str:
    body = f"""DECLARE
    r ALIAS FOR new;
BEGIN
    PERFORM pg_catalog.set_config('dbops.moved', {_MOVED_ROW}, true);
    RETURN r;
END"""
    return function(change, dual.table, "moved", body, ())


def _moved_trigger(change: str, dual: Dual) -> str:
    """Remember a row that may be about to move, where its NULL is not to become the default."""
    name = quoted(names.name(_MOVED, change, dual.table))
    some = " OR ".join(f"NEW.{quoted(column)} IS NULL" for column in dual.old)
    runs = beside(dual.table, names.name("moved", change, dual.table))
    return (
        f"CREATE TRIGGER {name} BEFORE UPDATE ON {dual.table} FOR EACH ROW\n"
        f"    WHEN (NOT ({as_new(dual.given)}) AND ({some})) EXECUTE FUNCTION {runs}();\n"
        + always(dual.table, [names.name(_MOVED, change, dual.table)])
    )


def _default_trigger(dual: Dual, trigger: str, runs: str) -> str:
    some = " OR ".join(f"NEW.{quoted(name)} IS NULL" for name in dual.old)
    return (
        f"CREATE TRIGGER {trigger} BEFORE INSERT ON {dual.table} FOR EACH ROW\n"
        f"    WHEN (NOT ({as_new(dual.given)}) AND ({some}))\n    EXECUTE FUNCTION {runs}()"
    )


def _per_cent(text: str) -> str:
    return text.replace("%", "%%")
