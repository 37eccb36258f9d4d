"""What hangs on a table that another one will replace, and whether it can follow. Pure.

Everything that binds by OID has to be moved: foreign keys from and to it, views, materialized views, rules, policies of
other tables, functions with a parsed body. Keys and materialized views get their twin at the new table beforehand, so
that nothing is scanned while the tables exchange their names. What cannot follow is named before anything begins.
"""

from dbops.engine.plan import literal
from dbops.operations.migrate.shapes.guarded import filled

# Each block returns at once where the exchange was done already: @sign@ is a trigger that sits on @here@ until then.
_BEGIN = """DO $exchange$
DECLARE
    here oid = to_regclass(@here@);
    there oid = to_regclass(@there@);
    here_is text = quote_ident((SELECT relname FROM pg_catalog.pg_class WHERE oid = here));
    there_is text = quote_ident((SELECT relname FROM pg_catalog.pg_class WHERE oid = there));
    path_was text = current_setting('search_path');
    mark text = '~dbops_' || there::text || '_'; -- how the name of a twin begins
    views oid[]; -- materialized views that follow, those that others read first
    moved oid[]; -- the table and these
    retyped boolean; -- a view would show other types: those above the table are made anew
    problems text[] = '{}';
    each record;
    other record;
    told text;
@declare@BEGIN
    IF here IS NULL OR there IS NULL THEN
        RAISE EXCEPTION 'table % is not there', CASE WHEN here IS NULL THEN @here@ ELSE @there@ END
            USING ERRCODE = 'undefined_table';
    END IF;
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_trigger WHERE tgrelid = here AND tgname = @sign@) THEN
        RETURN;
    END IF;
    PERFORM set_config('search_path', 'pg_catalog, pg_temp', true); -- so that texts name schemas
    IF current_setting('lock_timeout') = '0' THEN
        PERFORM set_config('lock_timeout', '2s', true);
    END IF;
    WITH RECURSIVE follow (oid, depth) AS (
        SELECT here, 0
        UNION
        SELECT w.ev_class, f.depth + 1
          FROM follow f JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = f.oid
           AND d.classid = 'pg_rewrite'::regclass
          JOIN pg_rewrite w ON w.oid = d.objid AND w.ev_class <> f.oid
          JOIN pg_class c ON c.oid = w.ev_class AND c.relkind = 'm')
    SELECT coalesce(array_agg(oid ORDER BY depth, oid), '{}') INTO views
      FROM (SELECT oid, max(depth) AS depth FROM follow WHERE depth > 0 GROUP BY oid) f;
    moved = here || views;
    SELECT EXISTS (
        SELECT FROM pg_depend d
          JOIN pg_attribute a ON a.attrelid = here AND a.attnum = d.refobjsubid
          JOIN pg_attribute n ON n.attrelid = there AND n.attname = a.attname
         WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = here
           AND (a.atttypid, a.atttypmod, a.attcollation) <> (n.atttypid, n.atttypmod, n.attcollation))
      INTO retyped;
"""
_END = """    PERFORM set_config('search_path', path_was, true);
END
$exchange$"""

# Each foreign key of the table that serves now (k), and where its twin leads; `twin` is there once it was made.
_KEYS = """
    SELECT k.*, t.oid AS twin, t.conname AS twin_name, t.convalidated AS twin_validated
      FROM (SELECT k.oid, k.conname, k.condeferrable, k.condeferred, k.convalidated, k.conrelid AS was_from,
                   CASE WHEN k.conrelid = here THEN there ELSE k.conrelid END AS from_rel,
                   CASE WHEN k.confrelid = here THEN there ELSE k.confrelid END AS to_rel,
                   k.confrelid = here AS incoming, @from@ AS columns, @to@ AS refers, k.confrelid AS was_to
              FROM pg_constraint k
             WHERE k.contype = 'f' AND k.conparentid = 0 AND here IN (k.conrelid, k.confrelid)) k
      LEFT JOIN LATERAL (
            SELECT t.oid, t.conname, t.convalidated
              FROM (SELECT k.*, @from@ AS columns FROM pg_constraint k) t
             WHERE t.contype = 'f' AND t.conparentid = 0 AND t.conrelid = k.from_rel AND t.confrelid = k.to_rel
               AND t.columns = k.columns ORDER BY t.oid LIMIT 1) t ON true
     WHERE NOT EXISTS ( -- a column that the new table has no more needs no key
            SELECT FROM unnest(k.columns) c WHERE NOT EXISTS (
                SELECT FROM pg_attribute a WHERE a.attrelid = k.from_rel AND a.attname = c AND NOT a.attisdropped))
     ORDER BY k.from_rel, k.conname"""


