"""The questions that partitions ask of the catalogs; search_path is pg_catalog, the zone UTC, dates ISO."""

CONTEXT = """
    SELECT pg_is_in_recovery(), to_regclass('_timescaledb_catalog.hypertable') IS NOT NULL, current_user::text"""

HYPERTABLES = "SELECT schema_name::text, table_name::text FROM _timescaledb_catalog.hypertable ORDER BY 1, 2"

PARENTS = """
    SELECT c.oid::int8, n.nspname::text, c.relname::text,
           CASE p.partstrat WHEN 'r' THEN 'range' WHEN 'l' THEN 'list' ELSE 'hash' END,
           CASE WHEN p.partnatts = 1 THEN a.attname::text END, format_type(a.atttypid, NULL),
           pg_get_userbyid(c.relowner)::text, c.relrowsecurity, c.relforcerowsecurity,
           ARRAY(SELECT polname::text FROM pg_policy WHERE polrelid = c.oid ORDER BY 1),
           ARRAY(SELECT DISTINCT ARRAY[pn.nspname::text, pc.relname::text]
                   FROM pg_constraint k
                   JOIN pg_class pc ON pc.oid = CASE WHEN k.conrelid = c.oid THEN k.confrelid ELSE k.conrelid END
                   JOIN pg_namespace pn ON pn.oid = pc.relnamespace
                  WHERE k.contype = 'f' AND c.oid IN (k.conrelid, k.confrelid) AND NOT pc.relispartition
                  ORDER BY 1),
           ARRAY(SELECT k.conname::text FROM pg_constraint k
                  WHERE k.conrelid = p.partdefid AND k.contype = 'c' AND k.conname LIKE 'dbops\\_not\\_%%' ORDER BY 1)
      FROM pg_partitioned_table p
      JOIN pg_class c ON c.oid = p.partrelid
      JOIN pg_namespace n ON n.oid = c.relnamespace
      LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = p.partattrs[0] AND p.partattrs[0] > 0
     WHERE n.nspname !~ '^pg_' AND (c.relispartition IS FALSE OR (n.nspname::text || '.' || c.relname) = ANY(%(asked)s))
     ORDER BY 2, 3"""

PARTITIONS = """
    SELECT i.inhparent::int8, c.oid::int8, n.nspname::text, c.relname::text, pg_get_expr(c.relpartbound, c.oid),
           i.inhdetachpending, c.relkind = 'p', c.relrowsecurity, c.relforcerowsecurity,
           pg_get_userbyid(c.relowner)::text, nullif(c.reltuples, -1)::int8
      FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE i.inhparent = ANY(%(parents)s::oid[]) AND (c.relispartition OR i.inhdetachpending)"""

# Whatever only `list` and `check` want to know.
DETAILS = """
    SELECT c.oid::int8,
           (SELECT sum(pg_total_relation_size(t.relid))::int8 FROM pg_partition_tree(c.oid) t WHERE t.isleaf),
           (SELECT sum(nullif(l.reltuples, -1))::int8 FROM pg_partition_tree(c.oid) t JOIN pg_class l ON l.oid = t.relid
             WHERE t.isleaf),
           ARRAY(SELECT x.indexrelid::regclass::text FROM pg_index x WHERE x.indrelid = c.oid ORDER BY 1),
           ARRAY(SELECT pi.relname::text FROM pg_index p JOIN pg_class pi ON pi.oid = p.indexrelid
                  WHERE p.indrelid = i.inhparent AND NOT EXISTS (
                        SELECT FROM pg_inherits xi JOIN pg_index x ON x.indexrelid = xi.inhrelid
                         WHERE xi.inhparent = p.indexrelid AND x.indrelid = c.oid AND x.indisvalid) ORDER BY 1),
           ARRAY(SELECT polname::text FROM pg_policy WHERE polrelid = c.oid ORDER BY 1)
      FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
     WHERE i.inhparent = ANY(%(parents)s::oid[])"""

