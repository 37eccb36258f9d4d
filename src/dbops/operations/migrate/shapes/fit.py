"""What has to hold of a table before triggers can keep two sides of its rows alike, as SQL that refuses. Pure."""

# ruff: noqa: S608  # the parts are names and SQL of the revision's author

from dbops.engine.plan import literal
from dbops.operations.migrate.shapes import names
from dbops.operations.migrate.shapes.expressions import PATH, SETTINGS
from dbops.operations.migrate.shapes.guarded import beside, block
from dbops.operations.migrate.shapes.pair import Dual

# Over pg_type t and the collation c of a column: `=` may call two values equal that are not the same bytes.
LOOSE = """(c.collisdeterministic IS FALSE OR NOT EXISTS (
               SELECT FROM pg_catalog.pg_opclass o JOIN pg_catalog.pg_amproc p
                 ON p.amprocfamily = o.opcfamily AND p.amproclefttype = o.opcintype AND p.amprocnum = 4
                WHERE o.opcdefault AND o.opcmethod = (SELECT oid FROM pg_catalog.pg_am WHERE amname = 'btree')
                  AND o.opcintype = CASE WHEN t.typtype = 'e' THEN 'pg_catalog.anyenum'::regtype
                                         WHEN t.oid = 'pg_catalog.varchar'::regtype THEN 'pg_catalog.text'::regtype
                                         ELSE t.oid END))"""
_REFUSED = "RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state', MESSAGE ="


def refuse_the_unfit(dual: Dual) -> str:
    """Refuse where triggers of the table would not see a row, a value, or what another trigger makes of it."""
    table = literal(dual.table)
    old = _names(dual.old)
    read = _names((*dual.old, *dual.others))
    return block(f"""DECLARE
    named regclass := {table}::regclass;
    found text;
BEGIN
    IF EXISTS (SELECT FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class c ON c.oid = i.inhparent
                WHERE c.oid = named AND c.relkind <> 'p') THEN
        {_REFUSED} {literal(f"{dual.table} has child tables: its triggers do not fire for their rows")};
    END IF;
    SELECT min(attname) INTO found FROM pg_catalog.pg_attribute
     WHERE attrelid = named AND attname = ANY({old}) AND attinhcount > 0;
    IF found IS NOT NULL THEN
        {_REFUSED} 'column ' || found || {literal(f" of {dual.table} is inherited: it can go from its parent only")};
    END IF;
    SELECT min(attname) INTO found FROM pg_catalog.pg_attribute
     WHERE attrelid = named AND attname = ANY({read}) AND attgenerated <> '';
    IF found IS NOT NULL THEN
        {_REFUSED} 'column ' || found || {literal(f" of {dual.table} is generated: triggers do not see its value")};
    END IF;
    SELECT min(tgname) INTO found FROM pg_catalog.pg_trigger
     WHERE tgrelid = named AND NOT tgisinternal AND tgtype & 3 = 3 AND tgtype & 20 <> 0
       AND tgname::text COLLATE "C" > {literal(names.LAST)} AND tgname !~ '^~dbops_';
    IF found IS NOT NULL THEN
        {_REFUSED} 'trigger ' || found || {literal(f" of {dual.table} would fire behind ours")},
            HINT = 'ALTER TRIGGER ... RENAME TO a name of plain letters';
    END IF;
END""")


def _names(columns: tuple[str, ...]) -> str:
    return f"ARRAY[{', '.join(map(literal, columns))}]::text[]"


def settle(change: str, dual: Dual, kinds: tuple[str, ...]) -> str:
    """Fix the settings of functions whose expressions depend on any; refuse an expression that reads other rows.

    PostgreSQL tells: an index takes nothing else than what always says the same.
    """
    told = [one for one in (dual.differs_up, dual.differs_down) if one]
    every = literal(f"(({') OR ('.join(told)}))")
    functions = [f"{beside(dual.table, names.name(kind, change, dual.table))}()" for kind in kinds]
    fixed = "".join(f" SET {name} = {literal(value)}" for name, value in SETTINGS.items())
    alter = "\n".join(f"        ALTER FUNCTION {one}{fixed};" for one in functions)
    return block(f"""DECLARE
    named regclass := {literal(dual.table)}::regclass;
    path text := pg_catalog.current_setting('search_path');
    steady boolean := false;
    rows_read boolean := false;
BEGIN
    BEGIN
        EXECUTE pg_catalog.format('CREATE TEMPORARY TABLE r (LIKE %s)', named);
        PERFORM pg_catalog.set_config('search_path', {literal(PATH)}, true);
        EXECUTE 'CREATE INDEX ON pg_temp.r (' || {every} || ')';
        RAISE SQLSTATE 'DB000'; -- which takes the table back
    EXCEPTION
        WHEN SQLSTATE 'DB000' THEN
            steady := true;
        WHEN feature_not_supported THEN
            rows_read := true;
        WHEN undefined_function THEN
            RAISE; -- a type without `=`: nothing could be compared
        WHEN OTHERS THEN
            NULL; -- it depends on settings, or nobody can tell
    END;
    PERFORM pg_catalog.set_config('search_path', path, true);
    IF rows_read THEN
        {_REFUSED} {literal(f"expressions of {change} may read columns of the same row, and no other rows")};
    END IF;
    IF NOT steady THEN
{alter}
    END IF;
END""")


def exact(change: str, dual: Dual) -> str:
    """Write the condition (over the catalog) that `=` sees each change of these columns, whoever asks.

    It does not for citext, numeric (1.0 = 1.00), intervals, jsonb, and collations that know no case.
    """
    up = literal(f"{beside(dual.table, names.name('up', change, dual.table))}()")
    columns = _names((*dual.old, *dual.new, *dual.others))
    return f"""NOT EXISTS (
        SELECT FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
          LEFT JOIN pg_catalog.pg_collation c ON c.oid = a.attcollation
         WHERE a.attrelid = {literal(dual.table)}::regclass AND a.attname = ANY({columns})
           AND {LOOSE})
       AND NOT EXISTS (SELECT FROM pg_catalog.pg_proc WHERE oid = pg_catalog.to_regprocedure({up})
                          AND pg_catalog.array_to_string(proconfig, ' ') ~* 'timezone=')"""
