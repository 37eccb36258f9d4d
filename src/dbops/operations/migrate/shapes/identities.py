"""What counts for an identity goes on counting for the column that takes its place. Pure.

An identity cannot be handed over: it is made anew, with the name, the options, the rights and the count of the old one.
"""

from dbops.engine.plan import literal
from dbops.operations.migrate.shapes.guarded import block, filled, oid
from dbops.operations.migrate.shapes.shape import Do

# SET NOT NULL scans nothing behind a CHECK that proves it, or where it was set.
_HAND_OVER = """DECLARE
    one record;
    count record;
    each record;
BEGIN
    SELECT a.attidentity, d.objid::regclass AS counter, n.nspname, c.relname, c.relacl, q.*, t.atttypid AS type INTO one
      FROM pg_catalog.pg_attribute a
      JOIN pg_catalog.pg_attribute t ON t.attrelid = a.attrelid AND t.attname = @to@ AND NOT t.attisdropped
       AND NOT t.atthasdef AND t.atttypid IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype)
      JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_class'::regclass AND d.deptype = 'i'
       AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = a.attrelid AND d.refobjsubid = a.attnum
      JOIN pg_catalog.pg_sequence q ON q.seqrelid = d.objid JOIN pg_catalog.pg_class c ON c.oid = d.objid
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE a.attrelid = @table@ AND a.attname = @of@ AND a.attidentity <> '' AND NOT a.attisdropped;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    EXECUTE format('SELECT last_value, is_called FROM %s', one.counter) INTO count;
    EXECUTE format('ALTER TABLE %s ALTER %I DROP IDENTITY', @table@::regclass, @of@);
    EXECUTE format('ALTER TABLE %s ALTER %I SET NOT NULL', @table@::regclass, @to@);
    EXECUTE format('ALTER TABLE %s ALTER %I ADD GENERATED %s AS IDENTITY (SEQUENCE NAME %I.%I INCREMENT BY %s '
                   'MINVALUE %s %s START WITH %s CACHE %s %s)', @table@::regclass, @to@,
                   CASE one.attidentity WHEN 'a' THEN 'ALWAYS' ELSE 'BY DEFAULT' END, one.nspname, one.relname,
                   one.seqincrement, one.seqmin,
                   CASE WHEN one.seqmax NOT IN (32767, 2147483647, 9223372036854775807)
                        THEN format('MAXVALUE %s', one.seqmax) ELSE '' END,
                   one.seqstart, one.seqcache, CASE WHEN one.seqcycle THEN 'CYCLE' ELSE 'NO CYCLE' END);
    PERFORM pg_catalog.setval(format('%I.%I', one.nspname, one.relname)::regclass, count.last_value, count.is_called);
    FOR each IN SELECT a.privilege_type,
                       CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END AS who
                  FROM pg_catalog.aclexplode(one.relacl) a
    LOOP
        EXECUTE format('GRANT %s ON SEQUENCE %I.%I TO %s', each.privilege_type, one.nspname, one.relname, each.who);
    END LOOP;
END"""


def hand_over(table: str, of: str, to: str) -> Do:
    """Let `to` count on where `of` is an identity, and `to` a number that has no default."""
    return Do(block(filled(_HAND_OVER, table=oid(table), of=literal(of), to=literal(to))))
