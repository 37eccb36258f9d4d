"""What is made ready before two tables exchange their names: twins of keys and of materialized views. Pure.

They take their time, and weak locks. What was made ready already stays; materialized views are built anew each time.
"""

from dbops.operations.migrate.shapes.following import CHECK, block
from dbops.operations.migrate.shapes.shape import Do

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
