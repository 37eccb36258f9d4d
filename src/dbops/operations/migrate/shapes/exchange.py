"""Two tables exchange their names, and all that hangs on the one that serves follows to the other. Pure.

One transaction, one statement: what it will touch is locked first, in one order; nothing is scanned; a text that names
a table is taken before the names change and executed after, so that it binds to the other. Done twice, it does nothing.
"""

from dbops.operations.migrate.shapes.carried import EXECUTE_TEXTS, TAKE_TEXTS
from dbops.operations.migrate.shapes.following import CHECK, WHO, block
from dbops.operations.migrate.shapes.guarded import filled

_DECLARE = """    views_text text[] = '{}'; -- what is executed once the names are exchanged
    views_drop text[] = '{}';
    policies_text text[] = '{}';
    triggers_text text[] = '{}';
    publications_text text[] = '{}';
    relations text;
    free text;
    next_value bigint;
    was_called boolean;
    types regtype[] = ARRAY['smallint', 'integer', 'bigint'];
    most bigint[] = ARRAY[32767, 2147483647, 9223372036854775807];
    olds oid[] = '{}'; -- materialized views, and what takes their places
    twins oid[] = '{}';
"""

# Readers come from a view to its tables: so do we. OWNER TO whom it belongs already locks a view without its tables.
_LOCK = """
    FOR each IN SELECT v.oid::regclass AS rel, v.relkind, v.relowner::regrole AS owner FROM (@above@) v
                 WHERE v.relkind = 'v' OR v.oid = ANY (moved) ORDER BY v.depth DESC, v.oid
    LOOP
        EXECUTE format('ALTER %s %s OWNER TO %s', CASE each.relkind WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE 'VIEW' END,
                       each.rel, each.owner);
    END LOOP;
    SELECT string_agg(DISTINCT c.oid::regclass::text, ', ') INTO relations
      FROM pg_class c
     WHERE c.oid IN (here, there)
        OR c.oid IN (SELECT k.conrelid FROM pg_constraint k
                      WHERE k.contype = 'f' AND k.confrelid = here AND k.conparentid = 0)
        OR c.oid IN (SELECT y.polrelid FROM pg_policy y JOIN pg_depend d ON d.classid = 'pg_policy'::regclass
                        AND d.objid = y.oid AND d.refclassid = 'pg_class'::regclass AND d.refobjid = ANY (moved)
                       JOIN pg_class t ON t.oid = y.polrelid AND t.relkind IN ('r', 'p'))
        OR c.oid IN (SELECT w.ev_class FROM pg_rewrite w JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass
                        AND d.objid = w.oid AND d.refclassid = 'pg_class'::regclass AND d.refobjid = ANY (moved)
                       JOIN pg_class t ON t.oid = w.ev_class AND t.relkind IN ('r', 'p'));
    EXECUTE 'LOCK TABLE ' || relations || ' IN ACCESS EXCLUSIVE MODE';
    FOR each IN @keys@
    LOOP
        IF each.twin IS NULL OR each.convalidated AND NOT each.twin_validated THEN
            problems = problems || format('foreign key %s of %s', each.conname, each.was_from::regclass);
        END IF;
    END LOOP;
    FOR each IN SELECT c.relname, s.nspname FROM pg_class c JOIN pg_namespace s ON s.oid = c.relnamespace
                 WHERE c.oid = ANY (views)
    LOOP
        IF to_regclass(format('%I.%I', each.nspname, mark || md5(each.relname))) IS NULL THEN
            problems = problems || format('materialized view %s', each.relname);
        END IF;
    END LOOP;
    IF problems <> '{}' THEN
        RAISE EXCEPTION 'not made ready to follow to %: %', there_is, array_to_string(problems, ', ')
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'it is newer than the rest: begin again';
    END IF;
"""