# The views above what moves, and how far above.
ABOVE = """
    WITH RECURSIVE above (oid, depth) AS (
        SELECT unnest(moved), 0
        UNION
        SELECT w.ev_class, a.depth + 1
          FROM above a JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = a.oid
           AND d.classid = 'pg_rewrite'::regclass
          JOIN pg_rewrite w ON w.oid = d.objid AND w.ev_class <> a.oid WHERE a.depth < 64)
    SELECT c.*, a.depth FROM (SELECT a.oid, max(a.depth) AS depth FROM above a GROUP BY a.oid) a
      JOIN pg_class c ON c.oid = a.oid AND c.relkind IN ('v', 'm')"""

# What is bound to the table, or to a materialized view that follows it: column by column.
_BOUND = """
    SELECT DISTINCT d.classid, d.objid, d.refclassid, d.refobjid, a.attname
      FROM pg_depend d
      LEFT JOIN pg_attribute a ON d.refclassid = 'pg_class'::regclass AND a.attrelid = d.refobjid
       AND a.attnum = d.refobjsubid AND d.refobjsubid > 0
     WHERE (d.refclassid = 'pg_class'::regclass AND d.refobjid = ANY (moved))
        OR (d.refclassid = 'pg_type'::regclass AND d.refobjid IN (
                SELECT unnest(ARRAY[t.oid, t.typarray]) FROM pg_type t WHERE t.typrelid = ANY (moved)))"""

