"""What hangs on a table that another one will replace: what can follow it, and what is made ready before. Pure.

Everything that binds by OID has to be moved: foreign keys from and to it, views, materialized views, rules, policies of
other tables, functions with a parsed body. Keys and materialized views get their twin at the new table beforehand, so
that nothing is scanned while the tables exchange their names. What cannot follow is named before anything begins.
"""

import re

from dbops.engine.plan import literal
from dbops.operations.migrate.shapes.shape import Do

_PART = re.compile(r"@(\w+)@")


def filled(text: str, **parts: str) -> str:
    """Put parts in for @name@, in one go; what is unknown stays."""
    return _PART.sub(lambda match: parts.get(match[1], match[0]), text)


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
                                         'pg_trigger'::regclass)
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

# New keys are not enforced on old rows yet, and for new ones at the end of the transaction, when both tables are alike.
_ADD_KEYS = """
    FOR each IN SELECT DISTINCT f.from_rel FROM (SELECT k.from_rel, k.to_rel, k.twin FROM (@keys@) k) f
                 WHERE f.twin IS NULL ORDER BY 1
    LOOP
        EXECUTE format('LOCK TABLE %s IN SHARE ROW EXCLUSIVE MODE', each.from_rel::regclass);
    END LOOP;
    FOR each IN @keys@
    LOOP
        CONTINUE WHEN each.twin IS NOT NULL;
        told = format('FOREIGN KEY (%s) REFERENCES %s(%s)',
                      (SELECT string_agg(quote_ident(c), ', ') FROM unnest(each.columns) c), each.was_to::regclass,
                      (SELECT string_agg(quote_ident(c), ', ') FROM unnest(each.refers) c));
        told = format('FOREIGN KEY (%s) REFERENCES %s (%s)%s',
                      (SELECT string_agg(quote_ident(c), ', ') FROM unnest(each.columns) c), each.to_rel::regclass,
                      (SELECT string_agg(quote_ident(c), ', ') FROM unnest(each.refers) c),
                      regexp_replace(substr(pg_get_constraintdef(each.oid), length(told) + 1),
                                     ' (NOT VALID|DEFERRABLE|INITIALLY DEFERRED)', '', 'g')
                      || CASE WHEN each.incoming THEN ' DEFERRABLE INITIALLY DEFERRED'
                              WHEN each.condeferred THEN ' DEFERRABLE INITIALLY DEFERRED'
                              WHEN each.condeferrable THEN ' DEFERRABLE' ELSE '' END);
        IF (SELECT relkind FROM pg_class WHERE oid = each.from_rel) = 'p' THEN -- the parent's key comes once these hold
            FOR other IN SELECT p.relid FROM pg_partition_tree(each.from_rel) p WHERE p.isleaf
                            AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conrelid = p.relid
                                               AND c.conname = left(each.conname, 60) || '_2')
            LOOP
                EXECUTE format('ALTER TABLE %s ADD CONSTRAINT %I %s NOT VALID', other.relid,
                               left(each.conname, 60) || '_2', told);
            END LOOP;
        ELSE
            EXECUTE format('ALTER TABLE %s ADD CONSTRAINT %I %s NOT VALID', each.from_rel::regclass,
                           CASE WHEN each.from_rel = there THEN each.conname ELSE mark || md5(each.conname) END, told);
        END IF;
    END LOOP;
"""
_VALIDATE_KEYS = """
    FOR each IN @keys@
    LOOP
        IF each.twin IS NULL THEN -- a partitioned table: each partition for itself
            FOR other IN SELECT c.conrelid, c.conname
                           FROM pg_partition_tree(each.from_rel) p JOIN pg_constraint c ON c.conrelid = p.relid
                          WHERE p.isleaf AND c.conname = left(each.conname, 60) || '_2' ORDER BY 1
            LOOP
                EXECUTE format('ALTER TABLE %s VALIDATE CONSTRAINT %I', other.conrelid::regclass, other.conname);
            END LOOP;
        ELSIF each.convalidated AND NOT each.twin_validated THEN
            EXECUTE format('ALTER TABLE %s VALIDATE CONSTRAINT %I', each.from_rel::regclass, each.twin_name);
        END IF;
    END LOOP;
"""
# Once all partitions hold, their parent takes their keys for its own without looking at a row.
_ATTACH_KEYS = """
    FOR each IN @keys@
    LOOP
        IF each.twin IS NULL THEN
            told = format('FOREIGN KEY (%s) REFERENCES %s(%s)',
                          (SELECT string_agg(quote_ident(c), ', ') FROM unnest(each.columns) c), each.was_to::regclass,
                          (SELECT string_agg(quote_ident(c), ', ') FROM unnest(each.refers) c));
            EXECUTE format('ALTER TABLE %s ADD CONSTRAINT %I FOREIGN KEY (%s) REFERENCES %s (%s)%s',
                each.from_rel::regclass,
                CASE WHEN each.from_rel = there THEN each.conname ELSE mark || md5(each.conname) END,
                (SELECT string_agg(quote_ident(c), ', ') FROM unnest(each.columns) c), each.to_rel::regclass,
                (SELECT string_agg(quote_ident(c), ', ') FROM unnest(each.refers) c),
                regexp_replace(substr(pg_get_constraintdef(each.oid), length(told) + 1),
                               ' (NOT VALID|DEFERRABLE|INITIALLY DEFERRED)', '', 'g')
                || CASE WHEN each.incoming OR each.condeferred THEN ' DEFERRABLE INITIALLY DEFERRED'
                        WHEN each.condeferrable THEN ' DEFERRABLE' ELSE '' END);
        END IF;
    END LOOP;
"""
# A twin reads the new table, and the twins of the materialized views that it reads. Texts are PostgreSQL's own, so a
# name is written in one way; behind it stands a blank and an alias, or there is none, and the old name becomes one.
_TWIN_VIEWS = """
    FOR other IN SELECT v.n, c.relname, s.nspname FROM unnest(views) WITH ORDINALITY v (oid, n)
                   JOIN pg_class c ON c.oid = v.oid JOIN pg_namespace s ON s.oid = c.relnamespace ORDER BY v.n DESC
    LOOP
        EXECUTE format('DROP MATERIALIZED VIEW IF EXISTS %I.%I', other.nspname, mark || md5(other.relname));
    END LOOP;
    FOR each IN SELECT c.*, s.nspname, v.n, t.spcname FROM unnest(views) WITH ORDINALITY v (oid, n)
                  JOIN pg_class c ON c.oid = v.oid JOIN pg_namespace s ON s.oid = c.relnamespace
                  LEFT JOIN pg_tablespace t ON t.oid = c.reltablespace ORDER BY v.n
    LOOP
        told = rtrim(pg_get_viewdef(each.oid), ';');
        FOR other IN SELECT m.oid::regclass::text AS old, c.relname,
                            CASE WHEN m.oid = here THEN there::regclass::text
                                 ELSE format('%I.%I', s.nspname, mark || md5(c.relname)) END AS new
                       FROM unnest(moved) m (oid) JOIN pg_class c ON c.oid = m.oid
                       JOIN pg_namespace s ON s.oid = c.relnamespace
        LOOP
            told = regexp_replace(told, '(FROM |JOIN |[(]|, |,\\n *)'
                                  || regexp_replace(other.old, '(\\W)', '\\\\\\1', 'g') || '(?= [a-z_"])',
                                  '\\1' || other.new, 'g');
            told = regexp_replace(told, '(FROM |JOIN |[(]|, |,\\n *)'
                                  || regexp_replace(other.old, '(\\W)', '\\\\\\1', 'g') || '(?=[\\n,);]|$)',
                                  '\\1' || other.new || ' ' || quote_ident(other.relname), 'g');
        END LOOP;
        EXECUTE format('CREATE MATERIALIZED VIEW %I.%I (%s)%s%s AS %s WITH %s', each.nspname,
            mark || md5(each.relname),
            (SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute
              WHERE attrelid = each.oid AND attnum > 0 AND NOT attisdropped),
            ' WITH (' || array_to_string(each.reloptions, ', ') || ')',
            ' TABLESPACE ' || quote_ident(each.spcname), told,
            CASE WHEN each.relispopulated THEN 'DATA' ELSE 'NO DATA' END);
        FOR other IN SELECT c.relname, pg_get_indexdef(i.indexrelid) AS def FROM pg_index i
                       JOIN pg_class c ON c.oid = i.indexrelid WHERE i.indrelid = each.oid
        LOOP
            EXECUTE replace(other.def, format(' INDEX %I ON %s ', other.relname, each.oid::regclass),
                format(' INDEX %I ON %I.%I ', mark || md5(other.relname), each.nspname, mark || md5(each.relname)));
        END LOOP;
        IF EXISTS (SELECT FROM pg_depend d JOIN pg_rewrite w ON w.oid = d.objid
                    WHERE w.ev_class = to_regclass(format('%I.%I', each.nspname, mark || md5(each.relname)))
                      AND d.refclassid = 'pg_class'::regclass AND d.refobjid = ANY (moved)) THEN
            RAISE EXCEPTION 'materialized view % cannot follow: how it names % was not understood',
                each.relname, here_is
                USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'drop it before the switch, create it after';
        END IF;
    END LOOP;
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


def made_ready(here: str, there: str, sign: str) -> tuple[Do, ...]:
    """Check, add keys, have them hold, build materialized views. What is `alone` takes its time, with weak locks."""
    return tuple(
        Do(block(body, here=here, there=there, sign=sign), alone=long)
        for body, long in (
            (CHECK, True),
            (_ADD_KEYS, False),
            (_VALIDATE_KEYS, True),
            (_ATTACH_KEYS, False),
            (_TWIN_VIEWS, True),
        )
    )