# Old keys go, and the twins get their names and are enforced as those were.
_KEYS = """
    FOR each IN @keys@
    LOOP
        CONTINUE WHEN NOT each.incoming;
        IF each.was_from <> here THEN
            EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', each.was_from::regclass, each.conname);
            EXECUTE format('ALTER TABLE %s RENAME CONSTRAINT %I TO %I', each.was_from::regclass, each.twin_name,
                           each.conname);
        END IF;
        EXECUTE format('ALTER TABLE %s ALTER CONSTRAINT %I %s', each.from_rel::regclass,
                       CASE WHEN each.was_from = here THEN each.twin_name ELSE each.conname END,
                       CASE WHEN each.condeferred THEN 'DEFERRABLE INITIALLY DEFERRED'
                            WHEN each.condeferrable THEN 'DEFERRABLE INITIALLY IMMEDIATE' ELSE 'NOT DEFERRABLE' END);
    END LOOP;
"""

_NAMES = """
    FOREACH told IN ARRAY views_drop
    LOOP
        EXECUTE told;
    END LOOP;
    free = '~dbops_' || md5(here::text || there::text);
    EXECUTE format('ALTER TABLE %s RENAME TO %I', here::regclass, free);
    EXECUTE format('ALTER TABLE %s RENAME TO %s', there::regclass, here_is);
    EXECUTE format('ALTER TABLE %s RENAME TO %s', here::regclass, there_is);
    FOR each IN SELECT c.oid, c.relname, s.nspname,
                       to_regclass(format('%I.%I', s.nspname, mark || md5(c.relname)))::oid AS twin
                  FROM pg_class c JOIN pg_namespace s ON s.oid = c.relnamespace WHERE c.oid = ANY (views)
    LOOP
        told = '~dbops_' || md5(each.oid::text);
        FOR other IN SELECT i.indexrelid::regclass AS old, c.relname, mark || md5(c.relname) AS twin
                       FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE i.indrelid = each.oid
        LOOP
            EXECUTE format('ALTER INDEX %s RENAME TO %I', other.old, '~dbops_' || md5('old' || other.relname));
            EXECUTE format('ALTER INDEX %I.%I RENAME TO %I', each.nspname, other.twin, other.relname);
        END LOOP;
        EXECUTE format('ALTER MATERIALIZED VIEW %s RENAME TO %I', each.oid::regclass, told);
        EXECUTE format('ALTER MATERIALIZED VIEW %s RENAME TO %I', each.twin::regclass, each.relname);
        EXECUTE format('ALTER MATERIALIZED VIEW %s OWNER TO %s', each.twin::regclass,
                       (SELECT relowner::regrole FROM pg_class WHERE oid = each.oid));
        olds = olds || each.oid;
        twins = twins || each.twin;
    END LOOP;
"""

