"""What a new table is given when it is put beside the one that it replaces, as far as its author left it out. Pure.

Owner, rights, row security with its policies, and the one sequence that both count on. Keys and triggers come with the
exchange: keys would refuse rows whose peers are not carried over yet, and a trigger on both sides would act twice.
"""

from collections.abc import Sequence

from dbops.engine.plan import literal
from dbops.operations.migrate.shapes.exchange import REMARKS, RIGHTS
from dbops.operations.migrate.shapes.following import WHO
from dbops.operations.migrate.shapes.guarded import filled

_OUTFIT = """DO $outfit$
DECLARE
    here oid = to_regclass(@here@);
    there oid = to_regclass(@there@);
    path_was text = current_setting('search_path');
    named text;
    named_there text;
    each record;
    other record;
    told text;
BEGIN
    IF here IS NULL OR there IS NULL THEN
        RAISE EXCEPTION 'table % is not there', CASE WHEN here IS NULL THEN @here@ ELSE @there@ END
            USING ERRCODE = 'undefined_table';
    END IF;
    PERFORM set_config('search_path', 'pg_catalog, pg_temp', true);
    IF (SELECT count(DISTINCT relnamespace) FROM pg_class WHERE oid IN (here, there)) > 1 THEN
        RAISE EXCEPTION '% and % are in different schemas', here::regclass, there::regclass
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'they are to exchange their names';
    END IF;
    SELECT regexp_replace(quote_ident(relname), '(\\W)', '\\\\\\1', 'g') INTO named FROM pg_class WHERE oid = here;
    SELECT quote_ident(relname) INTO named_there FROM pg_class WHERE oid = there;
    FOR each IN SELECT c.oid::regclass AS rel, c.oid FROM pg_class c WHERE c.oid IN (here, there) AND NOT EXISTS (
                SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisunique AND i.indimmediate AND i.indisvalid
                   AND i.indpred IS NULL AND i.indexprs IS NULL AND i.indnkeyatts = cardinality(@key@)
                   AND (SELECT array_agg(a.attname::text ORDER BY a.attname) FROM pg_attribute a
                         WHERE a.attrelid = i.indrelid AND a.attnotnull
                           AND a.attnum = ANY (i.indkey[0:i.indnkeyatts - 1]))
                       = (SELECT array_agg(k ORDER BY k) FROM unnest(@key@) k))
    LOOP
        RAISE EXCEPTION '% has no unique index on (%), NOT NULL and not deferrable', each.rel,
            array_to_string(@key@, ', ')
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'both tables name their rows by the same key';
    END LOOP;
    FOR each IN SELECT k.conname FROM pg_constraint k
                 WHERE k.contype = 'f' AND k.conrelid = there AND k.confrelid IN (here, there)
    LOOP
        RAISE EXCEPTION 'foreign key % of the new table would refuse rows that are carried over before their peers',
            each.conname
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = 'leave it out: keys of the old table are added, and hold, before the exchange';
    END LOOP;
    FOR each IN SELECT c.relowner::regrole AS owner, r.rolsuper OR r.rolbypassrls AS sees_all, c.relrowsecurity,
                       c.relforcerowsecurity, n.relowner AS other
                  FROM pg_class c JOIN pg_roles r ON r.oid = c.relowner JOIN pg_class n ON n.oid = there
                 WHERE c.oid = here
    LOOP
        IF each.relrowsecurity AND each.relforcerowsecurity AND NOT each.sees_all THEN
            RAISE EXCEPTION 'row security of % is forced upon its owner, who would miss rows to carry over',
                here::regclass
                USING ERRCODE = 'object_not_in_prerequisite_state',
                      HINT = format('ALTER ROLE %s BYPASSRLS', each.owner);
        END IF;
        IF each.other::regrole <> each.owner THEN
            EXECUTE format('ALTER TABLE %s OWNER TO %s', there::regclass, each.owner);
        END IF;
        IF each.relrowsecurity THEN
            EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', there::regclass);
        END IF;
        IF each.relforcerowsecurity THEN
            EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', there::regclass);
        END IF;
    END LOOP;
    FOR each IN SELECT here AS old, there AS new
    LOOP@rights@@remarks@    END LOOP;
    -- in a policy, columns of its own table stand alone, or behind the table's name
    FOR each IN SELECT y.*, regexp_replace(pg_get_expr(y.polqual, y.polrelid), '(^|[^.\\w"])' || named || '\\.',
                                           '\\1' || named_there || '.', 'g') AS qual,
                       regexp_replace(pg_get_expr(y.polwithcheck, y.polrelid), '(^|[^.\\w"])' || named || '\\.',
                                      '\\1' || named_there || '.', 'g') AS with_check,
                       (SELECT string_agg(CASE r WHEN 0 THEN 'PUBLIC' ELSE r::regrole::text END, ', ')
                          FROM unnest(y.polroles) r) AS roles
                  FROM pg_policy y WHERE y.polrelid = here
                   AND NOT EXISTS (SELECT FROM pg_policy o WHERE o.polrelid = there AND o.polname = y.polname)
    LOOP
        EXECUTE format('CREATE POLICY %I ON %s AS %s FOR %s TO %s%s%s', each.polname, there::regclass,
            CASE WHEN each.polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END,
            CASE each.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE'
                             WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
            each.roles, ' USING (' || each.qual || ')', ' WITH CHECK (' || each.with_check || ')');
    END LOOP;
    FOR each IN SELECT a.attname, d.objid::regclass AS seq, d.deptype, n.attidentity,
                       (SELECT o.objid::regclass FROM pg_depend o JOIN pg_sequence q ON q.seqrelid = o.objid
                         WHERE o.classid = 'pg_class'::regclass AND o.refclassid = 'pg_class'::regclass
                           AND o.refobjid = there AND o.refobjsubid = n.attnum AND o.deptype = 'a') AS own
                  FROM pg_depend d JOIN pg_attribute a ON a.attrelid = here AND a.attnum = d.refobjsubid
                  JOIN pg_sequence q ON q.seqrelid = d.objid
                  JOIN pg_attribute n ON n.attrelid = there AND n.attname = a.attname AND NOT n.attisdropped
                 WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = here
                   AND d.deptype IN ('a', 'i')
    LOOP
        IF each.attidentity <> '' THEN
            EXECUTE format('ALTER TABLE %s ALTER %I DROP IDENTITY', there::regclass, each.attname);
        END IF;
        EXECUTE format('ALTER TABLE %s ALTER %I SET DEFAULT nextval(%L)', there::regclass, each.attname, each.seq);
        IF each.own IS NOT NULL THEN
            EXECUTE format('DROP SEQUENCE %s', each.own);
        END IF;
        IF each.deptype = 'i' THEN -- nobody needs a right on the sequence of an identity, but on that of a default
            FOR other IN SELECT DISTINCT CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END AS who
                           FROM pg_class c, aclexplode(c.relacl) a
                          WHERE c.oid = here AND a.privilege_type = 'INSERT' AND a.grantee <> c.relowner
            LOOP
                EXECUTE format('GRANT USAGE ON SEQUENCE %s TO %s', each.seq, other.who);
            END LOOP;
        END IF;
    END LOOP;
    PERFORM set_config('search_path', path_was, true);
END
$outfit$"""

