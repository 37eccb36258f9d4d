"""Texts of the catalog that name a table: taken before two tables exchange their names, and executed after. Pure.

Views are replaced in place, so that what hangs on them stays; those whose types change are made anew, with all above.
"""

TAKE_TEXTS = """
    FOR each IN SELECT v.* FROM (@above@) v WHERE v.relkind = 'v' AND retyped ORDER BY v.depth, v.oid
    LOOP
        views_drop = format('DROP VIEW %s', each.oid::regclass) || views_drop;
        views_text = views_text || format('CREATE VIEW %s%s AS %s', each.oid::regclass,
            ' WITH (' || array_to_string(each.reloptions, ', ') || ')', pg_get_viewdef(each.oid));
        views_text = views_text || format('ALTER VIEW %s OWNER TO %s', each.oid::regclass, each.relowner::regrole);
        views_text = views_text || format('DO $revoke$ DECLARE who text; BEGIN '
            'FOR who IN SELECT DISTINCT a.grantee::regrole FROM pg_class c, aclexplode(c.relacl) a '
            'WHERE c.oid = %1$L::regclass AND a.grantee <> 0 AND a.grantee <> c.relowner '
            'LOOP EXECUTE format(''REVOKE ALL ON %%s FROM %%s'', %1$L, who); END LOOP; '
            'REVOKE ALL ON %1$s FROM PUBLIC; END $revoke$', each.oid::regclass);
        FOR other IN SELECT format('COMMENT ON %s%s IS %L',
                                   CASE d.objsubid WHEN 0 THEN 'VIEW ' ELSE 'COLUMN ' END || each.oid::regclass,
                                   '.' || quote_ident(a.attname), d.description) AS text
                       FROM pg_description d
                       LEFT JOIN pg_attribute a ON a.attrelid = d.objoid AND a.attnum = d.objsubid AND d.objsubid > 0
                      WHERE d.classoid = 'pg_class'::regclass AND d.objoid = each.oid
                     UNION ALL
                     SELECT format('GRANT %s ON %s TO %s%s', a.privilege_type, each.oid::regclass, @who@,
                                   CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' END)
                       FROM aclexplode(each.relacl) a WHERE a.grantee <> each.relowner
                     UNION ALL
                     SELECT format('GRANT %s (%I) ON %s TO %s%s', a.privilege_type, t.attname, each.oid::regclass,
                                   @who@, CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' END)
                       FROM pg_attribute t, aclexplode(t.attacl) a WHERE t.attrelid = each.oid
                     UNION ALL
                     SELECT pg_get_triggerdef(t.oid) FROM pg_trigger t
                      WHERE t.tgrelid = each.oid AND NOT t.tgisinternal
                     UNION ALL
                     SELECT pg_get_ruledef(w.oid) FROM pg_rewrite w
                      WHERE w.ev_class = each.oid AND w.rulename <> '_RETURN'
                     UNION ALL
                     SELECT format('ALTER VIEW %s ALTER %I SET DEFAULT %s', each.oid::regclass, t.attname,
                                   pg_get_expr(f.adbin, f.adrelid))
                       FROM pg_attrdef f JOIN pg_attribute t ON t.attrelid = f.adrelid AND t.attnum = f.adnum
                      WHERE f.adrelid = each.oid
        LOOP
            views_text = views_text || other.text;
        END LOOP;
    END LOOP;
    FOR each IN SELECT DISTINCT w.oid, w.rulename, c.relkind, c.oid AS rel, c.reloptions
                  FROM pg_depend d JOIN pg_rewrite w ON w.oid = d.objid AND w.ev_class <> ALL (moved)
                  JOIN pg_class c ON c.oid = w.ev_class
                 WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass
                   AND d.refobjid = ANY (moved) ORDER BY w.oid
    LOOP
        IF each.relkind = 'v' AND each.rulename = '_RETURN' THEN
            CONTINUE WHEN retyped;
            views_text = views_text || format('CREATE OR REPLACE VIEW %s%s AS %s', each.rel::regclass,
                ' WITH (' || array_to_string(each.reloptions, ', ') || ')', pg_get_viewdef(each.rel));
        ELSE
            views_text = views_text
                || regexp_replace(pg_get_ruledef(each.oid), '^CREATE RULE', 'CREATE OR REPLACE RULE');
        END IF;
    END LOOP;
    FOR each IN SELECT DISTINCT p.oid FROM pg_depend d JOIN pg_proc p ON p.oid = d.objid
                 WHERE d.classid = 'pg_proc'::regclass AND d.refclassid = 'pg_class'::regclass
                   AND d.refobjid = ANY (moved)
    LOOP
        views_text = views_text || pg_get_functiondef(each.oid);
    END LOOP;
    FOR each IN SELECT DISTINCT y.oid, y.polname, y.polrelid, pg_get_expr(y.polqual, y.polrelid) AS qual,
                       pg_get_expr(y.polwithcheck, y.polrelid) AS with_check
                  FROM pg_depend d JOIN pg_policy y ON y.oid = d.objid AND y.polrelid NOT IN (here, there)
                 WHERE d.classid = 'pg_policy'::regclass AND d.refclassid = 'pg_class'::regclass
                   AND d.refobjid = ANY (moved)
    LOOP
        policies_text = policies_text || format('ALTER POLICY %I ON %s%s%s', each.polname, each.polrelid::regclass,
            ' USING (' || each.qual || ')', ' WITH CHECK (' || each.with_check || ')');
    END LOOP;
    FOR each IN SELECT y.*, pg_get_expr(y.polqual, y.polrelid) AS qual,
                       pg_get_expr(y.polwithcheck, y.polrelid) AS with_check,
                       (SELECT string_agg(CASE r WHEN 0 THEN 'PUBLIC' ELSE r::regrole::text END, ', ')
                          FROM unnest(y.polroles) r) AS roles
                  FROM pg_policy y WHERE y.polrelid = here
                   AND NOT EXISTS (SELECT FROM pg_policy o WHERE o.polrelid = there AND o.polname = y.polname)
    LOOP
        policies_text = policies_text || format('CREATE POLICY %I ON %s AS %s FOR %s TO %s%s%s', each.polname,
            here::regclass, CASE WHEN each.polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END,
            CASE each.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE'
                             WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
            each.roles, ' USING (' || each.qual || ')', ' WITH CHECK (' || each.with_check || ')');
    END LOOP;
    FOR each IN SELECT t.oid, t.tgname, t.tgenabled, pg_get_triggerdef(t.oid) AS def,
                       EXISTS (SELECT FROM pg_trigger o WHERE o.tgrelid = there AND o.tgname = t.tgname) AS twin
                  FROM pg_trigger t
                 WHERE t.tgrelid = here AND NOT t.tgisinternal AND t.tgname !~ '^[~!]dbops_' ORDER BY t.tgname
    LOOP
        IF NOT each.twin THEN
            triggers_text = triggers_text || each.def;
        END IF;
        triggers_text = triggers_text
            || format('ALTER TABLE %s %s TRIGGER %I', here::regclass,
                      CASE each.tgenabled WHEN 'D' THEN 'DISABLE' WHEN 'R' THEN 'ENABLE REPLICA'
                                          WHEN 'A' THEN 'ENABLE ALWAYS' ELSE 'ENABLE' END, each.tgname)
            || format('ALTER TABLE %s DISABLE TRIGGER %I', there::regclass, each.tgname);
    END LOOP;
    IF EXISTS (SELECT FROM pg_publication_rel WHERE prrelid = here) THEN
        FOR each IN SELECT p.pubname, pg_get_expr(r.prqual, r.prrelid) AS qual,
                           (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) FROM pg_attribute a
                             WHERE a.attrelid = here AND a.attnum = ANY (r.prattrs)) AS columns,
                           EXISTS (SELECT FROM pg_publication_rel o
                                    WHERE o.prrelid = there AND o.prpubid = p.oid) AS twin
                      FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid WHERE r.prrelid = here
        LOOP
            publications_text = publications_text
                || format('ALTER PUBLICATION %I DROP TABLE %s', each.pubname, there::regclass);
            IF NOT each.twin THEN
                publications_text = publications_text
                    || format('ALTER PUBLICATION %I ADD TABLE %s%s%s', each.pubname, here::regclass,
                              ' (' || each.columns || ')', ' WHERE (' || each.qual || ')');
            END IF;
        END LOOP;
    END IF;
"""

EXECUTE_TEXTS = """
    FOREACH told IN ARRAY views_text || policies_text || triggers_text || publications_text
    LOOP
        EXECUTE told;
    END LOOP;
    FOR each IN SELECT c.relrowsecurity, c.relforcerowsecurity, c.relreplident FROM pg_class c WHERE c.oid = here
    LOOP
        IF each.relrowsecurity THEN
            EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', there::regclass);
        END IF;
        IF each.relforcerowsecurity THEN
            EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', there::regclass);
        END IF;
        IF each.relreplident IN ('f', 'n') THEN
            EXECUTE format('ALTER TABLE %s REPLICA IDENTITY %s', there::regclass,
                           CASE each.relreplident WHEN 'f' THEN 'FULL' ELSE 'NOTHING' END);
        END IF;
    END LOOP;
    FOR each IN SELECT v.oid FROM unnest(views) WITH ORDINALITY v (oid, n) ORDER BY v.n DESC
    LOOP
        EXECUTE format('DROP MATERIALIZED VIEW %s', each.oid::regclass);
    END LOOP;
"""