# Rights of what served go to what serves now: each.old and each.new are OIDs. Needs @who@.
RIGHTS = """
        FOR other IN SELECT DISTINCT @who@ AS who
                       FROM pg_class c, aclexplode(c.relacl) a WHERE c.oid = each.new AND a.grantee <> c.relowner
        LOOP
            EXECUTE format('REVOKE ALL ON %s FROM %s', each.new::regclass, other.who);
        END LOOP;
        FOR other IN SELECT a.privilege_type, a.is_grantable, NULL::text AS col,
                            @who@ AS who
                       FROM pg_class c, aclexplode(c.relacl) a WHERE c.oid = each.old AND a.grantee <> c.relowner
                     UNION ALL
                     SELECT a.privilege_type, a.is_grantable, quote_ident(t.attname),
                            @who@
                       FROM pg_attribute t, aclexplode(t.attacl) a
                      WHERE t.attrelid = each.old AND t.attname IN (
                            SELECT attname FROM pg_attribute WHERE attrelid = each.new AND NOT attisdropped)
        LOOP
            EXECUTE format('GRANT %s%s ON %s TO %s%s', other.privilege_type, ' (' || other.col || ')',
                           each.new::regclass, other.who, CASE WHEN other.is_grantable THEN ' WITH GRANT OPTION' END);
        END LOOP;
"""
# And comments and statistics targets.
REMARKS = """
        FOR other IN SELECT d.description, a.attname, a.attnum, a.attstattarget,
                            col_description(each.new, n.attnum) AS said
                       FROM pg_attribute a JOIN pg_attribute n ON n.attrelid = each.new AND n.attname = a.attname
                        AND NOT n.attisdropped
                       LEFT JOIN pg_description d ON d.classoid = 'pg_class'::regclass AND d.objoid = a.attrelid
                        AND d.objsubid = a.attnum
                      WHERE a.attrelid = each.old AND a.attnum > 0 AND NOT a.attisdropped
                        AND (d.description IS NOT NULL OR a.attstattarget IS DISTINCT FROM n.attstattarget)
        LOOP
            IF other.description IS NOT NULL AND other.said IS NULL THEN
                EXECUTE format('COMMENT ON COLUMN %s.%I IS %L', each.new::regclass, other.attname, other.description);
            END IF;
            EXECUTE format('ALTER TABLE %s ALTER %I SET STATISTICS %s', each.new::regclass, other.attname,
                           coalesce(other.attstattarget, -1));
        END LOOP;
        IF obj_description(each.old, 'pg_class') IS NOT NULL AND obj_description(each.new, 'pg_class') IS NULL THEN
            EXECUTE format('COMMENT ON %s %s IS %L', CASE (SELECT relkind FROM pg_class WHERE oid = each.new)
                                                     WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE 'TABLE' END,
                           each.new::regclass, obj_description(each.old, 'pg_class'));
        END IF;
"""
_RIGHTS = """
    FOR each IN SELECT here AS old, there AS new UNION ALL SELECT * FROM unnest(olds, twins)
    LOOP@rights@@remarks@    END LOOP;
"""

# What counts on stays one sequence: the owner changes, or an identity is made anew where the old one stood.
_SEQUENCES = """
    FOR each IN SELECT a.attname, a.attidentity, d.objid AS seq, d.deptype, n.atttypid::regtype AS type, q.*,
                       s.nspname, c.relname, c.relacl
                  FROM pg_depend d JOIN pg_attribute a ON a.attrelid = here AND a.attnum = d.refobjsubid
                  JOIN pg_sequence q ON q.seqrelid = d.objid JOIN pg_class c ON c.oid = d.objid
                  JOIN pg_namespace s ON s.oid = c.relnamespace
                  JOIN pg_attribute n ON n.attrelid = there AND n.attname = a.attname AND NOT n.attisdropped
                 WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = here
                   AND d.deptype IN ('a', 'i')
    LOOP
        IF each.deptype = 'a' THEN
            EXECUTE format('ALTER SEQUENCE %s OWNED BY %s.%I', each.seq::regclass, there::regclass, each.attname);
            IF each.type = 'bigint'::regtype AND each.seqtypid <> 'bigint'::regtype THEN
                EXECUTE format('ALTER SEQUENCE %s AS bigint', each.seq::regclass);
            END IF;
            CONTINUE;
        END IF;
        EXECUTE format('SELECT last_value, is_called FROM %s', each.seq::regclass) INTO next_value, was_called;
        EXECUTE format('ALTER TABLE %s ALTER %I DROP DEFAULT', there::regclass, each.attname);
        EXECUTE format('ALTER TABLE %s ALTER %I DROP IDENTITY', here::regclass, each.attname);
        EXECUTE format('ALTER TABLE %s ALTER %I ADD GENERATED %s AS IDENTITY (SEQUENCE NAME %I.%I INCREMENT BY %s '
                       'MINVALUE %s MAXVALUE %s START WITH %s CACHE %s %s)', there::regclass, each.attname,
                       CASE each.attidentity WHEN 'a' THEN 'ALWAYS' ELSE 'BY DEFAULT' END, each.nspname, each.relname,
                       each.seqincrement, each.seqmin,
                       CASE each.seqmax WHEN most[array_position(types, each.seqtypid::regtype)]
                                        THEN most[array_position(types, each.type)] ELSE each.seqmax END,
                       each.seqstart, each.seqcache, CASE WHEN each.seqcycle THEN 'CYCLE' ELSE 'NO CYCLE' END);
        PERFORM setval(format('%I.%I', each.nspname, each.relname)::regclass, next_value, was_called);
        FOR other IN SELECT a.privilege_type, @who@ AS who
                       FROM aclexplode(each.relacl) a
        LOOP
            EXECUTE format('GRANT %s ON SEQUENCE %I.%I TO %s', other.privilege_type, each.nspname, each.relname,
                           other.who);
        END LOOP;
        EXECUTE format('ALTER TABLE %s ALTER %I SET DEFAULT nextval(%L)', here::regclass, each.attname,
                       format('%I.%I', each.nspname, each.relname));
    END LOOP;
"""