CHECK = """
    FOR each IN SELECT c.oid, c.relname, c.relispartition,
                       EXISTS (SELECT FROM pg_inherits i JOIN pg_class p ON p.oid IN (i.inhparent, i.inhrelid)
                                WHERE c.oid IN (i.inhrelid, i.inhparent) AND c.relkind <> 'p') AS inherits,
                       EXISTS (SELECT FROM pg_rewrite w WHERE w.ev_class = c.oid) AS ruled
                  FROM pg_class c WHERE c.oid IN (here, there)
    LOOP
        IF each.relispartition OR each.inherits THEN
            problems = problems || format('table %s is a partition, or has to do with inheritance', each.relname);
        END IF;
        IF each.ruled THEN
            problems = problems || format('table %s has rules', each.relname);
        END IF;
    END LOOP;
    FOR each IN SELECT coalesce((SELECT pg_describe_object('pg_class'::regclass, w.ev_class, 0) FROM pg_rewrite w
                                  WHERE b.classid = 'pg_rewrite'::regclass AND w.oid = b.objid),
                                pg_describe_object(b.classid, b.objid, 0)) AS what, b.attname,
                       CASE b.classid
                       WHEN 'pg_class'::regclass THEN
                            b.objid = ANY (moved)
                            OR EXISTS (SELECT FROM pg_class c
                                        WHERE c.oid = b.objid AND c.relkind IN ('i', 'I', 'S', 't'))
                            OR EXISTS (SELECT FROM pg_class c -- its partitions come along
                                        WHERE c.oid = b.objid AND c.relispartition AND b.refobjid = here)
                       WHEN 'pg_type'::regclass THEN
                            EXISTS (SELECT FROM pg_type t
                                     WHERE t.typrelid = ANY (moved) AND b.objid IN (t.oid, t.typarray))
                       WHEN 'pg_attrdef'::regclass THEN
                            EXISTS (SELECT FROM pg_attrdef f WHERE f.oid = b.objid AND f.adrelid = here)
                       WHEN 'pg_trigger'::regclass THEN
                            EXISTS (SELECT FROM pg_trigger t
                                     WHERE t.oid = b.objid AND (t.tgrelid = here OR t.tgisinternal))
                       WHEN 'pg_proc'::regclass THEN
                            b.refclassid = 'pg_class'::regclass
                            AND EXISTS (SELECT FROM pg_proc p WHERE p.oid = b.objid AND p.prosqlbody IS NOT NULL)
                       WHEN 'pg_constraint'::regclass THEN
                            EXISTS (SELECT FROM pg_constraint k WHERE k.oid = b.objid
                                       AND (k.conrelid = here OR (k.contype = 'f' AND k.confrelid = here)))
                       ELSE b.classid IN ('pg_rewrite'::regclass, 'pg_policy'::regclass,
                                          'pg_publication_rel'::regclass, 'pg_statistic_ext'::regclass)
                       END AS known,
                       b.refobjid = here AND b.attname IS NOT NULL
                       AND b.classid IN ('pg_rewrite'::regclass, 'pg_policy'::regclass, 'pg_proc'::regclass,
                                         'pg_trigger'::regclass, 'pg_publication_rel'::regclass)
                       AND NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = there AND a.attname = b.attname
                                          AND NOT a.attisdropped)
                       AND NOT EXISTS ( -- its author wrote them anew
                           SELECT FROM pg_policy y JOIN pg_policy o ON o.polrelid = there AND o.polname = y.polname
                            WHERE b.classid = 'pg_policy'::regclass AND y.oid = b.objid AND y.polrelid = here
                           UNION ALL
                           SELECT FROM pg_trigger t JOIN pg_trigger o ON o.tgrelid = there AND o.tgname = t.tgname
                            WHERE b.classid = 'pg_trigger'::regclass AND t.oid = b.objid) AS lacks
                  FROM (@bound@) b
    LOOP
        IF NOT each.known THEN
            problems = problems || format('%s cannot follow', each.what);
        ELSIF each.lacks THEN
            problems = problems || format('%s uses column %s, which %s has not', each.what, each.attname, there_is);
        END IF;
    END LOOP;
    FOR each IN @keys@
    LOOP
        IF each.incoming AND EXISTS (
            SELECT FROM unnest(each.refers) c WHERE NOT EXISTS (
                SELECT FROM pg_attribute a WHERE a.attrelid = there AND a.attname = c AND NOT a.attisdropped)) THEN
            problems = problems || format('foreign key %s of %s refers to columns that %s has not',
                                          each.conname, each.was_from::regclass, there_is);
        END IF;
    END LOOP;
    FOR each IN SELECT s.subname, r.srrelid::regclass AS rel FROM pg_subscription_rel r
                  JOIN pg_subscription s ON s.oid = r.srsubid WHERE r.srrelid IN (here, there)
    LOOP -- it finds tables by name, and passes over those that it did not begin with
        problems = problems || format('subscription %s writes %s, and would lose rows', each.subname, each.rel);
    END LOOP;
    FOR each IN SELECT format('%s belongs to %s', w.what, w.owner::regrole) AS what FROM (
            SELECT DISTINCT c.oid::regclass::text AS what, c.relowner AS owner
              FROM pg_class c WHERE c.oid IN (here, there) OR c.oid = ANY (views)
                OR c.oid IN (SELECT w.ev_class FROM (@bound@) b JOIN pg_rewrite w ON w.oid = b.objid)
                OR c.oid IN (SELECT y.polrelid FROM (@bound@) b JOIN pg_policy y ON y.oid = b.objid)
                OR c.oid IN (SELECT k.conrelid FROM pg_constraint k WHERE k.contype = 'f' AND k.confrelid = here)
            UNION ALL
            SELECT 'publication ' || p.pubname, p.pubowner
              FROM pg_publication p JOIN pg_publication_rel r ON r.prpubid = p.oid WHERE r.prrelid = here
            UNION ALL
            SELECT p.oid::regprocedure::text, p.proowner
              FROM (@bound@) b JOIN pg_proc p ON p.oid = b.objid AND b.classid = 'pg_proc'::regclass) w
         WHERE NOT pg_has_role(w.owner, 'USAGE')
    LOOP
        problems = problems || each.what;
    END LOOP;
    IF retyped THEN
        FOR each IN SELECT v.oid, v.relkind FROM (@above@) v WHERE v.oid <> ALL (moved)
        LOOP
            IF each.relkind = 'm' THEN
                problems = problems
                    || format('materialized view %s reads a view whose types change', each.oid::regclass);
            END IF;
            FOR other IN SELECT DISTINCT pg_describe_object(d.classid, d.objid, 0) AS what FROM pg_depend d
                          WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = each.oid AND d.deptype = 'n'
                            AND d.classid <> 'pg_rewrite'::regclass
            LOOP
                problems = problems || format('%s needs a view whose types change', other.what);
            END LOOP;
        END LOOP;
    END IF;
    IF problems <> '{}' THEN
        RAISE EXCEPTION '% cannot take the place of %: %', there_is, here_is,
            (SELECT string_agg(p, '; ' ORDER BY p) FROM unnest(problems) p)
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'drop it, or have it changed, before the switch';
    END IF;
"""

WHO = "CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END"
# The columns of a foreign key by name, on either side; expects pg_constraint AS k.
_COLUMNS = """(SELECT array_agg(a.attname::text ORDER BY u.n) FROM unnest(k.@attnums@) WITH ORDINALITY u (attnum, n)
                  JOIN pg_attribute a ON a.attrelid = k.@rel@ AND a.attnum = u.attnum)"""
_FROM = filled(_COLUMNS, attnums="conkey", rel="conrelid")
_TO = filled(_COLUMNS, attnums="confkey", rel="confrelid")


def block(body: str, *, here: str, there: str, sign: str, declare: str = "", **parts: str) -> str:
    """Write one DO block, `here` and `there` as SQL writes them."""
    named = {
        "keys": filled(_KEYS, **{"from": _FROM, "to": _TO}),
        "bound": _BOUND,
        "above": ABOVE,
        "who": WHO,
        "declare": declare,
        **parts,
    }
    whole = filled(_BEGIN + body + _END, **named)
    return filled(whole, here=literal(here), there=literal(there), sign=literal(sign))
