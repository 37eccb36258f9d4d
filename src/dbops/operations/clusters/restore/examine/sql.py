"""What a restored database is asked."""

DATABASES = "SELECT datname FROM pg_database WHERE datallowconn ORDER BY pg_database_size(oid) DESC, datname"

TABLES = """
    SELECT n.nspname, c.relname
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'm') AND c.relispopulated AND c.relpersistence = 'p'
       AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
     ORDER BY c.relpages DESC, 1, 2"""

INDEXES = """
    SELECT i.indexrelid::bigint, n.nspname || '.' || c.relname
      FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
      JOIN pg_am a ON a.oid = c.relam
     WHERE a.amname = 'btree' AND c.relkind = 'i' AND c.relpersistence = 'p' AND i.indisready AND i.indisvalid
     ORDER BY c.relpages DESC, 2"""

INVALID = """
    SELECT n.nspname || '.' || c.relname
      FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE NOT i.indisvalid ORDER BY 1"""

SEQUENCES = """
    SELECT sn.nspname || '.' || s.relname, n.nspname, t.relname, a.attname,
           CASE WHEN has_sequence_privilege(s.oid, 'USAGE,SELECT') THEN pg_sequence_last_value(s.oid) END, q.seqstart
      FROM pg_depend d
      JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S' AND s.relpersistence = 'p'
      JOIN pg_namespace sn ON sn.oid = s.relnamespace
      JOIN pg_sequence q ON q.seqrelid = s.oid AND q.seqincrement > 0 AND NOT q.seqcycle
      JOIN pg_class t ON t.oid = d.refobjid AND t.relkind IN ('r', 'p')
      JOIN pg_namespace n ON n.oid = t.relnamespace
      JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = d.refobjsubid AND a.atttypid IN (20, 21, 23)
     WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
     ORDER BY 1"""

UNPOPULATED = """
    SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind = 'm' AND NOT c.relispopulated ORDER BY 1"""

COLLATIONS = """
    SELECT collname FROM pg_collation
     WHERE collversion IS NOT NULL AND collversion <> pg_collation_actual_version(oid) ORDER BY 1"""

DATABASE_COLLATION = """
    SELECT datname FROM pg_database WHERE datname = current_database() AND datcollversion IS NOT NULL
       AND datcollversion <> pg_database_collation_actual_version(oid)"""

EXTENSIONS = """
    SELECT extname FROM pg_extension e
     WHERE NOT EXISTS (SELECT FROM pg_available_extension_versions v
                        WHERE v.name = e.extname AND v.version = e.extversion) ORDER BY 1"""

SECURITY = """
    SELECT n.nspname || '.' || c.relname, c.relrowsecurity, c.relforcerowsecurity,
           ARRAY(SELECT polname::text FROM pg_policy WHERE polrelid = c.oid ORDER BY polname)
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1"""

ROLES = "SELECT rolname FROM pg_roles WHERE rolname !~ '^pg_' ORDER BY 1"

FOREIGN = "SELECT srvname FROM pg_foreign_server ORDER BY 1"
SUBSCRIPTIONS = """
    SELECT subname FROM pg_subscription
     WHERE subdbid = (SELECT oid FROM pg_database WHERE datname = current_database()) ORDER BY 1"""
HAS_CRON = "SELECT to_regclass('cron.job') IS NOT NULL"
JOBS = "SELECT count(*) FROM cron.job"

AMCHECK = "SELECT n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE extname = 'amcheck'"
OWN_SCHEMA = "dbops_scratch"