# Applications name constraints too (ON CONFLICT ON CONSTRAINT): those that say the same exchange their names.
_CONSTRAINT_NAMES = """
    FOR each IN SELECT DISTINCT ON (o.conname) k.conname AS was, o.conname AS is
                  FROM pg_constraint k JOIN pg_constraint o ON o.conrelid = there AND o.contype = k.contype
                   AND o.conname <> k.conname AND k.contype IN ('p', 'u', 'x', 'c', 'f')
                   AND pg_get_constraintdef(o.oid) = pg_get_constraintdef(k.oid)
                 WHERE k.conrelid = here
                   AND NOT EXISTS (SELECT FROM pg_constraint x WHERE x.conrelid = there AND x.conname = k.conname)
                   AND NOT EXISTS (SELECT FROM pg_constraint x WHERE x.conrelid = here AND x.conname = o.conname)
                 ORDER BY o.conname, k.conname
    LOOP
        EXECUTE format('ALTER TABLE %s RENAME CONSTRAINT %I TO %I', here::regclass, each.was, free);
        EXECUTE format('ALTER TABLE %s RENAME CONSTRAINT %I TO %I', there::regclass, each.is, each.was);
        EXECUTE format('ALTER TABLE %s RENAME CONSTRAINT %I TO %I', here::regclass, free, each.is);
    END LOOP;
    FOR each IN SELECT DISTINCT ON (o.oid) k.oid AS was, k.relname AS was_name, o.oid AS is, o.relname AS is_name
                  FROM pg_index ki JOIN pg_class k ON k.oid = ki.indexrelid
                  JOIN pg_index oi ON oi.indrelid = there JOIN pg_class o ON o.oid = oi.indexrelid
                 WHERE ki.indrelid = here AND ki.indisunique = oi.indisunique
                   AND NOT EXISTS (SELECT FROM pg_constraint x WHERE x.conindid IN (k.oid, o.oid)
                                      AND x.conrelid IN (here, there))
                   AND regexp_replace(pg_get_indexdef(k.oid), '^.*? USING ', '')
                       = regexp_replace(pg_get_indexdef(o.oid), '^.*? USING ', '')
                 ORDER BY o.oid, k.relname
    LOOP
        EXECUTE format('ALTER INDEX %s RENAME TO %I', each.was::regclass, free);
        EXECUTE format('ALTER INDEX %s RENAME TO %I', each.is::regclass, each.was_name);
        EXECUTE format('ALTER INDEX %s RENAME TO %I', each.was::regclass, each.is_name);
    END LOOP;
"""


def exchange(*, here: str, there: str, sign: str) -> str:
    """Write the one statement. `sign` is the trigger that sits on `here` as long as it was not done."""
    body = CHECK + _LOCK + TAKE_TEXTS + _KEYS + _NAMES + _RIGHTS
    body += _CONSTRAINT_NAMES + EXECUTE_TEXTS + _SEQUENCES
    return block(
        body, here=here, there=there, sign=sign, declare=_DECLARE, rights=filled(RIGHTS, who=WHO), remarks=REMARKS
    )