# Who may what, the owner left out: whatever it took from itself it can give itself again.
RIGHTS = """
    SELECT c.oid::int8, coalesce(r.rolname::text, ''), x.privilege_type, x.is_grantable, ''
      FROM pg_class c CROSS JOIN LATERAL aclexplode(c.relacl) x LEFT JOIN pg_roles r ON r.oid = x.grantee
     WHERE c.oid = ANY(%(oids)s::oid[]) AND x.grantee <> c.relowner
     UNION ALL
    SELECT c.oid::int8, coalesce(r.rolname::text, ''), x.privilege_type, x.is_grantable, a.attname::text
      FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attacl IS NOT NULL AND NOT a.attisdropped
     CROSS JOIN LATERAL aclexplode(a.attacl) x LEFT JOIN pg_roles r ON r.oid = x.grantee
     WHERE c.oid = ANY(%(oids)s::oid[]) AND x.grantee <> c.relowner
     ORDER BY 1, 2, 3, 4, 5"""

SHAPE = """
    SELECT c.relreplident::text,
           (SELECT ic.relname::text FROM pg_index x JOIN pg_class ic ON ic.oid = x.indexrelid
             WHERE x.indrelid = c.oid AND x.indisreplident),
           (SELECT spcname::text FROM pg_tablespace WHERE oid = c.reltablespace),
           obj_description(c.oid, 'pg_class'),
           ARRAY(SELECT ARRAY[attname::text, attstattarget::text] FROM pg_attribute
                  WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped AND attstattarget >= 0 ORDER BY attnum),
           ARRAY(SELECT DISTINCT coalesce(r.rolname::text, '')
                   FROM pg_default_acl d CROSS JOIN LATERAL aclexplode(d.defaclacl) x
                   LEFT JOIN pg_roles r ON r.oid = x.grantee
                  WHERE d.defaclobjtype = 'r' AND pg_get_userbyid(d.defaclrole) = current_user
                    AND d.defaclnamespace IN (0, c.relnamespace) AND x.grantee <> d.defaclrole ORDER BY 1)
      FROM pg_class c WHERE c.oid = %(parent)s"""

POLICIES = """
    SELECT polname::text, polpermissive,
           CASE polcmd WHEN '*' THEN 'ALL' WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT'
                       WHEN 'w' THEN 'UPDATE' ELSE 'DELETE' END,
           ARRAY(SELECT coalesce(r.rolname::text, '') FROM unnest(polroles) o (id)
                   LEFT JOIN pg_roles r ON r.oid = o.id ORDER BY 1),
           pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid), obj_description(oid, 'pg_policy')
      FROM pg_policy WHERE polrelid = %(parent)s ORDER BY 1"""

# What the newest sibling has that the parent cannot have.
SIBLING = """
    SELECT coalesce(c.reloptions, '{}') || ARRAY(SELECT 'toast.' || o FROM pg_class t, unnest(t.reloptions) o
                                                  WHERE t.oid = c.reltoastrelid),
           ARRAY(SELECT p.pubname::text FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid
                  WHERE r.prrelid = c.oid AND NOT EXISTS (
                        SELECT FROM pg_publication_rel above WHERE above.prpubid = p.oid AND above.prrelid = %(parent)s)
                  ORDER BY 1),
           CASE WHEN c.relkind = 'p' THEN pg_get_partkeydef(c.oid) END,
           ARRAY(SELECT ARRAY[k.relname::text, pg_get_expr(k.relpartbound, k.oid), k.relkind::text]
                   FROM pg_inherits i JOIN pg_class k ON k.oid = i.inhrelid WHERE i.inhparent = c.oid ORDER BY 1)
      FROM pg_class c WHERE c.oid = %(sibling)s"""

TAKEN = """
    SELECT relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = %(schema)s AND starts_with(c.relname::text, %(name)s)"""