# What was made ready for an exchange that did not come.
_STRIP = """DO $strip$
DECLARE
    there oid = to_regclass(@there@);
    twin text;
    each record;
BEGIN
    IF EXISTS (SELECT FROM pg_catalog.pg_trigger WHERE tgrelid = there AND tgname = @sign@) THEN
        RAISE EXCEPTION '% has taken the place of % already', @there@, @here@
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'go back first: dbops migrate rollback';
    END IF;
    FOR each IN SELECT k.conname, k.conrelid::regclass AS rel FROM pg_catalog.pg_constraint k
                 WHERE k.contype = 'f' AND k.conparentid = 0 AND k.confrelid = there AND k.conrelid <> there
                   AND (k.conname ~ '^~dbops_' OR k.conname ~ '_2$' AND EXISTS (
                        SELECT FROM pg_catalog.pg_class c WHERE c.oid = k.conrelid AND c.relispartition))
    LOOP
        EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', each.rel, each.conname);
    END LOOP;
    FOREACH twin IN ARRAY (
        SELECT coalesce(array_agg(DISTINCT w.ev_class::regclass::text), '{}') FROM pg_catalog.pg_depend d
          JOIN pg_catalog.pg_rewrite w ON w.oid = d.objid JOIN pg_catalog.pg_class c ON c.oid = w.ev_class
         WHERE d.classid = 'pg_catalog.pg_rewrite'::regclass AND d.refobjid = there
           AND d.refclassid = 'pg_catalog.pg_class'::regclass AND c.relkind = 'm' AND c.relname ~ '^~dbops_')
    LOOP
        EXECUTE format('DROP MATERIALIZED VIEW IF EXISTS %s CASCADE', twin); -- what reads it is a twin too
    END LOOP;
END
$strip$"""

# Rows that would be lost keep the old table where it is.
_GUARD = """DO $guard$
DECLARE
    filled boolean;
BEGIN
    IF EXISTS (SELECT FROM pg_catalog.pg_trigger WHERE tgrelid = to_regclass(@here@) AND tgname = @sign@) THEN
        EXECUTE 'SELECT EXISTS (SELECT FROM ' || @here@ || ')' INTO filled;
        IF filled THEN
            RAISE EXCEPTION '% was not replaced yet, and holds rows', @here@
                USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'dbops migrate switch';
        END IF;
    END IF;
END
$guard$"""


def outfit(here: str, there: str, key: Sequence[str]) -> str:
    named = f"ARRAY[{', '.join(literal(_plain(column)) for column in key)}]::text[]"
    return filled(
        _OUTFIT, here=literal(here), there=literal(there), key=named, rights=filled(RIGHTS, who=WHO), remarks=REMARKS
    )


def strip(here: str, there: str, sign: str) -> str:
    return filled(_STRIP, here=literal(here), there=literal(there), sign=literal(sign))


def guard(here: str, sign: str) -> str:
    return filled(_GUARD, here=literal(here), sign=literal(sign))


def _plain(column: str) -> str:
    return column[1:-1].replace('""', '"') if column.startswith('"') else column
